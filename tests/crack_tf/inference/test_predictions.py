"""What a run records survives being cut short, and another run's results are neither mixed in nor lost."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crack_tf.inference.predictions import FORMAT, LINES, PHOTOS, TILES, Predictions
from tflite.errors import CrackError
from tflite.files import write_bytes

SETTINGS: dict[str, Any] = {"model_sha256": "ab", "tile_side": 227, "overlap": 0.25}


def classified(photo: str, decision: str = "no_crack") -> dict[str, Any]:
    found = decision == "crack"
    tiles = [
        {"x": 0, "y": 0, "w": 9, "h": 9, "logit": -3.5, "probability": 0.03, "decision": "no_crack"},
        {"x": 5, "y": 0, "w": 9, "h": 9, "logit": 1.5, "probability": 0.8, "decision": decision},
    ]
    return {
        "photo": photo,
        "bytes": 10,
        "status": "classified",
        "width": 14,
        "height": 9,
        "decision": decision,
        "logit": 1.5,
        "probability": 0.8,
        "positive_tiles": int(found),
        "tiles": tiles,
        "threshold": {"probability": 0.7, "logit": 0.85},
        "model_sha256": "ab",
        "overlay": f"overlays/{photo}.png",
    }


def unreadable(photo: str) -> dict[str, Any]:
    return {"photo": photo, "bytes": 3, "status": "unreadable", "reason": "it is, damaged", "model_sha256": "ab"}


def write(folder: Path, *records: dict[str, Any], **options: Any) -> Predictions:
    with Predictions(folder, SETTINGS, **options) as predictions:
        for record in records:
            predictions.add(record)
    predictions.write_tables()
    return predictions


def rows(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / name).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_tables_hold_a_row_per_photograph_and_per_tile(tmp_path: Path) -> None:
    write(tmp_path / "out", classified("a,b.jpg", "crack"), unreadable("c.jpg"))
    first, second = rows(tmp_path / "out", PHOTOS)
    assert (first["photo"], first["decision"], first["probability"], first["positive_tiles"], first["tiles"]) == (
        *("a,b.jpg", "crack", "0.8", "1", "2"),
    )
    assert (first["threshold"], first["threshold_logit"], first["model_sha256"]) == ("0.7", "0.85", "ab")
    assert (second["status"], second["decision"], second["reason"]) == ("unreadable", "", "it is, damaged")
    assert (first["barely"], second["barely"]) == ("True", "")  # 0.65 logits above the threshold
    tiles = rows(tmp_path / "out", TILES)
    assert [(row["photo"], row["x"], row["logit"], row["decision"]) for row in tiles] == [
        ("a,b.jpg", "0", "-3.5", "no_crack"),
        ("a,b.jpg", "5", "1.5", "crack"),
        ("c.jpg", "", "", ""),
    ]
    assert (tiles[2]["status"], tiles[2]["reason"]) == ("unreadable", "it is, damaged")
    assert tiles[0]["model_sha256"] == "ab"


def test_every_line_is_json_and_stands_alone(tmp_path: Path) -> None:
    write(tmp_path, classified("ä\udcff.jpg".encode("utf-8", "backslashreplace").decode()))
    head, line = [json.loads(line) for line in (tmp_path / LINES).read_text(encoding="utf-8").splitlines()]
    assert head == {"format": "crack_tf.predictions/1", **SETTINGS}
    assert line["model_sha256"] == "ab"
    assert line["threshold"] == {"probability": 0.7, "logit": 0.85}


def test_resuming_knows_what_is_done_and_tries_gaps_again(tmp_path: Path) -> None:
    write(tmp_path, classified("a.jpg"), unreadable("b.jpg"))
    with Predictions(tmp_path, SETTINGS, resume=True) as again:
        assert again.done == {"a.jpg": 10}
        again.add(classified("b.jpg", "crack"))
    again.write_tables()
    assert [(row["photo"], row["decision"]) for row in rows(tmp_path, PHOTOS)] == [
        ("a.jpg", "no_crack"),
        ("b.jpg", "crack"),
    ]
    assert len(rows(tmp_path, TILES)) == 4


@pytest.mark.parametrize("lost", [1, 30, 300])
def test_a_line_that_was_cut_off_is_dropped_and_written_again(tmp_path: Path, lost: int) -> None:
    write(tmp_path, classified("a.jpg"), classified("b.jpg"))
    path = tmp_path / LINES
    path.write_bytes(path.read_bytes()[:-lost])
    predictions = write(tmp_path, classified("b.jpg"), resume=True)
    assert set(predictions.done) == {"a.jpg"}
    assert [row["photo"] for row in rows(tmp_path, PHOTOS)] == ["a.jpg", "b.jpg"]


def test_other_settings_are_not_resumed(tmp_path: Path) -> None:
    write(tmp_path, classified("a.jpg"))
    with pytest.raises(CrackError, match=r"tile_side = 227, now it is 100"):
        Predictions(tmp_path, {**SETTINGS, "tile_side": 100}, resume=True)


def test_damage_anywhere_costs_its_line_and_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, classified("a.jpg"), classified("b.jpg"), unreadable("c.jpg"))
    path = tmp_path / LINES
    lines = path.read_bytes().splitlines(keepends=True)
    for damaged in (
        b'{"photo":\n',
        b"[]\n",
        b"{}\n",
        b"\0" * 4096 + b"\n",
        lines[1].replace(b"0.8", b"0.3"),
        b"[" * 9999 + b"\n",
    ):
        path.write_bytes(lines[0] + damaged + b"".join(lines[2:]))
        with Predictions(tmp_path, SETTINGS, resume=True) as again:
            assert set(again.done) == {"b.jpg"}
            assert "1 of 4 lines are damaged, the first is line 2. The rest is kept" in capsys.readouterr().err
            again.add(classified("a.jpg", "crack"))
        again.write_tables(["a.jpg", "b.jpg", "c.jpg"])
        assert {row["photo"]: row["decision"] for row in rows(tmp_path, PHOTOS)} == {
            "b.jpg": "no_crack",
            "c.jpg": "",
            "a.jpg": "crack",
        }
        with Predictions(tmp_path, SETTINGS, resume=True):
            assert capsys.readouterr().err == "", "what was told once is mended"


@given(data=st.data())
def test_no_damage_to_the_lines_changes_what_a_photograph_was_found_to_be(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    out = tmp_path_factory.mktemp("damaged")
    photos = {f"{number}.jpg": ("no_crack", "crack")[number % 2] for number in range(5)}
    write(out, *(classified(name, decision) for name, decision in photos.items()))
    whole = (out / LINES).read_bytes()
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, min(len(whole), start + 200)))
    (out / LINES).write_bytes(whole[:start] + data.draw(st.binary(max_size=20)) + whole[end:])
    with Predictions(out, SETTINGS, resume=True) as again:
        kept = set(again.done)
        touched = whole[:end].count(b"\n") - whole[:start].count(b"\n") + 1
        assert len(kept) >= len(photos) - touched
        for name in sorted({*photos} - kept):
            again.add(classified(name, photos[name]))
    again.write_tables(photos)
    assert {row["photo"]: row["decision"] for row in rows(out, PHOTOS)} == photos


def test_a_first_line_that_is_lost_is_told_by_the_photographs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, classified("a.jpg"))
    path = tmp_path / LINES
    whole = path.read_bytes()
    for head in (b"{", b'{"format":"other"}', b'{"format":"crack_tf.predictions/1","tile_side":9}'):
        path.write_bytes(head + whole[whole.index(b"\n") :])
        with pytest.raises(CrackError, match="another --out"):
            Predictions(tmp_path, {**SETTINGS, "overlap": 0.5}, resume=True)
        assert set(write(tmp_path, resume=True).done) == {"a.jpg"}
        assert "the first is line 1" in capsys.readouterr().err
        assert path.read_bytes() == whole
    path.write_bytes(b'{"format":"other"}\n')
    with pytest.raises(CrackError, match="not written by this version"):
        Predictions(tmp_path, SETTINGS, resume=True)
    path.write_bytes(b"")
    with pytest.raises(CrackError, match="line 1 is damaged"):
        Predictions(tmp_path, SETTINGS, resume=True)


def test_a_run_of_an_older_version_is_gone_on_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = [{"format": FORMAT, **SETTINGS}, classified("a.jpg"), unreadable("b.jpg")]
    (tmp_path / LINES).write_text("".join(f"{json.dumps(record)}\n" for record in old))
    assert write(tmp_path, classified("b.jpg"), resume=True).done == {"a.jpg": 10}
    assert capsys.readouterr().err == ""
    assert write(tmp_path, resume=True).done == {"a.jpg": 10, "b.jpg": 10}


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    write(tmp_path, classified("a.jpg"))
    with Predictions(tmp_path, SETTINGS, resume=True):
        for resume, overwrite in ((True, False), (False, True), (False, False)):
            with pytest.raises(CrackError, match="another process is writing to"):
                Predictions(tmp_path, SETTINGS, resume=resume, overwrite=overwrite)
    Predictions(tmp_path, SETTINGS, resume=True).__exit__(None, None, None)


@pytest.mark.parametrize("what", ["folder", "file", "renamed", "replaced"])
def test_a_run_whose_folder_goes_away_stops_with_a_message(tmp_path: Path, what: str) -> None:
    out = tmp_path / "out"
    with Predictions(out, SETTINGS) as predictions:
        predictions.add(classified("a.jpg"))
        if what == "folder":
            shutil.rmtree(out)
        elif what == "renamed":
            out.rename(tmp_path / "elsewhere")
        else:
            (out / LINES).unlink()
        if what == "replaced":
            (out / LINES).write_text("mine")
        for act in (lambda: predictions.add(classified("b.jpg")), predictions.write_tables):
            with pytest.raises(CrackError, match=r"was (removed|replaced)"):
                act()
    assert not (out / PHOTOS).exists()


def test_what_a_killed_run_left_half_written_is_removed(tmp_path: Path) -> None:
    write(tmp_path, classified("a.jpg"))
    own = [
        ".photos.abcd_123.partial.csv",
        "overlays/day/.a.jpg.abcd_123.partial.png",
        "overlays/.a.abcd_123.partial.png",
    ]
    others = [".notes.abcd_123.partial.txt", "other/.a.abcd_123.partial.png"]
    for name in (*own, *others):
        write_bytes(tmp_path / name, b"x")
    write(tmp_path, resume=True)
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.partial*")} == {*others}


def test_there_must_be_something_to_resume(tmp_path: Path) -> None:
    with pytest.raises(CrackError, match="there is no run in"):
        Predictions(tmp_path / "none", SETTINGS, resume=True)


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    write(tmp_path, classified("a.jpg"))
    before = (tmp_path / LINES).read_bytes()
    with pytest.raises(CrackError, match="exists already"):
        Predictions(tmp_path, SETTINGS)
    assert (tmp_path / LINES).read_bytes() == before


def test_overwriting_removes_the_runs_own_files_and_no_other(tmp_path: Path) -> None:
    out = tmp_path / "out"
    outside = tmp_path / "keep.png"
    (out / "overlays").mkdir(parents=True)
    for path in (outside, out / "overlays/a.jpg.png", out / "overlays/mine.png", out / "notes.txt"):
        path.write_text("x")
    with pytest.raises(CrackError, match="holds no result of crack-tf predict"):
        write(out, classified("a.jpg"), overwrite=True)
    (out / LINES).write_text(json.dumps({"format": FORMAT, **SETTINGS}) + "\n")
    write(out, classified("a.jpg"), {**classified("b.jpg"), "overlay": "overlays/../../keep.png"}, overwrite=True)
    write(out, classified("c.jpg"), overwrite=True)
    assert [row["photo"] for row in rows(out, PHOTOS)] == ["c.jpg"]
    assert outside.exists()
    assert {path.name for path in out.rglob("*") if path.is_file()} == {"mine.png", "notes.txt", LINES, PHOTOS, TILES}


def test_a_run_goes_on_where_its_model_has_another_name_and_the_same_hash(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def settings(name: str, digest: str = "ab") -> dict[str, Any]:
        return {**SETTINGS, "model": name, "model_sha256": digest}

    with Predictions(tmp_path / "out", settings("mobilenet_v2-int8-qat")) as predictions:
        predictions.add(classified("a.jpg"))
    for photo in ("b.jpg", "c.jpg"):
        with Predictions(tmp_path / "out", settings("mobilenet_v2_real-int8-qat"), resume=True) as predictions:
            assert "a.jpg" in predictions.done
            predictions.add(classified(photo))
    assert capsys.readouterr().err == ""
    with pytest.raises(CrackError, match="model_sha256 = 'ab', now it is 'cd'"):
        Predictions(tmp_path / "out", settings("mobilenet_v2_real-int8-qat", "cd"), resume=True)
