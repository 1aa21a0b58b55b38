"""The summary of a fit in scikit-learn's HTML of an estimator."""

from html import escape

import numpy as np

from sk_autoencoder.utils._sklearn_compat import FittedHTMLMixin

WIDTH, HEIGHT, MARGIN = 280, 80, 6  # of the picture, in pixels
N_POINTS = 200  # of a curve at most
MIN_LOG_RATIO = 10  # of the largest to the smallest loss, for a logarithmic axis
VALIDATION_COLOUR = "#3f90da"


class FitSummaryMixin(FittedHTMLMixin):
    """Mixin of estimators whose HTML shows how an autoencoder was fitted.

    The autoencoder is the estimator itself, or the one in its attribute ``autoencoder_``.
    """

    def _fitted_html(self) -> str:
        fitted = getattr(self, "autoencoder_", self)
        if not hasattr(fitted, "fit_summary_"):
            return ""
        curves = fitted.loss_curve_, fitted.validation_curve_
        return draw_summary(fitted.fit_summary_, *curves, fitted.best_epoch_)


def draw_summary(
    summary: dict, train: list[float], valid: list[float] | None, best_epoch: int
) -> str:
    """Write the figures of a fit and its loss curves as a piece of HTML.

    Parameters
    ----------
    summary : dict
        The attribute ``fit_summary_`` of an autoencoder.
    train, valid : list of float
        Loss after each epoch; None for no validation rows.
    best_epoch : int
        Epoch that is marked; 0 stands before the first.

    Returns
    -------
    html : str
    """
    facts = [
        f"{summary['epochs']} epochs, {summary['steps']} steps"
        + (f", {summary['seconds']:.1f} s" if summary["seconds"] else "")
    ]
    if summary["validation_loss"] is not None:
        facts.append(
            f"loss of held-out rows {summary['validation_loss']:.4g}, and "
            f"{summary['start_loss']:.4g} at the start ({escape(summary['start'])})"
        )
    picture = draw_curves(train, valid, best_epoch) if train else ""
    lines = "<br>".join(facts)
    return f'<div class="estimator-table" style="padding:.5em">{picture}{lines}</div>'


def draw_curves(train: list[float], valid: list[float] | None, best_epoch: int) -> str:
    """Draw the loss of training and validation rows as inline SVG."""
    curves = [np.array(curve, dtype=float) for curve in (train, valid) if curve]
    values = np.concatenate(curves)
    is_log = bool((values > 0).all()) and values.max() > MIN_LOG_RATIO * values.min()
    low, high = (np.log if is_log else np.asarray)([values.min(), values.max()])

    def place(curve: np.ndarray) -> np.ndarray:
        """Place the points of a curve, (n_points, 2) in pixels."""
        where = np.unique(np.linspace(0, len(curve) - 1, N_POINTS).astype(int))
        shown = np.log(curve[where]) if is_log else curve[where]
        x = MARGIN + where / max(len(curve) - 1, 1) * (WIDTH - 2 * MARGIN)
        share = (shown - low) / (high - low) if high > low else np.zeros(len(where))
        return np.column_stack([x, HEIGHT - MARGIN - share * (HEIGHT - 2 * MARGIN)])

    styles = 'stroke="currentColor" stroke-dasharray="3 2"', f'stroke="{VALIDATION_COLOUR}"'
    lines = ""
    for curve, style in zip(curves, styles, strict=False):
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in place(curve))
        lines += f'<polyline fill="none" stroke-width="1.5" {style} points="{points}"/>'
    if valid and 0 < best_epoch <= len(valid):
        x = MARGIN + (best_epoch - 1) / max(len(valid) - 1, 1) * (WIDTH - 2 * MARGIN)
        lines += f'<line x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{HEIGHT}" stroke="gray"/>'
    legend = "dashed: training, noise included" + (
        ", solid: held-out rows" if valid else ""
    )
    legend += "; the vertical line is the best epoch" if valid and best_epoch else ""
    return (
        f'<svg role="img" aria-label="Loss by epoch" width="{WIDTH}" height="{HEIGHT}" '
        f'style="display:block"><title>Loss by epoch ({legend})</title>{lines}</svg>'
        f'<div style="font-size:smaller">Loss by epoch ({legend})</div>'
    )
