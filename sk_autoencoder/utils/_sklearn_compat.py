"""The only imports of scikit-learn's private names, and what its versions differ in."""

import copy
from collections.abc import Callable
from functools import wraps

import numpy as np
from scipy.sparse import csr_array, csr_matrix
from sklearn import get_config, set_config
from sklearn.base import _fit_context
from sklearn.impute._base import _BaseImputer as BaseImputer
from sklearn.utils import _safe_indexing as select_rows
from sklearn.utils import get_tags
from sklearn.utils._mask import _get_mask as missing_mask
from sklearn.utils._param_validation import HasMethods, Interval, RealNotInt, StrOptions
from sklearn.utils._set_output import ADAPTERS_MANAGER
from sklearn.utils.validation import _check_feature_names_in as feature_names
from sklearn.utils.validation import _check_sample_weight as read_sample_weight

from sk_autoencoder.utils._progress import progress_of

try:
    from sklearn.callback import CallbackSupportMixin, ProgressBar
    from sklearn.utils._repr_html.fitted_attributes import AttrsDict

    class FittedAttributes(AttrsDict):
        """Table of fitted attributes in HTML, below another piece of HTML."""

        def __init__(self, piece: str, table: AttrsDict) -> None:
            super().__init__(
                fitted_attrs=table.data,
                estimator_class=table.estimator_class,
                doc_link=table.doc_link,
            )
            self.piece = piece

        def _repr_html_inner(self) -> str:
            return self.piece + super()._repr_html_inner()

except ModuleNotFoundError:  # scikit-learn < 1.9

    class _NoCallbackContext:
        """Context of a fit that has no callbacks."""

        def subcontext(self, **kwargs):
            return self

        def call_on_fit_task_begin(self, **kwargs) -> None: ...

        def call_on_fit_task_end(self, **kwargs) -> bool:
            return False  # whether to stop

    class CallbackSupportMixin:
        """Take the place of scikit-learn's mixin, without callbacks."""

        def _init_callback_context(self, **kwargs) -> _NoCallbackContext:
            return _NoCallbackContext()

    class ProgressBar:
        """Take the place of scikit-learn's progress bar."""


__all__ = [
    "BaseImputer",
    "CallbackSupportMixin",
    "FittedHTMLMixin",
    "HasMethods",
    "Interval",
    "ProgressBar",
    "RealNotInt",
    "StrOptions",
    "allows_nan",
    "csr_container",
    "ensure_all_finite",
    "feature_names",
    "fit_context",
    "missing_mask",
    "read_sample_weight",
    "select_rows",
    "with_owner",
    "wrap_like",
]

_fit_context_of_sklearn = _fit_context(prefer_skip_nested_validation=True)


def fit_context(fit: Callable) -> Callable:
    """Decorate a ``fit`` method as scikit-learn does: it checks parameters.

    A long fit has a progress bar, unless callbacks of scikit-learn are set, which may be
    one. An interrupt on the way into one of scikit-learn's contexts leaves its
    configuration as it is there, without checks of parameters: it is put back.
    """
    fit_in_context = _fit_context_of_sklearn(fit)

    @wraps(fit)
    def fit_and_put_back(self, *args, **kwargs):
        config = get_config()
        has_callbacks = bool(getattr(self, "_skl_callbacks", None))
        try:
            with progress_of(type(self).__name__, is_wanted=not has_callbacks):
                return fit_in_context(self, *args, **kwargs)
        except BaseException:
            set_config(**config)
            raise

    return fit_and_put_back


class FittedHTMLMixin:
    """Mixin of estimators whose HTML says more after a fit; scikit-learn 1.9 shows it.

    A class defines ``_fitted_html``. Pipelines and searches show it for their steps too.
    """

    def _fitted_html(self) -> str:
        """Write a piece of HTML, or an empty string."""
        return ""

    def _get_fitted_attr_html(self, doc_link=""):
        table = super()._get_fitted_attr_html(doc_link)
        return FittedAttributes(self._fitted_html(), table)


def allows_nan(estimator) -> bool:
    """Check whether `estimator` accepts missing values; None is a default that does."""
    return estimator is None or get_tags(estimator).input_tags.allow_nan


def csr_container() -> type[csr_array | csr_matrix]:
    """Select the class of sparse output that scikit-learn is configured for."""
    interface = get_config().get("sparse_interface", "spmatrix")  # from 1.9 on
    return csr_matrix if interface == "spmatrix" else csr_array


def ensure_all_finite(estimator) -> bool | str:
    """Choose ``ensure_all_finite`` of scikit-learn's input checks by the tags."""
    return "allow-nan" if get_tags(estimator).input_tags.allow_nan else True


def wrap_like(X, values: np.ndarray):
    """Wrap `values` in a frame with the columns and the index of X, if X is a frame."""
    library = type(X).__module__.split(".")[0]
    if library not in ADAPTERS_MANAGER.adapters:
        return values
    return ADAPTERS_MANAGER.adapters[library].create_container(values, X, list(X.columns))


def with_owner(state: dict, owner) -> dict:
    """Set the owner of metadata requests in the state of an estimator.

    The owner is the estimator, which a file cannot hold as a part of itself, or the name of
    its class.
    """
    if "_metadata_request" not in state:
        return state
    request = _copy_request(state["_metadata_request"], owner)
    for name, part in vars(request).items():
        if hasattr(part, "owner"):
            setattr(request, name, _copy_request(part, owner))
    return state | {"_metadata_request": request}


def _copy_request(request, owner):
    """Copy a metadata request for another owner; ``clone`` does it from 1.7 on."""
    result = copy.copy(request)
    for name, value in vars(request).items():
        if isinstance(value, dict):
            setattr(result, name, value.copy())
    result.owner = owner
    return result
