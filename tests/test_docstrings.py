"""Docstrings of the estimators: complete, in order, and one text for what is shared."""

import ast
import inspect
import re
import textwrap
from dataclasses import fields

import numpy as np
import pytest
from catalogue import CLASSES

from tools import sync_docstrings
from tools.sync_docstrings import ATTRIBUTES, OWN_TEXTS, PARAMETERS, REFERENCES


def entries(cls, section):
    """Parse a section of the docstring of `cls`."""
    sections = sync_docstrings.split_sections(inspect.getdoc(cls))
    return sync_docstrings.parse_entries(sections[section])


@pytest.mark.parametrize("cls", CLASSES)
def test_a_docstring_is_short_enough_to_be_read(cls):
    assert len(inspect.getdoc(cls).splitlines()) < 250


def test_shared_texts_are_up_to_date():
    assert sync_docstrings.main(["--check"]) == 0


@pytest.mark.parametrize("cls", CLASSES)
def test_all_parameters_are_documented_in_order_with_type_and_default(cls):
    documented = entries(cls, "Parameters")
    parameters = [field for field in fields(cls) if field.init]
    assert list(documented) == [field.name for field in parameters]
    for field in parameters:
        kind, _, default = documented[field.name].kind.partition(", default=")
        assert kind, field.name
        expected = "np.nan" if field.default is np.nan else field.default
        actual = default if default == "np.nan" else ast.literal_eval(default)
        assert actual == expected, field.name
        assert documented[field.name].text, field.name


@pytest.mark.parametrize("cls", CLASSES)
def test_all_learned_attributes_are_documented(cls):
    learned = {name for name in dir(cls) if re.fullmatch(r"[a-z]\w*_", name)}
    assert learned <= set(entries(cls, "Attributes"))


@pytest.mark.parametrize("cls", CLASSES)
def test_every_citation_has_a_reference_and_every_reference_is_cited(cls):
    text, _, references = inspect.getdoc(cls).partition("\nReferences\n")
    listed = re.findall(r"^\.\. \[(\d+)\]", references, re.MULTILINE)
    cited = dict.fromkeys(re.findall(r"\[([^\]]+)\]_", text))
    assert listed == list(cited) == [str(i + 1) for i in range(len(listed))]


@pytest.mark.parametrize("name", [*PARAMETERS, *ATTRIBUTES])
def test_shared_texts_are_short(name):
    for entry in filter(None, (PARAMETERS.get(name), ATTRIBUTES.get(name))):
        assert len(entry.text.splitlines()) <= 3


def test_own_texts_are_of_shared_entries():
    by_name = {cls.__name__: cls for cls in CLASSES}
    for name, own in OWN_TEXTS.items():
        documented = entries(by_name[name], "Parameters").keys()
        documented |= entries(by_name[name], "Attributes").keys()
        assert own <= documented & (PARAMETERS.keys() | ATTRIBUTES.keys())


def test_labels_become_numbers_in_order():
    sections = {
        "": "As [Rousseeuw1984]_ and [1]_ show, and [Rousseeuw1984]_ too.",
        "References": '.. [1] A. Author, "A title", 2020.',
    }
    numbered = sync_docstrings.number_references(sections, "Class")
    assert numbered[""] == "As [1]_ and [2]_ show, and [1]_ too."
    listed = sync_docstrings.parse_references(numbered["References"])
    assert listed == {"1": REFERENCES["Rousseeuw1984"], "2": 'A. Author, "A title", 2020.'}


def test_an_uncited_reference_is_an_error():
    sections = {"": "Text.", "References": '.. [1] A. Author, "A title", 2020.'}
    with pytest.raises(ValueError, match="Class does not cite"):
        sync_docstrings.number_references(sections, "Class")


def test_a_docstring_is_replaced_within_its_class():
    source = textwrap.dedent('''
        class First:
            """One."""


        class Second:
            r"""Two."""

            a = 1
    ''')
    expected = source.replace('r"""Two."""', 'r"""Three.\n\n    Four.\n    """')
    assert (
        sync_docstrings.replace_docstring(source, "Second", "Three.\n\nFour.") == expected
    )
