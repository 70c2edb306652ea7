"""Folders that somebody else prepared: whatever a survey, a review or a journal holds, the answer is a result or one message.

Nothing outside the folder is read into a result, and nothing is written but where the user said.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from crack_tf.survey.__main__ import main
from crack_tf.survey.findings import Survey, survey_id
from crack_tf.survey.formats.geojson import write_tables
from crack_tf.survey.geometry.camera import Locator
from crack_tf.survey.reviews.review import FORMAT
from crack_tf.survey.source import JournalSource
from crack_tf.survey.store import Store
from crack_tf.survey.truth import compare, read_truth
from tests.crack_tf.survey.drawn_surveys import drawn_survey
from tests.crack_tf.survey.hostile_json import DEEP, SECRET, hostile_text, mutated
from tests.crack_tf.survey.test_source import write_journal
from tests.crack_tf.survey.test_truth import TRUTH
from tflite.device.journal import FILE_NAME as JOURNAL
from tflite.device.journal import Journal, decode_line
from tflite.errors import CrackError
from tflite.files import read_json, sha256_bytes, write_json

SEEDS = st.integers(0, 2**32 - 1)
SLOW = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


def dump(path: Path, value: Any) -> None:
    path.write_text(hostile_text(value), encoding="utf-8")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Survey]:
    folder = tmp_path_factory.mktemp("made")
    survey = drawn_survey(folder / "found", findings=3, photos=3)
    write_tables(folder / "found", survey)
    decisions = {
        finding.id: {"decision": ("accepted", "rejected", "")[number % 3], "comment": "seen", "time": ""}
        for number, finding in enumerate(survey.findings)
    }
    value = {"format": FORMAT, "survey": survey_id(survey), "source": survey.source, "reviewer": "A", "exported": ""}
    dump(folder / "review.json", value | {"decisions": decisions})
    Image.new("RGB", (400, 400), (255, 0, 255)).save(folder / "secret.png")
    return folder, survey


@pytest.fixture
def work(tmp_path: Path, made: tuple[Path, Survey]) -> Path:
    """A survey in found/, its review, and beside them a picture that is nobody's business."""
    shutil.copytree(made[0], tmp_path / "work")
    return tmp_path / "work"


def review(work: Path) -> int:
    return main(
        ["--review", str(work / "review.json"), "--out", str(work / "found"), "--export-tiles", f"{work}/tiles"]
    )


def one_message(capsys: pytest.CaptureFixture[str]) -> str:
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    return error


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


# ----------------------------------------------------------------------------------------------------- surveys


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": "../../escaped"}, "findings[0].id is '../../escaped', expected an id"),
        ({"picture": SECRET}, "findings[0].picture is '../secret.png', expected a relative path"),
        ({"overlay": "/etc/passwd"}, "findings[0].overlay is '/etc/passwd'"),
        ({"photo": "../../a.jpg"}, "findings[0].photo is '../../a.jpg'"),
        ({"picture": "a\0.png"}, r"findings[0].picture is 'a\x00.png'"),
        ({"id": "0" * 5000}, "findings[0].id is '000"),
        ({"latitude": 91}, "findings[0].latitude is 91, expected a number from -90 to 90"),
        ({"longitude": float("nan")}, "is not valid JSON (NaN is no number"),
        ({"severity": float("inf")}, "is not valid JSON (Infinity is no number"),
        ({"box": {"x": -1, "y": 0, "w": 5, "h": 5}}, "findings[0].box is Box"),
        ({"box": [1, 2, 3, 4]}, "findings[0].box is [1, 2, 3, 4], expected an object"),
        ({"outline": 3}, "findings[0].outline is 3, expected a list"),
        ({"length_px": 10**400}, "findings[0].length_px is 1000"),
        ({"time": DEEP}, "findings[0].time is [[["),
    ],
)
def test_a_survey_with_a_hostile_finding_is_refused_before_anything_is_written(
    work: Path, capsys: pytest.CaptureFixture[str], change: dict[str, Any], message: str
) -> None:
    value = read_json(work / "found" / "survey.json")
    value["findings"][0] |= change
    dump(work / "found" / "survey.json", value)
    before = files(work.parent)
    assert review(work) == 2
    assert message in one_message(capsys)
    assert files(work.parent) == before


@pytest.mark.parametrize("linked", ["picture", "folder"])
def test_pictures_behind_links_that_lead_out_get_into_neither_tiles_nor_report(work: Path, linked: str) -> None:
    found = work / "found"
    for finding in read_json(found / "survey.json")["findings"]:
        if linked == "picture":
            (found / finding["picture"]).unlink()
            (found / finding["picture"]).symlink_to(work / "secret.png")
    if linked == "folder":
        (found / "pictures").rename(work / "elsewhere")
        (found / "pictures").symlink_to(work / "elsewhere")
    assert review(work) == 0
    assert not list((work / "tiles").rglob("*.png"))
    assert "3 pictures of findings could not be read" in (found / "report.html").read_text(encoding="utf-8")


