"""The adversarial autoencoder: codes that follow a prior distribution."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import ClassVar

import numpy as np
import torch

from sk_autoencoder.core._data import RowDataset
from sk_autoencoder.core._fitted import Fitted
from sk_autoencoder.core._initialization._pca import LinearAutoencoder
from sk_autoencoder.core._recipe import Member, Recipe, Start, fit_pca, start_at
from sk_autoencoder.generative._base import GenerativeAutoencoder, Sampler
from sk_autoencoder.nn._adversarial import (
    PRIORS,
    AdversarialPenalty,
    prior_moments,
    sample_codes,
)
from sk_autoencoder.nn._autoencoder import Autoencoder
from sk_autoencoder.nn._base import check_positive_sizes
from sk_autoencoder.nn._ensemble import Ensemble
from sk_autoencoder.utils._constraints import weight
from sk_autoencoder.utils._sklearn_compat import StrOptions

MAX_ADVERSARIAL_COMPONENTS = 8
MIN_AXIS_STD = 1e-3  # in units of the largest: whitening would amplify smaller axes


@dataclass(kw_only=True, eq=False, repr=False)
class AdversarialAutoencoder(GenerativeAutoencoder):
    r"""Generative autoencoder whose codes follow a given prior distribution.

    The loss of the autoencoder gets a penalty on the distribution of the codes. A critic
    :math:`D`, a second network, is trained at the same time to distinguish codes
    :math:`z_i = f(x_i)` from samples of the prior, while the encoder is trained to make
    them indistinguishable [1]_. The encoder :math:`f` and the decoder :math:`g` minimise

    .. math:: \frac1n \sum_i \ell\big(g(f(x_i + \varepsilon_i)), x_i\big)
       + \lambda \; \operatorname{tr} \Sigma_x \;
       \Big(\frac1n \sum_i \log\big(1 + e^{-D(f(x_i))}\big) + 10 \, \Delta\Big)

    where :math:`\lambda` is the `critic_weight`, :math:`\Sigma_x` the covariance of the
    rows of a batch, so that the unit of X does not matter, and :math:`\Delta` the energy
    distance [2]_ between the codes and samples of the prior.

    Parameters
    ----------
    n_components : int, float in (0, 1) or None, default=None
        Number of components of the code. None takes 8, but at most the number of features
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
        ``"pca"`` adds a linear path that starts as PCA, and validation rows select how far
        training leaves PCA (Notes of :class:`AutoencoderTransformer`). ``"random"`` gives
        the network alone.
    loss : str or callable, default="squared_error"
        Error of a reconstruction: ``"squared_error"``, ``"absolute_error"``, ``"huber"``,
        ``"binary_cross_entropy"``, ``"multinomial"``, ``"cosine"`` (Notes of
        :class:`AutoencoderTransformer`) or ``(output, x) -> error of each row``, in torch.
    scaling : {"auto", "global", "standard"} or None, default="auto"
        ``"standard"`` divides each centred feature by its standard deviation, ``"global"``
        by the root of their mean variance. ``"auto"`` is ``"global"`` for features like
        pixels (Notes of :class:`AutoencoderTransformer`), else ``"standard"``. None does
        not scale.
    noise_level : float, default=0.3
        Standard deviation, in scaled units, of the Gaussian noise that training adds to
        each entry. The noise keeps the codes of neighbouring rows together [3]_.
    linear_penalty : float, default=0.0
        Weight of the error that the decoder's linear path makes alone, if training starts
        at PCA. The penalty keeps codes readable for linear models, but farther from the
        prior, hence 0.
    l1_penalty : float, default=0.0
        Weight of the sum of the absolute values of all weights in the loss.
    trim_fraction : float, default=0.0
        Fraction of the rows of a batch, those with the largest error, that the loss omits,
        so that outliers are not learned [4]_.
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
        Density of codes in ``sample``: a Gaussian mixture, fitted after training to the
        codes of 20,000 training rows at most, or the prior.
    output_noise : {"auto"} or bool, default="auto"
        Whether ``sample`` adds Gaussian noise with standard deviations `residual_std_`.
        ``"auto"`` adds it if a nearest-neighbour classifier then finds rows clearly harder
        to tell from training rows, as for most tables but not images.
    match_marginals : bool, default=True
        Whether ``sample`` maps each decoded column, by quantiles, to its distribution in
        training rows. The map keeps the order of rows in a column. Columns of few values or
        of whole numbers stay so.
    row_density : {"auto"} or bool, default="auto"
        Whether ``sample`` takes rows from a mixture fitted to rows, without codes (Notes).
        ``"auto"`` does for tables, and for up to 100 columns of numbers unless decoded
        codes are harder to tell from training rows by nearest neighbours.
    prior : {"normal", "uniform", "mixture"} or callable, default="normal"
        Distribution that codes should follow: ``"normal"``, ``"uniform"`` or ``"mixture"``,
        each with mean 0 and variance 1 a component (see Notes), or a callable
        ``(n_codes, n_components)`` that returns samples, as an array or a tensor.
    critic_weight : float, default=0.1
        Weight of the penalty, in units of the total variance of the rows. 0 omits the
        critic, which gives ``AutoencoderTransformer`` with the defaults of this class.
    critic_layer_sizes : sequence of int, default=(128, 128)
        Widths of the critic's hidden layers.

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
        Whether ``sample`` adds noise to decoded rows.
    marginals_ : ndarray of shape (2, n_quantiles, `n_features_in_`) or None
        Quantiles of sampled rows and of training rows, by which ``sample`` maps columns.
    row_density_ : dict of ndarray or None
        Density of rows: `weights`, `means`, `covariances` of a mixture of normal scores;
        for a table `weights`, `levels`, `missing` of a mixture of products. None: codes are
        decoded.
    residual_std_ : ndarray of shape (`n_features_in_`,)
        Root mean squared error of the reconstruction of each feature, in the units of X: of
        the validation rows, if there are any.

    See Also
    --------
    AutoencoderTransformer : Without the critic.
    VAETransformer : Has a likelihood, and a posterior distribution for each row.

    Notes
    -----
    ``score_samples`` is minus the error of the reconstruction. It does not depend on the
    density of the code.

    The prior ``"normal"`` is standard normal and ``"uniform"`` is uniform between -√3 and
    √3. ``"mixture"`` has ten normal distributions of standard deviation 0.25 whose means
    lie on a circle in the first two components; any further components are standard normal.
    A callable `prior` follows `random_state` if it samples with torch's default generator.

    Competing updates of a critic and an encoder need not converge. Five measures make
    training stable:

    * Critic and encoder are trained by the same step, as two terms of one loss. The first
      term has no gradient for the encoder, the second none for the critic. NOTE[DIFF]: [1]_
      alternate between steps for the error, the critic and the encoder.
    * Codes start as whitened PCA, with the mean and the variances of the prior, so that the
      critic has only shapes to correct. With tied weights they start as PCA.
    * The critic sees the codes of rows without noise, and four samples of the prior a code.
    * The validation loss, which selects the epoch, needs no critic. It is the error plus
      ten times the weight times the energy distance of the codes from the prior.
    * The encoder minimises the energy distance too, which stops codes from diverging where
      the critic has no useful gradient, as with a few rows far out.

    A reversed gradient [5]_ in place of two terms performs alike. A penalty on the critic's
    gradient changes little and lengthens a fit.

    ``sample`` starts at a classical density of rows, as in :class:`VAETransformer`, for
    columns of numbers of different units.

    Members of an ensemble share a critic. Each ``fit`` trains the critic anew, also with
    ``warm_start=True``.

    References
    ----------
    .. [1] A. Makhzani, J. Shlens, N. Jaitly, I. Goodfellow and B. Frey, "Adversarial
       autoencoders", 2016.
    .. [2] G. J. Szekely and M. L. Rizzo, "Energy statistics: a class of statistics based on
       distances", Journal of Statistical Planning and Inference 143, 2013.
    .. [3] C. M. Bishop, "Training with noise is equivalent to Tikhonov regularization",
       Neural Computation 7, 1995.
    .. [4] P. J. Rousseeuw, "Least median of squares regression", Journal of the American
       Statistical Association 79, 1984.
    .. [5] Y. Ganin et al., "Domain-adversarial training of neural networks", Journal of
       Machine Learning Research 17, 2016.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sk_autoencoder import AdversarialAutoencoder
    >>> X = load_digits().data
    >>> autoencoder = AdversarialAutoencoder(max_epochs=3, random_state=0).fit(X[:500])
    >>> autoencoder.sample(3, random_state=0).shape
    (3, 64)
    >>> codes = autoencoder.transform(X[1000:])
    >>> bool((abs(codes.mean(axis=0)) < 0.3).all())
    True
    """

    n_components: int | float | None = field(default=None, kw_only=False)
    hidden_layer_sizes: int | Sequence[int] = (256, 256)
    linear_penalty: float = 0.0
    prior: str | Callable = "normal"
    critic_weight: float = 0.1
    critic_layer_sizes: Sequence[int] = (128, 128)

    _parameter_constraints: ClassVar[dict] = {
        **GenerativeAutoencoder._parameter_constraints,
        "prior": [StrOptions(set(PRIORS)), callable],
        "critic_weight": [weight()],
        "critic_layer_sizes": ["array-like"],
    }

    def make_recipe(self) -> Recipe:
        """Add the critic, and start at codes with the moments of the prior."""
        recipe = super().make_recipe()
        # The decoder of whitened codes is not the transposed encoder, as tied weights need.
        if self.init == "pca" and self.critic_weight and not self.tied_weights:
            start = start_at(self._fit_whitened_pca, recipe.loss)
            recipe = replace(recipe, initialize=start)
        if self.critic_weight:  # an unused critic would still consume random numbers
            recipe = recipe.add_penalties(self._make_critic)
        return replace(
            recipe,
            default_n_components=lambda *shape: min(MAX_ADVERSARIAL_COMPONENTS, *shape),
        )

    def _make_sampler(self) -> Sampler:
        return Sampler(
            sample_prior=partial(sample_codes, self._get_prior()),
            add_noise=add_residual_noise,
            fit_noise=fit_residual_noise,
            levels=self._levels(),
        )

    def _get_prior(self) -> Callable:
        return self.prior if callable(self.prior) else PRIORS[self.prior]

    def _fit_whitened_pca(self, member: Member) -> LinearAutoencoder:
        pca = fit_pca(member)
        n_axes = len(pca.variance)
        if not pca.variance.any():
            return pca
        moments = prior_moments(self._get_prior(), member.n_components)
        mean, std = (moment[:n_axes].double().numpy() for moment in moments)
        return rescale_codes(pca, mean, std)

    def _make_critic(self, start: Start) -> dict:
        critic = AdversarialPenalty(
            self._get_prior(),
            start.n_components,
            check_positive_sizes("critic_layer_sizes", self.critic_layer_sizes),
        )
        return {"critic": (self.critic_weight, critic)}


def fit_residual_noise(
    fitted: Fitted, train: RowDataset, valid: RowDataset | None
) -> dict[str, np.ndarray]:
    """Compute the root mean squared error of each feature, on validation rows if any."""
    rows = (train if valid is None else valid).repeated_indices()
    squares = sum(
        chunk.sum(axis=0, dtype=np.float64)
        for chunk in fitted.iter_map(squared_residual, train.X, rows)
    )
    return {"residual_std_": np.sqrt(squares / len(rows))}


def add_residual_noise(
    fitted: Fitted, module: Autoencoder, rows: torch.Tensor
) -> torch.Tensor:
    """Add normal noise of the standard deviation of the residuals to `rows`."""
    std = torch.tensor(fitted.learned["residual_std_"]).to(rows)
    return rows + std * torch.randn_like(rows)


def squared_residual(module: Autoencoder | Ensemble, rows: torch.Tensor) -> torch.Tensor:
    """Compute the squared error of each entry of `rows`, in squared units of X."""
    return (module.reconstruct(rows) - rows).square()


def rescale_codes(
    linear: LinearAutoencoder, mean: np.ndarray, std: np.ndarray
) -> LinearAutoencoder:
    """Rescale codes to `mean` and `std`; the map from rows to rows stays the same."""
    axis_std = np.sqrt(linear.variance)
    factor = (std / np.maximum(axis_std, MIN_AXIS_STD * axis_std.max()))[:, None]
    decoder = linear.decoder / factor
    shift = mean @ decoder  # the decoded mean code
    return LinearAutoencoder(
        linear.mean - shift,
        linear.encoder * factor,
        decoder,
        linear.mean_out - shift,
        linear.variance * factor[:, 0] ** 2,
    )
