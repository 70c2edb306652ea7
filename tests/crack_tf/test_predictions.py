"""What a run records survives being cut short, and another run's results are neither mixed in nor lost."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from crack_tf.predictions import LINES, PHOTOS, TILES, Predictions
from tflite.errors import CrackError

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


def write(folder: Path, *records: dict[str, Any], **options: bool) -> Predictions:
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
    tiles = rows(tmp_path / "out", TILES)
    assert [(row["photo"], row["x"], row["logit"], row["decision"]) for row in tiles] == [
        ("a,b.jpg", "0", "-3.5", "no_crack"),
        ("a,b.jpg", "5", "1.5", "crack"),
        ("c.jpg", "", "", ""),
    ]
    assert tiles[2]["status"] == "unreadable"
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


def test_damage_in_the_middle_is_refused_with_its_line(tmp_path: Path) -> None:
    write(tmp_path, classified("a.jpg"), classified("b.jpg"))
    path = tmp_path / LINES
    lines = path.read_bytes().splitlines(keepends=True)
    for damaged in (b'{"photo":\n', b"[]\n", b"{}\n"):
        path.write_bytes(lines[0] + damaged + lines[2])
        with pytest.raises(CrackError, match="line 2 is damaged"):
            Predictions(tmp_path, SETTINGS, resume=True)
    path.write_bytes(b'{"format":"other"}\n')
    with pytest.raises(CrackError, match="not written by this version"):
        Predictions(tmp_path, SETTINGS, resume=True)
    path.write_bytes(b"")
    with pytest.raises(CrackError, match="line 1 is damaged"):
        Predictions(tmp_path, SETTINGS, resume=True)


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
    write(out, classified("a.jpg"), {**classified("b.jpg"), "overlay": "overlays/../../keep.png"}, overwrite=True)
    write(out, classified("c.jpg"), overwrite=True)
    assert [row["photo"] for row in rows(out, PHOTOS)] == ["c.jpg"]
    assert outside.exists()
    assert {path.name for path in out.rglob("*") if path.is_file()} == {"mine.png", "notes.txt", LINES, PHOTOS, TILES}