def test_a_picture_of_another_shape_gives_no_tiles(work: Path) -> None:
    found = work / "found"
    for finding in read_json(found / "survey.json")["findings"]:
        Image.new("RGB", (4000, 3)).save(found / finding["picture"], "JPEG")
    assert review(work) == 0
    assert not list((work / "tiles").rglob("*.png"))


@settings(max_examples=60, deadline=None, suppress_health_check=SLOW)
@given(seed=SEEDS)
def test_no_change_to_a_survey_brings_anything_but_a_result_or_a_refusal(
    tmp_path_factory: pytest.TempPathFactory, made: tuple[Path, Survey], seed: int
) -> None:
    work = tmp_path_factory.mktemp("fuzz") / "work"
    shutil.copytree(made[0], work)
    dump(work / "found" / "survey.json", mutated(read_json(work / "found" / "survey.json"), seed))
    value = read_json(work / "review.json")
    # Of whatever survey it has become, so that the mutated one is used and not only read.
    try:
        from crack_tf.survey.findings import read_survey

        dump(work / "review.json", value | {"survey": survey_id(read_survey(work / "found"))})
    except CrackError:
        pass
    before = files(work.parent)
    assert review(work) in (0, 2)
    assert all(name.startswith(("work/found/", "work/tiles")) for name in files(work.parent) - before)
    for path in (work / "tiles").rglob("*.png"):
        assert not (np.asarray(Image.open(path)) == (255, 0, 255)).all()


# ----------------------------------------------------------------------------------------------------- reviews


def test_a_comment_cut_in_the_middle_of_a_character_is_kept(work: Path) -> None:
    value = read_json(work / "review.json")
    first = next(iter(value["decisions"]))
    value["decisions"][first]["comment"] = "seen from the boat \ud83d"
    dump(work / "review.json", value)
    assert review(work) == 0
    assert "seen from the boat \ufffd" in (work / "found" / "findings.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"decisions": {"../../x": {"decision": "accepted"}}}, "decisions.../../x is '../../x', expected an id"),
        ({"decisions": DEEP}, "decisions is [[["),
        ({"reviewer": "r" * 40_000}, "reviewer is 'rrr"),
        ({"format": DEEP}, "has format [[["),
    ],
)
def test_a_hostile_review_is_refused(
    work: Path, capsys: pytest.CaptureFixture[str], change: dict[str, Any], message: str
) -> None:
    dump(work / "review.json", read_json(work / "review.json") | change)
    assert review(work) == 2
    assert message in one_message(capsys)


@settings(max_examples=60, deadline=None, suppress_health_check=SLOW)
@given(seed=SEEDS)
def test_no_change_to_a_review_brings_anything_but_a_result_or_a_refusal(work: Path, seed: int) -> None:
    kept = read_json(work / "review.json")
    dump(work / "review.json", mutated(kept, seed))
    try:
        shutil.rmtree(work / "tiles", ignore_errors=True)
        assert review(work) in (0, 2)
    finally:
        write_json(work / "review.json", kept)


# ---------------------------------------------------------------------------------------------------- journals


def rewrite(folder: Path, records: list[dict[str, Any]]) -> None:
    """The journal with these lines, each with a hash that fits."""
    lines = []
    for record in records:
        text = hostile_text(record)
        lines.append(f'{text[:-1]},"sha":"{sha256_bytes(text.encode())[:16]}"}}\n')
    (folder / JOURNAL).write_text("".join(lines))


def records_of(folder: Path) -> list[dict[str, Any]]:
    return [decode_line(line) for line in (folder / JOURNAL).read_bytes().splitlines()]


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    folder = write_journal(tmp_path / "flight")
    Image.new("RGB", (96, 96), (255, 0, 255)).save(tmp_path / "secret.png")
    return folder


