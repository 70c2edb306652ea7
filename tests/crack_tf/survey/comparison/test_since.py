"""Two surveys of one wall: what has grown, what is new, what is gone, and what nobody can tell; and what is refused."""

from __future__ import annotations

import csv
import json
import shutil
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

import crack_tf
from crack_tf.survey.__main__ import main
from crack_tf.survey.comparison.comparing import compare_surveys
from crack_tf.survey.comparison.since import MEANS_ONLY, Change, open_earlier, read_since
from crack_tf.survey.comparison.since_files import write_since
from crack_tf.survey.findings import read_survey, survey_id, write_survey
from crack_tf.survey.reviewing import apply_review
from crack_tf.survey.reviews.review import Decision, Review, keep_review
from crack_tf.survey.reviews.review_tiles import picture_region
from crack_tf.survey.told import tell
from tests.crack_tf.survey.small_flight import Models, exif, wall, write_models
from tflite.errors import CrackError
from tflite.files import write_json

SIZE = (480, 360)
# Far from pointing at each other, which would make them one crack.
KEPT, GROWING, REPAIRED, APPEARED = (
    [(50, 50), (190, 60)],
    [(50, 130), (190, 150)],
    [(50, 230), (190, 215)],
    [(270, 300), (430, 280)],
)
# What the later photograph's light makes dark enough to be drawn, and the earlier one's does not.
JOINT = 133
# The later photograph: nearer, turned, shifted.
LATER = (1.1, 0.04, -0.04, 1.1, -20.0, -8.0)


@dataclass(frozen=True)
class Epochs:
    """Folders of photographs and models."""

    old: Path
    new: Path
    away: Path
    models: Models
    folder: Path

    def survey(self, photos: Path, name: str, *more: str) -> int:
        out = self.folder / name
        return main([str(photos), "--out", str(out), *self.models.options, "--tile", "32", *more])


