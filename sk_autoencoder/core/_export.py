"""The protocol of estimators that can be exported."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import torch

from sk_autoencoder.preprocessing import TableEncoder


class ExportSpec(NamedTuple):
    """Specification of a graph: a module, and a function of it and of rows."""

    module: torch.nn.Module  # a copy, on the CPU
    function: Callable  # (module, rows) -> one tensor an output
    n_columns: int  # of the rows
    outputs: dict[str, list[int]]  # names, and shapes without the rows
    table: TableEncoder | None = None  # whose encoded rows they are


class ExportMixin(ABC):
    """Base class of estimators that :func:`~sk_autoencoder.to_onnx` knows."""

    @abstractmethod
    def __onnx_spec__(self, method: str, allow_nan: bool) -> ExportSpec:
        """Specify the graph of a method of the fitted estimator.

        Parameters
        ----------
        method : str
            ``"auto"``, or the name of a method.
        allow_nan : bool
            Whether the graph imputes missing values where the estimator does.

        Raises
        ------
        ValueError
            If the estimator or the method cannot be exported.
        """


def check_export_method(estimator, method: str, known: tuple[str, ...]) -> None:
    """Raise a ValueError if `method` is none of the `known` ones."""
    if method not in known:
        raise ValueError(
            f"method={method!r} cannot be exported of a {type(estimator).__name__}. Use "
            f"one of {', '.join(map(repr, known))}."
        )
