"""The names that tab completion shows."""

import inspect
import re
from dataclasses import fields

import pytest
from catalogue import CATALOGUE, CLASSES
from sklearn.base import clone

FIRST = {cls: next(e for e in CATALOGUE if type(e) is cls) for cls in CLASSES}


def documented(cls):
    """Return the names of the parameters and attributes that a docstring explains."""
    doc = inspect.getdoc(cls)
    sections = re.findall(
        r"(?:Parameters|Attributes)\n-+\n(.*?)(?=\n\n\w[\w ]*\n-+\n)", doc, re.DOTALL
    )
    return set(re.findall(r"^(\w+) : ", "\n".join(sections), re.MULTILINE))


def is_documented_method(cls, name):
    method = getattr(cls, name, None)
    return inspect.isroutine(method) and bool(inspect.getdoc(method))


@pytest.mark.parametrize("cls", CLASSES)
def test_public_names_are_parameters_learned_attributes_and_methods(cls, iris):
    fitted = clone(FIRST[cls]).fit(iris)
    fixed = {field.name for field in fields(cls) if not field.init}  # not for the user
    public = {name for name in dir(fitted) if not name.startswith("_")}
    unknown = public - documented(cls) - fixed
    assert not {name for name in unknown if not is_documented_method(cls, name)}
