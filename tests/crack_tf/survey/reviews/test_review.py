"""Reviews: reading them, the tables, and tiles to train on."""

from __future__ import annotations

import contextlib
import csv
import json
import re
from collections.abc import Callable
from dataclasses import fields, replace
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from crack_tf.data.folders import class_folders
from crack_tf.survey.findings import Finding, Survey, survey_id, write_survey
from crack_tf.survey.formats.geojson import write_tables
from crack_tf.survey.pictures import draw_finding
from crack_tf.survey.reviewing import apply_review
from crack_tf.survey.reviews.review import (
    _MAX_COMMENT,
    COLUMNS,
    DECISIONS,
    FORMAT,
    UNMEASURED,
    Decision,
    describe_decisions,
    kept_review,
    read_review,
)
from crack_tf.survey.reviews.review_tiles import MIN_RUN, export_tiles, picture_region
from crack_tf.survey.severity import ranked
from tests.crack_tf.survey.drawn_surveys import TILE_SIDE, drawn_survey
from tests.documents import ROOT
from tflite.device.tiles import Box
from tflite.errors import CrackError
from tflite.files import read_json, write_json


@pytest.fixture
def survey(tmp_path: Path) -> Survey:
    made = drawn_survey(tmp_path / "found", findings=6, photos=6)
    write_tables(tmp_path / "found", made)
    return made


def content(survey: Survey, *decisions: str) -> dict[str, Any]:
    entries = {
        finding.id: {"decision": decision, "comment": f"about {number}", "time": "2025-06-02T08:00:00Z"}
        for number, (finding, decision) in enumerate(zip(survey.findings, decisions, strict=False))
    }
    return {
        "format": FORMAT,
        "survey": survey_id(survey),
        "source": survey.source,
        "reviewer": "A. Engineer",
        "exported": "2025-06-02T09:00:00Z",
        "decisions": entries,
    }


def write_review(folder: Path, value: dict[str, Any]) -> Path:
    path = folder / "review.json"
    write_json(path, value)
    return path


# ----------------------------------------------------------------------------------------------------- reading


def test_a_review_is_read_with_its_decisions(tmp_path: Path, survey: Survey) -> None:
    review = read_review(write_review(tmp_path, content(survey, "accepted", "rejected", "")), survey)
    assert describe_decisions(survey.findings, review) == "1 accepted, 1 rejected, 4 open"
    assert review.reviewer == "A. Engineer"
    first = review.decisions[survey.findings[0].id]
    assert (first.decision, first.comment, first.time) == ("accepted", "about 0", "2025-06-02T08:00:00Z")
    expected = content(survey, "accepted", "rejected", "")
    expected["decisions"] = {
        name: {**entry, "reviewer": "A. Engineer", "commented": entry["time"], "commenter": "A. Engineer"}
        for name, entry in expected["decisions"].items()
    }
    assert review.as_json() == expected


def test_the_id_of_a_survey_changes_with_photographs_and_findings_only(survey: Survey) -> None:
    expected = survey_id(survey)
    assert survey_id(replace(survey, created="later", warnings=(), findings=survey.findings[::-1])) == expected
    assert survey_id(replace(survey, findings=survey.findings[1:])) != expected
    assert survey_id(replace(survey, photos=(replace(survey.photos[0], sha256="0"), *survey.photos[1:]))) != expected


def test_a_review_of_another_survey_is_refused(tmp_path: Path, survey: Survey) -> None:
    path = write_review(tmp_path, content(survey, "accepted") | {"survey": "abcdef012345", "source": "Pier 1"})
    with pytest.raises(
        CrackError, match=r"belongs to survey 'abcdef012345' of 'Pier 1'.*the reviewed report\.html lies in"
    ):
        read_review(path, survey)


def test_decisions_on_unknown_findings_are_refused(tmp_path: Path, survey: Survey) -> None:
    value = content(survey, "accepted")
    value["decisions"]["000000000000"] = {"decision": "accepted"}
    with pytest.raises(CrackError, match=r"1 finding that the survey does not have \(000000000000\)"):
        read_review(write_review(tmp_path, value), survey)