@pytest.mark.parametrize(
    ("number", "change", "message"),
    [
        (1, {"image": SECRET}, "image is '../secret.png', expected a file in tiles/"),
        (1, {"image": "/etc/passwd"}, "image is '/etc/passwd'"),
        (1, {"image": "tiles/../../secret.png"}, "expected a file in tiles/"),
        (1, {"frame": "../00001.jpg"}, "the name of a frame is '../00001.jpg'"),
        (1, {"gps": {"lat": 91, "lon": 0, "alt": None}}, "gps.lat is 91, expected a number from -90 to 90"),
        (1, {"gps": {"lat": float("nan"), "lon": 0, "alt": None}}, "NaN is no number"),
        (1, {"gps": 3}, "gps is 3, expected an object"),
        (1, {"tile": {"x": 0, "y": -1, "w": 96, "h": 96}}, "tile.y is -1"),
        (1, {"frame_size": {"w": 10**6, "h": 10**6}}, "expected at most 200,000,000 pixels"),
        (3, {"tiles": "6"}, "tiles is '6', expected a whole number"),
        (3, {"dropped": [1]}, "dropped is [1], expected a whole number"),
        (3, {"kind": []}, "kind is [], expected a text"),
        (5, {"reason": {"a": 1}}, "reason is {'a': 1}, expected a text"),
        (0, {"settings": [1]}, "settings is [1], expected an object"),
        (0, {"settings": {"a": DEEP}}, "nested more than"),
    ],
)
def test_a_journal_that_no_run_wrote_is_refused_by_survey_and_device(
    journal: Path, capsys: pytest.CaptureFixture[str], number: int, change: dict[str, Any], message: str
) -> None:
    records = records_of(journal)
    records[number] |= change
    rewrite(journal, records)
    out = journal.parent / "out"
    assert main([str(journal), "--out", str(out)]) == 2
    assert message in one_message(capsys)
    assert not out.exists()
    if "frame" not in change:  # to the device a frame's name is a label and nothing more
        with pytest.raises(CrackError, match="choose another --out"):
            Journal(journal, {"model_sha256": "ab"}, {})


def test_a_tile_behind_a_link_that_leads_out_makes_its_frame_a_gap(journal: Path) -> None:
    tile = next((journal / "tiles").iterdir())
    secret = (journal.parent / "secret.png").read_bytes()
    records = records_of(journal)
    for record in records:
        if record.get("image") == f"tiles/{tile.name}":
            record["image_sha256"] = sha256_bytes(secret)
    rewrite(journal, records)
    tile.unlink()
    tile.symlink_to(journal.parent / "secret.png")
    first = next(iter(JournalSource(journal, Locator()).items(lambda name, size: True)))
    with pytest.raises(CrackError, match="leads out of its folder"):
        first.read()


def test_a_pipe_in_place_of_a_tile_does_not_hang(journal: Path) -> None:
    tile = next((journal / "tiles").iterdir())
    tile.unlink()
    os.mkfifo(tile)
    with pytest.raises(CrackError, match="is no file"):
        next(iter(JournalSource(journal, Locator()).items(lambda name, size: True))).read()


@settings(max_examples=200, deadline=None, suppress_health_check=SLOW)
@given(seed=SEEDS)
def test_no_change_to_a_journal_brings_anything_but_a_result_or_a_refusal(journal: Path, seed: int) -> None:
    kept, message = (journal / JOURNAL).read_bytes(), ""
    try:
        changed = mutated(records_of(journal), seed)
        rewrite(journal, [record for record in changed if isinstance(record, dict)])
        try:
            source = JournalSource(journal, Locator())
            for item in source.items(lambda name, size: True):
                try:
                    image = item.read().image
                except CrackError:
                    continue
                assert not (image == (255, 0, 255)).all(axis=-1).any()
        except CrackError as error:
            message = str(error)
    finally:
        (journal / JOURNAL).write_bytes(kept)
    assert message.isprintable()


# ------------------------------------------------------------------------- folders in which a survey is to go on


@settings(max_examples=100, deadline=None, suppress_health_check=SLOW)
@given(seed=SEEDS)
def test_a_changed_folder_is_refused_or_its_bad_records_are_made_again(
    tmp_path_factory: pytest.TempPathFactory, made: tuple[Path, Survey], seed: int
) -> None:
    folder, survey = tmp_path_factory.mktemp("store") / "out", made[1]
    with Store(folder, {"tile": 227}) as store:
        for photo in survey.photos:
            findings = [finding for finding in survey.findings if finding.photo == photo.name]
            store.add_photo(10, photo, findings, None)
        store.add_gap(3, survey.gaps[0])
    paths = sorted((folder / "records").iterdir())
    for path in (folder / "settings.json", *paths[: seed % 3]):
        if seed % 2 or path in paths:
            path.write_text(hostile_text(mutated(read_json(path), seed)), encoding="utf-8")
    known = {photo.name for photo in survey.photos} | {survey.gaps[0].photo}
    message = ""
    try:
        with Store(folder, {"tile": 227}) as store:
            for searched, findings, gap in store.records():
                assert searched is not None or gap is not None
                assert {finding.photo for finding in findings} <= known
                assert all(finding.picture.startswith("pictures/") for finding in findings)
    except CrackError as error:
        message = str(error)
    assert message.isprintable()


# ------------------------------------------------------------------------------------------------- truths of flights


@settings(max_examples=100, deadline=None, suppress_health_check=SLOW)
@given(seed=SEEDS)
def test_a_changed_truth_is_compared_or_refused(tmp_path: Path, made: tuple[Path, Survey], seed: int) -> None:
    value = TRUTH | {"complete": True}
    (tmp_path / "truth.json").write_text(hostile_text(mutated(value, seed)), encoding="utf-8")
    message = ""
    try:
        assert compare(made[1], read_truth(tmp_path / "truth.json")).describe()
    except CrackError as error:
        message = str(error)
    assert message.isprintable()
