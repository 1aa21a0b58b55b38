"""Find estimators within pipelines, searches and wrappers, and use them through these."""

from collections.abc import Callable
from inspect import signature
from typing import Any

from sklearn.pipeline import Pipeline

CODE_METHODS = ("transform", "inverse_transform")
# Fitted estimators within searches and wrappers.
WRAPPED_ATTRIBUTES = ("best_estimator_", "autoencoder_", "detector_")


def find_estimator(estimator, predicate: Callable):
    """Find the estimator that fulfils `predicate`, or None.

    The candidates are `estimator` itself, the steps of a pipeline from the last one on, and
    the estimators within a search or a wrapper.
    """
    if predicate(estimator):
        return estimator
    if isinstance(estimator, Pipeline):
        candidates = [step for _, step in reversed(estimator.steps)]
    else:
        names = (name for name in WRAPPED_ATTRIBUTES if hasattr(estimator, name))
        candidates = [getattr(estimator, name) for name in names]
    results = (find_estimator(candidate, predicate) for candidate in candidates)
    return next((result for result in results if result is not None), None)


def find_ordered(estimator):
    """Find the estimator whose components have an order, as those of PCA, or None."""
    return find_estimator(
        estimator, lambda step: hasattr(step, "explained_variance_ratio_")
    )


def split_pipeline(estimator, *methods: str) -> tuple[Pipeline | None, Any]:
    """Split `estimator` into the last step with all `methods` and the steps before it.

    Steps behind that step, for example a predictor, are left out.

    Returns
    -------
    front : Pipeline or None
        The steps before, if any.
    step : estimator

    Raises
    ------
    TypeError
        If no step has the methods, or if the step has an inverse and a step before it
        has none.
    """

    def has_methods(candidate) -> bool:
        return all(hasattr(candidate, method) for method in methods)

    step, front = getattr(estimator, "best_estimator_", estimator), None
    if isinstance(step, Pipeline):
        matches = [find_estimator(inner, has_methods) for _, inner in step.steps]
        last = max(
            (i for i, match in enumerate(matches) if match is not None), default=None
        )
        if last is not None:
            front, step = step[:last] if last else None, step.steps[last][1]
    step = find_estimator(step, has_methods)
    needs_inverse = methods == CODE_METHODS and front is not None
    if step is None or (needs_inverse and not hasattr(front, CODE_METHODS[1])):
        raise TypeError(
            f"{type(estimator).__name__} has no {methods[-1]}. Give an autoencoder, PCA, "
            "or a pipeline of steps that have one."
        )
    return front, step


def encode(estimator, X, *methods: str):
    """Encode X by the last step of `estimator` that has the `methods`."""
    front, step = split_pipeline(estimator, *(methods or CODE_METHODS[:1]))
    return step.transform(_match_names(step, X) if front is None else front.transform(X))


def decode(estimator, codes):
    """Decode `codes` through all steps of a pipeline."""
    front, step = split_pipeline(estimator, *CODE_METHODS)
    rows = step.inverse_transform(codes)
    return rows if front is None else front.inverse_transform(rows)


def reconstruct(estimator, X):
    """Encode and decode X through all steps of a pipeline."""
    front, step = split_pipeline(estimator, *CODE_METHODS)
    rows = _match_names(step, X) if front is None else front.transform(X)
    if isinstance(step, Pipeline):
        rows = reconstruct(step, rows)
    elif hasattr(step, "reconstruct"):
        rows = step.reconstruct(rows)
    else:
        rows = step.inverse_transform(step.transform(rows))
    return rows if front is None else front.inverse_transform(rows)


def _match_names(step, X):
    """Drop the names of X if `step`, which a wrapper holds, was fitted without names."""
    is_frame = hasattr(X, "columns") and not hasattr(step, "feature_names_in_")
    return X.to_numpy() if is_frame else X


def sample(estimator, n_samples: int, random_state):
    """Sample rows from `estimator`, in the units of the input of its pipeline."""
    if isinstance(estimator, Pipeline):
        rows = sample(estimator[-1], n_samples, random_state)
        front = estimator[:-1]
        return front.inverse_transform(rows) if len(front) else rows
    generator = find_estimator(estimator, lambda candidate: hasattr(candidate, "sample"))
    if generator is None:
        raise TypeError(
            f"{type(estimator).__name__} draws no rows. Give a VAETransformer or an "
            "AdversarialAutoencoder, or a pipeline that ends in one."
        )
    if "random_state" in signature(generator.sample).parameters:
        rows = generator.sample(n_samples, random_state=random_state)
    else:
        rows = generator.sample(n_samples)
    return rows[0] if isinstance(rows, tuple) else rows  # a mixture returns labels too
