"""Plots of reconstructions: images, or the error of each feature."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sk_autoencoder.inspection import _drawing as drawing
from sk_autoencoder.metrics import reconstruction_error
from sk_autoencoder.preprocessing import fit_if_table
from sk_autoencoder.utils import _pipelines


class ReconstructionDisplay:
    """Plot of reconstructions: images below the originals, or the error of each feature.

    Use :meth:`from_estimator` or :meth:`from_predictions` to make one. For images, the
    originals, the damaged inputs and the reconstructions are plotted below each other. For
    tables, bars show the features with the largest errors.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Clean rows; missing entries are NaN.
    X_reconstructed : ndarray of shape (n_samples, n_features)
        Reconstructions of the rows.
    damaged : ndarray of shape (n_samples, n_features) or None, default=None
        Input of the reconstructions, if it is not X.
    baseline : ndarray of shape (n_samples, n_features) or None, default=None
        Reconstructions by another estimator, for comparison.
    image_shape : tuple of int or None, default=None
        ``(height, width)`` or ``(height, width, n_channels)`` if rows are images.
    feature_names : sequence of str or None, default=None
        Names of the features.
    estimator_name : str, default="reconstruction"
        Label of the reconstructions.
    baseline_name : str, default="baseline"
        Label of the baseline.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    image_ : matplotlib AxesImage or None
        The images; None for tables.
    bars_ : matplotlib BarContainer or None
        The errors of the features, the largest on top; None for images.
    lost_ : ndarray of shape (n_features,) or None
        Mean squared error of each feature over its variance; the mean of a feature has 1.
        NaN for features that do not vary. None for images.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.decomposition import PCA
    >>> from sk_autoencoder import AutoencoderTransformer, ReconstructionDisplay
    >>> X = load_wine(as_frame=True).data
    >>> autoencoder = AutoencoderTransformer(4, max_epochs=5, random_state=0).fit(X)
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
        """Reconstruct rows and plot the result.

        Parameters
        ----------
        estimator : estimator
            A fitted autoencoder, PCA or another estimator with ``inverse_transform``, or a
            pipeline, a search or a wrapper that holds one.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Clean rows.
        damaged : {array-like, sparse matrix} of shape (n_samples, n_features), default=None
            The input of the estimator, such as the same rows with noise; None takes X.
        baseline : estimator or None, default=None
            A fitted estimator to compare with, such as
            :class:`~sklearn.decomposition.PCA` with as many components.
        image_shape : tuple of int or None, default=None
            ``(height, width)`` or ``(height, width, n_channels)`` if rows are images. None
            takes the shape from a convolutional network; otherwise rows are a table.
        ax : matplotlib Axes or None, default=None
            The axes to draw in; None makes a figure.
        name : str or None, default=None
            Label of the reconstructions. None takes "reconstruction" for images without a
            baseline, and otherwise the name of the estimator's class.
        n_images : int, default=10
            Number of images to plot, the first ones.
        n_features : int, default=20
            Largest number of features to plot, those with the largest errors.
        **kwargs
            Options of ``matplotlib``'s ``imshow`` or ``barh``.

        Returns
        -------
        display : ReconstructionDisplay
        """
        check_is_fitted(estimator)
        X = drawing.as_rows(X)
        inputs = X if damaged is None else drawing.as_rows(damaged)
        encoder = fit_if_table(X)
        shape, reorder = drawing.find_images(estimator, image_shape, X.shape[1])
        if shape is not None:
            X, inputs = X[:n_images], inputs[:n_images]

        def as_images(rows):
            if encoder is not None:
                return encoder.transform(rows)
            return reorder(drawing.dense(rows))

        is_alone = shape is not None and baseline is None
        label = "reconstruction" if is_alone else drawing.class_name(estimator)
        baseline_name = "baseline" if baseline is None else drawing.class_name(baseline)
        baseline_name += " (baseline)" * (baseline_name == label)
        if baseline is not None:
            baseline = as_images(_pipelines.reconstruct(baseline, inputs))
        display = cls(
            as_images(X),
            as_images(_pipelines.reconstruct(estimator, inputs)),
            damaged=None if damaged is None else as_images(inputs),
            baseline=baseline,
            image_shape=shape,
            feature_names=drawing.name_features(X, estimator, X.shape[1])
            if encoder is None
            else encoder.get_feature_names_out(),
            estimator_name=label if name is None else name,
            baseline_name=baseline_name,
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
        """Plot reconstructions that are already computed.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Clean rows.
        X_reconstructed : {array-like, sparse matrix} of shape (n_samples, n_features)
            Reconstructions of the rows.
        damaged : {array-like, sparse matrix} of shape (n_samples, n_features), default=None
            Input of the reconstructions, if it is not X.
        image_shape : tuple of int or None, default=None
            ``(height, width)`` or ``(height, width, n_channels)`` if rows are images.
        ax : matplotlib Axes or None, default=None
            The axes to draw in; None makes a figure.
        name : str, default="reconstruction"
            Label of the reconstructions.
        n_images : int, default=10
            Number of images to plot, the first ones.
        n_features : int, default=20
            Largest number of features to plot, those with the largest errors.
        **kwargs
            Options of ``matplotlib``'s ``imshow`` or ``barh``.

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
        """Plot the images, or the errors of the features.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            The axes to draw in; None makes a figure.
        name : str or None, default=None
            Label of the reconstructions; None takes `estimator_name`.
        n_images : int, default=10
            Number of images to plot, the first ones.
        n_features : int, default=20
            Largest number of features to plot, those with the largest errors.
        **kwargs
            Options of ``matplotlib``'s ``imshow`` or ``barh``.

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
        self.lost_ = self._unexplained_variance(self.X_reconstructed)
        shown = drawing.argmax_n(self.lost_, n_features)[::-1]
        self.ax_ = ax = drawing.make_axes(ax, (6.4, 1.6 + 0.24 * len(shown)))
        options = {"color": drawing.colours(1)[0], "label": name} | kwargs
        heights = np.arange(len(shown))
        self.bars_ = ax.barh(heights, self.lost_[shown], **options)
        marks = {self.baseline_name: self.baseline, "damaged": self.damaged}
        for (label, rows), marker in zip(marks.items(), "|x", strict=True):
            if rows is not None and not np.isnan(rows).any():
                values = self._unexplained_variance(rows)[shown]
                style = {"color": "black", "markersize": 9, "markeredgewidth": 1.8}
                ax.plot(values, heights, marker, label=label, **style)
        names = drawing.names_or_numbers(self.feature_names, len(self.lost_))
        ax.set_yticks(heights, [names[j] for j in shown])
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

    def _unexplained_variance(self, rows: np.ndarray) -> np.ndarray:
        """Compute the mean squared error of each feature over its variance."""
        error = reconstruction_error(self.X, rows, per="feature")
        variance = np.nanvar(np.asarray(self.X, dtype=np.float64), axis=0)
        is_varying = variance > 0
        return np.where(is_varying, error, np.nan) / np.where(is_varying, variance, 1)
