"""One thing is one thing."""

from __future__ import annotations

import pytest

from tflite.words import counted


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 findings"), (1, "1 finding"), (2, "2 findings"), (1204, "1,204 findings")]
)
def test_a_noun_follows_its_number(count: int, words: str) -> None:
    assert counted(count, "finding") == words


def test_verbs_and_odd_plurals_are_given() -> None:
    assert counted(1, "picture is", "pictures are") == "1 picture is"
    assert counted(3, "picture is", "pictures are") == "3 pictures are"