def photograph(
    path: Path,
    lines: Sequence[tuple[list[tuple[int, int]], float]],
    later: bool,
    seed: int = 3,
    joints: Sequence[list[tuple[int, int]]] = (),
) -> None:
    """A wall with lines of these widths and joints, at twice the size and reduced, so that widths are not whole pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = wall(seed, (), *SIZE).resize((2 * SIZE[0], 2 * SIZE[1]), Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(image)
    for line, width in lines:
        pen.line([(2 * x, 2 * y) for x, y in line], fill=(12, 12, 12), width=round(2 * width))
    for joint in joints:
        pen.line([(2 * x, 2 * y) for x, y in joint], fill=(JOINT,) * 3, width=10)
    image = image.resize(SIZE, Image.Resampling.BOX)
    if later:
        a, b, c, d, x, y = LATER
        back = np.linalg.inv(np.array([[a, b, x], [c, d, y], [0, 0, 1]]))
        image = image.transform(
            SIZE, Image.Transform.AFFINE, back[:2].ravel().tolist(), Image.Resampling.BICUBIC, fillcolor=(214, 214, 214)
        )
        image = Image.fromarray((0.93 * np.asarray(image)).astype(np.uint8))
    image.save(path, exif=exif())


@pytest.fixture(scope="module")
def epochs(tmp_path_factory: pytest.TempPathFactory) -> Epochs:
    folder = tmp_path_factory.mktemp("epochs")
    photograph(folder / "old/a.png", [(KEPT, 5), (GROWING, 5), (REPAIRED, 5)], later=False)
    photograph(folder / "new/b.png", [(KEPT, 5), (GROWING, 7), (APPEARED, 5)], later=True)
    photograph(folder / "away/c.png", [(KEPT, 5)], later=False, seed=9)
    made = Epochs(folder / "old", folder / "new", folder / "away", write_models(folder / "models"), folder)
    assert made.survey(made.old, "found-old", "--mm-per-pixel", "0.11") == 0
    assert made.survey(made.new, "found-new", "--mm-per-pixel", "0.1", "--since", str(folder / "found-old")) == 0
    return made


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_each_crack_is_told_what_became_of_it(epochs: Epochs) -> None:
    table = rows(epochs.folder / "found-new/since.csv")
    assert sorted(row["verdict"] for row in table) == ["grown", "new", "no longer seen", "not shown to have grown"]
    by = {row["verdict"]: row for row in table}
    grown = by["grown"]
    low, value, high = (float(grown[f"width_growth{end}_mm"]) for end in ("_low", "", "_high"))
    assert 0 < low < 0.22 < high  # two pixels of 0.11 mm
    assert value == pytest.approx(0.22, abs=0.06)
    assert (grown["width_by"], grown["width_verdict"]) == ("same places", "grown")
    assert int(grown["places"]) > 40
    same = by["not shown to have grown"]
    assert float(same["width_growth_low_mm"]) < 0 < float(same["width_growth_high_mm"]) < 0.1
    assert float(same["length_growth_low_mm"]) < 0 < float(same["length_growth_high_mm"])
    assert (by["new"]["old"], by["no longer seen"]["new"]) == ("", "")


def test_a_joint_that_is_drawn_along_now_is_no_growth_and_a_crack_that_runs_on_is(epochs: Epochs) -> None:
    cracks = [(KEPT, 5.0), (GROWING, 5.0)]
    joint, longer = [(190, 60), (255, 66)], [(190, 150), (255, 160)]
    photograph(epochs.folder / "joint-old/a.png", cracks, later=False, joints=[joint])
    photograph(epochs.folder / "joint-new/b.png", cracks, later=True, joints=[joint, longer])
    assert epochs.survey(epochs.folder / "joint-old", "found-joint-old", "--mm-per-pixel", "0.11") == 0
    asked = ("--mm-per-pixel", "0.1", "--since", str(epochs.folder / "found-joint-old"))
    assert epochs.survey(epochs.folder / "joint-new", "found-joint-new", *asked) == 0
    table = {row["verdict"]: row for row in rows(epochs.folder / "found-joint-new/since.csv")}
    assert sorted(table) == ["cannot tell", "grown"]
    kept, grown = table["cannot tell"], table["grown"]
    assert (grown["length_verdict"], kept["length_verdict"]) == ("grown", "cannot tell")
    assert float(grown["length_growth_low_mm"]) > 4
    assert float(kept["length_growth_low_mm"]) < 0 < float(kept["length_growth_high_mm"])
    assert "mm of what is drawn longer now were as dark on the earlier photograph" in kept["note"]
    assert grown["note"] == ""


def test_findings_carry_it_into_every_table(epochs: Epochs) -> None:
    table = rows(epochs.folder / "found-new/findings.csv")
    found = [row for row in table if row["validation"] != "refuted"]
    assert sorted(row["since"] for row in found) == ["grown", "new", "not shown to have grown"]
    assert {row["since"] for row in table if row["validation"] == "refuted"} <= {""}
    (grown,) = (row for row in found if row["since"] == "grown")
    old = {row["id"] for row in rows(epochs.folder / "found-old/findings.csv")}
    assert grown["since_old"] in old
    assert float(grown["width_growth_low_mm"]) > 0
    features = json.loads((epochs.folder / "found-new/findings.geojson").read_text())["features"]
    assert sorted(feature["properties"]["since"] or "" for feature in features) == sorted(row["since"] for row in table)
    kept = read_survey(epochs.folder / "found-new")
    assert {finding.since or "" for finding in kept.findings} == {row["since"] for row in table}
    assert {row["since"] for row in rows(epochs.folder / "found-old/findings.csv")} == {""}


def test_the_report_shows_both_photographs_that_lie_on_each_other(epochs: Epochs) -> None:
    out = epochs.folder / "found-new"
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "since-title" in page
    assert f"{MEANS_ONLY[1:]}: a widest place may have grown unnoticed." in page
    assert page.count('class="blink"') == 3  # the two cracks of both surveys, and the one that is gone
    since = read_since(out, read_survey(out))
    assert since is not None
    (kept,) = (change for change in since.changes if change.verdict == "not shown to have grown")
    assert kept.picture is not None
    before = np.asarray(Image.open(out / kept.picture).convert("L"), float)
    now = np.asarray(Image.open(out / f"pictures/{kept.new[0]}.jpg").convert("L"), float)
    assert before.shape == now.shape
    dark = now < 90
    assert dark.sum() > 200
    assert before[dark].mean() < 90
    gone = next(change for change in since.changes if change.verdict == "no longer seen")
    assert gone.picture is not None
    assert (out / gone.picture).is_file()


def test_the_pictures_have_the_outlines_of_what_each_survey_drew(epochs: Epochs) -> None:
    out = epochs.folder / "found-new"
    survey = read_survey(out)
    since = read_since(out, survey)
    assert since is not None
    (kept,) = (change for change in since.changes if change.verdict == "not shown to have grown")
    (gone,) = (change for change in since.changes if change.verdict == "no longer seen")
    finding = next(found for found in survey.findings if found.id in kept.new)
    assert kept.picture is not None
    height, width = np.asarray(Image.open(out / finding.picture)).shape[:2]
    for name in (finding.picture, kept.picture):
        # Within its outline the crack is dark, on the earlier photograph as on this one.
        inside = Image.new("L", (width, height))
        for ring in since.outlines[name]:
            ImageDraw.Draw(inside).polygon([(x * width, y * height) for x, y in ring], fill=1)
        picture = np.asarray(Image.open(out / name).convert("L"), float)
        assert picture[np.asarray(inside) > 0].mean() < picture.mean() - 40
    assert gone.picture is not None
    assert gone.new_picture is not None
    assert since.outlines[gone.picture] == since.outlines[gone.new_picture] != ()
    page = (out / "report.html").read_text(encoding="utf-8")
    assert page.count('class="outlines"') == len(since.changes)
    drawn = sum(bool(rings) for rings in since.outlines.values())
    assert page.count('<svg viewBox="0 0 1 1"') == drawn


def test_of_a_crack_that_is_gone_the_report_shows_what_is_there_now_and_why_that_is_said(epochs: Epochs) -> None:
    out = epochs.folder / "found-new"
    since = read_since(out, read_survey(out))
    assert since is not None
    (gone,) = (change for change in since.changes if change.verdict == "no longer seen")
    assert (gone.old_photo, gone.new_photo) == ("a.png", "b.png")
    assert gone.note is not None
    assert "b.png of this survey shows its place sharp and lit" in gone.note
    page = (out / "report.html").read_text(encoding="utf-8")
    assert gone.note in page
    assert ": a crack of the earlier survey, on a.png<br>" in page
    assert gone.picture is not None
    assert gone.new_picture is not None
    assert gone.new_picture in page
    before, now = (np.asarray(Image.open(out / name).convert("L"), float) for name in (gone.picture, gone.new_picture))
    assert before.shape == now.shape
    finding = next(found for found in read_survey(epochs.folder / "found-old").findings if found.id in gone.old)
    region = picture_region(finding.box, *SIZE)
    dark = before < 90
    here = np.zeros_like(dark)
    here[finding.box.y - region.y : finding.box.y + finding.box.h - region.y] = True
    assert (dark & here).sum() > 200
    assert (dark & ~here).sum() > 200
    assert now[dark & here].mean() > 150  # repaired
    assert now[dark & ~here].mean() < 90  # the cracks beside it are still there, and at the same places


def test_a_later_photograph_that_is_lost_leaves_the_earlier_one_alone(epochs: Epochs, tmp_path: Path) -> None:
    out = tmp_path / "found"
    shutil.copytree(epochs.folder / "found-new", out)
    earlier = open_earlier(epochs.folder / "found-old", out)
    survey, since, seen_on = compare_surveys(earlier, read_survey(out), out, 3.0)
    left = write_since(out, since, survey, earlier, seen_on, lambda names: [])
    assert [change.new_picture for change in left.changes] == [None] * 4
    assert not list((out / "since").glob("*-now.jpg"))
    assert read_since(out, survey) == left


def verdicts(changes: Sequence[Change]) -> list[tuple[str, int, int]]:
    return [(change.verdict, len(change.old), len(change.new)) for change in changes]


def test_what_the_earlier_surveys_review_rejected_is_no_crack_of_it(epochs: Epochs, tmp_path: Path) -> None:
    old, out = tmp_path / "old", epochs.folder / "found-new"
    shutil.copytree(epochs.folder / "found-old", old)
    by = {
        change.verdict: change
        for change in compare_surveys(open_earlier(old, out), read_survey(out), out, 3.0)[1].changes
    }
    decisions = {by[verdict].old[0]: Decision("rejected") for verdict in ("grown", "no longer seen")}
    keep_review(old, Review(survey_id(read_survey(old)), "", "", "", decisions))
    found, since, _ = compare_surveys(open_earlier(old, out), read_survey(out), out, 3.0)
    assert verdicts(since.changes) == [("new", 0, 1), ("not shown to have grown", 1, 1), ("cannot tell", 0, 1)]
    assert since.changes[2].note == "the review of the earlier survey rejected what it drew there"
    told = {finding.id: finding.since for finding in found.findings}
    assert told[by["grown"].new[0]] == "cannot tell"


def test_what_this_surveys_review_rejected_goes_from_the_comparison_and_comes_back(
    epochs: Epochs, tmp_path: Path
) -> None:
    out = tmp_path / "found"
    shutil.copytree(epochs.folder / "found-new", out)
    survey = read_survey(out)
    before = read_since(out, survey)
    assert before is not None
    by = {change.verdict: change for change in before.changes}
    for decision, left in (
        ("rejected", {"not shown to have grown": 1, "cannot tell": 1, "no longer seen": 1}),
        ("accepted", {"grown": 1, "not shown to have grown": 1, "new": 1, "no longer seen": 1}),
    ):
        decisions = {by[verdict].new[0]: Decision(decision) for verdict in ("grown", "new")}
        write_json(tmp_path / "review.json", Review(survey_id(survey), "", "", "", decisions).as_json())
        apply_review(out, tmp_path / "review.json")
        table = rows(out / "since.csv")
        assert Counter(row["verdict"] for row in table) == left
        page = (out / "report.html").read_text(encoding="utf-8")
        assert ("the review of this survey rejected what it drew there" in page) == (decision == "rejected")
        assert page.count("<figcaption><strong") == len(table)


def test_a_finding_that_a_person_accepted_is_as_good_as_a_confirmed_one(epochs: Epochs, tmp_path: Path) -> None:
    out = tmp_path / "found"
    shutil.copytree(epochs.folder / "found-new", out)
    survey, earlier = read_survey(out), open_earlier(epochs.folder / "found-old", out)
    survey = replace(survey, findings=tuple(replace(found, validation="unclear") for found in survey.findings))
    assert compare_surveys(earlier, survey, out, 3.0)[1].counts["new"] == 0
    accepted = {found.id: Decision("accepted") for found in survey.findings}
    keep_review(out, Review(survey_id(survey), "", "", "", accepted))
    assert compare_surveys(earlier, survey, out, 3.0)[1].counts["new"] == 1


def test_an_accepted_finding_that_was_not_measured_is_said_not_to_be_compared(epochs: Epochs, tmp_path: Path) -> None:
    old = tmp_path / "old"
    shutil.copytree(epochs.folder / "found-old", old)
    survey = read_survey(old)
    doubted = replace(survey.findings[0], id="0123456789ab", validation="unclear", centreline=(), length_px=None)
    write_survey(old, replace(survey, findings=(*survey.findings, doubted)))
    now = read_survey(epochs.folder / "found-new")
    told = "1 accepted finding of the earlier survey was not measured, and what became of it is not known: 0123456789ab"
    for decision in ("accepted", "rejected"):
        changed_survey = read_survey(old)
        keep_review(old, Review(survey_id(changed_survey), "", "", "", {doubted.id: Decision(decision)}))
        since = compare_surveys(open_earlier(old, tmp_path / "out"), now, epochs.folder / "found-new", 3.0)[1]
        assert (told in since.warnings) == (decision == "accepted")


def test_a_finished_survey_answers_without_being_searched_again_and_forgets_when_asked_no_more(
    epochs: Epochs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "found"
    shutil.copytree(epochs.folder / "found-new", out)
    settings: dict[str, Any] = {
        "model": str(epochs.models.classifier),
        "segmenter": str(epochs.models.segmenter),
        "foreground": "none",
        "tile": 32,
        "mm_per_pixel": 0.1,
    }
    again = crack_tf.survey(epochs.new, out, **settings, since=epochs.folder / "found-old")
    assert (again.handled, again.done_before) == (0, 1)
    assert again.since is not None
    assert again.since.counts == {
        "grown": 1,
        "not shown to have grown": 1,
        "cannot tell": 0,
        "new": 1,
        "no longer seen": 1,
    }
    assert (again.since.paired, again.since.photos) == (1, 1)
    assert any(line.startswith("since last time: ") and line.endswith(MEANS_ONLY) for line in tell(again, False))
    assert tell(again, False)[-1].endswith("coverage.geojson, since.csv")
    assert main(["--out", str(out), "--one-file"]) == 0
    assert "since-title" in (out / "report.html").read_text(encoding="utf-8")
    without = crack_tf.survey(epochs.new, out, **settings)
    assert without.since is None
    assert not (out / "since.csv").exists()
    assert not list((out / "since").glob("*.jpg"))
    assert "since-title" not in (out / "report.html").read_text(encoding="utf-8")


def test_without_a_scale_on_one_side_the_other_one_counts_and_that_is_said(
    epochs: Epochs, capsys: pytest.CaptureFixture[str]
) -> None:
    assert epochs.survey(epochs.old, "unscaled-old") == 0
    old = ["--since", str(epochs.folder / "unscaled-old")]
    capsys.readouterr()
    assert epochs.survey(epochs.new, "half-scaled", "--mm-per-pixel", "0.1", *old) == 0
    assert "1 of 1 photograph of the earlier survey has no known scale" in capsys.readouterr().out
    (grown,) = (row for row in rows(epochs.folder / "half-scaled/since.csv") if row["verdict"] == "grown")
    assert float(grown["width_growth_mm"]) == pytest.approx(0.22, abs=0.06)
    assert epochs.survey(epochs.new, "unscaled", *old) == 0
    (grown,) = (row for row in rows(epochs.folder / "unscaled/since.csv") if row["verdict"] == "grown")
    assert grown["note"] == "no scale is known: growth has no millimetres, and lengths are not compared"
    assert grown["width_growth_mm"] == ""


@pytest.fixture(scope="module")
def frames(epochs: Epochs) -> tuple[Path, Path]:
    """Surveys of one wall by two frames that overlap in part: a crack that leaves both and is wider beyond the first; one that has grown
    inside both; one that has grown out of the first frame."""
    whole, grown, runs_out = [(30, 60), (450, 75)], [(140, 170), (270, 180)], [(140, 280), (270, 270)]
    drawn = {
        "left": [(whole, 5), ([(140, 170), (200, 175)], 5), ([(140, 280), (200, 276)], 5)],
        "right": [(whole, 5), (grown, 5), (runs_out, 5), ([(270, 270), (440, 260)], 5)],
    }
    for name, x in (("left", 0), ("right", 120)):
        path = epochs.folder / name / "photo.png"
        photograph(path, [*drawn[name], ([(340, 70), (450, 75)], 11)], later=False)
        image = Image.open(path)
        image.crop((x, 0, x + 340, SIZE[1])).save(path, exif=image.getexif())
    old, new = epochs.folder / "found-left", epochs.folder / "found-right"
    scale = ("--mm-per-pixel", "0.1")
    assert epochs.survey(epochs.folder / "left", old.name, *scale) == 0
    assert epochs.survey(epochs.folder / "right", new.name, *scale, "--since", str(old)) == 0
    return old, new


def test_growth_is_claimed_only_inside_what_both_photographs_show(frames: tuple[Path, Path]) -> None:
    new = {found.id: found for found in read_survey(frames[1]).findings}
    told = {new[row["new"]].box.y // 100: row for row in rows(frames[1] / "since.csv") if row["new"]}
    whole, grown, runs_out = (told[number] for number in (0, 1, 2))
    assert (whole["verdict"], whole["length_verdict"]) == ("not shown to have grown", "cannot tell")
    assert whole["note"] == "it leaves what both photographs show: beyond, nobody can tell whether it has grown"
    assert float(whole["old_length_mm"]) == pytest.approx(float(whole["new_length_mm"]), abs=0.5)
    assert float(whole["new_length_mm"]) == pytest.approx(21.2, abs=0.5)  # of 36 mm on the later photograph
    assert (grown["verdict"], grown["length_verdict"], grown["note"]) == ("grown", "grown", "")
    assert float(grown["length_growth_mm"]) == pytest.approx(7.0, abs=1)
    assert runs_out["length_verdict"] == "grown"
    assert float(runs_out["length_growth_mm"]) == pytest.approx(13.6, abs=1)  # of 24 mm
    assert runs_out["note"].startswith("it leaves what both photographs show")


def test_a_crack_that_is_drawn_far_shorter_than_before_says_so(frames: tuple[Path, Path], tmp_path: Path) -> None:
    left, right = frames
    out = tmp_path / "left"
    shutil.copytree(left, out)
    survey = read_survey(out)
    y = {found.id: found.box.y // 100 for found in survey.findings}
    changes = compare_surveys(open_earlier(right, out), survey, out, 3.0)[1].changes
    whole, shorter = (next(change for change in changes if change.new and y[change.new[0]] == row) for row in (0, 1))
    assert "no longer drawn" not in (whole.note or "")
    assert shorter.verdict == "not shown to have grown"
    assert shorter.length_growth_mm is not None
    assert shorter.length_growth_mm == pytest.approx(-7.0, abs=1)
    assert shorter.note is not None
    gone = (
        f"{-shorter.length_growth_mm:.1f} mm of it are no longer drawn: repaired or covered there, or missed this time"
    )
    assert shorter.note.startswith(gone)


def test_the_pictures_are_cut_to_what_both_photographs_show(frames: tuple[Path, Path]) -> None:
    out = frames[1]
    survey = read_survey(out)
    since = read_since(out, survey)
    assert since is not None
    pictures = {found.id: found.picture for found in survey.findings}
    whole = next(change for change in since.changes if change.note and change.length_verdict == "cannot tell")
    assert whole.picture is not None
    assert whole.new_picture is not None
    before, now, full = (
        np.asarray(Image.open(out / name).convert("L"), float)
        for name in (whole.picture, whole.new_picture, pictures[whole.new[0]])
    )
    assert before.shape == now.shape
    assert before.shape[1] == pytest.approx(220, abs=3)  # of 340 pixels
    assert full.shape[1] == 340
    assert np.corrcoef(before.ravel(), now.ravel())[0, 1] > 0.7  # cracks differ
    assert before[:, -1].std() > 5  # not grey
    for name, picture in ((whole.picture, before), (whole.new_picture, now)):
        inside = Image.new("L", picture.shape[::-1])
        for ring in since.outlines[name]:
            ImageDraw.Draw(inside).polygon([(x * picture.shape[1], y * picture.shape[0]) for x, y in ring], fill=1)
        assert picture[np.asarray(inside) > 0].mean() < picture.mean() - 40
    page = (out / "report.html").read_text(encoding="utf-8")
    assert whole.new_picture in page


def test_without_clear_places_no_growth_is_claimed_of_other_parts_or_longer_lines(frames: tuple[Path, Path]) -> None:
    unclear = []
    for folder in frames:
        survey = read_survey(folder)
        unclear.append(replace(survey, findings=tuple(replace(found, profile=None) for found in survey.findings)))
    earlier = replace(open_earlier(*frames), survey=unclear[0])
    changes = compare_surveys(earlier, unclear[1], frames[1], 3.0)[1].changes
    assert [change for change in changes if change.verdict == "grown"] == []
    boxes = {found.id: found.box for found in unclear[1].findings}
    told = {boxes[change.new[0]].y // 100: change for change in changes if change.new}
    assert (told[0].verdict, told[0].width_by) == ("cannot tell", None)
    assert "the photographs do not show it clearly at the same places; it leaves" in (told[0].note or "")
    assert (told[1].width_by, told[1].length_verdict) == ("two ranges", "cannot tell")


def test_scales_that_contradict_each_other_are_told(epochs: Epochs, capsys: pytest.CaptureFixture[str]) -> None:
    old = ["--since", str(epochs.folder / "found-old")]
    assert epochs.survey(epochs.new, "contradicting", "--mm-per-pixel", "0.2", *old) == 0
    assert "the scales of the two surveys disagree" in capsys.readouterr().out


def test_a_place_that_was_not_seen_well_tells_nothing(epochs: Epochs, tmp_path: Path) -> None:
    out = epochs.folder / "found-new"
    survey = read_survey(out)
    blurred = replace(survey, photos=tuple(replace(photo, patches="bb/bb") for photo in survey.photos))
    earlier = open_earlier(epochs.folder / "found-old", tmp_path)
    changes = compare_surveys(earlier, blurred, out, 3.0)[1].changes
    assert sorted(change.verdict for change in changes) == ["cannot tell", "grown", "new", "not shown to have grown"]
    (unknown,) = (change for change in changes if change.verdict == "cannot tell")
    assert unknown.note is not None
    assert "no photograph shows the place well enough" in unknown.note


def test_the_line_names_the_earlier_survey_and_parts_what_no_photograph_shows(epochs: Epochs, tmp_path: Path) -> None:
    out = epochs.folder / "found-new"
    survey, earlier = read_survey(out), open_earlier(epochs.folder / "found-old", tmp_path)
    since = compare_surveys(earlier, survey, out, 3.0)[1]
    day = earlier.survey.created[:10]
    assert "shows what the survey of old (taken 2025-06-01) shows; cracks: 1 grown, 1 new," in since.describe()
    photos = tuple(replace(photo, time=None) for photo in earlier.survey.photos)
    settings = {**earlier.survey.settings, "title": "Pier 3, west"}
    titled = replace(earlier, survey=replace(earlier.survey, settings=settings, photos=photos))
    since = compare_surveys(titled, survey, out, 3.0)[1]
    unshown = Change("cannot tell", note="no photograph of this survey is known to show its place")
    since = replace(since, changes=(unshown, unshown, Change("cannot tell", note="too blurred")))
    told = "3 cannot tell (2 of them since no photograph is known to show the place)"
    assert (
        since.describe() == f"1 of 1 photograph shows what the survey Pier 3, west (made {day}) shows; cracks: {told}"
    )


def test_where_the_other_survey_called_something_over_a_place_nobody_can_tell(epochs: Epochs, tmp_path: Path) -> None:
    out = epochs.folder / "found-new"
    survey = read_survey(out)
    earlier = open_earlier(epochs.folder / "found-old", tmp_path)
    photo, first = survey.photos[0], survey.findings[0]
    corners = ((0.0, 0.0), (photo.width - 1.0, 0.0), (photo.width - 1.0, photo.height - 1.0), (0.0, photo.height - 1.0))
    doubted = replace(
        first, id="f" * 12, outline=(corners,), centreline=(), length_px=None, validation="unclear", profile=None
    )
    for validation, verdict in (("unclear", "cannot tell"), ("refuted", "no longer seen")):
        findings = (*survey.findings, replace(doubted, validation=validation))
        changes = compare_surveys(earlier, replace(survey, findings=findings), out, 3.0)[1].changes
        (gone,) = (change for change in changes if change.old and not change.new)
        assert gone.verdict == verdict
        assert gone.note is not None
        assert ("drew or called something else over its place, on b.png" in gone.note) == (validation == "unclear")


def test_other_models_are_told_by_their_hash_not_by_their_name(epochs: Epochs, tmp_path: Path) -> None:
    from crack_tf.survey.comparison.comparing import compare_surveys
    from crack_tf.survey.comparison.since import open_earlier

    out = epochs.folder / "found-new"
    survey = read_survey(out)
    earlier = open_earlier(epochs.folder / "found-old", tmp_path)
    renamed = replace(survey, models={role: {**model, "name": "other"} for role, model in survey.models.items()})
    assert compare_surveys(earlier, renamed, out, 3.0)[1].warnings == ()
    research = replace(
        survey, models={role: {**model, "use": "research only"} for role, model in survey.models.items()}
    )
    assert compare_surveys(earlier, research, out, 3.0)[1].warnings == ()  # of a version that did not state it
    undrawn = replace(
        survey, models={"classifier": survey.models["classifier"]}, findings=()
    )  # as with --segmenter none
    changes = compare_surveys(earlier, undrawn, out, 3.0)[1].changes
    assert {change.verdict for change in changes} == {"cannot tell"}
    assert all("drew no cracks at all" in (change.note or "") for change in changes)
    other = replace(survey, models={**survey.models, "classifier": {**survey.models["classifier"], "sha256": "f" * 64}})
    (warning,) = compare_surveys(earlier, other, out, 3.0)[1].warnings
    assert warning.startswith("the two surveys were not made with the same models (classifier: ")
    assert "(ffffffff)" in warning


def test_a_place_that_was_clean_is_known_again_and_a_crack_there_is_new(
    epochs: Epochs, capsys: pytest.CaptureFixture[str]
) -> None:
    photograph(epochs.folder / "clean/a.png", [], later=False)
    assert epochs.survey(epochs.folder / "clean", "found-clean") == 0
    assert read_survey(epochs.folder / "found-clean").findings == ()
    assert epochs.survey(epochs.new, "since-clean", "--since", str(epochs.folder / "found-clean")) == 0
    assert f"comparing with {epochs.folder / 'found-clean'}\n" in capsys.readouterr().out
    table = rows(epochs.folder / "since-clean/since.csv")
    assert [row["verdict"] for row in table] == ["new", "new", "new"]


@pytest.mark.parametrize(
    ("old", "message"),
    [
        ("nothing", "--since {old}: {old} holds no finished survey"),
        ("models", "--since {old}: {old} holds no finished survey"),
        ("refused", "--since {old} is the folder of this survey itself"),
    ],
)
def test_what_is_no_earlier_survey_is_refused_before_anything_is_made(
    old: str, message: str, epochs: Epochs, capsys: pytest.CaptureFixture[str]
) -> None:
    given = epochs.folder / old
    assert epochs.survey(epochs.new, "refused", "--since", str(given)) == 2
    assert message.format(old=given) in capsys.readouterr().err
    assert not (epochs.folder / "refused").exists()


def test_another_site_is_refused_and_what_was_searched_stays(
    epochs: Epochs, capsys: pytest.CaptureFixture[str]
) -> None:
    old = ["--since", str(epochs.folder / "found-old")]
    assert epochs.survey(epochs.away, "away-found", *old) == 2
    assert "0 of 1 photograph could be paired with one of the 1 there" in capsys.readouterr().err
    out = epochs.folder / "away-found"
    assert not (out / "survey.json").exists()
    assert len(list((out / "records").glob("*.json"))) == 1
    assert epochs.survey(epochs.away, "away-found") == 0


def test_without_photographs_there_is_nothing_to_compare(epochs: Epochs, capsys: pytest.CaptureFixture[str]) -> None:
    old = str(epochs.folder / "found-old")
    assert main(["--out", str(epochs.folder / "found-new"), "--one-file", "--since", old]) == 2
    assert f"--since {old} needs PHOTOS, too" in capsys.readouterr().err
    for option, value in (("--condition", "mbei-1130"), ("--limit-mm", "0.3"), ("--faces", "faces.json")):
        assert main(["--out", str(epochs.folder / "found-new"), option, value]) == 2
        assert f"{option} {value} needs PHOTOS, too" in capsys.readouterr().err


def test_since_is_a_path(tmp_path: Path) -> None:
    with pytest.raises(CrackError, match="--since 3: give a path"):
        crack_tf.SurveyConfig(since=3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text", ["{}", '{"format": "crack_tf.since/1"}', "[", '{"format": "crack_tf.since/1", "changes": 3}']
)
def test_a_damaged_file_of_changes_is_named_or_left_out(text: str, epochs: Epochs, tmp_path: Path) -> None:
    survey = read_survey(epochs.folder / "found-new")
    (tmp_path / "since.json").write_text(text)
    if text in ("[", "{}"):  # of another program
        with suppress(CrackError):
            assert read_since(tmp_path, survey) is None
        return
    with pytest.raises(CrackError, match=r"since\.json is damaged"):
        read_since(tmp_path, survey)
