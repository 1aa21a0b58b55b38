"""The convolutional autoencoder."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from scipy.sparse import issparse

from sk_autoencoder.core._base import BaseAutoencoder
from sk_autoencoder.core._recipe import (
    Initialization,
    Member,
    Recipe,
    fit_pca,
    keep_random_weights,
    start_at,
)
from sk_autoencoder.nn._convolutional import Convolutional
from sk_autoencoder.utils._checks import default_image_shape
from sk_autoencoder.utils._constraints import count
from sk_autoencoder.utils._sklearn_compat import StrOptions
from sk_autoencoder.utils._warnings import warn_user

MAX_PCA_INIT_ROWS = 1_000  # above, a random initialisation learns more from images
N_COMPARED_ROWS = 256  # in which lines of pixels are looked for
PEAK = 0.8  # ratio of differences up to which columns are more alike than others


def find_line_length(X: np.ndarray) -> int | None:
    """Find the length of the lines that rows of `X` consist of, as images do.

    Pixels below each other are alike: columns that are one line apart differ less than
    those that are a column more or less apart.

    Returns
    -------
    length : int or None
        A divisor of the number of columns; None where no length explains more than the
        square, or, without a square, one line.
    """
    rows = X / (np.nanmax(np.abs(X), initial=0) or 1)  # the square of 1e200 is no number

    def difference(lag: int) -> float:
        squares = (rows[:, lag:] - rows[:, :-lag]) ** 2
        return float(np.nansum(squares) / max(np.sum(~np.isnan(squares)), 1))

    n_features = X.shape[1]
    differences = {}
    for length in range(3, n_features // 2 + 1):
        if n_features % length == 0:
            beside = min(difference(length - 1), difference(length + 1))
            if (here := difference(length)) < PEAK * beside:
                differences[length] = here
    if not differences:
        return None
    length = min(differences, key=differences.get)
    height, width = default_image_shape(n_features)
    limit = PEAK * difference(width) if height > 1 else difference(1) / PEAK
    return length if differences[length] < limit else None


@dataclass(kw_only=True, eq=False, repr=False)
class ConvolutionalAutoencoder(BaseAutoencoder):
    r"""Dimensionality reduction of images by a convolutional autoencoder.

    A convolutional encoder :math:`f` and a convolutional decoder :math:`g` [1]_ minimise

    .. math:: \frac1n \sum_i \ell\big(g(f(x_i + \varepsilon_i)), x_i\big)

    where :math:`\ell` is the `loss`, summed over pixels, and :math:`\varepsilon` is
    Gaussian noise of `noise_level`. Rows of X are flattened images, as in scikit-learn.

    Parameters
    ----------
    n_components : int, float in (0, 1) or None, default=16
        Number of components of the code. A float takes the fewest with which PCA explains
        more than that fraction of the variance; None takes ``min(n_samples, n_features)``,
        as PCA does.
    activation : str or callable, default="gelu"
        Nonlinearity of the hidden layers: ``"elu"``, ``"gelu"``, ``"identity"``,
        ``"leaky_relu"``, ``"relu"``, ``"sigmoid"``, ``"silu"``, ``"tanh"``, or a callable
        without arguments that returns a torch module.
    dropout : float, default=0.0
        Probability with which a training step drops a hidden unit.
    init : {"auto", "pca", "random"}, default="auto"
        ``"pca"`` and ``"random"`` as in :class:`AutoencoderTransformer`. ``"auto"`` takes
        ``"pca"`` for up to 1,000 rows and ``"random"``, which learns more from many images,
        for more.
    loss : str or callable, default="squared_error"
        Error of a reconstruction: ``"squared_error"``, ``"absolute_error"``, ``"huber"``,
        ``"binary_cross_entropy"``, ``"multinomial"``, ``"cosine"`` (Notes of
        :class:`AutoencoderTransformer`) or ``(output, x) -> error of each row``, in torch.
    scaling : {"auto", "global", "standard"} or None, default="auto"
        ``"standard"`` divides each centred feature by its standard deviation, ``"global"``
        by the root of their mean variance. ``"auto"`` is ``"global"`` for features like
        pixels (Notes of :class:`AutoencoderTransformer`), else ``"standard"``. None does
        not scale.
    noise_level : float, default=0.7
        Standard deviation, in scaled units, of the Gaussian noise that training adds to
        each entry. The noise keeps the codes of neighbouring rows together [2]_.
    linear_penalty : float, default=0.25
        Weight of the error that the decoder's linear path makes alone, if training starts
        at PCA. The penalty keeps codes readable for linear models and for distances. The
        validation loss omits it.
    l1_penalty : float, default=0.0
        Weight of the sum of the absolute values of all weights in the loss.
    trim_fraction : float, default=0.0
        Fraction of the rows of a batch, those with the largest error, that the loss omits,
        so that outliers are not learned [3]_.
    optimizer : {"adam", "adamw", "sgd"} or callable, default="adamw"
        Name of an optimizer, or a class like those of ``torch.optim``.
    lr : float or "auto", default=8e-3
        Largest learning rate. ``"auto"`` is 1e-2 where ``max_epochs="auto"`` counts steps,
        and 2e-3 elsewhere.
    weight_decay : float, default=1e-4
        Decay of the weights (L2), as the optimizer defines it.
    batch_size : int or "auto", default=32
        Rows of a training step; ``"auto"`` takes a twentieth of the rows, within 8 (32 with
        ``max_epochs="auto"``) and 256.
    max_epochs : int or "auto", default=20
        Largest number of passes through the training rows; 0 keeps the initial weights.
        ``"auto"`` is 100 up to 1,000 rows; more rows get a number of steps (Notes of
        :class:`AutoencoderTransformer`).
    early_stopping : bool, default=True
        Whether to keep the weights with the lowest loss on validation rows and to stop at
        the third stall of that loss (Notes of :class:`AutoencoderTransformer`). In either
        case the learning rate falls to zero along a cosine.
    validation_fraction : float or "auto", default="auto"
        Fraction of the rows for validation; ``"auto"`` takes a tenth, but 32 rows if that
        is more and at most a third.
    n_iter_no_change : int, default=20
        Epochs without an improvement after which the validation loss has stalled. Training
        in steps never stalls.
    tol : float, default=1e-3
        Relative decrease of the validation loss that counts as an improvement.
    warm_start : bool, default=False
        Whether ``fit`` continues from the weights and the scaling of the previous fit.
    device : str, default="auto"
        Where to compute, such as ``"cpu"``; ``"auto"`` takes a GPU if there is one.
    callbacks : list of skorch callbacks or None, default=None
        Called while training, also when it is repeated on all rows; ``fit`` clones them.
        ``set_callbacks`` sets scikit-learn's callbacks, which follow the first training
        only.
    verbose : int, default=0
        With 1, each epoch prints one loss of training rows and one of held-out rows,
        without noise, and the seconds left at most. With 2 it prints all terms of the
        training loss.
    random_state : int, RandomState instance or None, default=None
        Seeds the weights, the noise and the order of rows. None takes the seed from numpy's
        global generator, as scikit-learn does. torch's generators do not change.
    image_shape : tuple of int or None, default=None
        ``(height, width)`` or ``(height, width, n_channels)`` in pixels; with
        ``data_format="channels_first"`` ``n_channels`` comes first. None takes one channel
        and a square, or one line of pixels if the features form no square, and warns where
        rows look like images of another width.
    channels : int or sequence of int, default=(32, 64)
        Number of feature maps of each convolution of the encoder. From one convolution to
        the next, height and width are halved. The decoder mirrors the encoder.
    kernel_size : int, default=3
        Height and width of the convolution kernels, an odd number.
    patch_size : int, default=2
        Side of the squares of pixels that enter the network as one position [4]_. A side of
        2 leaves a quarter of the positions, which shortens training.
    data_format : {"channels_last", "channels_first"}, default="channels_last"
        Order of the entries of a row: the channels of a pixel side by side, as in
        scikit-learn, matplotlib and Pillow, or channel after channel, as in torch.

    Attributes
    ----------
    n_components_ : int
        Number of components of the code.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X has string names.
    table_ : sk_autoencoder.preprocessing.TableEncoder or None
        Encoder of a table of mixed columns; None after a fit to numbers.
    n_iter_ : int
        Number of epochs run, without those that were repeated on all rows. An epoch is a
        pass, or a tenth of the steps.
    best_epoch_ : int
        Epoch with the lowest validation loss; 0 stands for the initial weights.
    loss_curve_ : list of float
        Training loss after each epoch, noise included.
    validation_curve_ : list of float or None
        Validation loss after each epoch, without noise; None without validation rows.
    fit_summary_ : dict
        Figures of the fit: `epochs`, `steps`, `seconds`, `validation_loss` of the final
        weights, `start_loss` of the initial ones, and their name `start`, such as "PCA".
    history_ : skorch.history.History
        All that skorch recorded: each term of the loss by name, and the ``"steps"`` and
        ``"passes"`` through the rows of each epoch.
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
    Height and width may be odd. Several channels are scaled by one number, unless
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
    ...     10, image_shape=(8, 8), max_epochs=4, random_state=0
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
    categorical_features: Any = field(default=None, init=False)
    init: str = "auto"
    noise_level: float = 0.7
    linear_penalty: float = 0.25
    lr: float = 8e-3
    batch_size: int | str = 32
    max_epochs: int = 20
    image_shape: Sequence[int] | None = None
    channels: int | Sequence[int] = (32, 64)
    kernel_size: int = 3
    patch_size: int = 2
    data_format: str = "channels_last"

    _parameter_constraints: ClassVar[dict] = {
        **BaseAutoencoder._parameter_constraints,
        "init": [StrOptions({"auto", "pca", "random"})],
        "image_shape": ["array-like", None],
        "channels": ["array-like", count(1)],
        "kernel_size": [count(1)],
        "patch_size": [count(1)],
        "data_format": [StrOptions({"channels_last", "channels_first"})],
    }
    del _parameter_constraints["hidden_layer_sizes"]
    del _parameter_constraints["categorical_features"]
    del _parameter_constraints["tied_weights"], _parameter_constraints["network"]

    def make_recipe(self) -> Recipe:
        """Use a network of convolutions, which starts at PCA for few images."""
        recipe = super().make_recipe()
        pca = start_at(fit_pca, recipe.loss)

        def start_few_at_pca(member: Member) -> Initialization:
            is_few = len(member.rows) <= MAX_PCA_INIT_ROWS
            return pca(member) if is_few else keep_random_weights(member)

        network = Convolutional(
            self.image_shape,
            self.channels,
            self.kernel_size,
            self.patch_size,
            self.activation,
            self.dropout,
            self.data_format,
        )
        return replace(
            recipe,
            check=self._check_images,
            network=network,
            initialize=start_few_at_pca if self.init == "auto" else recipe.initialize,
            schedule=replace(recipe.schedule, cosine_decay=True),
        )

    def _check_images(self, X) -> None:
        """Check the range of X, and warn where its columns are no square of pixels."""
        self._check_loss(X)
        if self.image_shape is not None:
            return
        rows = X[:: max(1, X.shape[0] // N_COMPARED_ROWS)]
        rows = np.asarray(rows.toarray() if issparse(rows) else rows, np.float64)
        length = find_line_length(rows)
        if length is not None:
            n_features = X.shape[1]
            warn_user(
                f"image_shape=None takes the {n_features} columns as "
                f"{default_image_shape(n_features)}, but columns that are {length} apart "
                f"are alike, as pixels below each other are. Give image_shape="
                f"({n_features // length}, {length}), or (height, width, n_channels), if "
                f"rows are such images, and the shape that None takes if they are not.",
            )
