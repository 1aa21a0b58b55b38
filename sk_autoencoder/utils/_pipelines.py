"""Reaching through pipelines, searches and wrappers: what metrics and displays share."""

from collections.abc import Callable
from inspect import signature
from typing import Any

from sklearn.pipeline import Pipeline

CODE_METHODS = ("transform", "inverse_transform")
WRAPPED_ATTRIBUTES = (
    "best_estimator_",
    "autoencoder_",
    "detector_",
)  # of searches and wrappers


def find_estimator(estimator, is_sought: Callable):
    """Return the part of `estimator` that is sought, or None.

    The estimator itself, the last step of a pipeline that has one, or what a search or a
    wrapper holds.
    """
    if is_sought(estimator):
        return estimator
    if isinstance(estimator, Pipeline):
        parts = [step for _, step in reversed(estimator.steps)]
    else:
        parts = [
            getattr(estimator, name)
            for name in WRAPPED_ATTRIBUTES
            if hasattr(estimator, name)
        ]
    found = (find_estimator(part, is_sought) for part in parts)
    return next((part for part in found if part is not None), None)


def split_pipeline(estimator, *methods: str) -> tuple[Pipeline | None, Any]:
    """Return the part of `estimator` that has the methods, and the steps in front, if any.

    Steps behind the part, a predictor for example, are left out.

    Raises
    ------
    TypeError
        If there is none, or if the steps in front do not lead back though it does.
    """

    def has_methods(part) -> bool:
        return all(hasattr(part, method) for method in methods)

    found, front = getattr(estimator, "best_estimator_", estimator), None
    if isinstance(found, Pipeline):
        parts = [find_estimator(step, has_methods) for _, step in found.steps]
        last = max((i for i, part in enumerate(parts) if part is not None), default=None)
        if last is not None:
            front, found = found[:last] if last else None, found.steps[last][1]
    found = find_estimator(found, has_methods)
    is_open = (
        methods == CODE_METHODS
        and front is not None
        and not hasattr(front, CODE_METHODS[1])
    )
    if found is None or is_open:
        raise TypeError(
            f"{type(estimator).__name__} has no {methods[-1]}. Give an autoencoder, PCA, "
            "or a pipeline of steps that have one."
        )
    return front, found


def encode(estimator, X, *methods: str):
    """Return the codes that `estimator` makes of X, by its last step with the methods."""
    front, part = split_pipeline(estimator, *(methods or CODE_METHODS[:1]))
    return part.transform(_as_fitted(part, X) if front is None else front.transform(X))


def decode(estimator, codes):
    """Return the rows that `codes` stand for, through all steps of a pipeline."""
    front, part = split_pipeline(estimator, *CODE_METHODS)
    rows = part.inverse_transform(codes)
    return rows if front is None else front.inverse_transform(rows)


def reconstruct(estimator, X):
    """Return X encoded and decoded by `estimator`, through all steps of a pipeline."""
    front, part = split_pipeline(estimator, *CODE_METHODS)
    rows = _as_fitted(part, X) if front is None else front.transform(X)
    if isinstance(part, Pipeline):
        rows = reconstruct(part, rows)
    elif hasattr(part, "reconstruct"):
        rows = part.reconstruct(rows)
    else:
        rows = part.inverse_transform(part.transform(rows))
    return rows if front is None else front.inverse_transform(rows)


def _as_fitted(part, X):
    """Return X without names where `part`, which a wrapper holds, has seen none."""
    is_frame = hasattr(X, "columns") and not hasattr(part, "feature_names_in_")
    return X.to_numpy() if is_frame else X


def sample(estimator, n_samples: int, random_state):
    """Return rows that `estimator` draws, led back through a pipeline."""
    if isinstance(estimator, Pipeline):
        rows = sample(estimator[-1], n_samples, random_state)
        front = estimator[:-1]
        return front.inverse_transform(rows) if len(front) else rows
    found = find_estimator(estimator, lambda part: hasattr(part, "sample"))
    if found is None:
        raise TypeError(
            f"{type(estimator).__name__} draws no rows. Give a VAETransformer or an "
            "AdversarialAutoencoder, or a pipeline that ends in one."
        )
    if "random_state" in signature(found.sample).parameters:
        rows = found.sample(n_samples, random_state=random_state)
    else:
        rows = found.sample(n_samples)
    return rows[0] if isinstance(rows, tuple) else rows  # a mixture gives labels too
