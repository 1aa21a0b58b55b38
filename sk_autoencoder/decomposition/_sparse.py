"""The sparse autoencoder: an overcomplete code with few non-zero entries a row."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from numbers import Real
from typing import ClassVar

import numpy as np
import torch
from scipy.sparse import vstack
from scipy.special import logit
from sklearn.utils.validation import check_is_fitted
from torch import nn

from sk_autoencoder.core._base import BaseAutoencoder
from sk_autoencoder.core._data import RowDataset
from sk_autoencoder.core._fitted import Fitted
from sk_autoencoder.core._inference import busy_threads, encode
from sk_autoencoder.core._initialization._rows import sample_rows
from sk_autoencoder.core._recipe import (
    Initialization,
    Member,
    Recipe,
    keep_random_weights,
)
from sk_autoencoder.nn._dense import Dense
from sk_autoencoder.nn._losses import Loss
from sk_autoencoder.nn._penalties import code_norm, rate_divergence
from sk_autoencoder.nn._pursuit import conservative_gain_threshold
from sk_autoencoder.nn._sparse import Coder, Pursuit, TopK, auxk_loss
from sk_autoencoder.utils._constraints import count, weight
from sk_autoencoder.utils._sklearn_compat import Interval, StrOptions, csr_container
from sk_autoencoder.utils._transactions import as_fitted

MAX_DEFAULT_ATOMS = 512
AUXK_WEIGHT = 1 / 32  # of the auxiliary loss of unused units, as in Gao et al. (2024)


def count_atoms(n_rows: int, n_features: int) -> int:
    """Choose the number of atoms: twice the features, and no more than rows."""
    return min(2 * n_features, n_rows, MAX_DEFAULT_ATOMS)


def start_at_rows(member: Member) -> Initialization:
    """Initialise the atoms at training rows."""
    member.network.start_at(*sample_rows(member.rows, member.n_components))
    return Initialization()


def path_gains(module: nn.Module, rows: torch.Tensor) -> torch.Tensor:
    """Compute the gain of each step of the pursuits, (batch, n_members, n_steps)."""
    gains = module.map_members(
        lambda member, rows: member.network.path(member.scaler.bounded(rows)).gains, rows
    )
    return gains.movedim(0, 1)


def fit_min_gain(fitted: Fitted, n_active: int, rows: RowDataset) -> None:
    """Set the minimum gain of an atom for `n_active` atoms a code on average."""
    chunks = fitted.iter_map(path_gains, rows.X, rows.repeated_indices())
    gains = torch.from_numpy(np.concatenate(list(chunks)))
    thresholds = [
        conservative_gain_threshold(member_gains, n_active)
        for member_gains in gains.unbind(1)
    ]
    buffer = fitted.module.network.min_gain
    buffer.copy_(torch.stack(thresholds).reshape(buffer.shape))


def measure_activity(fitted: Fitted, rows: RowDataset) -> dict[str, float]:
    """Measure how many atoms a row uses, and how many atoms no row uses."""
    indices = rows.repeated_indices()
    codes = fitted.iter_map(encode, rows.X, indices)
    n_uses = sum((code != 0).sum(axis=0) for code in codes)  # (n_atoms,)
    n_active = float(n_uses.sum() / len(indices) / fitted.module.n_members)
    return {"mean_active_": n_active, "dead_share_": float((n_uses == 0).mean())}


@dataclass(kw_only=True, eq=False, repr=False)
class SparseAutoencoder(BaseAutoencoder):
    r"""Sparse coding: each row as a combination of few atoms of a learned dictionary.

    The atoms are the unit-norm rows of a dictionary :math:`D`, which has more atoms than
    there are features. ``sparsity="pursuit"`` minimises

    .. math:: \min_{D, b} \frac1n \sum_i \ell\big(b + z_i D, x_i\big), \qquad
       z_i = \operatorname{argmin}_z \|x_i - b - z D\|^2 + \theta \|z\|_0

    with codes :math:`z_i` by orthogonal matching pursuit [1]_. The other kinds of
    `sparsity` compute codes :math:`z_i = f(x_i)` by an encoder and minimise

    .. math:: \frac1n \sum_i \ell\big(b + z_i D, x_i\big) + \lambda \, \Omega(z)

    where :math:`\ell` is the loss, summed over features, and :math:`\lambda` the
    `sparsity_penalty`. :math:`\Omega` is zero for ``"topk"``, which keeps the `n_active`
    largest positive entries of a code [2]_, and the mean over rows of :math:`\|z_i\|_1` for
    ``"l1"``. For ``"kl"`` it is the divergence
    :math:`\sum_j \mathrm{KL}(\rho \,\|\, \bar z_j)`, in nats, of the mean activation of
    each unit from the `target_activation` :math:`\rho` [3]_.

    Parameters
    ----------
    n_components : int, float in (0, 1) or None, default=None
        Number of atoms. None takes twice the number of features, at most 512 and at most
        the number of rows. A float selects it as in :class:`AutoencoderTransformer`.
    hidden_layer_sizes : int or sequence of int, default=()
        Widths of the encoder's hidden layers. The decoder is linear, and a pursuit has no
        encoder.
    activation : str or callable, default="gelu"
        Nonlinearity of the hidden layers: ``"elu"``, ``"gelu"``, ``"identity"``,
        ``"leaky_relu"``, ``"relu"``, ``"sigmoid"``, ``"silu"``, ``"tanh"``, or a callable
        without arguments that returns a torch module.
    dropout : float, default=0.0
        Probability with which a training step drops a hidden unit.
    tied_weights : bool, default=False
        Whether an encoder without hidden layers uses the normalised atoms as its weights. A
        pursuit always computes codes from the atoms.
    network : callable, pair of torch modules or None, default=None
        ``(n_features, n_components) -> sk_autoencoder.nn.Network`` or a pair (encoder,
        decoder), in place of the network of `sparsity`. Penalties of ``"l1"`` and ``"kl"``
        apply to its codes; ``"pursuit"`` and ``"topk"`` do not change them.
    init : {"rows", "random"}, default="rows"
        ``"rows"`` starts the atoms as random training rows, minus the mean and with 5 % of
        noise, and an encoder without hidden layers as the atoms. ``"random"`` samples all
        weights.
    loss : str or callable, default="squared_error"
        Error of a reconstruction: ``"squared_error"``, ``"absolute_error"``, ``"huber"``,
        ``"binary_cross_entropy"``, ``"multinomial"``, ``"cosine"`` (Notes of
        :class:`AutoencoderTransformer`) or ``(output, x) -> error of each row``, in torch.
    scaling : {"auto", "global", "standard"} or None, default="auto"
        ``"standard"`` divides each centred feature by its standard deviation, ``"global"``
        by the root of their mean variance. ``"auto"`` is ``"global"`` for features like
        pixels (Notes of :class:`AutoencoderTransformer`), else ``"standard"``. None does
        not scale.
    noise_level : float, default=0.0
        Standard deviation, in scaled units, of the Gaussian noise that training adds to
        each entry.
    linear_penalty : float, default=0.75
        Without effect here, since no `init` adds the linear path that the penalty needs.
    l1_penalty : float, default=0.0
        Weight of the sum of the absolute values of all weights in the loss.
    trim_fraction : float, default=0.0
        Fraction of the rows of a batch, those with the largest error, that the loss omits,
        so that outliers are not learned [4]_.
    optimizer : {"adam", "adamw", "sgd"} or callable, default="adamw"
        Name of an optimizer, or a class like those of ``torch.optim``.
    lr : float or "auto", default=1e-2
        Largest learning rate. ``"auto"`` is 1e-2 where ``max_epochs="auto"`` counts steps,
        and 2e-3 elsewhere.
    weight_decay : float, default=1e-4
        Decay of the weights (L2), as the optimizer defines it.
    batch_size : int or "auto", default="auto"
        Rows of a training step; ``"auto"`` takes a twentieth of the rows, within 8 (32 with
        ``max_epochs="auto"``) and 256.
    max_epochs : int or "auto", default=30
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
    sparsity : {"pursuit", "topk", "l1", "kl"}, default="pursuit"
        How codes become sparse, by the formulas above.
    n_active : int, default=5
        Number of non-zero entries of a code: the maximum for ``"topk"``, and the average
        for ``"pursuit"``, whose maximum is 4 times as large.
    sparsity_penalty : float, default=1.0
        Weight of the penalty of ``"l1"`` (in scaled units) or ``"kl"`` (in nats).
    target_activation : float, default=0.05
        Mean activation of a unit that ``"kl"`` aims at.
    sparse_output : bool, default=False
        Whether ``transform`` returns a CSR matrix.

    Attributes
    ----------
    n_components_ : int
        Number of atoms.
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
    components_ : ndarray of shape (`n_components_`, `n_features_in_`)
        The atoms, of unit norm, in scaled units.
    mean_active_ : float
        Mean number of non-zero entries in the codes of the training rows.
    dead_share_ : float
        Fraction of the atoms that no training row uses.

    See Also
    --------
    sklearn.decomposition.MiniBatchDictionaryLearning : Atoms learned with lasso codes.
    AutoencoderTransformer : Few components, all of them used.

    Notes
    -----
    Orthogonal matching pursuit is greedy. Each step adds the atom that lowers the squared
    error most and fits all coefficients anew, until the next atom would remove less than
    :math:`\theta`. One :math:`\theta` for all rows leaves `n_active` atoms a row on
    average: complex rows get more atoms than simple ones. :math:`\theta` is set on the
    validation rows, or without them on the training rows, so that the average lies one
    standard error below `n_active`, since atoms fit training rows better than new ones.
    Gradients reach :math:`D` and :math:`b`, not the codes.

    ``"topk"`` computes the code of a row with one matrix product, ``"pursuit"`` with one
    for each atom of the row. The R² of ``"topk"`` on new rows is lower.

    A pursuit minimises the squared error. With ``loss="binary_cross_entropy"`` it
    approximates ``4 * (x - 0.5)``, the tangent of the inverse of the sigmoid.

    Units that no row of a batch uses get a gradient by the auxiliary loss of [2]_
    (``"topk"``; weight 1/32). NOTE[DIFF]: the paper calls a unit dead after a long time
    without use.

    Atoms are normalised, except those of ``"kl"``, whose codes are at most 1: there
    `components_` holds the directions of the atoms.

    References
    ----------
    .. [1] L. Rebollo-Neira and D. Lowe, "Optimized orthogonal matching pursuit approach",
       IEEE Signal Processing Letters 9, 2002.
    .. [2] L. Gao et al., "Scaling and evaluating sparse autoencoders", 2024.
    .. [3] A. Ng, "Sparse autoencoder", CS294A lecture notes, 2011.
    .. [4] P. J. Rousseeuw, "Least median of squares regression", Journal of the American
       Statistical Association 79, 1984.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sk_autoencoder import SparseAutoencoder
    >>> X = load_digits().data
    >>> autoencoder = SparseAutoencoder(n_active=5, max_epochs=5, random_state=0)
    >>> codes = autoencoder.fit(X[:1000]).transform(X[1000:])
    >>> codes.shape
    (797, 128)
    >>> round((codes != 0).sum(axis=1).mean())
    5
    >>> round(autoencoder.score(X[1000:]), 1)
    0.9
    """

    n_components: int | float | None = field(default=None, kw_only=False)
    sparsity: str = "pursuit"
    n_active: int = 5
    sparsity_penalty: float = 1.0
    target_activation: float = 0.05
    sparse_output: bool = False
    hidden_layer_sizes: int | Sequence[int] = ()
    init: str = "rows"
    noise_level: float = 0.0
    lr: float = 1e-2
    max_epochs: int = 30

    _parameter_constraints: ClassVar[dict] = {
        **BaseAutoencoder._parameter_constraints,
        "init": [StrOptions({"rows", "random"})],
        "sparsity": [StrOptions({"pursuit", "topk", "l1", "kl"})],
        "n_active": [count(1)],
        "sparsity_penalty": [weight()],
        "target_activation": [Interval(Real, 0, 1, closed="neither")],
        "sparse_output": ["boolean"],
    }

    def make_recipe(self) -> Recipe:
        """Use a network of atoms, with a rule for the sparsity of its code."""
        recipe, is_given = super().make_recipe(), self.network is not None
        rate = partial(rate_divergence, self.target_activation)
        penalties = {
            "sparsity": (self.sparsity_penalty * (self.sparsity == "l1"), code_norm),
            "rate": (self.sparsity_penalty * (self.sparsity == "kl"), rate),
            "dead": (AUXK_WEIGHT * (self.sparsity == "topk" and not is_given), auxk_loss),
        }
        starts_at_rows = self.init == "rows" and not is_given

        def summarize(fitted: Fitted, train: RowDataset, valid: RowDataset | None) -> dict:
            if self.sparsity == "pursuit" and not is_given:
                fit_min_gain(fitted, self.n_active, train if valid is None else valid)
            return measure_activity(fitted, train)

        return replace(
            recipe.add_penalties(lambda start: penalties),
            default_n_components=count_atoms,
            network=recipe.network if is_given else self._make_network(recipe.loss),
            initialize=start_at_rows if starts_at_rows else keep_random_weights,
            summarize=summarize,
        )

    def _make_network(self, loss: Loss):
        dense = Dense(
            self.hidden_layer_sizes, self.activation, self.dropout, self.tied_weights
        )
        dense.widths()  # raises an error for invalid sizes, also if a pursuit ignores them
        tangent = {"slope": loss.slope, "origin": loss.origin}
        networks = {
            "pursuit": Pursuit(self.n_active, **tangent),
            "topk": Coder(dense, TopK(self.n_active), **tangent),
            "l1": Coder(dense, nn.ReLU(), **tangent),
            "kl": Coder(
                dense,
                nn.Sigmoid(),
                unit_norm=False,
                first_bias=float(logit(self.target_activation)),
                **tangent,
            ),
        }
        return networks[self.sparsity]

    @as_fitted
    def transform(self, X):
        """Encode X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        codes : {ndarray, CSR matrix} of shape (n_samples, n_components)
            In scaled units, in the precision of X. With ``sparse_output=True`` an array or
            a matrix, as scikit-learn's ``sparse_interface`` says.
        """
        check_is_fitted(self)
        if not self.sparse_output:
            return super().transform(X)
        X = self.check_rows(X, reset=False)
        csr = csr_container()
        with busy_threads(self._fitted.module, X.shape[0]):
            codes = self._fitted.iter_map(encode, X, np.arange(X.shape[0]))
            return vstack([csr(code) for code in codes], format="csr")

    @property
    def components_(self) -> np.ndarray:
        """The atoms, of unit norm."""
        atoms = nn.functional.normalize(self.network_.decode.atoms.detach(), dim=-1)
        return atoms.flatten(0, -2).cpu().numpy()
