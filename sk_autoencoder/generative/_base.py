"""Base class of generative autoencoders: densities of codes and of rows, sampling."""

import copy
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from sklearn.mixture import GaussianMixture
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted, check_scalar

from sk_autoencoder.core._base import BaseAutoencoder
from sk_autoencoder.core._data import RowDataset, as_tensor, repeat_by_weight
from sk_autoencoder.core._fitted import Fitted
from sk_autoencoder.core._inference import encode, map_array
from sk_autoencoder.core._memory import SAMPLE_BYTES, rows_within
from sk_autoencoder.core._missing import ImputedRows
from sk_autoencoder.core._recipe import Recipe, learn_nothing
from sk_autoencoder.core._scaling import are_like_pixels, scaled_moments
from sk_autoencoder.core._tables import table_layout
from sk_autoencoder.generative._density import MixtureSize, fit_mixture
from sk_autoencoder.generative._given import (
    GivenCells,
    as_interval,
    check_within,
    find_columns,
)
from sk_autoencoder.generative._marginals import (
    MIN_LEVELS,
    count_levels,
    find_quantiles,
    match_quantiles,
)
from sk_autoencoder.generative._product_mixture import (
    Cells,
    ProductMixture,
    adapt,
    fit_parts,
    make_cells,
    restrict,
    sample_cells,
    select_n_parts,
)
from sk_autoencoder.generative._row_mixture import (
    RowMixture,
    fit_row_mixture,
    interval_scores,
    normal_scores,
    sample_within,
)
from sk_autoencoder.metrics._samples import nn_two_sample_accuracy
from sk_autoencoder.nn._autoencoder import Autoencoder
from sk_autoencoder.nn._tables import LevelProbabilities
from sk_autoencoder.preprocessing import TableEncoder
from sk_autoencoder.utils._constraints import count
from sk_autoencoder.utils._random import draw_torch_seed, seeded_fit
from sk_autoencoder.utils._sklearn_compat import StrOptions
from sk_autoencoder.utils._transactions import as_fitted

MAX_DENSITY_ROWS = 20_000  # that the mixture is fitted to
MIN_SAMPLED_ROWS, MAX_SAMPLED_ROWS = 1_000, 10_000  # whose quantiles are measured
MIN_NOISE_GAIN = 0.03  # decrease of the two-sample accuracy that outweighs blurred rows
MAX_NOISE_ROWS = 1_000  # for the selection of output noise
MAX_ROW_FEATURES = 100  # of rows with a density of their own, beside that of codes
MIN_PROPOSALS, MAX_PROPOSALS = 5_000, 200_000  # for rows with given cells
PROPOSALS_PER_ROW = 50
ROW_MIXTURE = ("weights", "means", "covariances")  # of `row_density_`
PRODUCT_MIXTURE = ("weights", "levels", "missing")


@dataclass(frozen=True, kw_only=True)
class Sampler:
    """How a variant draws codes and rows.

    Parameters
    ----------
    sample_prior : callable
        ``(n_codes, n_components) -> Tensor`` of codes from the prior.
    add_noise : callable
        ``(fitted, module, rows) -> Tensor``: decoded rows with output noise, in the units
        of X.
    encode : callable
        ``(module, rows) -> Tensor`` of codes, to which the density of codes is fitted.
    fit_noise : callable
        ``(fitted, train, valid) -> dict`` of attributes that `add_noise` needs.
    levels : LevelProbabilities or None
        Draws the levels of categories from their probabilities, in encoded tables.
    has_row_density : bool
        Whether rows may be sampled from a density of their own, without codes.
    """

    sample_prior: Callable[[int, int], torch.Tensor]
    add_noise: Callable[[Fitted, Autoencoder, torch.Tensor], torch.Tensor]
    encode: Callable[[Autoencoder, torch.Tensor], torch.Tensor] = encode
    fit_noise: Callable[..., dict[str, Any]] = learn_nothing
    levels: LevelProbabilities | None = None
    has_row_density: bool = True


class DensitySizes(NamedTuple):
    """Sizes of densities, as far as they are selected."""

    codes: MixtureSize | None = None
    table: int | None = None  # number of parts


def draw_codes(fitted: Fitted, sampler: Sampler, X, indices: np.ndarray) -> np.ndarray:
    """Draw codes of the rows `indices` of X, in float64."""
    codes = np.concatenate(list(fitted.iter_map(sampler.encode, X, indices)))
    return codes.astype(np.float64)


