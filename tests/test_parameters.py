"""Each parameter with values of wrong types and sizes."""

import pytest
import torch
from catalogue import CLASSES, PLAIN, fit_once, slow
from hostile import VALUES, list_parameters, try_parameter

from sk_autoencoder import AutoencoderTransformer


# Each parameter with every third value, and each value with every third parameter.
@pytest.mark.parametrize("first", [0, slow(1), slow(2)])
@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.filterwarnings("ignore")
def test_a_wrong_parameter_is_named_or_works(cls, first, iris, capsys):
    wrong = {
        f"{name}={value!r}": problem
        for i, name in enumerate(list_parameters(cls))
        for value in VALUES[(i + first) % 3 :: 3]
        if not (name == "max_epochs" and isinstance(value, int) and value > 1)
        if (problem := try_parameter(cls, name, value, iris[:60:2]))
    }
    assert wrong == {}


def test_memory_that_ends_is_an_error_with_a_way_out(iris):
    wide = AutoencoderTransformer(2, hidden_layer_sizes=(2**21, 2**21))  # 16 TiB
    with pytest.raises(MemoryError, match=r"at 150 rows of 4 columns .* Lower"):
        wide.fit(iris)
    with pytest.raises(MemoryError, match="Lower hidden_layer_sizes"):
        wide.partial_fit(iris)
    fitted = fit_once(PLAIN, iris)
    with pytest.raises(MemoryError, match="or fewer at once"):
        fitted.map_rows(lambda module, rows: torch.zeros(len(rows), 2**44), iris)
    with pytest.raises(RuntimeError, match="another fault"):
        fitted.map_rows(fail, iris)


def fail(module, rows):
    """Fail as torch does."""
    raise RuntimeError("another fault")
