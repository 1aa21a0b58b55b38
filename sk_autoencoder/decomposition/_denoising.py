"""The denoising autoencoder."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import ClassVar

import numpy as np
import torch
from sklearn.utils import check_array

from sk_autoencoder.core._base import BaseAutoencoder
from sk_autoencoder.core._data import InputTargetRows, RowDataset, has_targets
from sk_autoencoder.core._initialization import _wiener as wiener
from sk_autoencoder.core._scaling import column_ranges, moments
from sk_autoencoder.nn._corruptions import (
    GaussianNoise,
    MaskingNoise,
    SaltAndPepperNoise,
    SwapNoise,
    WhileTraining,
)
from sk_autoencoder.nn._penalties import SteinPenalty
from sk_autoencoder.utils._checks import is_2d
from sk_autoencoder.utils._sklearn_compat import Interval, StrOptions, fit_context

MOST_COMPONENTS = 512  # of the default width: no image lost anything by that
CORRUPTIONS: dict[str, Callable[[float, RowDataset], torch.nn.Module]] = {
    "gaussian": lambda level, rows: GaussianNoise(level),
    "masking": lambda share, rows: MaskingNoise(share),
    "salt_and_pepper": lambda share, rows: SaltAndPepperNoise(share, *column_ranges(rows)),
    "swap": lambda share, rows: SwapNoise(share),
}


@dataclass(kw_only=True, eq=False, repr=False)
class DenoisingAutoencoder(BaseAutoencoder):
    r"""Denoising by an autoencoder that starts as the best linear denoiser.

    An encoder :math:`f` and a decoder :math:`g` are trained together to give each row back
    from a damaged copy of it, by minimising

    .. math:: \frac1n \sum_i \ell\big(g(f(\tilde x_i)), x_i\big)

    where :math:`\ell` is the `loss`, summed over features in scaled units, and
    :math:`\tilde x_i` is the row :math:`x_i` after a `corruption` that is drawn anew each
    time [1]_ [2]_, or its noisy partner where rows come in pairs. Held-out rows are damaged
    too: what is judged is how well damage is undone.

    Parameters
    ----------
    n_components : int, float in (0, 1) or None, default=None
        Width of the code. A float takes the smallest number of components with which PCA
        explains more than that share of the variance; None takes
        ``min(n_samples, n_features, 512)``, so that a code holds about a whole row.
    hidden_layer_sizes : int or sequence of int, default=(512, 128)
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
        starts at the best linear denoiser (the Wiener filter, of rank `n_components`) of
        the rows that are fitted to and the nonlinear one at zero. Held-out rows then choose
        how far to go from there to the trained weights (0, 1/4, 1/2, 3/4 or all of the
        way): as far as their error falls most, less one and a half standard errors. Where
        it does not, or fewer than 15 rows were held out, the linear denoiser of all rows is
        what is kept. ``"random"`` gives the plain network.
    loss : str or callable, default="squared_error"
        Error of a reconstruction: ``"squared_error"``, ``"absolute_error"``, ``"huber"``
        (squared up to one scaled unit), ``"binary_cross_entropy"`` (a sigmoid output;
        values of X in [0, 1], which are not scaled), or for counts and tf-idf, of rows
        brought to one length, ``"multinomial"`` (shares of a row; a softmax output) and
        ``"cosine"``; or a callable ``(output, x)`` of two tensors of shape (batch,
        n_features) that returns one error a row.
    scaling : {"global", "standard"} or None, default="standard"
        ``"standard"`` divides each feature by its own standard deviation; ``"global"``
        subtracts the mean row and divides by one number, the root of the mean variance of a
        feature; None leaves X alone. With pairs the clean rows are what is measured.
    noise_level : float, default=0.5
        How much to damage. For ``corruption="gaussian"`` the standard deviation of the
        noise in scaled units: standard deviations of a column with
        ``scaling="standard"``, of the whole with ``"global"``, units of X with None. For
        the other names the share of the cells that is replaced, at most 1. 0 damages none.
    linear_penalty : float, default=0.0
        With ``init="pca"``, weight in the loss of the error that the decoder's linear path
        makes alone. It keeps codes readable for linear models and for distances.
    l1_penalty : float, default=0.0
        Weight of the sum of the absolute values of all weights in the loss.
    trim_fraction : float, default=0.0
        Share of the rows of a batch, those with the largest error, that is left out of
        the loss, so that outliers are not learned [3]_.
    optimizer : {"adam", "adamw", "sgd"} or callable, default="adamw"
        Name of an optimizer, or a class like those of ``torch.optim``.
    lr : float, default=1e-3
        Learning rate at the beginning.
    weight_decay : float, default=1e-4
        Decay of the weights (L2), as the optimizer defines it.
    batch_size : int or "auto", default="auto"
        Rows a training step; ``"auto"`` takes a twentieth of the rows, within 8 and 256.
    max_epochs : int, default=200
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
    corruption : str or callable, default="gaussian"
        How rows are damaged while training. ``"gaussian"`` adds noise; the others replace
        cells, each drawn for itself: ``"masking"`` by the column's mean (by 0 with
        ``scaling=None``), ``"salt_and_pepper"`` by its lowest or highest value, ``"swap"``
        by its value in another row of the batch, which suits tables. Or a callable, a torch
        module among them, that takes and returns scaled rows of shape (batch, n_features);
        it is copied, and `noise_level` is then not used.
    noise_std : float, array-like of shape (n_features,), "auto" or None, default=None
        For fitting where all rows are noisy and nothing clean is at hand: the standard
        deviation of independent Gaussian noise that the rows of X carry already, in units
        of X. `corruption` is then not used. ``"auto"`` estimates one number for all
        columns. None says that the rows are clean, or come with clean ones.

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
        Training loss after each epoch.
    validation_curve_ : list of float or None
        Held-out loss after each epoch, against the same damage each time; None if no rows
        were held out.
    history_ : skorch.history.History
        Everything that was recorded, each term of the loss by name.
    net_ : skorch.NeuralNet
        The fitted trainer.
    network_ : sk_autoencoder.nn.Network
        The fitted torch module, which sees scaled rows.
    noise_std_ : ndarray of shape (n_features,) or None
        Standard deviation of the noise in each column of X, given or estimated, and no more
        than the column's own; None where the rows are clean.

    See Also
    --------
    AutoencoderTransformer : The plain autoencoder.
    sklearn.decomposition.KernelPCA : Denoising by projection onto kernel components.

    Notes
    -----
    Cells of X may be missing (NaN): they are guessed first, and errors skip them. The start
    is the map of rank `n_components` with the least mean squared error [3]_; its moments
    are exact for the named corruptions and drawn for others.

    Rows that are all noisy make a plain fit copy the noise. With `noise_std`
    :math:`\sigma`, the loss is Stein's unbiased estimate of the error against the clean
    rows nobody has seen,

    .. math:: \|g(f(y)) - y\|^2 + 2 \sum_j \sigma_j^2
       \frac{\partial g(f(y))_j}{\partial y_j} - \sum_j \sigma_j^2

    in squared scaled units, its derivatives taken along one random direction a row [4]_
    [5]_; held-out rows are judged by the same. The start shrinks the spectrum of the noisy
    rows [6]_. A dense network learns little more than the linear filter from a few
    thousand noisy rows: for images, give a convolutional `network`.

    ``noise_std="auto"`` compares the smallest eigenvalues of the covariance of X with those
    of Gaussian noise of the same shape, and takes the smallest ratio of their sums. It is
    right where some direction holds noise alone, as in images, and too large otherwise.

    References
    ----------
    .. [1] P. Vincent et al., "Extracting and composing robust features with denoising
       autoencoders", ICML 2008.
    .. [2] P. Vincent et al., "Stacked denoising autoencoders", Journal of Machine Learning
       Research 11, 2010.
    .. [3] D.R. Brillinger, "Time Series: Data Analysis and Theory", 1981, theorem 10.2.1.
    .. [4] C. M. Stein, "Estimation of the mean of a multivariate normal distribution",
       Annals of Statistics 9, 1981, theorem 1.
    .. [5] S. Ramani, T. Blu and M. Unser, "Monte-Carlo SURE", IEEE Transactions on Image
       Processing 17, 2008, theorem 2.
    .. [6] I. M. Johnstone and D. Paul, "PCA in high dimensions: an orientation",
       Proceedings of the IEEE 106, 2018, section III.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sk_autoencoder import DenoisingAutoencoder
    >>> X = load_digits().data / 16
    >>> noisy = X[1000:] + np.random.default_rng(0).normal(0, 0.25, (797, 64))
    >>> denoiser = DenoisingAutoencoder(
    ...     scaling=None, noise_level=0.25, max_epochs=20, random_state=0
    ... ).fit(X[:1000])
    >>> round(float(np.mean((noisy - X[1000:]) ** 2)), 3)
    0.063
    >>> round(float(np.mean((denoiser.denoise(noisy) - X[1000:]) ** 2)), 2)
    0.02
    """

    n_components: int | float | None = field(default=None, kw_only=False)
    hidden_layer_sizes: int | Sequence[int] = (512, 128)
    init: str = "pca"  # the same word for another linear start
    scaling: str | None = "standard"
    noise_level: float = 0.5
    linear_penalty: float = 0.0
    lr: float = 1e-3
    max_epochs: int = 200
    corruption: str | Callable = "gaussian"
    noise_std: float | Sequence[float] | str | None = None

    _allow_nan: ClassVar[bool] = True
    _corrupt_validation: ClassVar[bool] = True
    _parameter_constraints: ClassVar[dict] = {
        **BaseAutoencoder._parameter_constraints,
        "corruption": [StrOptions(set(CORRUPTIONS)), callable],
        "noise_std": [
            Interval(Real, 0, None, closed="neither"),
            "array-like",
            StrOptions({"auto"}),
            None,
        ],
    }

    @fit_context
    def fit(self, X, y=None):
        """Fit the autoencoder to X, or to pairs of noisy and clean rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Clean rows, which are damaged while training; noisy ones where `y` holds their
            clean partners, or where `noise_std` says how noisy they are.
        y : {array-like, sparse matrix} of shape (n_samples, n_features) or None
            The clean partner of each row of X. Anything of one dimension, such as labels in
            a pipeline, is ignored.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If a parameter, X or y does not fit, or if the loss is not finite.
        """
        return self._fit_on(X, y)

    def denoise(self, X):
        """Return X without noise: encoded and decoded.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        rows : ndarray of shape (n_samples, n_features)
            In the units and the precision of X.
        """
        return self.reconstruct(X)

    def score(self, X, y=None):
        """Return the coefficient of determination R² of the reconstruction.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : {array-like, sparse matrix} of shape (n_samples, n_features) or None
            The clean partner of each row of X, which the reconstruction is then compared
            with; otherwise it is compared with X.

        Returns
        -------
        score : float
            R² over all cells: 1 is perfect, and the mean row scores 0.
        """
        return super().score(X, y)

    def _check_rows_to_fit(self, X, y, **kwargs):
        checked = super()._check_rows_to_fit(X, y, **kwargs)
        if self.noise_std is not None and self.loss != "squared_error":
            raise ValueError(
                f"loss={self.loss!r} has no unbiased estimate from noisy rows. Use "
                "loss='squared_error' with noise_std=, or give clean rows as y."
            )
        return checked

    def _allows_missing(self) -> bool:
        return super()._allows_missing() and self.noise_std is None

    def _with_targets(self, X, y):
        if not is_2d(y):
            return X
        if self.noise_std is not None:
            raise ValueError(
                f"noise_std={self.noise_std!r} is for noisy rows without clean partners, "
                "and y holds clean partners. Leave one of them out."
            )
        clean = check_array(
            y, accept_sparse="csr", dtype=[np.float64, np.float32], input_name="y"
        )
        if clean.shape != X.shape:
            raise ValueError(
                f"y has shape {clean.shape} and X has {X.shape}. Clean partners have the "
                "shape of X; labels have one dimension and are ignored."
            )
        return InputTargetRows(X, clean)

    def _make_module(self, X, rows: np.ndarray, n_components: int, seed: int, draws):
        self.noise_std_ = self._find_noise_std(X, np.unique(rows))
        return super()._make_module(X, rows, n_components, seed, draws)

    def _count_components(self, X, rows: np.ndarray, seed: int) -> int:
        found = super()._count_components(X, rows, seed)
        if self.n_components is None and getattr(self.network, "identity_code", False):
            return X.shape[1]
        return found if self.n_components else min(found, MOST_COMPONENTS)

    def _find_noise_std(self, X, rows: np.ndarray) -> np.ndarray | None:
        if self.noise_std is None:
            return None
        if isinstance(self.noise_std, str):
            std = np.asarray(wiener.estimate_noise_std(X, rows))
        else:
            std = np.asarray(self.noise_std, float)
        if std.shape not in ((), X.shape[1:]) or not (std >= 0).all():
            raise ValueError(
                f"noise_std={self.noise_std!r} has to be one positive number, or one for "
                f"each of the {X.shape[1]} features of X."
            )
        return np.minimum(std, moments(X, rows).var_ ** 0.5)

    def _make_corruption(self, rows: RowDataset) -> torch.nn.Module:
        if self.noise_std is not None or has_targets(rows):
            return torch.nn.Identity()  # the rows are noisy already
        if callable(self.corruption):
            return WhileTraining(copy.deepcopy(self.corruption))
        if self.corruption != "gaussian" and self.noise_level > 1:
            raise ValueError(
                f"noise_level={self.noise_level} is a share of the cells for "
                f"corruption={self.corruption!r}. Give a number in [0, 1]."
            )
        return CORRUPTIONS[self.corruption](self.noise_level, rows)

    def _make_penalties(self, module) -> dict:
        penalties = super()._make_penalties(module)
        if self.noise_std is None:
            return penalties
        scale = module.scaler.scale
        std = torch.tensor(self.noise_std_).to(scale) / scale
        return {**penalties, "stein": (1.0, SteinPenalty(std.float()))}

    def _fit_linear_autoencoder(
        self, corruption, rows: RowDataset, n_components: int, seed: int
    ):
        if self.noise_std is not None:
            std = self.noise_std_ / rows.scaler.scale.cpu().numpy()
            return wiener.wiener_filter_from_noisy(rows, std, n_components, seed)
        if not (self.noise_level or callable(self.corruption) or has_targets(rows)):
            return super()._fit_linear_autoencoder(corruption, rows, n_components, seed)
        return wiener.wiener_filter(rows, corruption, n_components, seed)