def fit_density(
    fitted: Fitted,
    sampler: Sampler,
    X,
    indices: np.ndarray,
    size: MixtureSize | None = None,
) -> GaussianMixture:
    """Fit a mixture to the codes of the rows `indices` of X."""
    codes = draw_codes(fitted, sampler, X, indices)
    return fit_mixture(codes, draw_torch_seed(), size)


def sample_codes(
    sampler: Sampler, density: GaussianMixture | None, n_codes: int, n_components: int
) -> np.ndarray:
    """Sample codes of shape (n_codes, n_components) from a density, or from the prior."""
    if density is None:
        return sampler.sample_prior(n_codes, n_components).double().numpy()
    return sample_mixture(density, n_codes)


def sample_mixture(mixture: GaussianMixture, n_samples: int) -> np.ndarray:
    """Sample a mixture by torch's generator, in random order."""
    mixture = copy.copy(mixture).set_params(random_state=draw_torch_seed())
    # The mixture sorts samples by component.
    return mixture.sample(n_samples)[0][torch.randperm(n_samples).numpy()]


def read_cells(table: TableEncoder, encoded: np.ndarray) -> Cells:
    """Read the cells of encoded rows."""
    column = torch.from_numpy(table_layout(table).column)
    return make_cells(torch.from_numpy(encoded).float(), column, len(table.blocks_))


def has_bins(table: TableEncoder) -> bool:
    """Tell whether all entries of an encoded table are bins or single levels."""
    columns = zip(table.holds_probabilities_, table.is_ordinal_, table.blocks_, strict=True)
    return all(
        (is_held and not is_ordinal) or block.start == block.stop
        for is_held, is_ordinal, block in columns
    )


def holds_pixels(rows: RowDataset) -> bool:
    """Judge by their variances whether the columns of rows are pixels."""
    variance = scaled_moments(rows)[1] * rows.scaler.scale.cpu().numpy() ** 2
    return are_like_pixels(variance)


def fit_table_density(
    table: TableEncoder, encoded: np.ndarray, n_parts: int | None = None
) -> ProductMixture:
    """Fit a mixture of products to encoded rows, which select how many if it is None."""
    layout = table_layout(table)
    cells, column = read_cells(table, encoded), torch.from_numpy(layout.column)
    if n_parts is None:
        is_ordered = np.array([kind != "category" for kind in table.kinds_])[layout.column]
        n_parts = select_n_parts(cells, column, torch.from_numpy(is_ordered))
    return fit_parts(cells, column, n_parts)


def check_range_of_column(
    interval: tuple[float, float], real: np.ndarray, j: int
) -> tuple[float, float]:
    """Check a given interval of a column; of whole numbers its ends are whole."""
    if interval[0] < interval[1] and (real == np.rint(real)).all():
        whole = float(np.ceil(interval[0])), float(np.floor(interval[1]))
        if whole[0] > whole[1]:
            raise ValueError(f"given[{j}]={interval!r} holds no whole number.")
        interval = whole
    check_within(interval, real[0], real[-1], str(j))
    return max(interval[0], real[0]), min(interval[1], real[-1])


def decode_samples(
    fitted: Fitted, sampler: Sampler, codes: np.ndarray, noise: bool
) -> np.ndarray:
    """Decode codes to rows in the units of X, with output noise or without."""

    def decode(module: Autoencoder, codes: torch.Tensor) -> torch.Tensor:
        rows = module.decode(codes)
        levels = None if sampler.levels is None else sampler.levels.draw(rows)
        if noise:
            rows = sampler.add_noise(fitted, module, rows)
        if levels is not None:
            rows = torch.where(sampler.levels.is_level, levels, rows)
        return module.scaler.restore_constants(rows)

    return map_array(fitted.module, decode, codes)


def draw_uniform(n_numbers: int) -> np.ndarray:
    """Draw float64 numbers in [0, 1) from torch's generator."""
    return torch.rand(n_numbers, dtype=torch.float64).numpy()


def match_rows(rows: np.ndarray, marginals: np.ndarray | None) -> np.ndarray:
    """Map sampled rows to the marginals of training rows, if there are marginals."""
    if marginals is None:
        return rows
    return match_quantiles(rows, marginals, draw_uniform)


def fit_marginals(
    fitted: Fitted,
    sampler: Sampler,
    density: GaussianMixture | None,
    real: np.ndarray,
    noise: bool,
) -> np.ndarray:
    """Find quantiles of sampled and of real rows, (2, n_levels, n_features)."""
    n_features = real.shape[1]
    n_rows = np.clip(10 * len(real), MIN_SAMPLED_ROWS, MAX_SAMPLED_ROWS)
    n_rows = min(int(n_rows), rows_within(SAMPLE_BYTES, 8 * n_features, MIN_LEVELS))
    codes = sample_codes(sampler, density, n_rows, fitted.n_components)
    sampled = np.nan_to_num(decode_samples(fitted, sampler, codes, noise))
    n_levels = count_levels(min(len(real), n_rows), n_features)
    return np.stack([find_quantiles(rows, n_levels) for rows in (sampled, real)])