def changed(name: str, entry: Any) -> Callable[[dict[str, Any]], None]:
    def change(value: dict[str, Any]) -> None:
        number = next(iter(value["decisions"]))
        value["decisions"][number][name] = entry

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda value: value.update(format="other"), r"format 'other', expected 'crack_tf\.review/1'"),
        (lambda value: value.update(decisions=[]), r"decisions is \[\], expected an object"),
        (lambda value: value.update(reviewer=7), "reviewer is 7, expected a text"),
        (lambda value: value["decisions"].update(x=3), r"decisions\.x is 3, expected an object"),
        (changed("decision", "maybe"), r"\.decision is 'maybe', expected 'accepted', 'rejected' or ''"),
        (changed("decision", None), r"\.decision is None, expected a text"),
        (changed("comment", 3), r"\.comment is 3, expected a text"),
        (changed("comment", "x" * 10_001), r"\.comment is 'x.*, expected a text of at most 10,000"),
        (changed("time", 3), r"\.time is 3, expected a text"),
    ],
)
def test_a_bad_review_is_refused_with_the_place(
    tmp_path: Path, survey: Survey, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    value = content(survey, "accepted")
    change(value)
    with pytest.raises(CrackError, match=message):
        read_review(write_review(tmp_path, value), survey)


def test_a_missing_or_torn_review_is_named(tmp_path: Path, survey: Survey) -> None:
    with pytest.raises(CrackError, match=r"none\.json does not exist"):
        read_review(tmp_path / "none.json")
    path = write_review(tmp_path, content(survey, "accepted"))
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(CrackError, match="not valid JSON"):
        read_review(path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
)


@pytest.mark.slow
@given(st.dictionaries(st.sampled_from(["survey", "source", "reviewer", "exported", "decisions"]), JSON), JSON)
def test_any_json_is_a_review_or_one_clear_error(
    tmp_path_factory: pytest.TempPathFactory, value: dict[str, Any], entry: Any
) -> None:
    for decisions in (
        value.get("decisions"),
        {"a": entry},
        {"a": {"decision": entry}},
        {"a": {"decision": "", "comment": entry}},
    ):
        path = write_review(tmp_path_factory.getbasetemp(), {**value, "format": FORMAT, "decisions": decisions})
        with contextlib.suppress(CrackError):
            assert all(isinstance(one.comment, str) for one in read_review(path).decisions.values())


# ------------------------------------------------------------------------------------------------------ tables


def test_decisions_are_added_to_tables_and_report(tmp_path: Path, survey: Survey) -> None:
    out = tmp_path / "found"
    said = apply_review(out, write_review(tmp_path, content(survey, "accepted", "rejected", "")))
    assert said.startswith("6 findings: 1 accepted, 1 rejected, 4 open.")
    with (out / "findings.csv").open(encoding="utf-8", newline="") as stream:
        rows = {row["id"]: row for row in csv.DictReader(stream)}
    first, second, third = (rows[finding.id] for finding in survey.findings[:3])
    assert [first[name] for name in COLUMNS] == [
        *("accepted", "about 0", "A. Engineer", "2025-06-02T08:00:00Z"),
        *("A. Engineer", "2025-06-02T08:00:00Z"),
    ]
    assert (second["decision"], third["decision"], third["comment"]) == ("rejected", "", "about 2")
    assert first["photo"] == survey.findings[0].photo
    features = {entry["properties"]["id"]: entry for entry in read_json(out / "findings.geojson")["features"]}
    assert features[survey.findings[1].id]["properties"]["decision"] == "rejected"
    assert features[survey.findings[2].id]["properties"]["decision"] == ""
    assert "A. Engineer" in (out / "report.html").read_text(encoding="utf-8")


def test_tables_and_report_of_an_earlier_versions_survey_have_todays_rule(tmp_path: Path, survey: Survey) -> None:
    out, count = tmp_path / "found", len(survey.findings)
    old = [replace(finding, severity=float(n)) for n, finding in enumerate(reversed(survey.findings))]
    earlier = replace(survey, findings=tuple(old))
    write_survey(out, earlier)
    write_tables(out, earlier)
    before = (out / "survey.json").read_bytes()
    apply_review(out, write_review(tmp_path, content(survey, "accepted")))
    expected = [(finding.id, finding.severity) for finding in ranked(survey).findings]
    with (out / "findings.csv").open(encoding="utf-8", newline="") as stream:
        assert [(row["id"], float(row["severity"])) for row in csv.DictReader(stream)] == expected
    features = [entry["properties"] for entry in read_json(out / "findings.geojson")["features"]]
    assert [(entry["id"], entry["severity"]) for entry in features] == expected
    told = (out / "report.html").read_text(encoding="utf-8")
    listed = json.loads(re.search(r'"findings":(\[.*?\])\}</script>', told)[1])  # type: ignore[index]
    assert [(entry["id"], entry["severity"]) for entry in listed] == expected
    assert len(listed) == count
    assert (out / "survey.json").read_bytes() == before


def test_an_accepted_finding_without_a_length_says_why_and_what_measures_it(tmp_path: Path, survey: Survey) -> None:
    folder = tmp_path / "found"
    undrawn = [finding for finding in survey.findings if finding.length_px is None]
    assert undrawn
    drawn = next(finding for finding in survey.findings if finding.length_px is not None)
    value = content(survey) | {"decisions": {one.id: {"decision": "accepted"} for one in (undrawn[0], drawn)}}
    told = apply_review(folder, write_review(tmp_path, value))
    assert f"note: 1 accepted finding ({undrawn[0].id}): {UNMEASURED}." in told
    with (folder / "findings.csv").open(newline="", encoding="utf-8") as stream:
        notes = {row["id"]: row["note"] for row in csv.DictReader(stream)}
    assert {name for name, note in notes.items() if UNMEASURED in note} == {undrawn[0].id}
    features = read_json(folder / "findings.geojson")["features"]
    assert {one["id"] for one in features if UNMEASURED in (one["properties"]["note"] or "")} == {undrawn[0].id}
    assert escape(UNMEASURED) in (folder / "report.html").read_text(encoding="utf-8")
    # As soon as it is rejected nobody misses a length.
    value["decisions"][undrawn[0].id]["decision"] = "rejected"
    assert UNMEASURED not in apply_review(folder, write_review(tmp_path, value))
    assert UNMEASURED not in (folder / "findings.csv").read_text(encoding="utf-8")


def test_a_later_review_replaces_the_columns(tmp_path: Path, survey: Survey) -> None:
    out = tmp_path / "found"
    apply_review(out, write_review(tmp_path, content(survey, "accepted")))
    apply_review(out, write_review(tmp_path, content(survey, "rejected")))
    with (out / "findings.csv").open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        decisions = {row["id"]: row["decision"] for row in reader}
    assert list(reader.fieldnames or ())[-6:] == list(COLUMNS)
    assert len(reader.fieldnames or ()) == len(set(reader.fieldnames or ()))
    assert decisions[survey.findings[0].id] == "rejected"


def test_damaged_tables_are_written_again(tmp_path: Path, survey: Survey) -> None:
    out, path = tmp_path / "found", write_review(tmp_path, content(survey, "accepted"))
    (out / "findings.csv").write_text("a,b\n1,2\n")
    (out / "findings.geojson").unlink()
    apply_review(out, path)
    with (out / "findings.csv").open(encoding="utf-8", newline="") as stream:
        assert [row["id"] for row in csv.DictReader(stream)] == [finding.id for finding in survey.findings]
    assert len(read_json(out / "findings.geojson")["features"]) == len(survey.findings)


# -------------------------------------------------------------------------------------------- asked again later


def test_the_folder_keeps_the_review_for_whatever_is_written_later(tmp_path: Path, survey: Survey) -> None:
    out = tmp_path / "found"
    assert kept_review(out, survey) == (None, "")
    path = write_review(tmp_path, content(survey, "accepted", "rejected"))
    apply_review(out, path)
    assert kept_review(out, survey) == (read_review(path), "")
    (out / "review.json").write_text("{")
    with pytest.raises(CrackError, match=r"review\.json"):
        kept_review(out, survey)


def test_each_decision_keeps_who_made_it_and_when(tmp_path: Path, survey: Survey) -> None:
    out = tmp_path / "found"
    apply_review(out, write_review(tmp_path, content(survey, "accepted", "rejected")))
    kept = read_json(out / "review.json")["decisions"]
    # What another reviewer exports of the report that has these, with a decision of their own.
    third = {"decision": "accepted", "comment": "", "time": "2026-01-01T08:00:00Z", "reviewer": ""}
    value = content(survey) | {"reviewer": "B. Engineer", "decisions": {**kept, survey.findings[2].id: third}}
    apply_review(out, write_review(tmp_path, value))
    for _ in range(2):
        with (out / "findings.csv").open(encoding="utf-8", newline="") as stream:
            rows = {row["id"]: (row["reviewer"], row["reviewed"]) for row in csv.DictReader(stream)}
        first, second, other, nobody, *_ = (rows[finding.id] for finding in survey.findings)
        assert first == second == ("A. Engineer", "2025-06-02T08:00:00Z")
        assert (other, nobody) == (("B. Engineer", "2026-01-01T08:00:00Z"), ("", ""))
        apply_review(out, out / "review.json")
    review, _ = kept_review(out, survey)
    assert review is not None
    assert review.reviewers == "A. Engineer, B. Engineer"


def test_a_comment_has_its_own_author_and_time_where_anybody_says_them(tmp_path: Path, survey: Survey) -> None:
    first, second, third, fourth, *_ = (finding.id for finding in survey.findings)
    old, later = "2025-06-02T08:00:00Z", "2026-01-01T08:00:00Z"
    by_a = {"decision": "accepted", "time": old, "reviewer": "A. Engineer", "comment": "wet"}
    decisions = {
        first: by_a | {"commented": later, "commenter": "C. Engineer"},
        second: by_a,  # from before comments had an author: anybody may have written it
        third: {"decision": "", "comment": "look again", "time": old, "reviewer": "A. Engineer"},
        fourth: {"decision": "rejected", "comment": "a cable", "time": old},
    }
    value = content(survey) | {"reviewer": "B. Engineer", "decisions": decisions}
    apply_review(tmp_path / "found", write_review(tmp_path, value))
    for _ in range(2):  # from the file that was given, and from the one that the folder keeps
        with (tmp_path / "found" / "findings.csv").open(encoding="utf-8", newline="") as stream:
            rows = {row["id"]: (row["reviewer"], row["commenter"], row["commented"]) for row in csv.DictReader(stream)}
        assert [rows[name] for name in decisions] == [
            ("A. Engineer", "C. Engineer", later),
            ("A. Engineer", "", ""),
            ("A. Engineer", "A. Engineer", old),
            ("B. Engineer", "B. Engineer", old),
        ]
        apply_review(tmp_path / "found", tmp_path / "found" / "review.json")


def test_the_kept_review_is_read_once(tmp_path: Path, survey: Survey, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_review(tmp_path, content(survey, "accepted"))
    monkeypatch.setattr("crack_tf.survey.reviews.review.read_kept", None)  # tables and report take what was just read
    assert "1 accepted" in apply_review(tmp_path / "found", path)


def test_a_review_of_an_earlier_version_is_taken_from_the_table(tmp_path: Path, survey: Survey) -> None:
    out = tmp_path / "found"
    path = write_review(tmp_path, content(survey, "accepted", "rejected"))
    apply_review(out, path)
    (out / "review.json").unlink()
    found, note = kept_review(out, survey)
    assert found is not None
    assert (found.decisions, found.reviewers, note) == (read_review(path).decisions, "A. Engineer", "")


def test_a_decision_goes_where_its_finding_went(tmp_path: Path, survey: Survey) -> None:
    out = tmp_path / "found"
    apply_review(out, write_review(tmp_path, content(survey, "accepted", "rejected", "accepted", "rejected")))
    first, second, third, fourth, *rest = survey.findings
    # The first speaks for a finding that was undecided, and is now spoken for itself; the third became one with the fourth.
    into = replace(rest[0], merged=(first.id,))
    torn = replace(third, merged=(fourth.id,))
    later = replace(survey, findings=(into, torn, *rest[1:]))
    found, note = kept_review(out, later)
    assert found is not None
    assert {number: entry.decision for number, entry in found.decisions.items()} == {into.id: "accepted"}
    assert note == (
        f"of the review in review.json, 1 decision is on findings that the survey no longer has ({second.id}) and 1 finding is open again, "
        f"since what became one was decided differently ({torn.id}). The file keeps these."
    )


def test_a_later_review_leaves_what_the_file_keeps(tmp_path: Path, survey: Survey) -> None:
    out = tmp_path / "found"
    apply_review(out, write_review(tmp_path, content(survey, "accepted", "rejected", "accepted", "rejected")))
    first, second, third, fourth, *rest = survey.findings
    later = replace(survey, findings=(first, replace(third, merged=(fourth.id,)), *rest), former=(survey_id(survey),))
    write_survey(out, later)
    # As today's report has it: the first decided anew, the finding made of the third and the fourth left open.
    said = apply_review(out, write_review(tmp_path, content(later, "rejected")))
    assert "1 rejected" in said
    assert f"1 decision is on findings that the survey no longer has ({second.id}) and 1 finding is open again" in said
    kept = read_review(out / "review.json", later)
    expected = {first.id: "rejected", second.id: "rejected", third.id: "accepted", fourth.id: "rejected"}
    assert {number: entry.decision for number, entry in kept.decisions.items()} == expected
    # What is decided anew is settled.
    apply_review(out, write_review(tmp_path, content(later, "rejected", "rejected")))
    kept = read_review(out / "review.json", later)
    expected = {first.id: "rejected", second.id: "rejected", third.id: "rejected"}
    assert {number: entry.decision for number, entry in kept.decisions.items()} == expected


def test_a_review_from_before_the_survey_changed_is_a_review_of_it(tmp_path: Path, survey: Survey) -> None:
    out, path = tmp_path / "found", write_review(tmp_path, content(survey, "accepted", "rejected", "", "rejected"))
    first, second, third, fourth, *rest = survey.findings
    grown = replace(survey, findings=(first, replace(third, merged=(fourth.id,)), *rest))
    write_survey(out, grown)
    with pytest.raises(CrackError, match=r"export the review again from today's report\.html"):
        apply_review(out, path)
    write_survey(out, replace(grown, former=("0123456789ab", survey_id(survey))))
    said = apply_review(out, path, tmp_path / "tiles")
    assert said.startswith("4 findings: 1 accepted, 1 rejected, 2 open.")
    assert f"on findings that the survey no longer has ({second.id})" in said
    assert tiles_of(tmp_path / "tiles", third)["no_crack"]
    # The file that the folder keeps is one of today's survey, and can be given again.
    assert read_review(out / "review.json").survey == survey_id(grown)
    assert apply_review(out, out / "review.json").startswith("4 findings: 1 accepted, 1 rejected, 2 open.")


def test_a_damaged_kept_review_is_replaced(tmp_path: Path, survey: Survey) -> None:
    (tmp_path / "found" / "review.json").write_text("{")
    apply_review(tmp_path / "found", write_review(tmp_path, content(survey, "accepted")))
    assert len(read_review(tmp_path / "found" / "review.json").decisions) == 1


# ------------------------------------------------------------------------------------------------------- tiles


def tiles_of(folder: Path, finding: Finding) -> dict[str, list[Path]]:
    return {
        label: sorted((folder / label).glob(f"{finding.id}-*.png")) if (folder / label).is_dir() else []
        for label in ("crack", "no_crack")
    }


def test_accepted_and_rejected_findings_become_tiles_of_two_classes(tmp_path: Path, survey: Survey) -> None:
    out, folder = tmp_path / "found", tmp_path / "tiles"
    said = apply_review(out, write_review(tmp_path, content(survey, "accepted", "rejected", "")), folder)
    accepted, rejected, commented, *_ = (tiles_of(folder, finding) for finding in survey.findings)
    assert accepted["crack"]
    assert rejected["no_crack"]
    assert not accepted["no_crack"]
    assert not rejected["crack"]
    assert not any(commented.values())
    assert f"{len(accepted['crack'])} tiles in {folder / 'crack'}, {len(rejected['no_crack'])} in" in said
    assert class_folders(folder) == ([folder / "no_crack"], [folder / "crack"])  # what `crack-tf data split` looks for


def test_a_tile_shows_the_pixels_that_its_name_says(tmp_path: Path) -> None:
    # A photograph whose colours are its coordinates, and a crack from end to end.
    height, width = 1500, 2000
    y, x = np.mgrid[:height, :width]
    photo = np.stack([x // 8, y // 8, np.zeros_like(x)], axis=-1).astype(np.uint8)
    survey = drawn_survey(tmp_path, findings=1, photos=1)
    for box in (Box(700, 900, 60, 400), Box(0, 0, 300, 120), Box(1200, 1500, 300, 500)):
        line = ((box.x, box.y), (box.x + box.w, box.y + box.h), (box.x + box.w, box.y + box.h - 3))
        picture, _ = draw_finding(photo, box, (line,), "confirmed")
        region = picture_region(box, width, height)
        scale = picture.shape[1] / region.w
        Image.fromarray(picture).save(tmp_path / "picture.png")
        finding = replace(survey.findings[0], box=box, outline=(line,), picture="picture.png")
        record = replace(survey.photos[0], width=width, height=height)
        one = replace(survey, findings=(finding,), photos=(record,))
        review = read_review(write_review(tmp_path, content(one, "accepted")), one)
        folder = tmp_path / f"tiles{box.x}"
        exported = export_tiles(tmp_path, one, review, folder, 200)
        tiles = sorted((folder / "crack").iterdir())
        assert exported.crack == len(tiles) > 0
        for path in tiles:
            left, top = (int(part[1:]) for part in path.stem.split("-")[1:])
            pixels = np.asarray(Image.open(path)).astype(int)
            assert pixels.shape == (round(200 * scale), round(200 * scale), 3)
            middle = pixels[pixels.shape[0] // 2, pixels.shape[1] // 2]
            assert abs(middle[0] - (left + 100) / 8) <= 2
            assert abs(middle[1] - (top + 100) / 8) <= 2
            # The line runs through it, for at least a quarter of its side.
            share = [(left - box.x) / box.w, (left + 200 - box.x) / box.w]
            down = [(top - box.y) / box.h, (top + 200 - box.y) / box.h]
            common = min(1.0, share[1], down[1]) - max(0.0, share[0], down[0])
            assert common * max(box.w, box.h) >= MIN_RUN * 200 - 5


def test_of_a_finding_without_a_drawn_crack_tiles_beside_it_are_left_out(tmp_path: Path, survey: Survey) -> None:
    # The outline is that of the tiles that the classifier called cracked: what lies next to them was called clean.
    box = Box(1000, 1000, 256, 448)
    corners = ((1000.0, 1000.0), (1447.0, 1000.0), (1447.0, 1255.0), (1000.0, 1255.0))
    refuted = replace(survey.findings[0], box=box, outline=(corners,), length_px=None, validation="refuted")
    one = replace(survey, findings=(refuted,))
    region = picture_region(box, survey.photos[0].width, survey.photos[0].height)
    Image.new("RGB", (region.w, region.h)).save(tmp_path / "found" / refuted.picture)
    review = read_review(write_review(tmp_path, content(one, "accepted")), one)
    assert export_tiles(tmp_path / "found", one, review, tmp_path / "tiles", 256).crack > 0
    for path in tiles_of(tmp_path / "tiles", refuted)["crack"]:
        left, top = (int(part[1:]) for part in path.stem.split("-")[1:])
        inside = (min(left + 256, 1448) - max(left, 1000)) * (min(top + 256, 1256) - max(top, 1000))
        assert inside >= 0.5 * 256 * 256


def test_a_finding_too_short_for_any_tile_still_gives_one_around_it(tmp_path: Path, survey: Survey) -> None:
    box = Box(1000, 1000, 12, 12)
    small = replace(survey.findings[0], box=box, outline=(((1000.0, 1000.0), (1012.0, 1012.0)),))
    Image.new("RGB", (320, 320)).save(tmp_path / "found" / small.picture)
    one = replace(survey, findings=(small,))
    review = read_review(write_review(tmp_path, content(one, "rejected")), one)
    exported = export_tiles(tmp_path / "found", one, review, tmp_path / "tiles", TILE_SIDE)
    assert (exported.no_crack, exported.crack, exported.skipped) == (1, 0, {})
    (path,) = (tmp_path / "tiles" / "no_crack").iterdir()
    assert path.name == f"{small.id}-x892-y892.png"


def test_a_tile_for_no_crack_never_shows_a_finding_that_was_not_rejected(tmp_path: Path, survey: Survey) -> None:
    first, second = survey.findings[:2]
    wrong = replace(first, box=Box(1000, 1000, 60, 600), outline=(((1000.0, 1030.0), (1600.0, 1030.0)),))
    crack = replace(
        second, photo=first.photo, box=Box(900, 1550, 300, 20), outline=(((1560.0, 900.0), (1560.0, 1200.0)),)
    )
    Image.new("RGB", (840, 840)).save(tmp_path / "found" / wrong.picture)
    for other, expected in (("", 6), ("accepted", 6), ("rejected", 8)):
        both = replace(survey, findings=(wrong, crack))
        review = read_review(write_review(tmp_path, content(both, "rejected", other)), both)
        folder = tmp_path / f"tiles-{other}"
        export_tiles(tmp_path / "found", both, review, folder, 227)
        tiles = tiles_of(folder, wrong)["no_crack"]
        columns = [int(path.stem.split("-x")[1].split("-")[0]) for path in tiles]
        assert len(tiles) == expected
        if other != "rejected":
            assert not any(x <= 1560 < x + 227 for x in columns)
    near = replace(crack, outline=wrong.outline)
    both = replace(survey, findings=(wrong, near))
    review = read_review(write_review(tmp_path, content(both, "rejected")), both)
    exported = export_tiles(tmp_path / "found", both, review, tmp_path / "none", 227)
    assert exported.skipped == {wrong.id: "all its tiles show a finding that was not rejected"}


def test_tiles_are_never_replaced_without_permission_and_nothing_is_written_then(
    tmp_path: Path, survey: Survey
) -> None:
    out, folder = tmp_path / "found", tmp_path / "tiles"
    path = write_review(tmp_path, content(survey, "accepted"))
    apply_review(out, path, folder)
    before = {path.name: path.read_bytes() for path in (folder / "crack").iterdir()}
    again = write_review(tmp_path, content(survey, "rejected", "accepted"))
    with pytest.raises(CrackError, match=r"exists already\. Choose another --export-tiles, or add --overwrite"):
        apply_review(out, again, folder)
    assert {path.name: path.read_bytes() for path in (folder / "crack").iterdir()} == before
    assert not (folder / "no_crack").exists()


def test_with_permission_a_tile_moves_to_the_class_of_the_newer_decision(tmp_path: Path, survey: Survey) -> None:
    out, folder = tmp_path / "found", tmp_path / "tiles"
    apply_review(out, write_review(tmp_path, content(survey, "accepted")), folder)
    (folder / "crack" / "other.png").write_bytes(b"mine")
    apply_review(out, write_review(tmp_path, content(survey, "rejected")), folder, overwrite=True)
    tiles = tiles_of(folder, survey.findings[0])
    assert tiles["no_crack"]
    assert not tiles["crack"]
    assert (folder / "crack" / "other.png").read_bytes() == b"mine"


def test_findings_without_a_usable_picture_are_named(tmp_path: Path, survey: Survey) -> None:
    out = tmp_path / "found"
    first, second, third = survey.findings[:3]
    (out / first.picture).unlink()
    (out / second.picture).write_bytes((out / second.picture).read_bytes()[:600])
    large = replace(third, box=Box(0, 0, 3000, 3900))
    odd = replace(survey, findings=(first, second, large))
    write_survey(out, odd)
    review = read_review(write_review(tmp_path, content(odd, "accepted", "accepted", "accepted")), odd)
    exported = export_tiles(out, odd, review, tmp_path / "tiles", TILE_SIDE)
    assert (exported.crack, exported.no_crack) == (0, 0)
    assert "missing" in exported.skipped[first.id]
    assert "too coarse" in exported.skipped[third.id]
    assert second.id in exported.skipped


def test_bad_targets_and_unknown_tile_sizes_are_refused(tmp_path: Path, survey: Survey) -> None:
    out, path = tmp_path / "found", write_review(tmp_path, content(survey, "accepted"))
    with pytest.raises(CrackError, match="is a file, expected a folder"):
        apply_review(out, path, path)
    photos = tmp_path / "DCIM"
    photos.mkdir()
    (photos / "a.JPG").write_bytes(b"a photograph")
    before = (out / "report.html").exists()
    for place, given_photos, told in (
        (photos, None, r"--export-tiles .*DCIM holds photographs, such as a\.JPG: .*Choose a folder for tiles alone"),
        (
            photos / "tiles",
            photos,
            r"--export-tiles .* lies in .*DCIM: its tiles would lie among the photographs",
        ),
        (out, None, "--export-tiles .* lies in the survey .*Choose a folder outside of it"),
        (out / "tiles", None, "--export-tiles .* lies in the survey"),
    ):
        with pytest.raises(CrackError, match=told):
            apply_review(out, path, place, photos=given_photos)
        assert not {"crack", "no_crack", "tiles"} & {made.name for made in (*photos.iterdir(), *out.iterdir())}
    assert ((out / "report.html").exists(), (out / "review.json").exists()) == (before, False)
    write_survey(out, replace(survey, settings={}))
    with pytest.raises(CrackError, match="does not say how large its tiles were"):
        apply_review(out, path, tmp_path / "tiles")
    assert json.loads(path.read_text(encoding="utf-8"))["decisions"]


def test_the_documented_review_is_a_review(survey: Survey, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "findings.md").read_text(encoding="utf-8")
    section = page.split("\n## A review\n")[1].split("\n## ")[0]
    value = json.loads(section.split("```json\n")[1].split("```")[0])
    review = read_review(write_review(tmp_path, value))
    assert review.as_json() == value
    tables = [re.findall(r"^\| `(\w+)` \|", part, re.MULTILINE) for part in section.split("| entry of a decision |")]
    (decision,) = value["decisions"].values()
    assert tables == [list(value), list(decision)] == [list(review.as_json()), [one.name for one in fields(Decision)]]
    for name in filter(None, DECISIONS):
        assert f"*{name}*" in section
    assert f"{_MAX_COMMENT:,}" in section
    # What the page writes.
    script = (resources.files("crack_tf.survey") / "assets/report.js").read_text(encoding="utf-8")
    exported = script.split("function exportReview() {")[1].split("};")[0]
    assert re.findall(r"^ +(\w+): ", exported, re.MULTILINE) == list(value)
    entry = re.search(r"\|\| \{([^}]+)\};", script)
    assert entry is not None
    assert re.findall(r"(\w+):", entry[1]) == list(decision)
    # What may be missing.
    left = {"format": FORMAT, "survey": survey_id(survey), "decisions": {survey.findings[0].id: {"decision": ""}}}
    assert read_review(write_review(tmp_path, left), survey).decisions == {survey.findings[0].id: Decision("")}
