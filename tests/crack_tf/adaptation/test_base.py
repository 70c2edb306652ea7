"""What is adapted, and with whose last blocks."""

from __future__ import annotations

import pytest

from crack_tf.adaptation.base import START, find_base, find_start
from tflite.errors import CrackError


def test_the_default_begins_with_the_model_that_was_made_for_it_and_any_other_with_itself() -> None:
    default, small = find_base(), find_base("mobilenet_v2_035_real")
    assert find_start("", default).name == START
    assert find_start("", small) == small
    assert find_start(default.name, default) == default


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
