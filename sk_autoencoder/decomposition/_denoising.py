"""The denoising autoencoder."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from numbers import Real
from typing import ClassVar

import numpy as np
import torch
from scipy.sparse import csr_array, issparse
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from sk_autoencoder.core._columns import NumericColumns
from sk_autoencoder.core._data import RowDataset, RowSource
from sk_autoencoder.core._initialization._pca import LinearAutoencoder
from sk_autoencoder.core._initialization._wiener import (
    estimate_noise_std,
    wiener_filter,
    wiener_filter_from_noisy,
)
from sk_autoencoder.core._lazy_rows import to_sample
from sk_autoencoder.core._moments import measure_moments
from sk_autoencoder.core._recipe import (
    Member,
    Recipe,
    Start,
    fit_pca,
    keep_random_weights,
    start_at,
)
from sk_autoencoder.core._tables import table_layout
from sk_autoencoder.decomposition._denoising_errors import (
    damage_rows,
    damage_tables,
    fit_input_weight,
    make_denoising,
    stein_r2,
)
from sk_autoencoder.decomposition._ordered import OrderedAutoencoder
from sk_autoencoder.nn._checks import check_corruption
from sk_autoencoder.nn._corruptions import (
    GaussianNoise,
    MaskingNoise,
    SaltAndPepperNoise,
    SwapNoise,
    WhileTraining,
)
from sk_autoencoder.nn._losses import ROW_LOSSES
from sk_autoencoder.nn._penalties import SteinPenalty
from sk_autoencoder.utils._checks import as_floats
from sk_autoencoder.utils._sklearn_compat import Interval, StrOptions, fit_context
from sk_autoencoder.utils._transactions import as_fitted
from sk_autoencoder.utils._warnings import warn_user

MAX_DEFAULT_COMPONENTS = 512  # wider codes did not improve the denoising of images
REPLACEMENTS: dict[str, Callable] = {
    "masking": lambda fraction, rows, columns: MaskingNoise(fraction, columns),
    "salt_and_pepper": lambda fraction, rows, columns: SaltAndPepperNoise(
        fraction, rows.scaler.low.float(), rows.scaler.high.float(), columns
    ),
    "swap": lambda fraction, rows, columns: SwapNoise(fraction, columns),
}


@dataclass(kw_only=True, eq=False, repr=False)
class DenoisingAutoencoder(OrderedAutoencoder):
    r"""Denoising by an autoencoder that starts as the best linear denoiser.

    An encoder :math:`f` and a decoder :math:`g` are trained together to reconstruct each
    row from a corrupted copy, by minimising

    .. math:: \frac1n \sum_i \ell\big(g(f(\tilde x_i)), x_i\big)

    where :math:`\ell` is the `loss`, summed over features in scaled units.
    :math:`\tilde x_i` is the row :math:`x_i` after a random `corruption` that is sampled
    anew each time [1]_ [2]_, or the noisy partner of the row with ``paired=True``.
    Validation rows are corrupted too: their loss measures denoising.

    Parameters
    ----------
    n_components : int, float in (0, 1) or None, default=None
        Number of components of the code. A float selects it as in
        :class:`AutoencoderTransformer`. None takes ``min(n_samples, n_features, 512)``, so
        that a code holds nearly a whole row.
    hidden_layer_sizes : int or sequence of int, default=(512, 128)
        Widths of the encoder's hidden layers; the decoder mirrors them. An empty sequence
        gives a linear autoencoder.
    activation : str or callable, default="gelu"
        Nonlinearity of the hidden layers: ``"elu"``, ``"gelu"``, ``"identity"``,
        ``"leaky_relu"``, ``"relu"``, ``"sigmoid"``, ``"silu"``, ``"tanh"``, or a callable
        without arguments that returns a torch module.
    dropout : float, default=0.0
        Probability with which a training step drops a hidden unit.
    tied_weights : bool, default=False
        Whether the decoder uses the transposed weights of the encoder.
    network : callable, pair of torch modules or None, default=None
        ``(n_features, n_components) -> sk_autoencoder.nn.Network`` in place of the dense
        network of the four parameters above, or a pair (encoder, decoder) of which each fit
        trains copies. The network sees scaled rows.
    init : {"pca", "random"}, default="pca"
        ``"pca"`` starts as the best linear denoiser of rank `n_components` (the Wiener
        filter), and validation rows select how far training leaves it, as in
        :class:`AutoencoderTransformer`. ``"random"`` gives the network alone.
    loss : str or callable, default="squared_error"
        Error of a reconstruction: ``"squared_error"``, ``"absolute_error"``, ``"huber"``,
        ``"binary_cross_entropy"``, ``"multinomial"``, ``"cosine"`` (Notes of
        :class:`AutoencoderTransformer`) or ``(output, x) -> error of each row``, in torch.
    scaling : {"auto", "global", "standard"} or None, default="auto"
        As in :class:`AutoencoderTransformer`. Clean rows of pairs determine the scale.
    noise_level : float, default=0.5
        Standard deviation of ``"gaussian"`` noise, in scaled units (units of X with
        ``scaling=None``). For the other named corruptions the fraction of the entries that
        is replaced, at most 1. 0 corrupts none.
    linear_penalty : float, default=0.0
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
    lr : float or "auto", default=1e-3
        Largest learning rate. ``"auto"`` is 1e-2 where ``max_epochs="auto"`` counts steps,
        and 2e-3 elsewhere.
    weight_decay : float, default=1e-4
        Decay of the weights (L2), as the optimizer defines it.
    batch_size : int or "auto", default="auto"
        Rows of a training step; ``"auto"`` takes a twentieth of the rows, within 8 (32 with
        ``max_epochs="auto"``) and 256.
    max_epochs : int or "auto", default=200
        Largest number of passes through the training rows; 0 keeps the initial weights.
        ``"auto"`` is 100 up to 1,000 rows; more rows get a number of steps (Notes of
        :class:`AutoencoderTransformer`).
    early_stopping : bool, default=True
        Whether to set validation rows aside, keep the weights with the lowest loss on them
        and stop when that loss stalls (Notes of :class:`AutoencoderTransformer`). Otherwise
        all epochs run on all rows, with a learning rate that falls to zero.
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
    categorical_features : "from_dtype", array-like or None, default="from_dtype"
        Columns to take for categories: a mask, indices or names. ``"from_dtype"`` takes
        columns of text and of categorical dtypes, and encodes booleans, dates and durations
        too. None takes all columns for numbers.
    ordered : bool, default=False
        Whether the first components reconstruct as well as they can without the others, as
        those of PCA do (Notes of :class:`AutoencoderTransformer`). For a float
        `n_components`, several fits find the fewest that explain that fraction.
    whiten : bool, default=False
        Whether the codes of training rows get unit variance and no correlation, by a
        triangular map that changes no reconstruction.
    corruption : str or callable, default="gaussian"
        Corruption of training rows: ``"gaussian"`` noise, or replaced entries with
        ``"masking"``, ``"salt_and_pepper"`` or ``"swap"`` (see Notes). A callable maps
        scaled rows (batch, n_features) to corrupted ones, without `noise_level`.
    noise_std : float, array-like of shape (n_features,), "auto" or None, default=None
        Standard deviation, in units of X, of independent Gaussian noise in X, for noisy
        rows without clean partners (see Notes); it replaces `corruption`. ``"auto"``
        estimates one number. None stands for clean rows or pairs.
    paired : bool, default=False
        Whether ``fit``, ``partial_fit`` and ``score`` take noisy rows as X and the clean
        partner of each row as y. Otherwise they ignore y.

    Attributes
    ----------
    n_components_ : int
        Number of components of the code.
    components_ : ndarray of shape (`n_components_`, `n_features_in_`)
        With `ordered`, the derivative of a decoded row by each component, at the mean row,
        in the units of X.
    explained_variance_ratio_ : ndarray of shape (`n_components_`,)
        With `ordered`, the R² that each component adds to those before it, of validation
        rows if there are any.
    explained_variance_ : ndarray of shape (`n_components_`,)
        With `ordered`, those shares of the total variance, in squared scaled units.
    noise_variance_ : float
        With `ordered`, the rest of that variance, for each dimension that is left.
    mean_ : ndarray of shape (`n_features_in_`,)
        With `ordered`, the mean of each column of the training rows.
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
        Training loss after each epoch.
    validation_curve_ : list of float or None
        Validation loss after each epoch, with the same corruption each time; None without
        validation rows.
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
    noise_std_ : ndarray of shape (n_features,) or None
        Standard deviation of the noise in each column of X, given or estimated, and at most
        that of the column; None for clean rows.
    input_weight_ : float
        Weight of a noisy row beside its reconstruction in ``denoise``. It is 0 unless that
        leaves a larger error in held-out rows, as for a narrow code and little noise.

    See Also
    --------
    AutoencoderTransformer : The autoencoder without corruption.
    sklearn.decomposition.KernelPCA : Denoising by projection onto kernel components.

    Notes
    -----
    The named corruptions other than ``"gaussian"`` replace each entry independently.
    ``"masking"`` replaces it by the mean of the column (by 0 with ``scaling=None``),
    ``"salt_and_pepper"`` by the minimum or maximum of the column, and ``"swap"``, which
    suits tables, by the value of another row of the batch. A `corruption` that is a torch
    module is copied.

    Entries of X may be missing (NaN). They are imputed first, and errors omit them. A row
    without observed entries has the code of its imputation and an error of 0.

    The linear start is the map of rank `n_components` with the least mean squared error
    [4]_. Its moments are exact for the named corruptions and estimated from samples for
    others.

    A fit to noisy rows alone would reproduce the noise. With `noise_std` :math:`\sigma` the
    loss is Stein's unbiased estimate of the error against the unknown clean rows,

    .. math:: \|g(f(y)) - y\|^2 + 2 \sum_j \sigma_j^2
       \frac{\partial g(f(y))_j}{\partial y_j} - \sum_j \sigma_j^2

    in squared scaled units, with derivatives along one random direction a row [5]_ [6]_.
    The validation loss is the same estimate. The linear start shrinks the spectrum of the
    noisy rows [7]_. A dense network learns little more than the linear filter from a few
    thousand noisy rows: use a convolutional `network` for images.

    With ``ordered=True`` the shares of the variance are those of clean rows, which are
    reconstructed from corrupted ones. Fits to noisy rows alone have no order.

    ``noise_std="auto"`` compares the smallest eigenvalues of the covariance of X with those
    of Gaussian noise of the same shape, and takes the smallest ratio of their sums. The
    estimate is right if some direction holds noise alone, as in images, and too large
    otherwise.

    References
    ----------
    .. [1] P. Vincent et al., "Extracting and composing robust features with denoising
       autoencoders", ICML 2008.
    .. [2] P. Vincent et al., "Stacked denoising autoencoders", Journal of Machine Learning
       Research 11, 2010.
    .. [3] P. J. Rousseeuw, "Least median of squares regression", Journal of the American
       Statistical Association 79, 1984.
    .. [4] D. R. Brillinger, "Time Series: Data Analysis and Theory", 1981, theorem 10.2.1.
    .. [5] C. M. Stein, "Estimation of the mean of a multivariate normal distribution",
       Annals of Statistics 9, 1981, theorem 1.
    .. [6] S. Ramani, T. Blu and M. Unser, "Monte-Carlo SURE", IEEE Transactions on Image
       Processing 17, 2008, theorem 2.
    .. [7] I. M. Johnstone and D. Paul, "PCA in high dimensions: an orientation",
       Proceedings of the IEEE 106, 2018, section III.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sk_autoencoder import DenoisingAutoencoder
    >>> X = load_digits().data / 16
    >>> noisy = X[1000:] + np.random.default_rng(0).normal(0, 0.25, (797, 64))
    >>> denoiser = DenoisingAutoencoder(
    ...     scaling=None, noise_level=0.25, max_epochs=5, random_state=0
    ... ).fit(X[:1000])
    >>> round(float(np.mean((noisy - X[1000:]) ** 2)), 3)
    0.063
    >>> round(float(np.mean((denoiser.denoise(noisy) - X[1000:]) ** 2)), 2)
    0.02
    """

    n_components: int | float | None = field(default=None, kw_only=False)
    hidden_layer_sizes: int | Sequence[int] = (512, 128)
    noise_level: float = 0.5
    linear_penalty: float = 0.0
    lr: float = 1e-3
    max_epochs: int = 200
    corruption: str | Callable = "gaussian"
    noise_std: float | Sequence[float] | str | None = None
    paired: bool = False

    _parameter_constraints: ClassVar[dict] = {
        **OrderedAutoencoder._parameter_constraints,
        "corruption": [StrOptions({"gaussian", *REPLACEMENTS}), callable],
        "noise_std": [
            Interval(Real, 0, None, closed="neither"),
            "array-like",
            StrOptions({"auto"}),
            None,
        ],
        "paired": ["boolean"],
    }

    @fit_context
    def fit(self, X, y=None, sample_weight=None):
        """Fit the autoencoder to X, or to pairs of noisy and clean rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Clean rows, which are corrupted while training, or noisy rows, with `paired` or
            `noise_std`. Rows may be read in chunks, without `paired`.
        y : {array-like, sparse matrix} of shape (n_samples, n_features) or None
            The clean partner of each row of X with `paired`, else ignored.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the rows: a row of weight 2 is a row given twice. None gives all rows
            a weight of 1.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If a parameter, X, y or a weight does not fit, or if the loss is not finite.
        """
        return self._fit(X, y, sample_weight=sample_weight)

    def denoise(self, X):
        """Remove noise from X: encode and decode it.

        The result is that of ``reconstruct``, unless `input_weight_` is positive.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        rows : ndarray of shape (n_samples, n_features)
            In the units and the precision of X.
        """
        check_is_fitted(self)
        rows = self.map_rows(make_denoising(self._fitted), X)
        return self._as_table(rows, like=X)

    @to_sample
    @as_fitted
    def score(self, X, y=None, sample_weight=None):
        """Compute R², the coefficient of determination, of denoised rows.

        Clean rows X are damaged by Gaussian noise of half the scale of each column, always
        the same, whatever the parameters are: a search over `noise_level`, `corruption` or
        `n_components` compares like with like.
        :func:`~sk_autoencoder.metrics.make_denoising_scorer` takes other noise. A fifth of
        the categories of a table are swapped with those of other rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Clean rows; noisy rows with `paired` or `noise_std`. Of rows that are read in
            chunks a random sample of 32 MiB is scored.
        y : {array-like, sparse matrix} of shape (n_samples, n_features) or None
            The clean partner of each row of X with `paired`, else ignored.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the rows.

        Returns
        -------
        score : float
            R² of the denoised rows against the clean ones, over all entries in scaled
            units: 1 is perfect, and the mean row scores 0. With `noise_std`, where nobody
            knows the clean rows, it is Stein's estimate, which may exceed 1.
        """
        check_is_fitted(self)
        X, weight = self.check_weighted_rows(X, sample_weight, reset=False)
        targets = self._read_clean_rows(X, y) if self.paired else None
        source, denoise = RowSource(X, targets, weight), make_denoising(self._fitted)
        if self.paired:
            return self._score_parts(source.split(), denoise)
        if self.noise_std is not None:
            return stein_r2(self._fitted, source, self.noise_std_)
        if self._table is not None:
            parts = damage_tables(source, table_layout(self._table))
        else:
            loss = self.make_recipe().loss
            parts = damage_rows(source, loss.low, loss.high)
        return self._score_parts(parts, denoise)

    def make_recipe(self) -> Recipe:
        """Corrupt rows, or read pairs or noisy rows, and start at the Wiener filter."""
        recipe = super().make_recipe().add_summary(fit_input_weight)
        if self.noise_std is not None:
            return self._make_noisy_recipe(recipe)
        start = start_at(self._fit_wiener_filter, recipe.loss)
        return replace(
            recipe,
            targets=self._read_clean_rows if self.paired else warn_of_ignored_rows,
            default_n_components=self._count_components,
            corruption=partial(self._make_corruption, recipe.columns),
            corrupts_validation=True,
            initialize=start if self.init == "pca" else keep_random_weights,
            start="Wiener filter",
        )

    def _make_noisy_recipe(self, recipe: Recipe) -> Recipe:
        """Make the recipe for noisy rows without clean partners, by Stein's estimate."""

        def check(X) -> None:
            recipe.check(X)
            if self._table is not None:
                raise ValueError(
                    f"noise_std={self.noise_std!r} is for noisy numbers, and X is a table "
                    "of mixed columns. Leave it out, or use paired=True."
                )
            if self.paired:
                raise ValueError(
                    f"noise_std={self.noise_std!r} is for noisy rows without clean "
                    "partners, and paired=True for rows with them. Leave one of them out."
                )
            if self.ordered:
                raise ValueError(
                    "ordered=True needs clean rows, since shares of the variance of noisy "
                    f"rows count noise. Leave out noise_std={self.noise_std!r} and fit to "
                    "clean rows, or to pairs with paired=True."
                )
            if self.loss != "squared_error":
                raise ValueError(
                    f"loss={self.loss!r} has no unbiased estimate from noisy rows. Use "
                    "loss='squared_error' with noise_std=, or paired=True with clean rows "
                    "as y."
                )

        def fit_filter(member: Member) -> LinearAutoencoder:
            std = member.measured["noise_std_"] / member.rows.scaler.scale.cpu().numpy()
            n_components = member.n_components
            return wiener_filter_from_noisy(member.rows, std, n_components, member.seed)

        start = start_at(fit_filter, recipe.loss)
        initialize = start if self.init == "pca" else keep_random_weights

        def stein(start: Start) -> dict:
            scale = start.module.scaler.scale
            std = torch.tensor(start.measured["noise_std_"]).to(scale) / scale
            return {"stein": (1.0, SteinPenalty(std.float()))}

        return replace(
            recipe.add_penalties(stein),
            check=check,
            measure=lambda source, scaler, rows, seed: {
                "noise_std_": self._find_noise_std(source.X, rows)
            },
            default_n_components=self._count_components,
            corruption=lambda rows, measured: torch.nn.Identity(),  # they are noisy already
            corrupts_validation=True,
            initialize=lambda member: initialize(member)._replace(learned=member.measured),
            start="Wiener filter",
        )

    def _read_clean_rows(self, X, y) -> np.ndarray | csr_array:
        """Check the clean partners of X."""
        if y is None:
            raise ValueError(
                "paired=True needs the clean partner of each row of X as y. Give them, or "
                "set paired=False."
            )
        if self._table is not None:
            clean = self._table.transform(y)  # of missing cells nothing is learned
            clean = np.where(np.isnan(clean), self._table.center_, clean)
        else:
            clean = check_array(
                y, accept_sparse="csr", dtype=[np.float64, np.float32], input_name="y"
            )
        if clean.shape != X.shape:
            raise ValueError(
                f"y has shape {clean.shape} and X has {X.shape}. With paired=True y holds "
                "the clean partner of each row of X."
            )
        return clean

    def _count_components(self, n_rows: int, n_features: int) -> int:
        if getattr(self.network, "identity_code", False):
            return n_features
        return min(n_rows, n_features, MAX_DEFAULT_COMPONENTS)

    def _find_noise_std(self, X, rows: np.ndarray) -> np.ndarray:
        if isinstance(self.noise_std, str):
            std = np.asarray(estimate_noise_std(X, rows))
        else:
            std = as_floats(self.noise_std, "noise_std")
        if std.shape not in ((), X.shape[1:]) or not (std >= 0).all():
            raise ValueError(
                f"noise_std={self.noise_std!r} has to be one positive number, or one for "
                f"each of the {X.shape[1]} features of X."
            )
        return np.minimum(std, measure_moments(X, rows).variance ** 0.5)

    def _make_corruption(
        self, columns: NumericColumns, rows: RowDataset, measured: dict
    ) -> torch.nn.Module:
        if rows.source.has_targets:
            return torch.nn.Identity()  # the rows are noisy already
        if callable(self.corruption):
            check_corruption(copy.deepcopy(self.corruption), rows.source.n_features)
            return WhileTraining(copy.deepcopy(self.corruption))
        if self.corruption == "gaussian":
            return GaussianNoise(self._noise_std())
        if self.noise_level > 1:
            raise ValueError(
                f"noise_level={self.noise_level} is a fraction of the entries for "
                f"corruption={self.corruption!r}. Give a number in [0, 1]."
            )
        replace_entries = REPLACEMENTS[self.corruption]
        return replace_entries(self.noise_level, rows, columns.column_of_entries)

    def _fit_wiener_filter(self, member: Member) -> LinearAutoencoder:
        is_paired = member.rows.source.has_targets
        if not (self.noise_level or callable(self.corruption) or is_paired):
            return fit_pca(member)
        n_components = member.n_components
        return wiener_filter(member.rows, member.corruption, n_components, member.seed)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        can_fill = self.loss not in ROW_LOSSES and self.noise_std is None
        tags.input_tags.allow_nan = can_fill
        return tags


def warn_of_ignored_rows(X, y) -> None:
    """Warn of rows y that look like the clean partners of X, which are ignored."""
    if X.shape[1] == 1 or getattr(y, "shape", None) != X.shape:
        return
    values, rows = (rows.toarray() if issparse(rows) else rows for rows in (y, X))
    values = np.asarray(values)
    if values.dtype.kind == "f" and not np.array_equal(values, rows, equal_nan=True):
        warn_user(
            f"y has the shape {X.shape} of X, and is ignored. Set paired=True if it holds "
            "the clean partners of noisy rows X.",
        )
