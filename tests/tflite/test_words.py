"""One thing is one thing."""

from __future__ import annotations

import pytest

from tflite.words import a_few, counted, not_read, on_one_line, plain, rate, storable


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 findings"), (1, "1 finding"), (2, "2 findings"), (1204, "1,204 findings")]
)
def test_a_noun_follows_its_number(count: int, words: str) -> None:
    assert counted(count, "finding") == words


def test_verbs_and_odd_plurals_are_given() -> None:
    assert counted(1, "picture is", "pictures are") == "1 picture is"
    assert counted(3, "picture is", "pictures are") == "3 pictures are"


def test_a_slow_rate_is_not_rounded_to_nothing() -> None:
    assert [rate(value) for value in (0.0214, 4.21, 99.4, 99.7, 1204.0)] == ["0.021", "4.2", "99", "100", "1,204"]


def test_of_many_names_the_first_are_told_and_how_many_more() -> None:
    assert [a_few(["a", "b", "c", "d"][:count]) for count in (1, 3, 4)] == ["a", "a, b, c", "a, b, c and 1 more"]


def test_a_name_is_told_on_one_line_and_stays_as_it_is_where_it_can() -> None:
    assert on_one_line("pier/Brücke 1\\2.jpg") == "pier/Brücke 1\\2.jpg"
    assert on_one_line("a\nb\x1b[31m\u2028.jpg") == "a\\nb\\x1b[31m\\u2028.jpg"


@pytest.mark.parametrize("reason", ["a\n1.jpg is damaged.", "is damaged.", "damaged."])
def test_what_was_not_read_is_named_once(reason: str) -> None:
    assert not_read("a\n1.jpg", reason) == "NOT READ  a\\n1.jpg: damaged."


def test_a_name_whose_bytes_are_no_text_can_be_stored() -> None:
    name = b"br\xfccke 1.jpg".decode("utf-8", "surrogateescape")
    assert storable(name) == "br\\udcfccke 1.jpg"
    assert storable("Br\u00fccke\n1.jpg") == "Br\u00fccke\n1.jpg"


def test_a_plain_number_has_no_exponent():
    assert [plain(value, 3) for value in (0.00012345, 0.1, 300.0, 4360.66, 1e7)] == [
        *("0.000123", "0.1", "300", "4,360", "10,000,000")
    ]
