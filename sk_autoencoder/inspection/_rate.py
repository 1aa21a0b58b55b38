"""Plots of rate against distortion of a compressor."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sk_autoencoder.inspection import _drawing as drawing


class RateDistortionDisplay:
    """Plot of reconstruction quality against bytes a row, with PCA for comparison.

    Use :meth:`from_estimator` to make one. The same coder compresses the codes of PCA.

    Parameters
    ----------
    report : dict of ndarray
        The result of :meth:`AutoencoderCompressor.report`.
    estimator_name : str or None, default=None
        Label of the compressor's curve.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : list of matplotlib Line2D
        The curves of the compressor and of PCA.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sk_autoencoder import AutoencoderCompressor, AutoencoderTransformer
    >>> from sk_autoencoder import RateDistortionDisplay
    >>> X = load_digits().data[:200]
    >>> autoencoder = AutoencoderTransformer(4, max_epochs=3, random_state=0)
    >>> compressor = AutoencoderCompressor(autoencoder, bytes_per_row=2).fit(X)
    >>> display = RateDistortionDisplay.from_estimator(compressor, X)
    >>> display.ax_.get_xlabel()
    'bytes a row'
    """

    def __init__(self, report: dict[str, np.ndarray], *, estimator_name: str | None = None):
        self.report = report
        self.estimator_name = estimator_name

    @classmethod
    def from_estimator(cls, estimator, X, *, ax=None, name=None, metric="r2"):
        """Compress X at several rates and plot the rate-distortion curve.

        Parameters
        ----------
        estimator : AutoencoderCompressor
            The fitted compressor.
        X : array-like of shape (n_samples, n_features)
            Rows to compress; not those that the compressor was fitted to.
        ax : matplotlib Axes or None, default=None
            The axes to draw in; None makes a figure.
        name : str or None, default=None
            Label of the curve; None takes the name of the estimator's class.
        metric : {"r2", "psnr"}, default="r2"
            Measure of quality: R², or the peak signal-to-noise ratio in dB.

        Returns
        -------
        display : RateDistortionDisplay
        """
        check_is_fitted(estimator)
        name = type(estimator).__name__ if name is None else name
        return cls(estimator.report(X), estimator_name=name).plot(ax=ax, metric=metric)

    def plot(self, ax=None, *, name=None, metric="r2"):
        """Plot the curves.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            The axes to draw in; None makes a figure.
        name : str or None, default=None
            Label of the curve; None takes `estimator_name`.
        metric : {"r2", "psnr"}, default="r2"
            Measure of quality: R², or the peak signal-to-noise ratio in dB.

        Returns
        -------
        display : RateDistortionDisplay
        """
        labels = {"r2": "R²", "psnr": "signal-to-noise ratio (dB)"}
        if metric not in labels:
            raise ValueError(f"metric={metric!r} has to be one of {sorted(labels)}.")
        ax = drawing.make_axes(ax)
        self.lines_ = []
        curves = {"PCA, coded the same way": "pca_", name or self.estimator_name: ""}
        for label, prefix in curves.items():
            x, y = (self.report[prefix + column] for column in ("bytes_per_row", metric))
            style = {"color": "C7"} if prefix else {"color": "C0"}
            self.lines_ += ax.plot(x, y, "o-", label=label, **style)
        ax.set(xlabel="bytes a row", ylabel=labels[metric], xscale="log")
        drawing.use_plain_tick_labels(ax.xaxis)
        ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self
