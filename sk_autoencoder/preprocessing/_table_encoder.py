"""Tables of numbers, categories and dates as matrices of numbers, and back."""

from collections.abc import Iterator
from numbers import Integral

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from sk_autoencoder.preprocessing._columns import make_column
from sk_autoencoder.preprocessing._frames import (
    Column,
    as_frame,
    describe_frame,
    holds_integers,
    is_table,
    make_array,
    make_frame,
    read_columns,
)
from sk_autoencoder.utils._checks import check_variance, check_weights
from sk_autoencoder.utils._sklearn_compat import (
    Interval,
    RealNotInt,
    StrOptions,
    feature_names,
    fit_context,
)
from sk_autoencoder.utils._transactions import as_fitted, atomic

ROUNDING = 10 * np.finfo(np.float64).eps  # of the standard deviation of a constant column


class TableEncoder(TransformerMixin, BaseEstimator):
    r"""Encode a table of numbers, categories and dates as numbers, and decode it.

    Each column becomes a block of columns by its kind:

    * a number stays one, and so does a boolean, as 0 and 1;
    * a category of k levels becomes k zeros and ones: with an order (pandas' ordered
      ``Categorical``, polars' ``Enum``) one for each level that is reached, else one for
      the level itself;
    * a date or datetime becomes days since 1970, with the sine and cosine of its place in
      the week, the year and the day, where they vary; a duration becomes days.

    With ``scale=True`` each block has a mean of zero and a total variance of one, as in
    factor analysis of mixed data [1]_: a category of many levels weighs no more than a
    number.

    Parameters
    ----------
    categorical_features : "from_dtype", array-like or None, default="from_dtype"
        Columns to take for categories beside those of text and of categorical dtypes: a
        mask, indices or names, as in
        :class:`~sklearn.ensemble.HistGradientBoostingClassifier`. ``"from_dtype"`` and None
        name no others.
    min_frequency : int, float or None, default=None
        Levels that are rarer share a column: a number of rows, or a fraction of them.
    max_categories : int or None, default=100
        Largest number of columns of a category; the rarest levels share one.
    scale : bool, default=True
        Whether to centre and scale each block.
    fill_missing : bool, default=False
        Whether missing cells become the mean of the column, for methods that take none.
        Otherwise all columns of their block are NaN.
    clip : bool, default=True
        Whether ``inverse_transform`` keeps numbers and times within the range seen in fit.
    numbers : {"value", "bins"}, default="value"
        ``"bins"`` encodes a number or a time by weights of the two nearest of up to 64
        quantiles, which add up to one, as the levels of a category do [2]_. Shapes of any
        kind are distributions over these bins.

    Attributes
    ----------
    n_features_in_ : int
        Number of columns seen in fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, where X has string names.
    kinds_ : list of str
        Kind of each column: ``"number"``, ``"boolean"``, ``"category"``, ``"date"``,
        ``"datetime"`` or ``"duration"``.
    blocks_ : list of slice
        Columns of the encoded table that belong to each column.
    center_, scale_ : ndarray of shape (n_features_out,)
        Mean of each encoded column, and the divisor that gives each block a total variance
        of one.
    holds_probabilities_ : list of bool
        Whether the block of a column holds weights that add up to one.
    is_ordinal_ : list of bool
        Whether the entries of a column stand for levels with an order.
    encoders_ : list
        Encoder of each column.
    categories_ : list of ndarray or None
        Levels of each category in the order of its block; None for other columns.

    See Also
    --------
    sklearn.compose.ColumnTransformer : Other encodings by column, without an inverse.

    Notes
    -----
    A cell of a category that fit has not seen is encoded as the infrequent ones are; where
    there are none, by the frequencies of the levels, the mean of its block. A warning names
    it. Infrequent levels are decoded as the most frequent of them. Levels with an order are
    never infrequent. With ``numbers="bins"`` the order of levels is not used.

    ``inverse_transform`` returns whole numbers where all were whole, and the most likely
    level of a category.

    References
    ----------
    .. [1] J. Pagès, "Analyse factorielle de données mixtes", Revue de statistique appliquée
       52, 2004.
    .. [2] Y. Gorishniy, I. Rubachev and A. Babenko, "On embeddings for numerical features
       in tabular deep learning", NeurIPS 2022.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.pipeline import make_pipeline
    >>> from sk_autoencoder.preprocessing import TableEncoder
    >>> people = pd.DataFrame(
    ...     {
    ...         "age": [39, 50, 38, 53],
    ...         "work": ["office", "farm", "office", "farm"],
    ...         "since": pd.to_datetime(["2001-03-05", "2011-07-01", "2004-01-31", None]),
    ...     }
    ... )
    >>> encoder = TableEncoder().fit(people)
    >>> encoder.kinds_
    ['number', 'category', 'datetime']
    >>> print(*encoder.get_feature_names_out()[:4])
    age work_farm work_office since
    >>> encoder.inverse_transform(encoder.transform(people)).equals(people)
    True
    >>> pca = make_pipeline(TableEncoder(fill_missing=True), PCA(2)).fit(people)
    >>> pca.inverse_transform(pca.transform(people))["work"].tolist()
    ['office', 'farm', 'office', 'farm']
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        "categorical_features": [StrOptions({"from_dtype"}), "array-like", None],
        "min_frequency": [
            Interval(Integral, 1, None, closed="left"),
            Interval(RealNotInt, 0, 1, closed="neither"),
            None,
        ],
        "max_categories": [Interval(Integral, 2, None, closed="left"), None],
        "scale": ["boolean"],
        "fill_missing": ["boolean"],
        "clip": ["boolean"],
        "numbers": [StrOptions({"value", "bins"})],
    }

    def __init__(
        self,
        categorical_features="from_dtype",
        *,
        min_frequency=None,
        max_categories=100,
        scale=True,
        fill_missing=False,
        clip=True,
        numbers="value",
    ):
        self.categorical_features = categorical_features
        self.min_frequency = min_frequency
        self.max_categories = max_categories
        self.scale = scale
        self.fill_missing = fill_missing
        self.clip = clip
        self.numbers = numbers

    @fit_context
    @atomic
    def fit(self, X, y=None, sample_weight=None):
        """Learn the kinds, levels and ranges of the columns of X.

        Parameters
        ----------
        X : frame or array-like of shape (n_samples, n_features)
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the rows in the mean and the scale of columns: a row of weight 2 is a
            row given twice. Levels are counted without weights.

        Returns
        -------
        self : object

        Raises
        ------
        TypeError, ValueError
            If a column is of no kind, or holds free text or ids; the error names it.
        """
        columns, chosen = self._read(X, reset=True)
        options = (self.min_frequency, self.max_categories, self.clip, self.numbers)
        self.encoders_ = [make_column(column, *options) for column in columns]
        self.kinds_ = [column.kind for column in columns]
        self._names = [column.name for column in columns]
        self._categorical = chosen
        self._schema = describe_frame(X)
        widths = [len(column.suffixes()) for column in self.encoders_]
        ends = np.cumsum(widths).tolist()
        self.blocks_ = [slice(e - w, e) for e, w in zip(ends, widths, strict=True)]
        weight = check_weights(sample_weight, X)
        self.center_, self.scale_ = self._measure(columns, weight)
        self.holds_probabilities_ = [c.holds_probabilities for c in self.encoders_]
        self.is_ordinal_ = [getattr(c, "is_ordinal", False) for c in self.encoders_]
        self.categories_ = [getattr(column, "levels", None) for column in self.encoders_]
        return self

    def _measure(
        self, columns: list[Column], weight: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Compute the mean of each encoded column, and its divisor."""
        blocks = self._encode_blocks(columns)
        with np.errstate(over="ignore", invalid="ignore"):  # refused below
            moments = [weighted_moments(block, weight) for block in blocks]
        for name, (_, variance) in zip(self._names, moments, strict=True):
            check_variance(variance, [name] * len(variance))
        center, variance = map(np.concatenate, zip(*moments, strict=True))
        std = np.sqrt(variance)
        scale = np.where(std > ROUNDING * np.abs(center), std, 1.0)
        for column, block in zip(self.encoders_, self.blocks_, strict=True):
            if column.holds_probabilities:
                scale[block] = np.sqrt(variance[block].sum()) or 1.0
            else:
                scale[block] *= (block.stop - block.start) ** 0.5
        return center, scale

    def _read(self, X, reset: bool) -> tuple[list[Column], np.ndarray]:
        X = check_table(X, type(self).__name__)
        validate_data(self, X, reset=reset, skip_check_array=True)
        chosen = self._find_categories(X.shape[1]) if reset else self._categorical
        return read_columns(X, chosen), chosen

    def _read_kinds(self, X) -> list[Column]:
        """Read the columns of X, each of the kind that it had in fit."""
        columns, _ = self._read(X, reset=False)
        pairs = zip(columns, self.kinds_, strict=True)
        return [as_kind(column, kind) for column, kind in pairs]

    def _find_categories(self, n_features: int) -> np.ndarray:
        """Find the columns that `categorical_features` names, as a mask."""
        asked, mask = self.categorical_features, np.zeros(n_features, dtype=bool)
        if asked is None or isinstance(asked, str):
            return mask
        asked = np.asarray(asked)
        if asked.dtype.kind == "b" and asked.shape == (n_features,):
            return asked
        names = list(getattr(self, "feature_names_in_", []))
        for which in asked.tolist():
            is_index = isinstance(which, int) and not isinstance(which, bool)
            if which in names:
                mask[names.index(which)] = True
            elif is_index and -n_features <= which < n_features:
                mask[which] = True
            else:
                raise ValueError(
                    f"categorical_features={self.categorical_features!r} names {which!r}, "
                    f"which is no column of X. Give names, indices below {n_features}, or "
                    "a mask with one boolean for each column."
                )
        return mask

    def _encode_blocks(self, columns: list[Column]) -> Iterator[np.ndarray]:
        pairs = zip(self.encoders_, columns, strict=True)
        return (known.encode(column) for known, column in pairs)

    def _encode(self, columns: list[Column]) -> np.ndarray:
        n_rows, n_entries = len(columns[0].values), self.blocks_[-1].stop
        encoded = np.empty((n_rows, n_entries))
        for block, entries in zip(self.blocks_, self._encode_blocks(columns), strict=True):
            encoded[:, block] = entries
        return encoded

    @as_fitted
    def transform(self, X):
        """Encode X as numbers.

        Parameters
        ----------
        X : frame or array-like of shape (n_samples, n_features)

        Returns
        -------
        encoded : ndarray of shape (n_samples, n_features_out)

        Raises
        ------
        ValueError
            If the columns are not those of fit, or one is of another kind.
        """
        check_is_fitted(self)
        encoded = self._encode(self._read_kinds(X))
        if self.scale:
            encoded -= self.center_
            encoded /= self.scale_
        if self.fill_missing:
            mean = 0.0 if self.scale else self.center_
            np.copyto(encoded, mean, where=np.isnan(encoded))
        return encoded

    @as_fitted
    def inverse_transform(self, X, *, like=None):
        """Decode rows that are encoded.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features_out)
            NaN stands for missing cells.
        like : frame of n_samples rows or None, default=None
            A pandas frame gives the result its index.

        Returns
        -------
        table : frame or ndarray of shape (n_samples, n_features)
            A frame like that of fit, with its columns and dtypes; an array if fit had one.
        """
        check_is_fitted(self)
        encoded = self._check_encoded(X)
        columns = [
            self._decode(i, encoded[:, block]) for i, block in enumerate(self.blocks_)
        ]
        return self._make_table(columns, like)

    @as_fitted
    def complete(self, X, encoded, *, is_rounded=None):
        """Fill the missing cells of a table by those of encoded rows.

        Parameters
        ----------
        X : frame or array-like of shape (n_samples, n_features)
        encoded : array-like of shape (n_samples, n_features_out)
        is_rounded : array-like of bool of shape (n_features,) or None, default=None
            Columns of whole numbers to round. None rounds all of them. Columns with a dtype
            of integers are always rounded.

        Returns
        -------
        table : frame or ndarray of shape (n_samples, n_features)
            As :meth:`inverse_transform` returns it. Other cells of X do not change.
        """
        check_is_fitted(self)
        encoded = self._check_encoded(encoded)
        columns = []
        for i, known in enumerate(self._read_kinds(X)):
            rounds = is_rounded is None or is_rounded[i]
            guess = self._decode(i, encoded[:, self.blocks_[i]], rounds)
            values = np.where(known.is_missing, guess.values, known.values)
            still_missing = known.is_missing & guess.is_missing
            columns.append(guess._replace(values=values, is_missing=still_missing))
        return self._make_table(columns, X)

    @as_fitted
    def probabilities(self, X):
        """Read the probabilities of the levels of each category from encoded rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features_out)

        Returns
        -------
        probabilities : dict of ndarray of shape (n_samples, n_levels)
            By the name of the column; in the order of ``categories_``.
        """
        check_is_fitted(self)
        encoded = self._check_encoded(X)
        return {
            name: encoder.probabilities(encoded[:, block])
            for name, kind, encoder, block in zip(
                self._names, self.kinds_, self.encoders_, self.blocks_, strict=True
            )
            if kind == "category"
        }

    @as_fitted
    def spread(self, X, random_state=None) -> np.ndarray:
        """Replace bins of numbers that were drawn by values of fit within them.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features_out)
            Encoded rows, with one bin for each number.
        random_state : int, RandomState instance or None, default=None

        Returns
        -------
        X : ndarray of shape (n_samples, n_features_out)
            Not scaled, as ``scale=False`` encodes rows.
        """
        check_is_fitted(self)
        encoded, rng = self._check_encoded(X), check_random_state(random_state)
        for column, block in zip(self.encoders_, self.blocks_, strict=True):
            encoded[:, block] = column.spread(encoded[:, block], rng)
        return encoded

    def _check_encoded(self, X) -> np.ndarray:
        """Check encoded rows, and take them out of their scale."""
        encoded = np.array(X, dtype=np.float64)
        if encoded.ndim != 2 or encoded.shape[1] != len(self.center_):
            raise ValueError(
                f"X has shape {encoded.shape}, and encoded rows have {len(self.center_)} "
                "columns. Give what transform returns."
            )
        return encoded * self.scale_ + self.center_ if self.scale else encoded

    def _make_table(self, columns: list[Column], like):
        if self._schema is None:
            return make_array(columns)
        return make_frame(columns, self._schema, getattr(like, "index", None))

    def _decode(self, i: int, block: np.ndarray, rounds: bool = True) -> Column:
        """Decode a column, and round it if all its numbers were whole."""
        encoder = self.encoders_[i]
        values = encoder.decode(block)
        if encoder.is_whole and (rounds or holds_integers(self._schema, i)):
            values = np.round(values)
        missing = np.array(
            [value is None or value != value for value in values], dtype=bool
        )
        return Column(self._names[i], self.kinds_[i], values, missing)

    def get_feature_names_out(self, input_features=None):
        """List the names of encoded columns.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the columns, if fit saw none; ``x0``, ``x1`` and so on otherwise.

        Returns
        -------
        names : ndarray of str
        """
        check_is_fitted(self)
        names = feature_names(self, input_features)
        pairs = zip(names, self.encoders_, strict=True)
        encoded = [f"{name}{end}" for name, column in pairs for end in column.suffixes()]
        return np.array(encoded, dtype=object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags


def fit_if_table(X) -> TableEncoder | None:
    """Fit an encoder to X for measures and pictures; None if X holds numbers.

    Each column has a total variance of one, and missing cells have the mean.
    """
    if X is None or issparse(X) or not is_table(X):
        return None
    return TableEncoder(fill_missing=True).fit(X)


def as_kind(column: Column, kind: str) -> Column:
    """Check that a column is of a kind; one without a cell is of any kind."""
    if column.kind == kind:
        return column
    if column.is_missing.all():
        return column._replace(kind=kind, values=np.full(len(column.values), np.nan))
    raise ValueError(
        f"Column {column.name!r} of X is of kind {column.kind!r}, and was {kind!r} in fit. "
        "Convert it to the dtype that it had."
    )


def check_table(X, name: str):
    """Check the shape of a frame; convert what is none to an array.

    Raises
    ------
    TypeError
        If X is sparse.
    ValueError
        If X has no two axes or an empty one.
    """
    if issparse(X):
        raise TypeError(  # as in scikit-learn
            "Sparse data was passed for X, but a table is dense: give X.toarray(), or "
            f"leave {name} out where all columns are numbers."
        )
    X = X if as_frame(X) is not None else np.asarray(X)
    if isinstance(X, np.ndarray) and X.ndim != 2:
        raise ValueError(
            f"Expected 2D array, got {X.ndim}D array instead: a table has rows and "
            "columns. Reshape your data with X.reshape(-1, 1) if it has one column, and "
            "with X.reshape(1, -1) if it has one row."
        )
    if min(X.shape) == 0:
        what = "sample(s)" if not X.shape[0] else "feature(s)"
        raise ValueError(
            f"Found array with 0 {what} (shape={X.shape}) while a minimum of 1 is required "
            f"by {name}."
        )
    return X


def weighted_moments(
    entries: np.ndarray, weight: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Compute mean and variance of the observed entries of each column."""
    if weight is None:
        n_observed = np.maximum((~np.isnan(entries)).sum(axis=0), 1)
        mean = np.nansum(entries, axis=0) / n_observed
        return mean, np.nansum((entries - mean) ** 2, axis=0) / n_observed
    total = weight @ ~np.isnan(entries)
    total[total == 0] = 1.0
    mean = np.nansum(weight[:, None] * entries, axis=0) / total
    return mean, np.nansum(weight[:, None] * (entries - mean) ** 2, axis=0) / total
