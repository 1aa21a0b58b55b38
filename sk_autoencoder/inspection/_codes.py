"""Scatter plots of codes, coloured by the labels of their rows."""

import numpy as np
from sklearn.decomposition import PCA
from sklearn.utils.validation import check_array, check_is_fitted

from sk_autoencoder.inspection import _drawing as drawing
from sk_autoencoder.utils import _pipelines

MARKERS = "oX^sDvP*<>"  # one for every ten classes, as there are ten colours
JITTER = 0.3  # largest shift of a point from its class, for codes of one component


class CodeDisplay:
    """Scatter plot of codes, coloured by the labels of their rows.

    Use :meth:`from_estimator` or :meth:`from_predictions` to make one. Codes of more than
    two components are projected on their first two principal components. Codes of one
    component are plotted against their label, or as a histogram if there are no labels.

    Parameters
    ----------
    codes : ndarray of shape (n_samples, n_components)
        The codes, in their own units.
    y : array-like of shape (n_samples,) or None, default=None
        Labels of the rows. Numbers with decimals, or of more than 20 values, get a colour
        bar; other labels are classes and get a legend. None, NaN and NA are grey.
    components : tuple of two int or None, default=None
        The components to show; None takes the principal components.
    estimator_name : str or None, default=None
        Title of the plot.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    points_ : list of matplotlib PathCollection
        The points of each class, or of all rows. Empty for a histogram.
    colorbar_ : matplotlib Colorbar or None
    plane_ : ndarray of shape (n_samples, 2) or (n_samples, 1)
        The codes that are plotted, after the projection.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sk_autoencoder import AutoencoderTransformer, CodeDisplay
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> autoencoder = AutoencoderTransformer(2, max_epochs=5, random_state=0).fit(X)
    >>> display = CodeDisplay.from_estimator(autoencoder, X, y)
    >>> display.ax_.get_xlabel()
    'component 0'
    """

    def __init__(self, codes, y=None, *, components=None, estimator_name=None) -> None:
        self.codes = codes
        self.y = y
        self.components = components
        self.estimator_name = estimator_name

    @classmethod
    def from_estimator(
        cls, estimator, X, y=None, *, components=None, ax=None, name=None, **scatter_kw
    ):
        """Encode rows and plot their codes.

        Parameters
        ----------
        estimator : estimator
            A fitted autoencoder or another estimator with ``transform``, or a pipeline, a
            search or a wrapper that holds one. The last step of a pipeline is skipped if
            it cannot transform.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or None, default=None
            Labels of the rows: classes or numbers.
        components : tuple of two int or None, default=None
            The components to show; None takes the first two of components in order, and
            principal components of others.
        ax : matplotlib Axes or None, default=None
            The axes to draw in; None makes a figure.
        name : str or None, default=None
            Title; None takes the name of the estimator's class.
        **scatter_kw
            Options of ``matplotlib``'s ``scatter``.

        Returns
        -------
        display : CodeDisplay
        """
        check_is_fitted(estimator)
        name = drawing.class_name(estimator) if name is None else name
        codes = _pipelines.encode(estimator, X)
        is_ordered = _pipelines.find_ordered(estimator) is not None
        if components is None and codes.shape[1] > 2 and is_ordered:
            components = 0, 1
        return cls.from_predictions(
            codes, y, components=components, ax=ax, name=name, **scatter_kw
        )

    @classmethod
    def from_predictions(
        cls, codes, y=None, *, components=None, ax=None, name=None, **scatter_kw
    ):
        """Plot codes that are already computed.

        Parameters
        ----------
        codes : {array-like, sparse matrix} of shape (n_samples, n_components)
        y : array-like of shape (n_samples,) or None, default=None
            Labels of the rows: classes or numbers.
        components : tuple of two int or None, default=None
            The components to show; None takes the principal components.
        ax : matplotlib Axes or None, default=None
            The axes to draw in; None makes a figure.
        name : str or None, default=None
            Title.
        **scatter_kw
            Options of ``matplotlib``'s ``scatter``.

        Returns
        -------
        display : CodeDisplay
        """
        codes = check_array(drawing.dense(codes))
        display = cls(codes, y, components=components, estimator_name=name)
        return display.plot(ax=ax, **scatter_kw)

    def plot(self, ax=None, *, name=None, **scatter_kw):
        """Plot the codes.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            The axes to draw in; None makes a figure.
        name : str or None, default=None
            Title; None takes `estimator_name`.
        **scatter_kw
            Options of ``matplotlib``'s ``scatter``.

        Returns
        -------
        display : CodeDisplay

        Raises
        ------
        ValueError
            If `y` has not one label a row, or `components` is out of range.
        """
        labels = drawing.read_labels(self.y, len(self.codes))
        self.plane_, axis_names = self._project()
        self.ax_ = ax = drawing.make_axes(ax, (6.4, 5))
        self.figure_, self.colorbar_, self.points_ = ax.figure, None, []
        size = float(np.clip(18000 / len(self.codes), 4, 36))
        options = {"s": size, "alpha": 0.8, "linewidths": 0} | scatter_kw
        if self.plane_.shape[1] == 1 and labels is None:
            ax.hist(self.plane_[:, 0], bins="auto", color=drawing.colours(1)[0])
            axis_names.append("rows")
        elif labels is None:
            options = {"color": drawing.colours(1)[0]} | options
            self.points_ = [ax.scatter(*self.plane_.T, **options)]
        elif labels.classes is None:
            self._plot_scale(labels, axis_names, options)
        else:
            self._plot_classes(labels, axis_names, options)
        ax.set(xlabel=axis_names[0], ylabel=axis_names[1])
        ax.set_title(self.estimator_name if name is None else name)
        return self

    def _project(self) -> tuple[np.ndarray, list[str]]:
        """Select or compute the components to plot, and name their axes."""
        width = self.codes.shape[1]
        if self.components is not None:
            indices = list(self.components)
            if len(indices) != 2 or not all(0 <= j < width for j in indices):
                raise ValueError(
                    f"components={self.components!r} has to hold two numbers from 0 to "
                    f"{width - 1}."
                )
            return self.codes[:, indices], [f"component {j}" for j in indices]
        if width <= 2:
            return self.codes, [f"component {j}" for j in range(width)]
        with np.errstate(invalid="ignore"):  # 0 / 0 for codes that do not vary
            pca = PCA(2, random_state=0).fit(self.codes)
        ratios = np.nan_to_num(pca.explained_variance_ratio_)
        names = ("First", "Second")
        return pca.transform(self.codes), [
            f"{name} principal component of {width} ({ratio:.0%} of the variance)"
            for name, ratio in zip(names, ratios, strict=True)
        ]

    def _plot_scale(self, labels, axis_names: list[str], options: dict) -> None:
        is_missing = np.isnan(labels.values)
        name = "y" if labels.name is None else labels.name
        plane = self.plane_
        if plane.shape[1] == 1:
            axis_names.append(name)
            plane = np.column_stack([plane, labels.values])
        elif is_missing.any():
            grey = options | {"color": drawing.GREY, "marker": "."}
            self.points_.append(self.ax_.scatter(*plane[is_missing].T, **grey))
            self.points_[0].set_label(f"{name} is missing")
            self.ax_.legend()
        is_known = ~is_missing
        colours = labels.values[is_known]
        points = self.ax_.scatter(*plane[is_known].T, c=colours, **options)
        self.points_.append(points)
        if self.plane_.shape[1] > 1:
            self.colorbar_ = self.figure_.colorbar(points, ax=self.ax_, label=name)

    def _plot_classes(self, labels, axis_names: list[str], options: dict) -> None:
        groups = labels.groups()
        colours, plane = drawing.colours(len(groups)), self.plane_
        is_line = plane.shape[1] == 1
        if is_line:
            offsets = np.random.default_rng(0).uniform(-JITTER, JITTER, len(plane))
            heights = np.where(labels.values < 0, len(labels.classes), labels.values)
            plane = np.column_stack([plane, heights + offsets])
        for i, (label, members) in enumerate(groups):
            style = {"color": colours[i], "marker": MARKERS[i // 10 % len(MARKERS)]}
            if label == "missing" and i == len(labels.classes):
                style = {"color": drawing.GREY, "marker": "."}
            style = style | {"label": label} | options
            self.points_.append(self.ax_.scatter(*plane[members].T, **style))
        if is_line:
            axis_names.append("" if labels.name is None else labels.name)
            self.ax_.set_yticks(range(len(groups)), [label for label, _ in groups])
            return
        self.ax_.legend(
            title=labels.name,
            loc="center left",
            bbox_to_anchor=(1, 0.5),
            markerscale=max(1, (20 / np.mean(options["s"])) ** 0.5),
        )
