"""Photographs and gaps are the files: whatever happens to a folder during a run, none is lost and none counts as clean unread."""

from __future__ import annotations

import csv
import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from crack_tf.photo.__main__ import main as photo
from crack_tf.predict import main as predict
from crack_tf.survey.__main__ import main as survey
from crack_tf.survey.findings import read_survey
from crack_tf.survey.source import MISSING, UNREADABLE
from tests.dark_map_model import write_map_model
from tests.dark_model import SIZE, write_dark_model
from tflite import sameness
from tflite.device.journal import read_journal
from tflite.device.run import main as device
from tflite.files import sha256_bytes

LIGHT, DARK = 220, 20  # the model calls a dark tile cracked
READ = {"light": LIGHT, "dark": DARK}
KINDS = (*READ, "damaged", "empty", "text")
EVENTS = ("nothing", "vanishes", "is damaged", "folder vanishes", "folder becomes a file")


@dataclass(frozen=True)
class Found:
    """What a verb says in the end, by the file's name.

    Attributes:
        photographs: whether each that was read is cracked.
        gaps: that could not be read.
    """

    photographs: dict[str, bool]
    gaps: tuple[str, ...]


@dataclass(frozen=True)
class Verb:
    """One that looks at all photographs of a folder, and goes on after a stop."""

    run: Callable[[Path, Path, Path], int]
    again: Callable[[Path, Path, Path], int]
    found: Callable[[Path], Found]


def _predict(photos: Path, out: Path, models: Path, *more: str) -> int:
    return predict([str(photos), "--model", str(models / "dark.tflite"), "--out", str(out), "--jobs", "1", *more])


def _predicted(out: Path) -> Found:
    with (out / "photos.csv").open(newline="", encoding="utf-8") as stream:
        rows = [(Path(row["photo"]).name, row) for row in csv.DictReader(stream)]
    read = [(name, row["decision"] == "crack") for name, row in rows if row["status"] == "classified"]
    gaps = tuple(name for name, row in rows if row["status"] == "unreadable")
    assert len(dict(read)) == len(read)
    return Found(dict(read), gaps)


def _survey(photos: Path, out: Path, models: Path) -> int:
    options = ["--segmenter", "none", "--foreground", "none", "--jobs", "2"]
    return survey([str(photos), "--out", str(out), "--model", str(models / "dark.tflite"), *options])


def _surveyed(out: Path) -> Found:
    found = read_survey(out)
    read = [(photo.name, photo.positives > 0) for photo in found.photos]
    gaps = tuple(gap.photo for gap in found.gaps if gap.reason in (MISSING, UNREADABLE))
    assert len(dict(read)) == len(read)
    return Found(dict(read), gaps)


def _segment(photos: Path, out: Path, models: Path, *more: str) -> int:
    options = ["--model", str(models / "map.tflite"), "--out", str(out), "--jobs", "1"]
    return photo(["segment", str(photos), *options, *more])


def _segmented(out: Path) -> Found:
    with (out / "photos.csv").open(newline="", encoding="utf-8") as stream:
        rows = [(Path(row["photo"]).name, row) for row in csv.DictReader(stream)]
    read = {name: int(row["crack_pixels"]) > 0 for name, row in rows if row["status"] == "segmented"}
    gaps = tuple(name for name, row in rows if row["status"] == "unreadable")
    assert len(read) + len(gaps) == len(rows)
    return Found(read, gaps)


def _fly(photos: Path, out: Path, models: Path) -> int:
    return device(["--source", str(photos), "--out", str(out), "--model", str(models / "dark.tflite")])


def _flown(out: Path) -> Found:
    journal = read_journal(out)
    return Found({name: line["positives"] > 0 for name, line in journal.frames.items()}, tuple(journal.gaps))


VERBS = {
    "predict": Verb(_predict, lambda *paths: _predict(*paths, "--resume"), _predicted),
    "photo segment": Verb(_segment, lambda *paths: _segment(*paths, "--resume"), _segmented),
    "survey": Verb(_survey, _survey, _surveyed),
    "device": Verb(_fly, _fly, _flown),
}
every_verb = pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_dark_model(folder / "dark.tflite")
    write_map_model(folder / "map.tflite")
    return folder


