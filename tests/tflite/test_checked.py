"""Values from other people's JSON: what is declared comes through, everything else is one sentence with its place."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tflite.checked import (
    MAX_DEPTH,
    MAX_TEXT,
    Between,
    CheckError,
    Holding,
    Matching,
    OneOf,
    RelativeName,
    Text,
    checked,
    file_inside,
)
from tflite.errors import CrackError


@dataclass(frozen=True)
class Point:
    x: int
    y: int


@dataclass(frozen=True)
class Place:
    name: Annotated[str, Text(5)]
    latitude: Annotated[float, Between(-90, 90)] | None = None
    corners: tuple[Point, ...] = ()
    size: tuple[float, float] = (1, 1)
    kind: Annotated[str, OneOf(("pier", "deck"))] = "pier"
    id: Annotated[str, Matching("[0-9a-f]{4}", "an id")] = "0123"
    even: Annotated[int, Holding(lambda value: value % 2 == 0, "an even number")] = 0
    settings: Mapping[str, Any] | None = None
    flag: bool = False
    nothing: None = None


class Row(TypedDict):
    name: str


class Longer(Row, total=False):
    more: int


def test_what_is_declared_is_built() -> None:
    value = {
        "name": "pier",
        "latitude": -33,
        "corners": [{"x": 1, "y": 2}, {"x": 3, "y": 4}],
        "size": [2.5, 3],
        "kind": "deck",
        "settings": {"a": [1, {"b": None}], "c": True},
        "flag": True,
        "nothing": None,
    }
    place = checked(Place, value)
    assert place == Place(
        "pier",
        -33,
        (Point(1, 2), Point(3, 4)),
        (2.5, 3),
        "deck",
        settings={"a": [1, {"b": None}], "c": True},
        flag=True,
    )
    assert checked(Longer, {"name": "a", "other": 3}) == {"name": "a"}
    assert checked(Longer, {"name": "a", "more": 3}) == {"name": "a", "more": 3}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": None}, "name is None, expected a text"),
        ({"name": "abcdef"}, "name is 'abcdef', expected a text of at most 5 characters"),
        ({"latitude": 90.5}, "latitude is 90.5, expected a number from -90 to 90"),
        ({"latitude": float("nan")}, "latitude is nan, expected a number"),
        ({"latitude": float("inf")}, "latitude is inf, expected a number"),
        ({"latitude": True}, "latitude is True, expected a number"),
        ({"latitude": "12"}, "latitude is '12', expected a number"),
        ({"latitude": 10**400}, "latitude is 1000"),
        ({"corners": {}}, "corners is {}, expected a list"),
        ({"corners": [{"x": 1, "y": 2}, 3]}, "corners[1] is 3, expected an object"),
        ({"corners": [{"x": 1}]}, "corners[0] lacks y"),
        ({"corners": [{"x": 1, "y": 2.5}]}, "corners[0].y is 2.5, expected a whole number"),
        ({"corners": [{"x": 1, "y": 2, "z": 3}]}, "corners[0] has 'z', which is no member of it"),
        ({"size": [1, 2, 3]}, "size has 3 entries, expected 2"),
        ({"kind": "x"}, "kind is 'x', expected 'pier' or 'deck'"),
        ({"kind": []}, "kind is [], expected a text"),
        ({"id": "0123\n"}, "id is '0123\\n', expected an id"),
        ({"even": 3}, "even is 3, expected an even number"),
        ({"settings": {"a": {"b": float("nan")}}}, "settings.a.b is nan, expected a number"),
        ({"settings": []}, "settings is [], expected an object"),
        ({"flag": 1}, "flag is 1, expected true or false"),
        ({"nothing": 0}, "nothing is 0, expected null"),
    ],
)
def test_what_is_not_declared_is_named_with_its_place(change: dict[str, Any], message: str) -> None:
    with pytest.raises(CheckError) as caught:
        checked(Place, {"name": "pier"} | change)
    assert str(caught.value).startswith(message)


def test_a_missing_member_of_the_whole_is_named() -> None:
    with pytest.raises(CheckError, match="it lacks name"):
        checked(Place, {})
    with pytest.raises(CheckError, match=r"it is \[\], expected an object"):
        checked(Row, [])


def test_strange_members_are_left_out_on_request() -> None:
    assert checked(Place, {"name": "pier", "new": 1}, strict=False) == Place("pier")


def test_free_values_are_bounded_in_depth_and_length() -> None:
    nested: Any = 1
    for _ in range(MAX_DEPTH):
        nested = [nested]
    assert checked(Any, nested) == nested
    for _ in range(900):
        nested = {"a": nested}
    with pytest.raises(CheckError, match="nested more than"):
        checked(Any, nested)
    with pytest.raises(CheckError, match="at most"):
        checked(Any, "x" * (MAX_TEXT + 1))


@pytest.mark.parametrize(
    ("text", "expected"), [("a\ud800b", "a\ufffdb"), ("\udc80", "\ufffd"), ("x\ud83d", "x\ufffd"), ("ö😀", "ö😀")]
)
def test_lone_surrogates_become_a_character_that_files_can_hold(text: str, expected: str) -> None:
    assert checked(str, text) == expected


@given(st.text(st.characters()))
def test_any_text_can_be_written_afterwards(text: str) -> None:
    checked(str, text).encode("utf-8")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(list(Place.__dataclass_fields__)), JSON))
def test_any_json_is_as_declared_or_one_short_printable_sentence(value: dict[str, Any]) -> None:
    message = ""
    try:
        assert isinstance(checked(Place, value), Place)
    except CheckError as error:
        message = str(error)
    assert message.isprintable()
    assert len(message) < 400


@pytest.mark.parametrize(
    "name", ["", "/etc/passwd", "../x", "a/../../x", "a\0b", "x" * 256, "a/" * 2500 + "b", ".", "//x", ".."]
)
def test_names_that_lead_elsewhere_or_nowhere_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(CheckError, match="stays inside its folder"):
        checked(Annotated[str, RelativeName()], name)
    with pytest.raises(CrackError, match="leads out of its folder"):
        file_inside(tmp_path, name)


def test_only_files_inside_the_folder_are_given(tmp_path: Path) -> None:
    folder = tmp_path / "survey"
    (folder / "pictures").mkdir(parents=True)
    secret = tmp_path / "secret.jpg"
    for path in (secret, folder / "pictures" / "a.jpg"):
        path.write_bytes(b"x")
    (folder / "out.jpg").symlink_to(secret)
    (folder / "in.jpg").symlink_to("pictures/a.jpg")
    (folder / "upwards").symlink_to(tmp_path)
    (folder / "round").symlink_to("round")
    os.mkfifo(folder / "pipe.jpg")
    assert file_inside(folder, "pictures/a.jpg") == folder / "pictures" / "a.jpg"
    assert file_inside(folder, "in.jpg").read_bytes() == b"x"
    for name, message in {
        "out.jpg": "leads out",
        "upwards/secret.jpg": "leads out",
        "pipe.jpg": "is no file",
        "pictures": "is no file",
        "none.jpg": "cannot be read: No such file",
        "round": "cannot be read",
    }.items():
        with pytest.raises(CrackError, match=message):
            file_inside(folder, name)


def test_a_control_character_in_a_members_name_is_escaped_in_the_message() -> None:
    told = str(CheckError("is wrong", "a\x00b", "\u00e9\n"))
    assert told.isprintable()
    assert "a\\x00b" in told
    assert "\u00e9\\n" in told
