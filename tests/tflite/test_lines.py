"""A line that was touched does not pass for one that was written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tflite.lines import seal_line, unseal_line

records = st.dictionaries(
    st.text(max_size=8), st.text(st.characters(codec=None), max_size=8) | st.integers(), min_size=1, max_size=4
)


@given(record=records, ascii=st.booleans())
def test_a_record_comes_back_as_it_was_written(record: dict[str, Any], ascii: bool) -> None:
    line = seal_line(record, ascii)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert json.loads(unseal_line(line[:-1])) == record
    assert json.loads(line).keys() == {*record, "sha"}


@given(record=records, data=st.data())
def test_any_change_shows(record: dict[str, Any], data: st.DataObject) -> None:
    line = seal_line(record)[:-1]
    start = data.draw(st.integers(0, len(line)))
    changed = line[:start] + data.draw(st.binary(max_size=4)) + line[data.draw(st.integers(start, len(line))) :]
    if changed != line:
        with pytest.raises(ValueError, match="own hash"):
            unseal_line(changed)


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        seal_line({"logit": float("nan")})
