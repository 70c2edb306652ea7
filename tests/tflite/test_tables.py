"""Tables for the terminal line up."""

from __future__ import annotations

from tflite.tables import format_table, number


def test_the_table_is_aligned() -> None:
    text = format_table(
        [{"a": "x", "b": 1.0}, {"a": "longer", "b": 10.0}], {"name": lambda r: r["a"], "ms": lambda r: f"{r['b']:.1f}"}
    )
    assert text.splitlines() == ["name      ms", "x        1.0", "longer  10.0"]


def test_an_unknown_number_is_a_dash() -> None:
    assert (number(1.256), number(1.256, 0), number(None)) == ("1.26", "1", "-")
