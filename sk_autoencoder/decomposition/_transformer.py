"""The plain autoencoder."""

from dataclasses import dataclass
from typing import ClassVar

from sk_autoencoder.core._base import BaseAutoencoder


@dataclass(kw_only=True, eq=False, repr=False)
class AutoencoderTransformer(BaseAutoencoder):
    r"""Dimensionality reduction by an autoencoder that starts as PCA.

    An encoder :math:`f` and a decoder :math:`g` are trained together to give each row
    back through a code of `n_components` numbers, by minimising

    .. math:: \frac1n \sum_i \ell\big(g(f(x_i + \varepsilon_i)), x_i\big)

    where :math:`\ell` is the `loss`, summed over features, and :math:`\varepsilon` is
    Gaussian noise of `noise_level`. With more components than features the code is
    overcomplete.

    Parameters
    ----------
    n_components : int, float in (0, 1) or None, default=2
        Width of the code. A float takes the smallest number of components with which PCA
        explains more than that share of the variance; None takes
        ``min(n_samples, n_features)``, as PCA does.
    hidden_layer_sizes : int or sequence of int, default=(128, 64)
        Widths of the hidden layers of the encoder; the decoder mirrors them. An empty
        sequence gives a linear autoencoder.
    activation : str or callable, default="gelu"
        Nonlinearity of the hidden layers: ``"elu"``, ``"gelu"``, ``"identity"``,
        ``"leaky_relu"``, ``"relu"``, ``"sigmoid"``, ``"silu"``, ``"tanh"``, or a callable
        without arguments that returns a torch module.
    dropout : float, default=0.0
        Share of the hidden units that is dropped in each training step.
    tied_weights : bool, default=False
        Whether the decoder uses the transposed weights of the encoder.
    network : callable, pair of torch modules or None, default=None
        ``(n_features, n_components) -> sk_autoencoder.nn.Network``, in place of the
        dense network that the four parameters above describe, or a pair (encoder, decoder)
        of which each fit trains copies. It sees scaled rows. A specification from
        ``sk_autoencoder.nn``, such as ``Convolutional``, is one such callable, and
        its parameters can be searched as ``network__channels``.
    init : {"pca", "random"}, default="pca"
        With ``"pca"`` encoder and decoder get a linear path beside the nonlinear one. It
        starts at PCA of the rows that are fitted to and the nonlinear one at zero, so that
        training begins at PCA. Held-out rows then choose how far to go from PCA to the
        trained weights (0, 1/4, 1/2, 3/4 or all of the way): as far as their error falls
        most, less one and a half standard errors. Where it does not, or fewer than 15 rows
        were held out, PCA of all rows is what is kept. ``"random"`` gives the plain
        network.
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
    noise_level : float, default=0.3
        Standard deviation, in scaled units, of the Gaussian noise that is added to each
        cell while training. It keeps the codes of neighbours together [2]_.
    linear_penalty : float, default=0.75
        With ``init="pca"``, weight in the loss of the error that the decoder's linear path
        makes alone. It keeps codes readable for linear models and for distances; like the
        noise, it is no part of the held-out loss.
    l1_penalty : float, default=0.0
        Weight of the sum of the absolute values of all weights in the loss.
    trim_fraction : float, default=0.0
        Share of the rows of a batch, those with the largest error, that is left out of
        the loss, so that outliers are not learned [3]_.
    optimizer : {"adam", "adamw", "sgd"} or callable, default="adamw"
        Name of an optimizer, or a class like those of ``torch.optim``.
    lr : float, default=2e-3
        Learning rate at the beginning.
    weight_decay : float, default=1e-4
        Decay of the weights (L2), as the optimizer defines it.
    batch_size : int or "auto", default="auto"
        Rows a training step; ``"auto"`` takes a twentieth of the rows, within 8 and 256.
    max_epochs : int, default=100
        Largest number of passes through the training rows; 0 keeps the start.
    early_stopping : bool, default=True
        Whether to hold out rows and keep the weights with the lowest loss on them. When
        the loss stalls, training goes back to the best weights with 0.3 of the learning
        rate, twice, and then stops. With 1,000 rows or fewer and a start from PCA, the
        epochs that led to the best weights are then run once more, from PCA of all rows
        and on all rows. Otherwise all epochs are run on all rows, with a learning rate
        that falls to zero along a cosine.
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
    sklearn.decomposition.PCA : The best linear autoencoder.

    Notes
    -----
    Cells of X may be missing (NaN). A factor model fitted by EM guesses them, a layer that
    sees which are missing corrects the guess before the network, and errors skip them.

    Training runs in float32. Rows of float64 are scaled in float64 and go through a copy of
    the weights that is cast up, so that codes do not depend on the rows beside them.

    Codes are in scaled units: with ``scaling="global"`` they do not change when X is
    multiplied by a number or moved.

    References
    ----------
    .. [1] G. E. Hinton and R. R. Salakhutdinov, "Reducing the dimensionality of data with
       neural networks", Science 313, 2006.
    .. [2] C. M. Bishop, "Training with noise is equivalent to Tikhonov regularization",
       Neural Computation 7, 1995.
    .. [3] P. J. Rousseeuw, "Least median of squares regression", Journal of the American
       Statistical Association 79, 1984.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sk_autoencoder import AutoencoderTransformer
    >>> X = load_digits().data
    >>> autoencoder = AutoencoderTransformer(n_components=10, random_state=0).fit(X[:1000])
    >>> autoencoder.transform(X[1000:]).shape
    (797, 10)
    >>> round(autoencoder.score(X[1000:]), 1)
    0.8
    >>> pca = AutoencoderTransformer(n_components=10, max_epochs=0).fit(X[:1000])
    >>> round(pca.score(X[1000:]), 1)
    0.7
    """

    _allow_nan: ClassVar[bool] = True
