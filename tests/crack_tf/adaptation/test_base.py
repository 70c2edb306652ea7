"""What is adapted, and with whose last blocks."""

from __future__ import annotations

import pytest

from crack_tf.adaptation.base import find_base, find_start
from tflite.errors import CrackError


def test_a_model_begins_as_itself_or_as_another_one_like_it() -> None:
    default = find_base()
    assert find_start("", default) == default
    assert find_start("mobilenet_v2_cells_real", default).name == "mobilenet_v2_cells_real"


@pytest.mark.parametrize(
    ("start", "told"),
    [
        ("mobilenet_v2_104_real", "is mobilenet_v2 at 104 pixels, and mobilenet_v2_real is mobilenet_v2 at 160 pixels"),
        ("opnet", "is opnet at 224 pixels"),
        ("unet_mobile", "only classifiers are adapted"),
        ("no/such", "is neither a file, a run folder nor a shipped model"),
    ],
)
def test_a_start_that_does_not_do_is_told_by_its_option(start: str, told: str) -> None:
    with pytest.raises(CrackError) as error:
        find_start(start, find_base())
    assert str(error.value).startswith(f"--start {start} ")
    assert told in str(error.value)
