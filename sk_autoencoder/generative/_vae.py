"""The variational autoencoder."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import ClassVar

import numpy as np
import torch

from sk_autoencoder.core._callbacks import WarmUp
from sk_autoencoder.core._data import RowDataset
from sk_autoencoder.core._initialization._factor_model import (
    factor_model,
    init_factor_model,
    scaled_variance,
)
from sk_autoencoder.core._initialization._pca import principal_axes
from sk_autoencoder.core._scaling import has_variance, scaled_moments
from sk_autoencoder.core._trainer import AutoencoderNet
from sk_autoencoder.generative._base import GenerativeAutoencoder
from sk_autoencoder.generative._bound import (
    component_usage,
    log_bound,
    posteriors,
    warn_of_collapse,
)
from sk_autoencoder.nn._autoencoder import Autoencoder
from sk_autoencoder.nn._ensemble import Ensemble
from sk_autoencoder.nn._likelihoods import LIKELIHOODS, make_likelihood
from sk_autoencoder.nn._losses import LOSSES, Loss
from sk_autoencoder.nn._scalers import LogScaler, Scaler
from sk_autoencoder.nn._variational import ELBO, KLDivergence, VariationalNetwork
from sk_autoencoder.utils._checks import check_counts, check_range
from sk_autoencoder.utils._sklearn_compat import Interval, StrOptions

COUNTS = {"negative_binomial", "poisson"}  # likelihoods of log-scaled rows
LINEAR_LOSSES = {"bernoulli": "binary_cross_entropy"}  # what the linear start is made for
REPORT_ROWS = 10_000  # on which the components are judged


@dataclass(kw_only=True, eq=False, repr=False)
class VAETransformer(GenerativeAutoencoder):
    r"""Variational autoencoder: codes with a density, new rows, likelihoods.

    An encoder gives each row a distribution :math:`q(z \mid x)` of codes, normal with
    independent components; a decoder gives each code a distribution of rows. Training
    minimises, in nats a row,

    .. math:: \frac1n \sum_i \Big( -\mathrm{E}_{q(z \mid x_i)} \log p(x_i \mid z)
       + \beta \, \mathrm{KL}\big(q(z \mid x_i) \,\|\, \mathcal{N}(0, I)\big) \Big)

    which for :math:`\beta = 1` is a bound on minus the log-likelihood [1]_ (equation 3).
    The variance of a Gaussian :math:`p(x \mid z)` is learned with the rest.

    Parameters
    ----------
    n_components : int, float in (0, 1) or None, default=None
        Width of the code. None takes 16, but at most the number of features and of rows. A
        float takes the smallest number of components with which PCA explains more than
        that share of the variance.
    hidden_layer_sizes : int or sequence of int, default=(256, 256)
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
        starts at probabilistic PCA [4]_ of the rows that are fitted to and the nonlinear
        one at zero, so that training begins with as many components in use as PCA finds
        above the noise. Held-out rows then choose how far to go from there, as in
        :class:`AutoencoderTransformer`. ``"random"`` gives the plain network.
    scaling : {"global", "standard"} or None, default="global"
        ``"global"`` subtracts the mean row and divides by one number, the root of the
        mean variance of a feature, which keeps PCA's objective; ``"standard"`` divides each
        feature by its own standard deviation; None leaves X alone. Counts are scaled as
        ``log1p(X)``; with ``likelihood="bernoulli"`` X is left alone.
    noise_level : float, default=0.0
        Standard deviation, in scaled units, of the Gaussian noise that is added to each
        cell while training.
    linear_penalty : float, default=0.0
        With ``init="pca"``, weight in the loss of the error that the decoder's linear path
        makes alone, in squared scaled units (nats for ``"bernoulli"``).
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
    code_density : {"gaussian_mixture", "prior"}, default="gaussian_mixture"
        Where ``sample`` draws codes, and which density of codes ``score_samples`` assumes:
        a mixture of normal distributions, fitted after training to codes drawn from the
        posteriors of the training rows (of 20,000 at most), with a part for 60 rows, 25
        parts at most, or 40 with 12 rows a component in each; or the standard normal prior.
    output_noise : {"auto"} or bool, default="auto"
        Whether ``sample`` draws rows from the likelihood, or returns its mean. ``"auto"``
        does what a nearest-neighbour classifier finds harder to tell from training rows:
        as a rule the former for tables, the latter for images.
    likelihood : str, default="gaussian"
        Distribution of a row, given its code: ``"gaussian"``; ``"bernoulli"`` (X in [0, 1],
        where shares count in part); or counts, ``"poisson"`` with a variance equal to the
        mean :math:`\mu`, or ``"negative_binomial"`` with :math:`\mu + \mu^2 / \theta` and
        a :math:`\theta` for each feature.
    variance : str, float or array-like of shape (n_features,), default="shared"
        Variance of the Gaussian likelihood: learned, one for all features in scaled units
        (``"shared"``) or one for each (``"per_feature"``); or given, in squared units of X.
    beta : float, default=1.0
        Weight of the divergence in the loss [2]_. Only 1 makes the loss a bound on the
        likelihood.
    kl_warmup : int, default=0
        Epochs over which the weight of the divergence grows from zero. A start from PCA
        has no need of it.
    free_bits : float, default=0.0
        Nats that each component costs at least while training, whether it uses them or not.
    n_importance_samples : int, default=64
        Draws of a code for each row in ``score_samples``.

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
    code_density_ : sklearn.mixture.GaussianMixture or None
        Density of codes, after ``partial_fit`` of the last batch; None is the prior.
    output_noise_ : bool
        Whether ``sample`` draws from the likelihood.
    kl_per_component_ : ndarray of shape (`n_components_`,)
        Mean divergence of the posterior from the prior over training rows, in nats.
    active_components_ : ndarray of shape (`n_components_`,) of bool
        Whether the posterior's mean varies over training rows: a variance above 0.01 [5]_.

    Warns
    -----
    UserWarning
        If most components have collapsed: they say nothing about a row.

    See Also
    --------
    sklearn.mixture.GaussianMixture : A density without a code.
    sklearn.decomposition.PCA : Its density is what this starts from.

    Notes
    -----
    Cells of X may be missing (NaN): they are guessed first, and errors skip them.

    NOTE[DIFF]: The posterior's standard deviations are a function of its means, which
    with Gaussian noise those of the best posterior nearly are; any network will do.

    NOTE[DIFF]: Codes are drawn from a mixture fitted after training, as [6]_ propose, not
    from the prior: codes of real rows leave holes in the prior, and what is decoded from
    there resembles no row.

    Columns of one table that differ in unit should be brought to one scale first:
    ``scaling="standard"``, or scikit-learn's QuantileTransformer with
    ``output_distribution="normal"``, by which samples of tables became harder to tell from
    real rows.

    References
    ----------
    .. [1] D. P. Kingma and M. Welling, "Auto-encoding variational Bayes",
       ICLR 2014.
    .. [2] I. Higgins et al., "beta-VAE: learning basic visual concepts with a constrained
       variational framework", ICLR 2017, equation 4.
    .. [3] P. J. Rousseeuw, "Least median of squares regression", Journal of the American
       Statistical Association 79, 1984.
    .. [4] M. E. Tipping and C. M. Bishop, "Probabilistic principal component analysis",
       Journal of the Royal Statistical Society B 61, 1999.
    .. [5] Y. Burda, R. Grosse and R. Salakhutdinov, "Importance weighted autoencoders",
       ICLR 2016, section 5.
    .. [6] P. Ghosh, M. S. M. Sajjadi, A. Vergari, M. Black and B. Schoelkopf, "From
       variational to deterministic autoencoders", ICLR 2020, section 4.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sk_autoencoder import VAETransformer
    >>> X = load_digits().data
    >>> vae = VAETransformer(8, max_epochs=20, random_state=0).fit(X[:1000])
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
    init: str = "pca"
    loss: str = field(default="squared_error", init=False)  # `likelihood` stands for it
    scaling: str | None = "global"
    noise_level: float = 0.0
    linear_penalty: float = 0.0
    likelihood: str = "gaussian"
    variance: str | float | Sequence[float] = "shared"
    beta: float = 1.0
    kl_warmup: int = 0
    free_bits: float = 0.0
    n_importance_samples: int = 64

    _allow_nan: ClassVar[bool] = True
    _default_n_components: ClassVar[int] = 16
    _objective_class: ClassVar[type[ELBO]] = ELBO
    _parameter_constraints: ClassVar[dict] = {
        **GenerativeAutoencoder._parameter_constraints,
        "likelihood": [StrOptions(set(LIKELIHOODS))],
        "variance": [
            StrOptions({"shared", "per_feature"}),
            Interval(Real, 0, None, closed="neither"),
            "array-like",
        ],
        "beta": [Interval(Real, 0, None, closed="left")],
        "kl_warmup": [Interval(Integral, 0, None, closed="left")],
        "free_bits": [Interval(Real, 0, None, closed="left")],
        "n_importance_samples": [Interval(Integral, 1, None, closed="left")],
    }
    del _parameter_constraints["loss"]

    # Building

    def _loss(self) -> Loss:
        return LOSSES[LINEAR_LOSSES.get(self.likelihood, "squared_error")]

    def _scaler_kind(self) -> type[Scaler]:
        return LogScaler if self.likelihood in COUNTS else Scaler

    def _build_networks(self, n_features: int, n_components: int, n_networks: int) -> list:
        bodies = super()._build_networks(n_features, n_components, n_networks)
        return [
            VariationalNetwork(
                body,
                n_components,
                make_likelihood(self.likelihood, n_features, self.variance),
            )
            for body in bodies
        ]

    def _start(
        self, network, corruption, rows: RowDataset, n_components: int, seed: int
    ) -> bool:
        mean, variance = scaled_moments(rows)
        variance = variance * len(rows) / max(len(rows) - 1, 1)  # as PCA counts it
        given, started = None, False
        if not isinstance(self.variance, str):
            given = scaled_variance(self.variance, rows.scaler)
        noise = variance if given is None else given
        if self.init == "pca":
            axes = principal_axes(rows, n_components, seed)
            found = factor_model(axes, variance, self.variance == "per_feature", given)
            started = init_factor_model(network, mean, found, self._loss())
            noise = found.noise if started else noise
        network.likelihood.start_from(
            rows.scaler.center, rows.scaler.scale, torch.as_tensor(noise)
        )
        return started

    def _make_penalties(self, module: Autoencoder | Ensemble) -> dict:
        divergence = (self.beta, KLDivergence(self.free_bits))
        return {**super()._make_penalties(module), "kl": divergence}

    def _user_callbacks(self) -> list:
        callbacks = super()._user_callbacks()
        if self.kl_warmup and self.beta:
            callbacks.append(WarmUp("kl", self.kl_warmup))
        return callbacks

    def _check_rows_to_fit(self, X, y, **kwargs):
        X = super()._check_rows_to_fit(X, y, **kwargs)
        if self.likelihood == "bernoulli":
            check_range(X, 0, 1, "likelihood='bernoulli'")
        if self.likelihood in COUNTS:
            check_counts(X, self.likelihood)
        return X

    # What was learned

    def _after_fit(
        self, net: AutoencoderNet, train: RowDataset, valid: RowDataset | None
    ) -> None:
        super()._after_fit(net, train, valid)
        rows = np.unique(train.indices)[:REPORT_ROWS]
        found = np.concatenate(list(self._iter_mapped(net, posteriors, train.X, rows)))
        self.kl_per_component_, self.active_components_ = component_usage(found)
        # Of rows that are all the same there is nothing to say, and nothing to warn of.
        if self.active_components_.mean() < 0.5 and has_variance(train):
            warn_of_collapse(self.active_components_, self.beta)

    def _draw_prior(self, n_codes: int) -> torch.Tensor:
        return torch.randn(n_codes, self.n_components_)

    def _add_noise(self, module: Autoencoder, rows: torch.Tensor) -> torch.Tensor:
        return module.network.likelihood.draw(rows)

    def _code_draws(self, module: Autoencoder, rows: torch.Tensor) -> torch.Tensor:
        return module.network.posterior(module.scaler(rows)).sample()

    # Using

    def transform_distribution(self, X) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation of the codes of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        mean : ndarray of shape (n_samples, n_components)
            What ``transform`` returns; the prior has mean 0 and standard deviation 1.
        std : ndarray of shape (n_samples, n_components)
            How uncertain each component is.
        """
        found = self._map(posteriors, X)
        return found[:, 0], found[:, 1]

    def score_samples(self, X):
        """Return a bound on the log-likelihood of each row.

        The importance-weighted bound of Burda et al. (2016) with `n_importance_samples`
        draws of the code, the same for all rows and all calls.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Higher is better. In nats; of a density in the units of X where the likelihood
            is Gaussian. Observed cells stand in for missing ones.
        """
        return super().score_samples(X)

    def _scoring(self) -> Callable:
        width = self.n_components_ // self.net_.module_.n_members
        density = getattr(self, "code_density_", None)  # an ensemble has none
        return log_bound(density, self.n_importance_samples, width)

    def log_likelihood(self, X) -> float:
        """Return the mean of ``score_samples(X)``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        log_likelihood : float
            In nats a row.
        """
        return float(self.score_samples(X).mean())