def write_file(path: Path, kind: str) -> None:
    """A bitmap, so that a light and a dark one are of the same size; or what cannot be read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind in READ:
        Image.fromarray(np.full((SIZE, SIZE, 3), READ[kind], np.uint8)).save(path, "BMP")
    else:
        path.write_bytes({"damaged": b"BM" + b"\7" * 50, "empty": b"", "text": b"no picture"}[kind])


@contextmanager
def at_the_reading_of(number: int, act: Callable[[], None]) -> Iterator[None]:
    """While open, do something when so many files have been read."""
    read = itertools.count(1)  # by several threads

    def counted(data: bytes) -> str:
        if next(read) == number:
            act()
        return sha256_bytes(data)

    with patch.object(sameness, "sha256_bytes", counted):
        yield


def happen(event: str, photos: Path, victim: Path) -> None:
    if event == "vanishes":
        victim.unlink(missing_ok=True)
    elif event == "is damaged" and victim.exists():
        write_file(victim, "damaged")
    elif event.startswith("folder") and photos.is_dir():
        shutil.rmtree(photos)
        if event.endswith("file"):
            photos.write_text("no folder")


folders = st.dictionaries(st.sampled_from("abcdefg"), st.sampled_from(KINDS), min_size=1, max_size=6).filter(
    lambda kinds: {*kinds.values()} & {*READ}
)


@every_verb
@settings(max_examples=20)
@given(data=st.data())
def test_photographs_and_gaps_are_the_files(
    verb: Verb, models: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    kinds = {f"{name}.bmp": kind for name, kind in data.draw(folders).items()}
    folder = tmp_path_factory.mktemp("run")
    photos, out = folder / "DCIM", folder / "out"
    for name, kind in kinds.items():
        write_file(photos / name, kind)
    event, when = data.draw(st.sampled_from(EVENTS)), data.draw(st.integers(1, len(kinds)))
    victim = photos / data.draw(st.sampled_from(sorted(kinds)))
    with at_the_reading_of(when, lambda: happen(event, photos, victim)):
        code = verb.run(photos, out, models)
    found = verb.found(out)
    assert sorted([*found.photographs, *found.gaps]) == sorted(kinds)
    assert {name: READ.get(kinds[name]) == DARK for name in found.photographs} == found.photographs
    unreadable = {name for name, kind in kinds.items() if kind not in READ}
    assert unreadable <= {*found.gaps}
    if event == "nothing":
        assert unreadable == {*found.gaps}
    assert code in (0, 1)
    if verb in (VERBS["predict"], VERBS["photo segment"]):
        assert code == bool(found.gaps)

    # Everything is there again, and what could not be read can be.
    if photos.is_file():
        photos.unlink()
    for name, kind in kinds.items():
        write_file(photos / name, kind if kind in READ else "dark")
    assert verb.again(photos, out, models) in (0, 1)
    found = verb.found(out)
    assert found.gaps == ()
    assert found.photographs == {name: READ.get(kind, DARK) == DARK for name, kind in kinds.items()}


@every_verb
@pytest.mark.parametrize("sly", [False, True], ids=["copied", "with its old time"])
def test_a_file_of_the_same_name_and_size_is_another_one(verb: Verb, sly: bool, models: Path, tmp_path: Path) -> None:
    photos, out = tmp_path / "DCIM", tmp_path / "out"
    for name in "ab":
        write_file(photos / f"{name}.bmp", "light")
    assert verb.run(photos, out, models) in (0, 1)
    before = (photos / "a.bmp").stat()
    write_file(photos / "a.bmp", "dark")
    assert (photos / "a.bmp").stat().st_size == before.st_size
    if sly:
        os.utime(photos / "a.bmp", ns=(before.st_atime_ns, before.st_mtime_ns))
    code = verb.again(photos, out, models)
    if verb is VERBS["device"]:
        assert code == 2, "a flight's journal is of one flight"
        assert verb.found(out).photographs == {"a.bmp": False, "b.bmp": False}
    else:
        assert code in (0, 1)
        assert verb.found(out).photographs == {"a.bmp": True, "b.bmp": False}


@every_verb
def test_a_copy_with_other_times_is_not_looked_at_again(
    verb: Verb, models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, out = tmp_path / "DCIM", tmp_path / "out"
    for name in "ab":
        write_file(photos / f"{name}.bmp", "light")
    assert verb.run(photos, out, models) in (0, 1)
    shutil.copytree(photos, tmp_path / "copy")
    shutil.rmtree(photos)
    (tmp_path / "copy").rename(photos)
    capsys.readouterr()
    assert verb.again(photos, out, models) in (0, 1)
    assert "2 done before" in capsys.readouterr().out.replace("photographs were ", "")


@every_verb
def test_what_an_earlier_run_wrote_is_no_folder_of_photographs(
    verb: Verb, models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_file(tmp_path / "DCIM/dark.bmp", "dark")
    for name in ("survey", "photo segment", "predict"):
        assert VERBS[name].run(tmp_path / "DCIM", tmp_path / name, models) == 0
        capsys.readouterr()
        assert verb.run(tmp_path / name, tmp_path / "out", models) == 2
        assert (
            f"{tmp_path / name} holds what crack-tf {name} found: its pictures are no photo" in capsys.readouterr().err
        )
        assert not (tmp_path / "out").exists()
    # Below the folder asked for it is passed over.
    write_file(tmp_path / "light.bmp", "light")
    verb.run(tmp_path, tmp_path.parent / f"{tmp_path.name}-out", models)
    found = verb.found(tmp_path.parent / f"{tmp_path.name}-out")
    assert {Path(name).name: cracked for name, cracked in found.photographs.items()} == {
        "dark.bmp": True,
        "light.bmp": False,
    }


@every_verb
@pytest.mark.parametrize("what", ["removed", "renamed", "emptied"])
def test_a_run_whose_results_are_taken_away_ends_with_code_2(
    verb: Verb, what: str, models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, out = tmp_path / "DCIM", tmp_path / "out"
    for name in "abcd":
        write_file(photos / f"{name}.bmp", "dark")

    def take_away() -> None:
        if what == "renamed":
            out.rename(tmp_path / "elsewhere")
        else:
            for path in out.iterdir():  # while the run goes on writing: an error here would be taken for a photograph's
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
            if what == "removed":
                shutil.rmtree(out, ignore_errors=True)

    for when in (2, 4):
        with at_the_reading_of(when, take_away):
            assert verb.run(photos, out, models) == 2
        said = capsys.readouterr().err
        assert [line for line in said.splitlines() if line.startswith("error: ")], said
        assert "Traceback" not in said
        for path in (out, tmp_path / "elsewhere"):
            shutil.rmtree(path, ignore_errors=True)
