"""The picture of codes: two of their dimensions, coloured by what rows are."""

import numpy as np
from sklearn.decomposition import PCA
from sklearn.utils.validation import check_array, check_is_fitted

from sk_autoencoder.inspection import _drawing as drawing
from sk_autoencoder.utils import _pipelines as _reaching

MARKERS = "oX^sDvP*<>"
JITTER = 0.3  # around the line of a class, where codes have one component


class CodeDisplay:
    """Codes in the plane, coloured by the labels of their rows.

    Made by :meth:`from_estimator` or :meth:`from_predictions`. Codes of more than two
    components are shown by their first two principal components. Codes of one component are
    spread out by label, or counted where there is none.

    Parameters
    ----------
    codes : ndarray of shape (n_samples, n_components)
        In whatever units they have.
    y : array-like of shape (n_samples,) or None, default=None
        Labels: classes, which get a legend, or numbers with decimals or of more than 20
        values, which get a colour bar. None, NaN and NA are drawn in grey.
    components : tuple of two int or None, default=None
        The components to show, in place of principal ones.
    estimator_name : str or None, default=None
        Title of the picture.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    points_ : list of matplotlib PathCollection
        The points of each class, or all of them; empty where codes were counted.
    colorbar_ : matplotlib Colorbar or None
    plane_ : ndarray of shape (n_samples, 2) or (n_samples, 1)
        What is drawn.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sk_autoencoder import AutoencoderTransformer, CodeDisplay
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> autoencoder = AutoencoderTransformer(2, random_state=0).fit(X)
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
        """Encode rows and draw their codes.

        Parameters
        ----------
        estimator : estimator
            Fitted: an autoencoder, or anything with ``transform``; a pipeline, as far as
            its steps transform; or a search or a wrapper that holds one.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or None, default=None
            Labels, classes or numbers.
        components : tuple of two int or None, default=None
            The components to show, in place of principal ones.
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a figure.
        name : str or None, default=None
            Title; None takes the name of the class.
        **scatter_kw
            Passed on to ``matplotlib``'s ``scatter``.

        Returns
        -------
        display : CodeDisplay
        """
        check_is_fitted(estimator)
        name = drawing.name_of(estimator) if name is None else name
        codes = _reaching.encode(estimator, X)
        return cls.from_predictions(
            codes, y, components=components, ax=ax, name=name, **scatter_kw
        )

    @classmethod
    def from_predictions(
        cls, codes, y=None, *, components=None, ax=None, name=None, **scatter_kw
    ):
        """Draw codes that are at hand.

        Parameters
        ----------
        codes : {array-like, sparse matrix} of shape (n_samples, n_components)
        y : array-like of shape (n_samples,) or None, default=None
            Labels, classes or numbers.
        components : tuple of two int or None, default=None
            The components to show, in place of principal ones.
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a figure.
        name : str or None, default=None
            Title.
        **scatter_kw
            Passed on to ``matplotlib``'s ``scatter``.

        Returns
        -------
        display : CodeDisplay
        """
        codes = check_array(drawing.dense(codes))
        display = cls(codes, y, components=components, estimator_name=name)
        return display.plot(ax=ax, **scatter_kw)

    def plot(self, ax=None, *, name=None, **scatter_kw):
        """Draw the codes.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a figure.
        name : str or None, default=None
            Title; None takes `estimator_name`.
        **scatter_kw
            Passed on to ``matplotlib``'s ``scatter``.

        Returns
        -------
        display : CodeDisplay

        Raises
        ------
        ValueError
            If `y` has not one label a row, or `components` names none.
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
        """Return what to draw, and what it is called."""
        width = self.codes.shape[1]
        if self.components is not None:
            chosen = list(self.components)
            if len(chosen) != 2 or not all(0 <= j < width for j in chosen):
                raise ValueError(
                    f"components={self.components!r} has to hold two numbers from 0 to "
                    f"{width - 1}."
                )
            return self.codes[:, chosen], [f"component {j}" for j in chosen]
        if width <= 2:
            return self.codes, [f"component {j}" for j in range(width)]
        with np.errstate(invalid="ignore"):  # shares of codes that do not vary
            pca = PCA(2, random_state=0).fit(self.codes)
        shares = np.nan_to_num(pca.explained_variance_ratio_)
        names = ("First", "Second")
        return pca.transform(self.codes), [
            f"{name} principal component of {width} ({share:.0%} of the variance)"
            for name, share in zip(names, shares, strict=True)
        ]

    def _plot_scale(self, labels, axis_names: list[str], options: dict) -> None:
        is_missing = np.isnan(labels.values)
        called = "y" if labels.name is None else labels.name
        plane = self.plane_
        if plane.shape[1] == 1:
            axis_names.append(called)
            plane = np.column_stack([plane, labels.values])
        elif is_missing.any():
            grey = options | {"color": drawing.GREY, "marker": "."}
            self.points_.append(self.ax_.scatter(*plane[is_missing].T, **grey))
            self.points_[0].set_label(f"{called} is missing")
            self.ax_.legend()
        known = ~is_missing
        points = self.ax_.scatter(*plane[known].T, c=labels.values[known], **options)
        self.points_.append(points)
        if self.plane_.shape[1] > 1:
            self.colorbar_ = self.figure_.colorbar(points, ax=self.ax_, label=called)

    def _plot_classes(self, labels, axis_names: list[str], options: dict) -> None:
        groups = labels.groups()
        shades, plane = drawing.colours(len(groups)), self.plane_
        is_line = plane.shape[1] == 1
        if is_line:
            offsets = np.random.default_rng(0).uniform(-JITTER, JITTER, len(plane))
            places = np.where(labels.values < 0, len(labels.classes), labels.values)
            plane = np.column_stack([plane, places + offsets])
        for i, (label, members) in enumerate(groups):
            own = {"color": shades[i], "marker": MARKERS[i // 10 % len(MARKERS)]}
            if label == "missing" and i == len(labels.classes):
                own = {"color": drawing.GREY, "marker": "."}
            style = own | {"label": label} | options
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