def take_rows(fitted: Fitted, X, indices: np.ndarray) -> np.ndarray:
    """Take rows of X as a dense array; missing entries are imputed."""
    if fitted.is_incomplete:
        X = ImputedRows(X, fitted.module.scaler, fitted.imputer)
    return as_tensor(X[indices], "cpu").numpy()


class TwoSampleTest:
    """Accuracy by which a nearest-neighbour classifier tells sampled from real rows.

    Parameters
    ----------
    real : ndarray of shape (n_rows, n_features)
    knots : ndarray of shape (n_levels, n_features) or None
        Quantiles of training rows. Rows are compared by their normal scores then: columns
        of any shape have equal weights, and wild entries have none.
    """

    def __init__(self, real: np.ndarray, knots: np.ndarray | None) -> None:
        self.knots = knots
        # Columns get equal weight: noise may fit most of them and hide a quiet one.
        with np.errstate(over="ignore", invalid="ignore"):
            self.scaler = StandardScaler().fit(real)
        self.real = self._scale(real)

    def _scale(self, rows: np.ndarray) -> np.ndarray:
        if self.knots is not None:
            return normal_scores(rows, self.knots)
        with np.errstate(over="ignore", invalid="ignore"):  # wild samples
            return np.nan_to_num(self.scaler.transform(rows))

    def __call__(self, sampled: np.ndarray) -> float:
        """Compute the accuracy for as many sampled rows as there are real ones."""
        return nn_two_sample_accuracy(self.real, self._scale(sampled))


def select_row_density(
    real: np.ndarray, knots: np.ndarray, test: TwoSampleTest, best: float
) -> dict[str, Any]:
    """Fit a density of rows, and take it if a test finds its rows harder to tell.

    Parameters
    ----------
    real : ndarray of shape (n_rows, n_features)
        Training rows.
    knots : ndarray of shape (n_levels, n_features)
        Their quantiles.
    test : TwoSampleTest
        Computes the accuracy at which drawn rows are told from training rows.
    best : float
        The accuracy for decoded rows, which that for rows of the density has to undercut.

    Returns
    -------
    learned : dict
        The density and the quantiles that match its rows to training rows, or nothing.
    """
    density = fit_row_mixture(real, knots, draw_torch_seed())
    scores = sample_within(density, {}, MAX_SAMPLED_ROWS, draw_uniform)
    pair = np.stack([find_quantiles(scores, len(knots)), knots])
    rows = sample_within(density, {}, len(test.real), draw_uniform)
    if test(match_rows(rows, pair)) >= best:
        return {}
    arrays = dict(zip(ROW_MIXTURE, density, strict=True))
    return {"row_density_": arrays, "marginals_": pair}


