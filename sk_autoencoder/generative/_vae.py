"""The variational autoencoder."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted, check_scalar

from sk_autoencoder.core._callbacks import WarmUp
from sk_autoencoder.core._data import RowDataset, repeat_by_weight
from sk_autoencoder.core._fitted import Fitted
from sk_autoencoder.core._initialization._factor_model import (
    factor_model,
    init_factor_model,
    scaled_variance,
)
from sk_autoencoder.core._initialization._pca import degrees_of_freedom, principal_axes
from sk_autoencoder.core._recipe import Initialization, Member, Recipe
from sk_autoencoder.core._scaling import has_variance, scaled_moments, share_unit
from sk_autoencoder.core._tables import table_layout
from sk_autoencoder.generative._base import (
    MAX_DENSITY_ROWS,
    DensitySizes,
    GenerativeAutoencoder,
    Sampler,
    draw_codes,
    fit_table_density,
    read_cells,
)
from sk_autoencoder.generative._bound import (
    component_usage,
    log_likelihood_bound,
    make_scaled_bound,
    posterior_moments,
    warn_of_collapse,
)
from sk_autoencoder.generative._density import MIN_HELD_OUT, fit_mixture, select_size
from sk_autoencoder.generative._stacking import (
    make_average,
    map_scaled,
    stack_gaussians,
    stack_products,
)
from sk_autoencoder.nn._autoencoder import Autoencoder
from sk_autoencoder.nn._base import Network
from sk_autoencoder.nn._likelihoods import LIKELIHOODS, make_likelihood
from sk_autoencoder.nn._losses import LOSSES, Loss
from sk_autoencoder.nn._scalers import LogScaler, Scaler
from sk_autoencoder.nn._tables import TableLikelihood
from sk_autoencoder.nn._variational import ELBO, KLDivergence, VariationalNetwork
from sk_autoencoder.utils._checks import check_counts, check_range
from sk_autoencoder.utils._constraints import count, weight
from sk_autoencoder.utils._random import draw_torch_seed
from sk_autoencoder.utils._sklearn_compat import Interval, StrOptions
from sk_autoencoder.utils._transactions import as_fitted

COUNT_LIKELIHOODS = {"negative_binomial", "poisson"}  # of log-scaled rows
LINEAR_LOSSES = {"bernoulli": "binary_cross_entropy"}  # of the linear initialisation
MAX_VAE_COMPONENTS = 16
MAX_USAGE_ROWS = 10_000  # training rows for the usage of components


@dataclass(kw_only=True, eq=False, repr=False)
class VAETransformer(GenerativeAutoencoder):
    r"""Variational autoencoder: codes with a density, new rows, log-likelihoods.

    An encoder maps each row to a distribution :math:`q(z \mid x)` of codes, normal with
    independent components, and a decoder maps each code to a distribution of rows. Training
    minimises, in nats a row,

    .. math:: \frac1n \sum_i \Big( -\mathrm{E}_{q(z \mid x_i)} \log p(x_i \mid z)
       + \beta \, \mathrm{KL}\big(q(z \mid x_i) \,\|\, \mathcal{N}(0, I)\big) \Big)

    For :math:`\beta = 1` the loss is an upper bound on minus the log-likelihood [1]_
    (equation 3). The variance of a Gaussian :math:`p(x \mid z)` is learned too.

    Parameters
    ----------
    n_components : int, float in (0, 1) or None, default=None
        Number of components of the code. None takes 16, but at most the number of features
        and of rows. A float selects it as in :class:`AutoencoderTransformer`.
    hidden_layer_sizes : int or sequence of int, default=(256, 256)
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
        ``"pca"`` starts as probabilistic PCA [2]_, whose components above the noise are in
        use, and validation rows select how far training leaves it, as in
        :class:`AutoencoderTransformer`. ``"random"`` gives the network alone.
    scaling : {"auto", "global", "standard"} or None, default="auto"
        As in :class:`AutoencoderTransformer`. Counts become ``log1p(X)``, and
        ``"bernoulli"`` does not scale.
    noise_level : float, default=0.0
        Standard deviation, in scaled units, of the Gaussian noise that training adds to
        each entry.
    linear_penalty : float, default=0.0
        Weight of the error that the decoder's linear path makes alone, if training starts
        at PCA; in squared scaled units (nats for ``"bernoulli"``).
    l1_penalty : float, default=0.0
        Weight of the sum of the absolute values of all weights in the loss.
    trim_fraction : float, default=0.0
        Fraction of the rows of a batch, those with the largest error, that the loss omits,
        so that outliers are not learned [3]_.
    optimizer : {"adam", "adamw", "sgd"} or callable, default="adamw"
        Name of an optimizer, or a class like those of ``torch.optim``.
    lr : float or "auto", default="auto"
        Largest learning rate. ``"auto"`` is 1e-2 where ``max_epochs="auto"`` counts steps,
        and 2e-3 elsewhere.
    weight_decay : float, default=1e-4
        Decay of the weights (L2), as the optimizer defines it.
    batch_size : int or "auto", default="auto"
        Rows of a training step; ``"auto"`` takes a twentieth of the rows, within 8 (32 with
        ``max_epochs="auto"``) and 256.
    max_epochs : int, default=100
        Largest number of passes through the training rows; 0 keeps the initial weights.
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
    code_density : {"gaussian_mixture", "prior"}, default="gaussian_mixture"
        Density of codes in ``sample`` and ``score_samples``: a Gaussian mixture, fitted
        after training to codes sampled from the posteriors of 20,000 training rows at most,
        or the standard normal prior.
    output_noise : {"auto"} or bool, default="auto"
        Whether ``sample`` samples rows from the likelihood or takes its mean. ``"auto"``
        samples if a nearest-neighbour classifier then finds rows clearly harder to tell
        from training rows, as for most tables but not images.
    match_marginals : bool, default=True
        Whether ``sample`` maps each decoded column, by quantiles, to its distribution in
        training rows. The map keeps the order of rows in a column. Columns of few values or
        of whole numbers stay so.
    row_density : {"auto"} or bool, default="auto"
        Whether ``sample`` and ``score_samples`` use mixtures fitted to rows, without codes
        (Notes). ``"auto"`` does for tables, and for up to 100 columns of numbers; rows are
        decoded if decoded codes are harder to tell from training rows by their neighbours.
    likelihood : str, default="gaussian"
        Distribution of a row given its code: ``"gaussian"``, ``"bernoulli"`` (X in [0, 1]),
        or for counts with mean :math:`\mu` ``"poisson"`` or ``"negative_binomial"``, of
        variance :math:`\mu + \mu^2 / \theta` with one :math:`\theta` a feature.
    variance : str, float or array-like of shape (n_features,), default="shared"
        Variance of the Gaussian likelihood: learned in scaled units, one for all features
        (``"shared"``) or one a feature (``"per_feature"``), or given in squared units of X.
    beta : float, default=1.0
        Weight of the divergence in the loss [4]_. Only 1 makes the loss a bound on the
        likelihood.
    kl_warmup : int, default=0
        Epochs over which the weight of the divergence grows from zero. A start from PCA
        does not need it.
    free_bits : float, default=0.0
        Least cost of each component while training, in nats: below it the divergence has no
        gradient.
    n_importance_samples : int, default=64
        Number of codes sampled for each row in ``score_samples``.

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
    code_density_ : sklearn.mixture.GaussianMixture or None
        Density of codes, after ``partial_fit`` that of the last batch; None stands for the
        prior.
    output_noise_ : bool
        Whether ``sample`` samples rows from the likelihood.
    marginals_ : ndarray of shape (2, n_quantiles, `n_features_in_`) or None
        Quantiles of sampled rows and of training rows, by which ``sample`` maps columns.
    row_density_ : dict of ndarray or None
        Density of rows: `weights`, `means`, `covariances` of a mixture of normal scores;
        for a table `weights`, `levels`, `missing` of a mixture of products. None: codes are
        decoded.
    score_density_ : dict of ndarray or None
        Density that ``score_samples`` averages with that of the autoencoder: `weights`,
        `means`, `precisions` of Gaussians, or `weights`, `levels` of products, and `share`.
    kl_per_component_ : ndarray of shape (`n_components_`,)
        Mean divergence of the posterior from the prior over training rows, in nats.
    active_components_ : ndarray of shape (`n_components_`,) of bool
        Whether the posterior's mean varies over training rows: a variance above 0.01 [5]_.

    Warns
    -----
    UserWarning
        If most components have collapsed to the prior and carry no information.

    See Also
    --------
    sklearn.mixture.GaussianMixture : A density without codes.
    sklearn.decomposition.PCA : The density that training starts from.

    Notes
    -----
    Entries of X may be missing (NaN). They are imputed first, and errors omit them. The
    code and the score of a row without observed entries are those of its imputation.

    NOTE[DIFF]: The posterior's standard deviations are a function of its means. For a
    Gaussian likelihood the optimal posterior nearly has this form, and any network can be
    the encoder.

    NOTE[DIFF]: Codes are sampled from a mixture fitted after training, as [6]_ propose, not
    from the prior. The codes of training rows leave gaps in the prior, and codes from these
    gaps decode to atypical rows. Held-out codes select the number of components and how far
    covariances are shrunk to their mean.

    NOTE[DIFF]: ``sample`` starts at a classical density of rows, and decodes codes where
    these rows are harder to tell from training rows. For columns of numbers that density is
    a Gaussian mixture of their normal scores (a Gaussian mixture copula [7]_), for mixed
    columns a mixture of products of categorical distributions [8]_.

    NOTE[DIFF]: The density of ``score_samples`` is the mean of two, that of the autoencoder
    and that of a classical mixture, with shares that held-out rows choose (stacking [9]_).
    After ``partial_fit``, and for rows of numbers with NaN, it is the autoencoder's alone.

    In a table of mixed columns, numbers and times are weights of the two nearest of up to
    64 quantiles. The likelihood of a row is that of these bins and of its categories.
    ``sample`` draws bins, and values of training rows within them. Cells are missing as
    they are in training rows. `given` selects parts of the mixture by Bayes' rule, and is
    exact; `like` adapts its parts by one step of expectation maximisation.

    ``likelihood="bernoulli"`` takes any values of X in [0, 1], not only 0 and 1.

    References
    ----------
    .. [1] D. P. Kingma and M. Welling, "Auto-encoding variational Bayes", ICLR 2014.
    .. [2] M. E. Tipping and C. M. Bishop, "Probabilistic principal component analysis",
       Journal of the Royal Statistical Society B 61, 1999.
    .. [3] P. J. Rousseeuw, "Least median of squares regression", Journal of the American
       Statistical Association 79, 1984.
    .. [4] I. Higgins et al., "beta-VAE: learning basic visual concepts with a constrained
       variational framework", ICLR 2017, equation 4.
    .. [5] Y. Burda, R. Grosse and R. Salakhutdinov, "Importance weighted autoencoders",
       ICLR 2016, section 5.
    .. [6] P. Ghosh, M. S. M. Sajjadi, A. Vergari, M. Black and B. Schoelkopf, "From
       variational to deterministic autoencoders", ICLR 2020, section 4.
    .. [7] A. Tewari, M. J. Giering and A. Raghunathan, "Parametric characterization of
       multimodal distributions with non-gaussian modes", ICDM workshops, 2011.
    .. [8] B. S. Everitt and D. J. Hand, "Finite mixture distributions", 1981, chapter 4.
    .. [9] P. Smyth and D. Wolpert, "Linearly combining density estimators via stacking",
       Machine Learning 36, 1999.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sk_autoencoder import VAETransformer
    >>> X = load_digits().data
    >>> vae = VAETransformer(8, max_epochs=2, random_state=0).fit(X[:500])
    >>> vae.sample(3, random_state=0).shape
    (3, 64)
    >>> mean, std = vae.transform_distribution(X[1000:])
    >>> std.shape
    (797, 8)
    >>> vae.active_components_.sum()
    np.int64(8)
    """

    n_components: int | float | None = field(default=None, kw_only=False)
    hidden_layer_sizes: int | Sequence[int] = (256, 256)
    loss: str = field(default="squared_error", init=False)  # `likelihood` replaces it
    noise_level: float = 0.0
    linear_penalty: float = 0.0
    likelihood: str = "gaussian"
    variance: str | float | Sequence[float] = "shared"
    beta: float = 1.0
    kl_warmup: int = 0
    free_bits: float = 0.0
    n_importance_samples: int = 64

    _parameter_constraints: ClassVar[dict] = {
        **GenerativeAutoencoder._parameter_constraints,
        "likelihood": [StrOptions(set(LIKELIHOODS))],
        "variance": [
            StrOptions({"shared", "per_feature"}),
            Interval(Real, 0, None, closed="neither"),
            "array-like",
        ],
        "beta": [weight()],
        "kl_warmup": [count(0)],
        "free_bits": [weight()],
        "n_importance_samples": [count(1)],
    }
    del _parameter_constraints["loss"]
    _table_options: ClassVar[dict] = {"numbers": "bins"}

    def make_recipe(self) -> Recipe:
        """Put a posterior and a likelihood around the network, and start at PPCA."""
        recipe = super().make_recipe()
        loss = recipe.loss
        if self.likelihood in LINEAR_LOSSES:
            loss = LOSSES[LINEAR_LOSSES[self.likelihood]]
        kind = LogScaler if self.likelihood in COUNT_LIKELIHOODS else Scaler
        recipe = recipe.add_penalties(
            lambda start: {"kl": (self.beta, KLDivergence(self.free_bits))}
        )
        recipe = recipe.add_summary(self._measure_usage)
        return replace(
            recipe.add_summary(self._stack_density_at_end),
            calibrate=self._stack_density,
            finish=forget_sizes,
            columns=self._make_columns(loss, kind),
            check=self._check_values,
            default_n_components=lambda *shape: min(MAX_VAE_COMPONENTS, *shape),
            wrap=self._make_variational,
            initialize=partial(self._start_at_factor_model, loss),
            start="factor model",
            loss=loss,
            objective=ELBO,
            callbacks=lambda: recipe.callbacks() + self._warm_up(),
            score=partial(self._make_bound, n_samples=self.n_importance_samples),
        )

    def _make_sampler(self) -> Sampler:
        return Sampler(
            sample_prior=torch.randn,
            add_noise=lambda fitted, module, rows: module.network.likelihood.sample(rows),
            encode=sample_posterior,
            levels=self._levels(),
            has_row_density=self.likelihood == "gaussian",
        )

    def _check_values(self, X) -> None:
        if self._table is not None and self.likelihood != "gaussian":
            raise ValueError(
                f"likelihood={self.likelihood!r} is for columns of one kind, and X is a "
                "table of mixed columns. Use likelihood='gaussian', which is for its "
                "numbers; categories have probabilities."
            )
        if self.likelihood == "bernoulli":
            check_range(X, 0, 1, "likelihood='bernoulli'")
        if self.likelihood in COUNT_LIKELIHOODS:
            check_counts(X, self.likelihood)

    def _make_variational(
        self, network: Network, n_features: int, n_components: int
    ) -> VariationalNetwork:
        likelihood = make_likelihood(self.likelihood, n_features, self.variance)
        if self._table is not None:
            likelihood = TableLikelihood(table_layout(self._table), likelihood)
        return VariationalNetwork(network, n_components, likelihood)

    def _start_at_factor_model(self, loss: Loss, member: Member) -> Initialization:
        rows, network = member.rows, member.network
        mean, variance = scaled_moments(rows)
        n_rows = len(rows) if rows.weight is None else rows.weight.sum()
        variance = variance * n_rows / degrees_of_freedom(n_rows)  # unbiased, as in PCA
        fixed_noise, is_linear = None, False
        if not isinstance(self.variance, str):
            fixed_noise = scaled_variance(self.variance, rows.scaler)
        noise = variance if fixed_noise is None else fixed_noise
        if self.init == "pca":
            axes = principal_axes(rows, member.n_components, member.seed)
            is_per_feature = self.variance == "per_feature"
            factors = factor_model(axes, variance, is_per_feature, fixed_noise)
            is_linear = init_factor_model(network, mean, factors, loss)
            noise = factors.noise if is_linear else noise
        network.likelihood.start_from(
            rows.scaler.center, rows.scaler.scale, torch.as_tensor(noise)
        )
        return Initialization(is_linear)

    def _warm_up(self) -> list[WarmUp]:
        return [WarmUp("kl", self.kl_warmup)] if self.kl_warmup and self.beta else []

    def _measure_usage(
        self, fitted: Fitted, train: RowDataset, valid: RowDataset | None
    ) -> dict[str, np.ndarray]:
        rows = train.repeated_indices()[:MAX_USAGE_ROWS]
        chunks = fitted.iter_map(posterior_moments, train.X, rows)
        nats, is_active = component_usage(np.concatenate(list(chunks)))
        # Identical rows need no active component: no warning for them.
        if is_active.mean() < 0.5 and has_variance(train):
            is_mixed = not share_unit(scaled_moments(train)[1])
            warn_of_collapse(is_active, self.beta, self.scaling, is_mixed)
        return {"kl_per_component_": nats, "active_components_": is_active}

    def _make_bound(self, fitted: Fitted, n_samples: int) -> Callable:
        learned = fitted.learned  # ensembles have no densities
        width = fitted.n_components // fitted.module.n_members
        bound = make_scaled_bound(learned.get("code_density_"), n_samples, width)
        arrays = learned.get("score_density_")
        average = None if arrays is None else make_average(arrays)
        return log_likelihood_bound(bound, self._make_loss().observed_share, average)

    def _stack_density(
        self, fitted: Fitted, rows: np.ndarray, valid: RowDataset
    ) -> dict[str, Any]:
        """Put a classical density beside the autoencoder's, as held-out rows ask for."""
        indices = np.setdiff1d(rows, valid.indices)
        indices = repeat_by_weight(indices, valid.source.weight)
        if not self._may_stack(fitted, indices, valid):
            return {"score_density_": None, "density_sizes": DensitySizes()}
        with torch.random.fork_rng(devices=[]):  # later steps draw what they drew
            return self._fit_score_density(fitted, indices, valid)

    def _stack_density_at_end(
        self, fitted: Fitted, train: RowDataset, valid: RowDataset | None
    ) -> dict[str, Any]:
        """Do so at the end of a training that did not start from PCA."""
        if "density_sizes" in fitted.learned:
            return {}
        if valid is None:
            return {"score_density_": None}
        return self._stack_density(fitted, train.indices, valid)

    def _may_stack(self, fitted: Fitted, indices: np.ndarray, valid: RowDataset) -> bool:
        """Judge whether there are rows, complete ones, for a density beside this one."""
        sampler = self._make_sampler()
        has_rows = len(indices) > 1 and len(valid) >= MIN_HELD_OUT
        is_complete = self._table is not None or not fitted.is_incomplete
        is_single = fitted.module.n_members == 1
        may_have_density = self._may_have_row_density(sampler, valid)
        has_density = sampler.has_row_density and may_have_density
        return has_rows and is_complete and is_single and has_density

    def _fit_score_density(
        self, fitted: Fitted, indices: np.ndarray, valid: RowDataset
    ) -> dict[str, Any]:
        """Fit a classical density to the rows `indices`; held-out rows choose its share."""
        X, held_out = valid.X, valid.repeated_indices()
        indices = indices[torch.randperm(len(indices))[:MAX_DENSITY_ROWS].numpy()]
        density = size = None
        if self.code_density == "gaussian_mixture":
            codes = draw_codes(fitted, self._make_sampler(), X, indices)
            size = select_size(codes, draw_torch_seed())
            density = fit_mixture(codes, draw_torch_seed(), size)
        bound = make_scaled_bound(density, self.n_importance_samples, fitted.n_components)
        log_density = map_scaled(fitted, bound, X, held_out)
        if self._table is not None:
            mixture = fit_table_density(self._table, X[indices])
            levels = read_cells(self._table, X[held_out]).levels
            sizes = DensitySizes(size, len(mixture.weights))
            stacked = stack_products(mixture, levels, log_density)
            return {"score_density_": stacked, "density_sizes": sizes}
        scaled = partial(map_scaled, fitted, lambda member, x: x, X)
        likelihood = fitted.module.network.likelihood
        rows = scaled(indices), scaled(held_out)
        stacked = stack_gaussians(*rows, log_density, likelihood, draw_torch_seed())
        return {"score_density_": stacked, "density_sizes": DensitySizes(size)}

    # Using

    def transform_distribution(self, X) -> tuple[np.ndarray, np.ndarray]:
        """Compute means and standard deviations of the codes of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        mean : ndarray of shape (n_samples, n_components)
            Mean of the posterior, as in ``transform``. The prior has mean 0.
        std : ndarray of shape (n_samples, n_components)
            Standard deviation of the posterior. The prior has standard deviation 1.
        """
        moments = self.map_rows(posterior_moments, X)
        return moments[:, 0], moments[:, 1]

    def score_samples(self, X):
        """Compute a lower bound on the log-likelihood of each row.

        The bound is the importance-weighted one of Burda et al. (2016). It uses
        `n_importance_samples` samples of the code, the same noise for all rows and calls.
        The density is averaged with `score_density_`, if there is one.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Higher is better. In nats; for a Gaussian likelihood, of a density in the units
            of X. The score of observed entries is scaled to a full row.
        """
        return super().score_samples(X)

    @as_fitted
    def log_likelihood(self, X, *, n_importance_samples: int | None = None) -> float:
        """Compute the mean of ``score_samples(X)``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        n_importance_samples : int or None, default=None
            Number of codes sampled for each row; the more, the tighter the bound. None
            takes the parameter of the fit.

        Returns
        -------
        log_likelihood : float
            In nats a row.
        """
        check_is_fitted(self)
        n_samples = n_importance_samples or self.n_importance_samples
        check_scalar(n_samples, "n_importance_samples", Integral, min_val=1)
        return float(self.map_rows(self._make_bound(self._fitted, n_samples), X).mean())

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def forget_sizes(fitted: Fitted, rows: RowDataset) -> None:
    """Forget what is known of the sizes of densities: only a fit asks for it."""
    fitted.learned.pop("density_sizes", None)


def sample_posterior(module: Autoencoder, rows: torch.Tensor) -> torch.Tensor:
    """Sample a code of each row from its posterior."""
    return module.network.posterior(module.scaler.bounded(rows)).sample()
