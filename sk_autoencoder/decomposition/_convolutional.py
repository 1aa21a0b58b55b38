"""The convolutional autoencoder."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from typing import ClassVar

from sk_autoencoder.core._base import BaseAutoencoder
from sk_autoencoder.core._data import RowDataset
from sk_autoencoder.nn._convolutional import Convolutional
from sk_autoencoder.utils._sklearn_compat import Interval, StrOptions

FEW_ROWS = 1_000  # up to which the start from PCA is better than what training finds


@dataclass(kw_only=True, eq=False, repr=False)
class ConvolutionalAutoencoder(BaseAutoencoder):
    r"""Dimensionality reduction of images by a convolutional autoencoder.

    Encoder :math:`f` and decoder :math:`g` are convolutional networks [1]_; they minimise

    .. math:: \frac1n \sum_i \ell\big(g(f(x_i + \varepsilon_i)), x_i\big)

    where :math:`\ell` is the `loss`, summed over pixels, and :math:`\varepsilon` is
    Gaussian noise of `noise_level`. Rows of X are flattened images, as scikit-learn keeps
    them.

    Parameters
    ----------
    n_components : int, float in (0, 1) or None, default=16
        Width of the code. A float takes the smallest number of components with which PCA
        explains more than that share of the variance; None takes
        ``min(n_samples, n_features)``, as PCA does.
    activation : str or callable, default="gelu"
        Nonlinearity of the hidden layers: ``"elu"``, ``"gelu"``, ``"identity"``,
        ``"leaky_relu"``, ``"relu"``, ``"sigmoid"``, ``"silu"``, ``"tanh"``, or a callable
        without arguments that returns a torch module.
    dropout : float, default=0.0
        Share of the hidden units that is dropped in each training step.
    init : {"auto", "pca", "random"}, default="auto"
        With ``"pca"`` encoder and decoder get a linear path beside the nonlinear one. It
        starts at PCA of the rows that are fitted to and the nonlinear one at zero, so that
        training begins at PCA. Held-out rows then choose how far to go from PCA to the
        trained weights (0, 1/4, 1/2, 3/4 or all of the way): as far as their error falls
        most, less one and a half standard errors. Where it does not, or fewer than 15 rows
        were held out, PCA of all rows is what is kept. ``"random"`` gives the plain
        network, which learns more from many images. ``"auto"`` takes the former up to
        1,000 rows.
    loss : str or callable, default="squared_error"
        Error of a reconstruction: ``"squared_error"``, ``"absolute_error"``, ``"huber"``
        (squared up to one scaled unit), ``"binary_cross_entropy"`` (a sigmoid output;
        values of X in [0, 1], which are not scaled), or for counts and tf-idf, of rows
        brought to one length, ``"multinomial"`` (shares of a row; a softmax output) and
        ``"cosine"``; or a callable ``(output, x)`` of two tensors of shape (batch,
        n_features) that returns one error a row.
    scaling : {"global", "standard"} or None, default="global"
        ``"global"`` subtracts the mean row and divides by one number, the root of the
        mean variance of a feature, which keeps PCA's objective; ``"standard"`` divides each
        feature by its own standard deviation; None leaves X alone.
    noise_level : float, default=0.7
        Standard deviation, in scaled units, of the Gaussian noise that is added to each
        cell while training. It keeps the codes of neighbours together [2]_, and readable
        for linear models.
    linear_penalty : float, default=0.25
        With a start from PCA, weight in the loss of the error that the decoder's linear
        path makes alone. It keeps codes readable for linear models and for distances; like
        the noise, it is no part of the held-out loss.
    l1_penalty : float, default=0.0
        Weight of the sum of the absolute values of all weights in the loss.
    trim_fraction : float, default=0.0
        Share of the rows of a batch, those with the largest error, that is left out of
        the loss, so that outliers are not learned [3]_.
    optimizer : {"adam", "adamw", "sgd"} or callable, default="adamw"
        Name of an optimizer, or a class like those of ``torch.optim``.
    lr : float, default=8e-3
        Learning rate at the beginning.
    weight_decay : float, default=1e-4
        Decay of the weights (L2), as the optimizer defines it.
    batch_size : int or "auto", default=32
        Rows a training step; ``"auto"`` takes a twentieth of the rows, within 8 and 256.
    max_epochs : int, default=20
        Largest number of passes through the training rows; 0 keeps the start.
    early_stopping : bool, default=True
        Whether to hold out rows and keep the weights with the lowest loss on them, and to
        stop when that loss has stalled three times. The learning rate falls to zero along a
        cosine over `max_epochs`, with and without. With 1,000 rows or fewer and a start
        from PCA, the epochs that led to the best weights are run once more, from PCA of
        all rows and on all rows.
    validation_fraction : float or "auto", default="auto"
        Share of the rows to hold out; ``"auto"`` takes a tenth, but 32 rows if that is
        more and at most a third.
    n_iter_no_change : int, default=20
        Epochs without an improvement of the held-out loss after which it has stalled.
    tol : float, default=1e-3
        Share by which the held-out loss has to fall to count as improved.
    warm_start : bool, default=False
        Whether ``fit`` continues from the weights and the scale of the last fit.
    device : str, default="auto"
        Where to compute: ``"cpu"``, ``"cuda"``, …; ``"auto"`` takes a GPU if there is one.
    callbacks : list of skorch callbacks or None, default=None
        Called while training, also when it is repeated on all rows; they are cloned
        first. scikit-learn's own callbacks are set by ``set_callbacks``, and hear of the
        first training only.
    verbose : int, default=0
        With 1, a line is printed after each epoch.
    random_state : int, RandomState instance or None, default=None
        Seeds the weights, the noise and the order of the rows. Global generators are left
        as they were.
    image_shape : tuple of int or None, default=None
        ``(height, width)``, or with several channels ``(height, width, n_channels)`` or,
        for ``data_format="channels_first"``, ``(n_channels, height, width)``, in pixels:
        the shape that a row was flattened from, line by line. None takes a square with one
        channel, and a single line of pixels where the number of features is no square.
    channels : int or sequence of int, default=(32, 64)
        Number of maps of each convolution of the encoder; from one to the next, height and
        width are halved. The decoder mirrors them.
    kernel_size : int, default=3
        Height and width of the convolutions, odd.
    patch_size : int, default=2
        Squares of that many pixels a side enter as one place [4]_: with 2, a quarter of the
        places, in about a third of the time.
    data_format : {"channels_last", "channels_first"}, default="channels_last"
        Whether the channels of a pixel stand side by side in a row, as scikit-learn,
        matplotlib and Pillow have them, or channel after channel, as torch has them.

    Attributes
    ----------
    n_components_ : int
        Width of the code.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X has string names.
    n_iter_ : int
        Number of epochs run, without those that were repeated on all rows.
    best_epoch_ : int
        Epoch with the lowest held-out loss; 0 is the start.
    loss_curve_ : list of float
        Training loss after each epoch, noise included.
    validation_curve_ : list of float or None
        Held-out loss after each epoch, without noise; None if no rows were held out.
    history_ : skorch.history.History
        Everything that was recorded, each term of the loss by name.
    net_ : skorch.NeuralNet
        The fitted trainer.
    network_ : sk_autoencoder.nn.Network
        The fitted torch module, which sees scaled rows.

    See Also
    --------
    sk_autoencoder.nn.Convolutional : The network alone, for every other autoencoder:
        ``VAETransformer(network=Convolutional((28, 28)))``.

    Notes
    -----
    Sides may be odd. With several channels all of them are scaled by one number, unless
    ``scaling="standard"``.

    References
    ----------
    .. [1] J. Masci, U. Meier, D. Ciresan and J. Schmidhuber, "Stacked convolutional
       auto-encoders for hierarchical feature extraction", ICANN 2011.
    .. [2] C. M. Bishop, "Training with noise is equivalent to Tikhonov regularization",
       Neural Computation 7, 1995.
    .. [3] P. J. Rousseeuw, "Least median of squares regression", Journal of the American
       Statistical Association 79, 1984.
    .. [4] W. Shi et al., "Real-time single image and video super-resolution using an
       efficient sub-pixel convolutional neural network", CVPR 2016.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sk_autoencoder import ConvolutionalAutoencoder
    >>> X = load_digits().data
    >>> autoencoder = ConvolutionalAutoencoder(
    ...     10, image_shape=(8, 8), max_epochs=20, random_state=0
    ... ).fit(X[:1000])
    >>> autoencoder.transform(X[1000:]).shape
    (797, 10)
    >>> round(autoencoder.score(X[1000:]), 1)
    0.8
    """

    n_components: int | float | None = field(default=16, kw_only=False)
    hidden_layer_sizes: int | Sequence[int] = field(default=(), init=False)
    tied_weights: bool = field(default=False, init=False)
    network: Callable | None = field(default=None, init=False)
    init: str = "auto"
    noise_level: float = 0.7
    linear_penalty: float = 0.25
    lr: float = 8e-3
    batch_size: int | str = 32
    max_epochs: int = 20
    early_stopping: bool = True  # the same word with another learning rate
    image_shape: Sequence[int] | None = None
    channels: int | Sequence[int] = (32, 64)
    kernel_size: int = 3
    patch_size: int = 2
    data_format: str = "channels_last"

    _cosine_decay: ClassVar[bool] = True
    _parameter_constraints: ClassVar[dict] = {
        **BaseAutoencoder._parameter_constraints,
        "init": [StrOptions({"auto", "pca", "random"})],
        "image_shape": ["array-like", None],
        "channels": ["array-like", Interval(Integral, 1, None, closed="left")],
        "kernel_size": [Interval(Integral, 1, None, closed="left")],
        "patch_size": [Interval(Integral, 1, None, closed="left")],
        "data_format": [StrOptions({"channels_last", "channels_first"})],
    }
    del _parameter_constraints["hidden_layer_sizes"]
    del _parameter_constraints["tied_weights"], _parameter_constraints["network"]

    def _starts_from_pca(self, rows: RowDataset) -> bool:
        return self.init == "pca" or (self.init == "auto" and len(rows) <= FEW_ROWS)

    def _make_network(self) -> Convolutional:
        return Convolutional(
            self.image_shape,
            self.channels,
            self.kernel_size,
            self.patch_size,
            self.activation,
            self.dropout,
            self.data_format,
        )
