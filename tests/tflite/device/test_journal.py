"""Journals read back as written, survive being cut off anywhere, notice damage, and are continued by the same run only."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import resource
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tflite.device import journal as module
from tflite.device.journal import (
    FILE_NAME,
    Journal,
    JournalContent,
    decode_line,
    encode_line,
    iso_time,
    read_journal,
    read_tile,
    tile_name,
)
from tflite.device.tiles import Box
from tflite.errors import CrackError, ImageError

SETTINGS = {"model_sha256": "ab", "tile_side": 32, "gps": None}
PNG = b"not really a PNG"
NAMES = st.text(st.characters(), min_size=1, max_size=30)  # all of Unicode, lone surrogates included


def positive_record() -> dict[str, Any]:
    return {
        "time": "2025-06-01T12:00:00.000Z",
        "time_source": "file",
        "frame_size": {"w": 64, "h": 64},
        "score": {"raw": 1.0, "logit": 0.5, "probability": 0.62},
        "threshold": {"raw": 0, "logit": 0.1, "probability": 0.52},
        "model_sha256": "ab",
        "gps": None,
    }


def frame_record(positives: int) -> dict[str, Any]:
    return {"time": "2025-06-01T12:00:00.000Z", "tiles": 4, "positives": positives, "bytes": 10, "dropped": 0}


def opened(folder: Path, **changes: Any) -> Journal:
    return Journal(folder, SETTINGS | changes, {})


def add_frame(journal: Journal, name: str, boxes: list[Box]) -> None:
    for box in boxes:
        assert journal.positive(name, box, positive_record(), PNG) is not None
    journal.frame(name, frame_record(len(boxes)))


def add_frames(journal: Journal, count: int) -> None:
    for number in range(count):
        add_frame(journal, f"{number}.jpg", [Box(0, 0, 32, 32)])


def write_example(folder: Path, names: tuple[str, ...] = ("a.jpg", "b.jpg", "c.jpg")) -> Path:
    with opened(folder) as journal:
        for number, name in enumerate(names):
            add_frame(journal, name, [Box(0, 32 * i, 32, 32) for i in range(number)])
        journal.gap("broken.jpg", {"time": "2025-06-01T12:00:00.000Z", "reason": "is empty", "bytes": 0, "dropped": 2})
        journal.end("finished", {"tiles": 12})
    return folder / FILE_NAME


def test_what_was_written_reads_back(tmp_path: Path) -> None:
    path = write_example(tmp_path / "out")
    content = read_journal(tmp_path / "out")
    assert content == read_journal(path)
    assert content.settings == SETTINGS
    assert [(p["frame"], p["tile"]["x"]) for p in content.positives] == [("b.jpg", 0), ("c.jpg", 0), ("c.jpg", 32)]
    assert {name: record["positives"] for name, record in content.frames.items()} == {
        "a.jpg": 0,
        "b.jpg": 1,
        "c.jpg": 2,
    }
    assert list(content.gaps) == ["broken.jpg"]
    assert (content.finished, content.sessions, content.dropped, content.torn_bytes, content.damage) == (
        True,
        1,
        2,
        0,
        (),
    )
    for positive in content.positives:
        assert read_tile(tmp_path / "out", positive) == PNG


def test_a_damaged_or_missing_tile_is_noticed(tmp_path: Path) -> None:
    positive = read_journal(write_example(tmp_path / "out")).positives[0]
    image = tmp_path / "out" / positive["image"]
    image.write_bytes(PNG[:-1])
    with pytest.raises(ImageError, match="sha256 is not the one in the journal"):
        read_tile(tmp_path / "out", positive)
    image.unlink()
    with pytest.raises(ImageError, match="cannot read tile"):
        read_tile(tmp_path / "out", positive)


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(names=st.lists(NAMES, min_size=1, max_size=4, unique=True))
def test_any_unicode_in_names_survives(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        with opened(Path(folder) / "out") as journal:
            for name in names:
                add_frame(journal, name, [Box(0, 0, 32, 32)])
        content = read_journal(Path(folder) / "out")
        assert list(content.frames) == names
        assert [positive["frame"] for positive in content.positives] == names
        assert len({positive["image"] for positive in content.positives}) == len(names)
        assert (Path(folder) / "out" / FILE_NAME).read_bytes().isascii()


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(value=JSON)
def test_any_json_value_makes_the_round_trip_through_a_line(value: Any) -> None:
    record = {"n": 1, "kind": "end", "session": 1, "time": "", "reason": "", "summary": value}
    line = encode_line(record)
    assert line.count(b"\n") == 1
    assert decode_line(line[:-1]) == record


@settings(max_examples=200)
@given(data=st.data())
def test_a_changed_byte_in_a_line_is_noticed(data: st.DataObject) -> None:
    line = bytearray(encode_line({"n": 1, "kind": "frame", "session": 1, "frame": "ü", **frame_record(0)})[:-1])
    position = data.draw(st.integers(0, len(line) - 1))
    line[position] = data.draw(st.integers(0, 255).filter(lambda value: value != line[position]))
    with pytest.raises(ValueError, match="hash"):
        decode_line(bytes(line))


def test_a_journal_cut_off_at_any_byte_is_readable_and_can_be_continued(tmp_path: Path) -> None:
    path = write_example(tmp_path / "out")
    whole = read_journal(path)
    data = path.read_bytes()
    first = data.index(b"\n") + 1
    for length in [*range(first, len(data), 37), len(data) - 1]:
        path.write_bytes(data[:length])
        content = read_journal(path)
        assert not content.finished
        assert (content.torn_bytes == 0) == (data[length - 1 : length] == b"\n")
        assert content.positives == whole.positives[: len(content.positives)]
        assert content.frames.items() <= whole.frames.items()
        with opened(tmp_path / "out") as journal:
            assert journal.session == 2
            journal.end("finished", {})
        again = read_journal(path)
        assert (again.positives, again.frames) == (content.positives, content.frames)
        assert again.finished


def test_a_journal_cut_off_within_its_first_line_starts_anew(tmp_path: Path) -> None:
    path = write_example(tmp_path / "out")
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(CrackError, match="not a journal"):
        read_journal(path)
    with opened(tmp_path / "out") as journal:
        assert (journal.session, journal.found) == (1, None)


def test_positives_of_an_unfinished_frame_are_not_written_twice(tmp_path: Path) -> None:
    boxes = [Box(0, 0, 32, 32), Box(0, 32, 32, 32)]
    with opened(tmp_path / "out") as journal:
        journal.positive("a.jpg", boxes[0], positive_record(), PNG)
    image = tmp_path / "out" / "tiles" / tile_name("a.jpg", boxes[0])
    image.unlink()  # a power cut may take the picture's name along
    with opened(tmp_path / "out") as journal:
        assert journal.positive("a.jpg", boxes[0], positive_record(), PNG) is None
        assert journal.positive("a.jpg", boxes[1], positive_record(), PNG) is not None
        journal.frame("a.jpg", frame_record(2))
    assert image.read_bytes() == PNG
    assert [positive["tile"]["x"] for positive in read_journal(tmp_path / "out").positives] == [0, 32]


def test_a_gap_that_could_be_read_later_is_none(tmp_path: Path) -> None:
    with opened(tmp_path / "out") as journal:
        journal.gap("a.jpg", {"time": "", "reason": "truncated", "bytes": 5, "dropped": 0})
    with opened(tmp_path / "out") as journal:
        add_frame(journal, "a.jpg", [])
    content = read_journal(tmp_path / "out")
    assert (list(content.frames), content.gaps) == (["a.jpg"], {})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda lines: [*lines[:2], lines[2].replace(b"b.jpg", b"x.jpg"), *lines[3:]],
            "line 3 does not match its own hash",
        ),
        (lambda lines: [*lines[:2], *lines[3:]], "numbers 3 to 3 are missing before line 3"),
        (lambda lines: [*lines[:3], lines[2], *lines[3:]], "line 4 is number 3 once more"),
        (lambda lines: [*lines[:2], bytes(len(lines[2]) - 1) + b"\n", *lines[3:]], "line 3 does not"),
        (lambda lines: [*lines[:-1], lines[-1].replace(b"12", b"13")], "line 9 does not"),
        (lambda lines: [*lines[:-1], b"\n"], "line 9 does not"),
    ],
)
def test_damage_is_refused_and_the_rest_can_be_had_on_request(
    tmp_path: Path, damage: Callable[[list[bytes]], list[bytes]], message: str
) -> None:
    path = write_example(tmp_path / "out")
    whole = read_journal(path)
    path.write_bytes(b"".join(damage(path.read_bytes().splitlines(keepends=True))))
    with pytest.raises(CrackError, match=f"damaged: {message}.*skip_damaged"):
        read_journal(path)
    with pytest.raises(CrackError, match="choose another --out"):
        opened(tmp_path / "out")
    rest = read_journal(path, skip_damaged=True)
    assert message in rest.damage[0]
    assert all(positive in whole.positives for positive in rest.positives)


def test_a_damaged_first_line_leaves_no_journal(tmp_path: Path) -> None:
    path = write_example(tmp_path / "out")
    path.write_bytes(b"x" + path.read_bytes()[1:])
    with pytest.raises(CrackError, match="not a journal"):
        read_journal(path, skip_damaged=True)


@pytest.mark.parametrize("content", [b"dear diary", b"{", b"\0", b'{"n":1,"kind":"frame"'])
def test_a_file_of_that_name_without_a_line_end_is_left_alone(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    if content == b"{":  # a journal that was cut off there
        Journal(tmp_path, {}, {}).__exit__(None, None, None)
        return
    with pytest.raises(CrackError, match="left alone"):
        Journal(tmp_path, {}, {})
    assert (tmp_path / FILE_NAME).read_bytes() == content


@pytest.mark.parametrize("content", [b"", b"{}\n", b'{"a": 1}\n', b"\xff\n", b"\n\n"])
def test_other_files_are_no_journals(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.jsonl").write_bytes(content)
    with pytest.raises(CrackError, match="not a journal"):
        read_journal(tmp_path / "x.jsonl")


def test_a_missing_journal_and_another_format_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CrackError, match="cannot read journal"):
        read_journal(tmp_path)
    start = {
        "n": 1,
        "kind": "start",
        "format": "crack_tf.journal/9",
        "session": 1,
        "time": "",
        "settings": {},
        "environment": {},
    }
    (tmp_path / FILE_NAME).write_bytes(encode_line(start))
    with pytest.raises(CrackError, match=r"journal/9.*journal/1"):
        read_journal(tmp_path)


def test_other_settings_are_refused_by_name_and_leave_the_journal_alone(tmp_path: Path) -> None:
    path = write_example(tmp_path / "out")
    before = path.read_bytes()
    with pytest.raises(CrackError, match=r"gps was None, now 'exif'; tile_side was 32, now 64"):
        opened(tmp_path / "out", tile_side=64, gps="exif")
    with pytest.raises(CrackError, match="more was None, now 1"):
        opened(tmp_path / "out", more=1)
    assert path.read_bytes() == before


def test_folders_with_other_things_in_them_and_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(CrackError, match="holds other files"):
        opened(tmp_path)
    with pytest.raises(CrackError, match="is a file"):
        opened(tmp_path / "holiday.jpg")


def _open_elsewhere(folder: Path, answers: Any) -> None:
    try:
        opened(folder)
        answers.put("opened")
    except CrackError as error:
        answers.put(str(error))


def test_two_runs_cannot_write_one_journal(tmp_path: Path) -> None:
    with opened(tmp_path / "out"):
        with pytest.raises(CrackError, match="another run is writing"):
            opened(tmp_path / "out")
        context = multiprocessing.get_context("spawn")
        answers = context.Queue()
        process = context.Process(target=_open_elsewhere, args=(tmp_path / "out", answers))
        process.start()
        assert "another run is writing" in answers.get(timeout=60)
        process.join()


@pytest.mark.parametrize("room", [0, 1, 300])
def test_a_full_disk_stops_with_a_clear_message_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    write = os.write
    with opened(tmp_path / "out") as journal:
        add_frame(journal, "a.jpg", [Box(0, 0, 32, 32)])

        def full(file: int, data: bytes) -> int:
            if room == 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            return write(file, data[:room])

        monkeypatch.setattr(os, "write", full)
        with pytest.raises(CrackError, match=r"disk is full.*same command again"):
            journal.positive("b.jpg", Box(0, 0, 32, 32), positive_record() | {"x": "y" * 400}, PNG)
        monkeypatch.undo()
    content = read_journal(tmp_path / "out")
    assert (content.torn_bytes, list(content.frames), len(content.positives)) == (0, ["a.jpg"], 1)


def test_a_file_size_limit_of_the_system_is_a_full_disk_too(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with opened(tmp_path / "out") as journal:
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
            with pytest.raises(CrackError, match="disk is full"):
                add_frames(journal, 10)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    content = read_journal(tmp_path / "out")
    assert content.torn_bytes == 0
    assert len(content.frames) >= 1
    with opened(tmp_path / "out") as journal:
        add_frame(journal, "9.jpg", [])


def test_a_full_disk_while_the_picture_is_saved_leaves_no_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with opened(tmp_path / "out") as journal:
        monkeypatch.setattr(module, "write_bytes", full)
        with pytest.raises(CrackError, match="disk is full"):
            journal.positive("a.jpg", Box(0, 0, 32, 32), positive_record(), PNG)
    assert read_journal(tmp_path / "out").positives == []


def test_positives_reach_the_disk_before_their_frame_counts_as_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    write, fsync = os.write, os.fsync
    with opened(tmp_path / "out") as journal:

        def spy_write(file: int, data: bytes) -> int:
            order.append(json.loads(data)["kind"])
            return write(file, data)

        def spy_fsync(file: int) -> None:
            order.append("fsync " + os.path.basename(os.readlink(f"/proc/self/fd/{file}")).split("-")[0])
            fsync(file)

        monkeypatch.setattr(os, "write", spy_write)
        monkeypatch.setattr(os, "fsync", spy_fsync)
        add_frame(journal, "a.jpg", [Box(0, 0, 32, 32)])
        add_frame(journal, "b.jpg", [])
        monkeypatch.setattr(module, "SYNC_SECONDS", 0.0)
        add_frame(journal, "c.jpg", [])
    assert order[0].startswith("fsync .a")  # the picture, under its temporary name
    assert order[1:] == [
        "positive",
        "fsync tiles",
        f"fsync {FILE_NAME}",
        "frame",
        "frame",
        f"fsync {FILE_NAME}",
        "frame",
    ]


def test_times_are_utc_with_milliseconds() -> None:
    assert iso_time(0) == "1970-01-01T00:00:00.000Z"
    assert iso_time(1748779199.9996) == "2025-06-01T12:00:00.000Z"


def test_tile_names_are_plain_and_differ_for_every_frame_and_place() -> None:
    names = ["DCIM/a.jpg", "DCIM2/a.jpg", "../a.jpg", "ü.jpg", "é.jpg", "\udcff.jpg", ".", "x" * 300]
    found = [tile_name(name, Box(0, x, 32, 32)) for name in names for x in (0, 1)]
    assert len(set(found)) == len(found)
    for name in found:
        assert name.isascii()
        assert "/" not in name
        assert len(name) < 100
        assert not name.startswith(".")


def test_content_tells_whether_a_run_was_cut_short(tmp_path: Path) -> None:
    with opened(tmp_path / "out") as journal:
        add_frame(journal, "a.jpg", [])
    content: JournalContent = read_journal(tmp_path / "out")
    assert not content.finished


def test_a_link_that_leads_nowhere_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to(tmp_path / "nowhere")
    with pytest.raises(CrackError, match="a link that leads nowhere: name a folder"):
        Journal(tmp_path / "out", {}, {})
    assert not (tmp_path / "nowhere").exists()
