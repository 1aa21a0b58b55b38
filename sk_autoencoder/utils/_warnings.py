"""Warnings that name the user's line."""

import inspect
import os
import warnings
from pathlib import Path

import sklearn

PLACES = Path(__file__).parents[1], Path(sklearn.__file__).parent
LIBRARIES = tuple(f"{place}{os.sep}" for place in PLACES)


def warn_user(message: str) -> None:
    """Warn at the line that called this library, through whatever lies between.

    Frames of this library and of scikit-learn, whose decorators are around a ``fit``, are
    passed over.
    """
    frame, level = inspect.currentframe(), 1
    while frame is not None and frame.f_code.co_filename.startswith(LIBRARIES):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, stacklevel=level)