@dataclass(kw_only=True, eq=False, repr=False)
class GenerativeAutoencoder(BaseAutoencoder):
    """Base class of autoencoders that sample new rows.

    A variant defines its recipe and its sampler.
    """

    max_epochs: int = 100
    code_density: str = "gaussian_mixture"
    output_noise: str | bool = "auto"
    match_marginals: bool = True
    row_density: str | bool = "auto"

    _parameter_constraints: ClassVar[dict] = {
        **BaseAutoencoder._parameter_constraints,
        "max_epochs": [count(0)],
        "code_density": [StrOptions({"gaussian_mixture", "prior"})],
        "output_noise": [StrOptions({"auto"}), "boolean"],
        "match_marginals": ["boolean"],
        "row_density": [StrOptions({"auto"}), "boolean"],
    }

    @as_fitted
    def sample(self, n_samples: int = 1, random_state=None, *, like=None, given=None):
        """Sample new rows.

        Parameters
        ----------
        n_samples : int, default=1
            Number of new rows.
        random_state : int, RandomState instance or None, default=None
            Seeds the samples. None takes the seed from numpy's global generator.
        like : {array-like, sparse matrix} of shape (n_rows, n_features), default=None
            Rows, for example of one class, that the new rows should resemble: the density
            of codes or of rows is fitted to them.
        given : dict or None, default=None
            Cells of the new rows: a value, or a range ``(low, high)`` of a number or a
            time, by the name or the index of a column. Needs `row_density_`.

        Returns
        -------
        rows : ndarray of shape (n_samples, n_features), or a frame
            In the units of X, float64; a frame after a fit to a table of mixed columns,
            with missing cells where training rows have some.

        Raises
        ------
        ValueError
            If `n_samples` is not positive, `like` has fewer than two rows, or no row can
            have the cells that are given.
        """
        check_is_fitted(self)
        check_scalar(n_samples, "n_samples", Integral, min_val=1)
        X = given_cells = None
        if like is not None:
            X = self.check_rows(like, reset=False, ensure_min_samples=2)
        if given is not None:
            names = list(getattr(self, "feature_names_in_", []))
            given_cells = find_columns(given, names, self.n_features_in_)
            if self.row_density_ is None:
                raise ValueError(
                    "given needs a density of rows, and these rows have none: fit with "
                    f"row_density=True, to at most {MAX_ROW_FEATURES} columns of numbers "
                    "or to a table."
                )
        with seeded_fit(random_state, torch.device(self._fitted.net.device)):
            if self.row_density_ is None:
                return self._sample_decoded(n_samples, X)
            if self._table is None:
                return self._sample_numbers(n_samples, X, given_cells or {})
            return self._sample_table(n_samples, X, given_cells or {})

    def _sample_decoded(self, n_samples: int, like):
        """Sample codes, and decode them."""
        fitted, sampler, density = self._fitted, self._make_sampler(), self.code_density_
        if like is not None:
            density = fit_density(fitted, sampler, like, np.arange(like.shape[0]))
        codes = sample_codes(sampler, density, n_samples, fitted.n_components)
        rows = decode_samples(fitted, sampler, codes, self.output_noise_)
        rows = match_rows(rows, self.marginals_)
        seed = draw_torch_seed()
        return rows if self._table is None else self._draw_table(rows, seed)

    def _sample_numbers(self, n_samples: int, like, given: dict[int, Any]) -> np.ndarray:
        """Sample normal scores from a mixture, and map them to rows."""
        density, (sampled, real) = RowMixture(**self.row_density_), self.marginals_
        if like is not None:
            rows = take_rows(self._fitted, like, np.arange(like.shape[0]))
            density = fit_row_mixture(rows, real, draw_torch_seed())
        scores, ranges, n_proposals = {}, {}, n_samples
        for j, value in given.items():
            ranges[j] = check_range_of_column(as_interval(value, str(j)), real[:, j], j)
            scores[j] = interval_scores(ranges[j], sampled[:, j], real[:, j])
            n_most = np.clip(PROPOSALS_PER_ROW * n_samples, MIN_PROPOSALS, MAX_PROPOSALS)
            n_proposals = max(int(n_most), n_samples)
        rows = sample_within(density, scores, n_samples, draw_uniform, n_proposals)
        rows = match_quantiles(rows, self.marginals_, draw_uniform)
        for j, ends in ranges.items():
            rows[:, j] = rows[:, j].clip(*ends)
        return rows

    def _sample_table(self, n_samples: int, like, given: dict[int, Any]):
        """Sample the levels and bins of columns from a mixture of products."""
        table = self._table
        column = torch.from_numpy(table_layout(table).column)
        mixture = ProductMixture(*map(torch.tensor, self.row_density_.values()))
        if like is not None:
            mixture = adapt(mixture, read_cells(table, like), column)
        cells = GivenCells(table, given)
        if given:
            allowed = torch.from_numpy(cells.allowed()).float()
            mixture = restrict(mixture, allowed, column)
            if not mixture.weights.sum() > 0:
                raise ValueError(
                    f"given={given!r} names cells that no row can have together: the "
                    "density of rows gives them a probability of zero."
                )
        sampled = sample_cells(mixture, column, n_samples).double().numpy()
        rows = table.spread(np.nan_to_num(sampled), draw_torch_seed())
        rows = cells.put(np.nan_to_num(sampled), rows, draw_torch_seed())
        return table.inverse_transform(np.where(np.isnan(sampled), np.nan, rows))

    def _draw_table(self, rows: np.ndarray, seed: int):
        """Decode drawn rows to a frame, with values that were seen in fit."""
        return self._table.inverse_transform(self._table.spread(rows, seed))

    def _levels(self) -> LevelProbabilities | None:
        if self._table is None:
            return None
        return LevelProbabilities(table_layout(self._table))

    @abstractmethod
    def _make_sampler(self) -> Sampler:
        """Make the sampler of codes and rows from the parameters."""

    def make_recipe(self) -> Recipe:
        """Fit a density of codes, and select output noise, after training."""
        sampler = self._make_sampler()

        def fit_noise_and_density(
            fitted: Fitted, train: RowDataset, valid: RowDataset | None
        ) -> dict[str, Any]:
            learned = sampler.fit_noise(fitted, train, valid)
            fitted = replace(fitted, learned=fitted.learned | learned)
            indices = train.indices
            if valid is not None:
                indices = np.union1d(indices, valid.indices)
            indices = repeat_by_weight(indices, train.source.weight)
            # An ensemble concatenates codes, and is used for scores only.
            if fitted.module.n_members == 1 and len(indices) > 1:
                learned |= self._fit_density(fitted, sampler, train, indices)
            return learned

        return super().make_recipe().add_summary(fit_noise_and_density)

    def _fit_density(
        self, fitted: Fitted, sampler: Sampler, train: RowDataset, indices: np.ndarray
    ) -> dict[str, Any]:
        """Fit densities of codes and of rows, and select what rows are sampled from."""
        X, sizes = train.X, fitted.learned.get("density_sizes", DensitySizes())
        subset = np.sort(indices[torch.randperm(len(indices))[:MAX_DENSITY_ROWS].numpy()])
        density = None
        if self.code_density == "gaussian_mixture":
            density = fit_density(fitted, sampler, X, subset, sizes.codes)
        learned = {"code_density_": density, "marginals_": None, "row_density_": None}
        if self._table is not None and self._may_have_row_density(sampler, train):
            mixture = fit_table_density(self._table, X[subset], sizes.table)
            arrays = [tensor.numpy() for tensor in mixture]
            learned["row_density_"] = dict(zip(PRODUCT_MIXTURE, arrays, strict=True))
            return learned | {"output_noise_": self.output_noise is True}
        return learned | self._select_source(fitted, sampler, density, train, subset)

    def _may_have_row_density(self, sampler: Sampler, train: RowDataset) -> bool:
        """Judge whether rows may have a density of their own."""
        if self._table is not None and not has_bins(self._table):
            return False
        if self.row_density != "auto":
            return bool(self.row_density)
        if self.code_density == "prior" or not sampler.has_row_density:
            return False
        return self._table is not None or train.X.shape[1] <= MAX_ROW_FEATURES

    def _select_source(
        self,
        fitted: Fitted,
        sampler: Sampler,
        density: GaussianMixture | None,
        train: RowDataset,
        subset: np.ndarray,
    ) -> dict[str, Any]:
        """Select output noise, and whether rows come from codes or from their own density.

        A nearest-neighbour classifier has to find rows harder to tell from training rows by
        `MIN_NOISE_GAIN`: noise is left out otherwise, and rows come from their own density.
        Pixels come from codes otherwise: the network describes their dependence best.
        """
        n_features = train.X.shape[1]
        n_rows = rows_within(SAMPLE_BYTES, 8 * n_features, MIN_LEVELS)
        real = take_rows(fitted, train.X, subset[:: max(len(subset) // n_rows, 1)])
        choices = (False, True) if self.output_noise == "auto" else (self.output_noise,)
        marginals: dict[bool, np.ndarray | None] = dict.fromkeys(choices)
        is_matched = self.match_marginals and self._table is None
        if is_matched:
            for noise in choices:
                marginals[noise] = fit_marginals(fitted, sampler, density, real, noise)
        has_rows = self._table is None and self._may_have_row_density(sampler, train)
        if len(choices) == 1 and not has_rows:
            return {"output_noise_": choices[0], "marginals_": marginals[choices[0]]}
        are_pixels = holds_pixels(train)
        chosen = torch.randperm(len(real))[:MAX_NOISE_ROWS].numpy()
        knots = find_quantiles(real, count_levels(*real.shape))
        is_ranked = is_matched and not are_pixels
        test = TwoSampleTest(real[chosen], knots if is_ranked else None)
        codes = sample_codes(sampler, density, len(chosen), fitted.n_components)
        accuracies = {}
        for noise in choices:
            rows = np.nan_to_num(decode_samples(fitted, sampler, codes, noise))
            accuracies[noise] = test(match_rows(rows, marginals[noise]))
        has_noise = accuracies[choices[-1]] < accuracies[choices[0]] - MIN_NOISE_GAIN
        noise = choices[-1] if has_noise else choices[0]
        learned = {"output_noise_": noise, "marginals_": marginals[noise]}
        if has_rows:
            least_gain = MIN_NOISE_GAIN if are_pixels else -MIN_NOISE_GAIN
            best = np.inf if self.row_density is True else accuracies[noise] - least_gain
            learned |= select_row_density(real, knots, test, best)
        return learned
