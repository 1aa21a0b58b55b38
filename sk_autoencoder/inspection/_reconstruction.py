"""The picture of a reconstruction: images, or the error of each feature."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sk_autoencoder.inspection import _drawing as drawing
from sk_autoencoder.metrics import reconstruction_error
from sk_autoencoder.utils import _pipelines as _reaching


class ReconstructionDisplay:
    """Rows beside their reconstructions: images, or the error of each feature.

    Made by :meth:`from_estimator` or :meth:`from_predictions`. Where rows are images, the
    originals, what was done to them, and reconstructions stand below each other. For tables
    bars say which features come back worst.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Rows as they should be; missing cells are NaN.
    X_reconstructed : ndarray of shape (n_samples, n_features)
        Their reconstructions.
    damaged : ndarray of shape (n_samples, n_features) or None, default=None
        What the reconstructions were made of, where it is not X.
    baseline : ndarray of shape (n_samples, n_features) or None, default=None
        Reconstructions by something else, to compare with.
    image_shape : tuple of int or None, default=None
        ``(height, width)`` or ``(height, width, n_channels)`` if rows are images.
    feature_names : sequence of str or None, default=None
        What features are called.
    estimator_name : str, default="reconstruction"
        What the reconstruction is called.
    baseline_name : str, default="baseline"
        What the baseline is called.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    image_ : matplotlib AxesImage or None
        The images; None for tables.
    bars_ : matplotlib BarContainer or None
        The errors of the features, the largest on top; None for images.
    lost_ : ndarray of shape (n_features,) or None
        Mean squared error of each feature over its variance, which is 1 for its mean; NaN
        for features that do not vary. None for images.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.decomposition import PCA
    >>> from sk_autoencoder import AutoencoderTransformer, ReconstructionDisplay
    >>> X = load_wine(as_frame=True).data
    >>> autoencoder = AutoencoderTransformer(4, scaling="standard", random_state=0).fit(X)
    >>> display = ReconstructionDisplay.from_estimator(
    ...     autoencoder, X, baseline=PCA(4).fit(X)
    ... )
    >>> display.lost_.shape
    (13,)
    """

    def __init__(
        self,
        X,
        X_reconstructed,
        *,
        damaged=None,
        baseline=None,
        image_shape=None,
        feature_names=None,
        estimator_name="reconstruction",
        baseline_name="baseline",
    ) -> None:
        self.X = X
        self.X_reconstructed = X_reconstructed
        self.damaged = damaged
        self.baseline = baseline
        self.image_shape = image_shape
        self.feature_names = feature_names
        self.estimator_name = estimator_name
        self.baseline_name = baseline_name

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        damaged=None,
        baseline=None,
        image_shape=None,
        ax=None,
        name=None,
        n_images=10,
        n_features=20,
        **kwargs,
    ):
        """Encode and decode rows, and draw what comes of it.

        Parameters
        ----------
        estimator : estimator
            Fitted: an autoencoder, PCA or another estimator with ``inverse_transform``, or
            a pipeline, a search or a wrapper that holds one.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows as they should be.
        damaged : {array-like, sparse matrix} of shape (n_samples, n_features), default=None
            The same rows as they go in, noisy for example; None takes X.
        baseline : estimator or None, default=None
            A fitted estimator to compare with, such as
            :class:`~sklearn.decomposition.PCA` with as many components.
        image_shape : tuple of int or None, default=None
            ``(height, width)`` or ``(height, width, n_channels)`` if rows are images. None
            takes that of a convolutional network, and otherwise X for a table.
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a figure.
        name : str or None, default=None
            What the reconstruction is called; None takes the name of the class, and
            "reconstruction" for images without a baseline.
        n_images : int, default=10
            Number of images, the first ones.
        n_features : int, default=20
            Largest number of features of a table, those with the largest error.
        **kwargs
            Passed on to ``matplotlib``'s ``imshow`` or ``barh``.

        Returns
        -------
        display : ReconstructionDisplay
        """
        check_is_fitted(estimator)
        X = drawing.as_rows(X)
        given = X if damaged is None else drawing.as_rows(damaged)
        shape, reorder = drawing.find_images(estimator, image_shape, X.shape[1])
        if shape is not None:
            X, given = X[:n_images], given[:n_images]

        def read(rows):
            return reorder(drawing.dense(rows))

        is_alone = shape is not None and baseline is None
        own = "reconstruction" if is_alone else drawing.name_of(estimator)
        other_name = "baseline" if baseline is None else drawing.name_of(baseline)
        other_name += " (baseline)" * (other_name == own)
        other = None if baseline is None else read(_reaching.reconstruct(baseline, given))
        display = cls(
            read(X),
            read(_reaching.reconstruct(estimator, given)),
            damaged=None if damaged is None else read(given),
            baseline=other,
            image_shape=shape,
            feature_names=drawing.name_features(X, estimator, X.shape[1]),
            estimator_name=own if name is None else name,
            baseline_name=other_name,
        )
        return display.plot(ax=ax, n_images=n_images, n_features=n_features, **kwargs)

    @classmethod
    def from_predictions(
        cls,
        X,
        X_reconstructed,
        *,
        damaged=None,
        image_shape=None,
        ax=None,
        name="reconstruction",
        n_images=10,
        n_features=20,
        **kwargs,
    ):
        """Draw rows and reconstructions that are at hand.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows as they should be.
        X_reconstructed : {array-like, sparse matrix} of shape (n_samples, n_features)
            Their reconstructions.
        damaged : {array-like, sparse matrix} of shape (n_samples, n_features), default=None
            What the reconstructions were made of, where it is not X.
        image_shape : tuple of int or None, default=None
            ``(height, width)`` or ``(height, width, n_channels)`` if rows are images.
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a figure.
        name : str, default="reconstruction"
            What the reconstruction is called.
        n_images : int, default=10
            Number of images, the first ones.
        n_features : int, default=20
            Largest number of features of a table, those with the largest error.
        **kwargs
            Passed on to ``matplotlib``'s ``imshow`` or ``barh``.

        Returns
        -------
        display : ReconstructionDisplay
        """
        X = drawing.as_rows(X)
        names = drawing.name_features(X, None, X.shape[1])
        X, X_reconstructed, damaged = (
            None if rows is None else drawing.dense(rows)
            for rows in (X, X_reconstructed, damaged)
        )
        shape, _ = drawing.find_images(None, image_shape, X.shape[1])
        display = cls(
            X,
            X_reconstructed,
            damaged=damaged,
            image_shape=shape,
            feature_names=names,
            estimator_name=name,
        )
        return display.plot(ax=ax, n_images=n_images, n_features=n_features, **kwargs)

    def plot(self, ax=None, *, name=None, n_images=10, n_features=20, **kwargs):
        """Draw the images, or the errors of features.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a figure.
        name : str or None, default=None
            What the reconstruction is called; None takes `estimator_name`.
        n_images : int, default=10
            Number of images, the first ones.
        n_features : int, default=20
            Largest number of features of a table, those with the largest error.
        **kwargs
            Passed on to ``matplotlib``'s ``imshow`` or ``barh``.

        Returns
        -------
        display : ReconstructionDisplay
        """
        name = self.estimator_name if name is None else name
        self.image_ = self.bars_ = self.lost_ = None
        if self.image_shape is not None:
            self._plot_images(ax, name, n_images, kwargs)
        else:
            self._plot_features(ax, name, n_features, kwargs)
        self.figure_ = self.ax_.figure
        return self

    def _plot_images(self, ax, name: str, n_images: int, kwargs: dict) -> None:
        kinds = {
            "original": self.X,
            "damaged": self.damaged,
            name: self.X_reconstructed,
            self.baseline_name: self.baseline,
        }
        shown = {k: rows[:n_images] for k, rows in kinds.items() if rows is not None}
        images = np.stack(list(shown.values()))  # (n_rows, n_images, n_features)
        aspect = self.image_shape[0] / self.image_shape[1]
        width = min(0.9 * images.shape[1], 11)
        height = width / images.shape[1] * aspect * len(shown)
        self.ax_ = drawing.make_axes(ax, (width + 2, height + 0.5))
        limits = np.nanmin(self.X), np.nanmax(self.X)
        self.image_, centres = drawing.draw_images(
            self.ax_, images, self.image_shape, limits, **kwargs
        )
        self.ax_.set_yticks(centres[0], list(shown))
        self.ax_.set_xticks([])

    def _plot_features(self, ax, name: str, n_features: int, kwargs: dict) -> None:
        self.lost_ = self._lost(self.X_reconstructed)
        shown = drawing.largest(self.lost_, n_features)[::-1]
        self.ax_ = ax = drawing.make_axes(ax, (6.4, 1.6 + 0.24 * len(shown)))
        options = {"color": drawing.colours(1)[0], "label": name} | kwargs
        places = np.arange(len(shown))
        self.bars_ = ax.barh(places, self.lost_[shown], **options)
        marks = {self.baseline_name: self.baseline, "damaged": self.damaged}
        for (label, rows), marker in zip(marks.items(), "|x", strict=True):
            if rows is not None and not np.isnan(rows).any():
                lost = self._lost(rows)[shown]
                style = {"color": "black", "markersize": 9, "markeredgewidth": 1.8}
                ax.plot(lost, places, marker, label=label, **style)
        names = drawing.given_names(self.feature_names, len(self.lost_))
        ax.set_yticks(places, [names[j] for j in shown])
        ax.set(
            xlabel="squared error / variance of the feature", ylim=(-0.6, len(shown) - 0.4)
        )
        ax.set_xlim(left=0)
        if ax.get_xlim()[1] > 1:
            ax.axvline(1, color=drawing.GREY, linestyle=":", label="the mean row")
        n_varying = int(np.isfinite(self.lost_).sum())
        if n_varying > len(shown):
            ax.set_title(f"{len(shown)} of {n_varying} features, the worst")
        ax.legend(loc="lower right")

    def _lost(self, rows: np.ndarray) -> np.ndarray:
        error = reconstruction_error(self.X, rows, per="feature")
        variance = np.nanvar(np.asarray(self.X, dtype=np.float64), axis=0)
        is_varying = variance > 0
        return np.where(is_varying, error, np.nan) / np.where(is_varying, variance, 1)
