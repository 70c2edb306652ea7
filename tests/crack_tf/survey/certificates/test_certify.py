"""A certificate says what the survey's own search finds of cracks that are known, goes on after a stop, and refuses what it cannot know."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as settings_of
from hypothesis import strategies as st

import crack_tf
from crack_tf.inference.tiles import photo_boxes
from crack_tf.models.shipped import find_model
from crack_tf.survey.certificates.certificate import (
    FILES,
    TRIALS,
    certificate_of,
    contrast_of,
    direction_of,
    read_certificate,
)
from crack_tf.survey.certificates.certify import LEAST_CRACKS, LEAST_SHARE, MOST_CRACKS, SHARE, Order
from crack_tf.survey.certificates.laid_crack import lay, search_for, verdict_on, window_around
from crack_tf.survey.config import SurveyConfig
from crack_tf.survey.findings import read_survey
from crack_tf.survey.report.page import write_page
from crack_tf.survey.report.page_certificate import certificate_section
from crack_tf.survey.searching.search import Plan, Searcher
from crack_tf.survey.store import Store
from crack_tf.survey.surveying import SurveyResult, find_segmenter
from crack_tf.synthetic.wall import Wall, draw_walk
from tests.crack_tf.survey.small_flight import Models, wall, write_flight, write_models
from tflite.checked import CheckError
from tflite.device.tiles import Box
from tflite.errors import CrackError

CRACKS = 24
pytestmark = pytest.mark.slow  # a flight is searched, and its photographs again with cracks laid into them


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Models:
    return write_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def settings(models) -> dict[str, Any]:
    return {
        "model": str(models.classifier),
        "segmenter": "none",
        "foreground": "none",
        "certify": True,
        "certify_cracks": CRACKS,
        "jobs": 2,
    }


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    return write_flight(tmp_path_factory.mktemp("flight") / "DCIM")


@pytest.fixture(scope="module")
def found(settings, photos, tmp_path_factory) -> SurveyResult:
    return crack_tf.survey(photos, tmp_path_factory.mktemp("out") / "found", **settings)


def test_known_cracks_are_laid_into_clean_photographs_and_the_wide_ones_are_found(found):
    certificate = found.certificate
    assert certificate is not None
    assert len(certificate.trials) >= CRACKS / 2
    # Photographs 0 and 3 have no lines; on the others, cracks stay out of tiles with a finding.
    assert {"000.png", "003.png"} <= {trial.photo for trial in certificate.trials}
    for trial in certificate.trials:
        for finding in found.findings:
            box = finding.box
            beside = trial.x < box.x or trial.x > box.x + box.w or trial.y < box.y or trial.y > box.y + box.h
            assert trial.photo != finding.photo or beside
    assert certificate.unit == "px"
    assert all(0.2 < trial.width_px < 7 and 0.25 <= trial.contrast <= 0.8 for trial in certificate.trials)
    # The classifier of this test looks at the mean brightness of a tile.
    dark = [trial.width_px * trial.contrast for trial in certificate.trials]
    order = np.argsort(dark)
    third = len(order) // 3
    hits = np.array([trial.found for trial in certificate.trials])[order]
    assert hits[-third:].mean() > hits[:third].mean()
    assert not hits[:3].any()
    assert "cracks laid into clean parts of" in certificate.describe()
    assert "fewer than the 60" in certificate.describe()


def test_a_width_that_nobody_knows_is_told_in_whole_sentences(found):
    trials = tuple(
        replace(trial, photo="a.png", found=True, width_px=width, contrast=0.5)
        for trial, width in zip(
            found.certificate.trials, np.geomspace(6, 0.3, len(found.certificate.trials)), strict=True
        )
    )
    narrow_ones = tuple(replace(trial, found=number >= len(trials) / 2) for number, trial in enumerate(trials))
    text = replace(found.certificate, trials=narrow_ones).describe()
    assert "of 1 photograph of this flight were found. From which width on" in text
    assert "is not known: wide cracks were found no more often than narrow ones" in text


def test_its_files_hold_it_and_the_report_shows_it(found):
    folder = found.folder
    assert all((folder / name).is_file() for name in FILES)
    assert read_certificate(folder, read_survey(folder)) == found.certificate
    assert "What could have been missed" in found.report.read_text()
    text = (folder / "certificate.csv").read_text()
    assert text.startswith("width_from,width_to,unit,contrast,direction,tried,found,share,low,high")
    value = json.loads((folder / "certificate.json").read_text())
    assert set(value["levels"]) == {"faint", "middle", "dark"}
    # A report that is made again, from the folder alone, still has it; one of other photographs has not.
    survey = read_survey(folder)
    assert "What could have been missed" in write_page(folder, survey).read_text()
    others = replace(survey, photos=survey.photos[1:])
    assert read_certificate(folder, others) is None
    assert certificate_section(None) == ""


def test_the_same_seed_lays_the_same_cracks_and_what_was_judged_is_not_judged_again(found, settings, photos, tmp_path):
    told: list[str] = []
    again = crack_tf.survey(photos, tmp_path / "again", say=told.append, **(settings | {"jobs": 1}))
    assert again.certificate == found.certificate
    lines = (tmp_path / "again" / TRIALS).read_bytes().splitlines(keepends=True)
    # Stopped in the middle of the last photograph's line.
    (tmp_path / "again" / TRIALS).write_bytes(b"".join(lines[:-1]) + lines[-1][: len(lines[-1]) // 2])
    told.clear()
    third = crack_tf.survey(photos, tmp_path / "again", say=told.append, **settings)
    assert third.certificate == found.certificate
    assert sum(line.startswith("certificate") for line in told) == 1
    other = crack_tf.survey(photos, tmp_path / "again", **(settings | {"certify_seed": 1}))
    assert other.certificate is not None
    assert other.certificate.trials != found.certificate.trials


def test_without_clean_parts_it_is_refused_and_the_survey_is_there(settings, tmp_path):
    cracked = write_flight(tmp_path / "DCIM", 6)
    for number in (0, 1, 3, 4):  # on the others, two lines leave no room
        (cracked / f"{number:03d}.png").unlink()
    with pytest.raises(CrackError, match=r"--certify: no part of 2 photographs is clean and seen well enough"):
        crack_tf.survey(cracked, tmp_path / "out", **settings)
    assert len(read_survey(tmp_path / "out").photos) == 2
    with pytest.raises(CrackError, match=r"too coarse.*--needs-mm 0.01"):
        crack_tf.survey(
            write_flight(tmp_path / "other", 1), tmp_path / "coarse", mm_per_pixel=0.5, needs_mm=0.01, **settings
        )


def test_with_a_scale_widths_are_millimetres_and_a_segmentation_model_has_its_say(settings, models, photos, tmp_path):
    whole = settings | {"segmenter": str(models.segmenter)}
    result = crack_tf.survey(photos, tmp_path / "out", mm_per_pixel=0.25, needs_mm=1, **whole)
    assert result.certificate is not None
    assert result.certificate.unit == "mm"
    assert {trial.validation for trial in result.certificate.trials} & {"refuted", "confirmed", "unclear"}
    for trial in result.certificate.trials:
        assert trial.width_mm == pytest.approx(trial.width_px * 0.25, rel=1e-3)


def test_how_many_were_asked_for_and_laid_is_told_and_why_there_are_no_more(found, settings, photos, tmp_path):
    assert found.certificate.limit == "as many as wanted"
    assert f"Laid: {CRACKS} of {CRACKS} asked for, as many as wanted. That took " in found.certificate.describe()
    result = crack_tf.survey(photos, tmp_path / "out", **(settings | {"certify_cracks": 4000}))
    certificate = result.certificate
    assert certificate is not None
    assert 24 < len(certificate.trials) < 4000
    assert certificate.limit.startswith("no more fit: of 6 photographs, ")
    assert "no room beside the other cracks" in certificate.limit
    assert f"Laid: {len(certificate.trials)} of 4000 asked for, no more fit" in certificate.describe()
    # Nothing is laid twice at a place, however often a photograph is visited.
    places = [(trial.photo, trial.x, trial.y) for trial in certificate.trials]
    assert len(set(places)) == len(places)
    assert len({(trial.photo, trial.number) for trial in certificate.trials}) == len(places)
    # With the number of cracks only their order changes: the first ones of a photograph are the same.
    first = {(trial.photo, trial.number): trial for trial in certificate.trials}
    assert all(first[trial.photo, trial.number] == trial for trial in found.certificate.trials)


def test_without_a_number_cracks_take_a_share_of_the_survey_s_time(settings, photos, tmp_path):
    plain = {name: value for name, value in settings.items() if name not in ("certify", "certify_cracks")}
    survey = crack_tf.survey(photos, tmp_path / "out", **plain)
    path = survey.folder / "performance.json"

    def took(seconds: float) -> None:
        (survey.folder / TRIALS).unlink(missing_ok=True)
        path.write_text(json.dumps(json.loads(path.read_text()) | {"search_seconds": seconds}))

    took(1e-3)
    told: list[str] = []
    with pytest.raises(CrackError, match=f"too small for a certificate.*--certify-cracks {LEAST_CRACKS} lays them"):
        crack_tf.survey(photos, tmp_path / "out", certify=True, say=told.append, **plain)
    assert not any(line.startswith("certificate") for line in told)
    assert not (survey.folder / "certificate.json").exists()
    least = crack_tf.survey(photos, tmp_path / "out", certify=True, certify_cracks=LEAST_CRACKS, **plain).certificate
    assert least is not None
    assert len(least.trials) == LEAST_CRACKS
    took(1e6)
    patient = crack_tf.survey(photos, tmp_path / "out", certify=True, **plain).certificate
    assert patient is not None
    assert patient.asked is None
    assert patient.survey_seconds == pytest.approx(1e6)
    assert len(patient.trials) > 2 * LEAST_CRACKS
    assert patient.limit.startswith(("no more fit", "as many as wanted"))


@settings_of(max_examples=60)
@given(
    survey_s=st.floats(0, 1e5),
    visit_s=st.floats(0.01, 100),
    rate=st.integers(1, 4),
    jobs=st.integers(1, 16),
)
def test_the_time_that_cracks_take_is_bounded_by_the_survey_s(
    found, survey_s: float, visit_s: float, rate: int, jobs: int
):
    order = Order(found.survey, {}, 0.3, 0.25, survey_s)
    laid, visits, spent = 0, 0, 0.0
    for _ in range(10_000):
        more = order.more(laid, visits, spent, jobs)
        if not more:
            break
        laid, visits, spent = laid + more * rate, visits + more, spent + more * visit_s
    assert laid <= MOST_CRACKS + jobs * rate
    first = min(jobs, 4)  # visits at a time, which are asked for before it is known what one takes
    assert spent <= LEAST_SHARE * survey_s * (1 + 1e-9) or visits == first
    if laid >= LEAST_CRACKS + jobs * rate:
        assert spent <= SHARE * survey_s * (1 + 1e-9) or visits == first
    if survey_s * SHARE >= visit_s * (LEAST_CRACKS + jobs):
        assert laid >= LEAST_CRACKS


def test_an_older_survey_tells_its_seconds_by_its_last_call(found):
    folder = found.folder
    with Store(folder, json.loads((folder / "settings.json").read_text())["settings"]) as store:
        assert store.search_seconds > 0
        (folder / "performance.json").write_text('{"seconds": 3.5}')
        assert store.search_seconds == 3.5
        (folder / "performance.json").write_text('{"seconds": "long"}')
        assert store.search_seconds == 0.0


@pytest.mark.parametrize(("segmenter", "side"), [(True, 32), (False, 32)])
def test_what_is_found_in_the_window_is_what_is_found_on_the_whole_photograph(models, segmenter, side):
    image = np.asarray(wall(3, [[(500, 30), (900, 200)]], 1100, 900))
    plan = Plan(models.classifier, side, 0.25, models.segmenter if segmenter else None, False)
    boxes = photo_boxes(1100, 900, side, 0.25)
    whole = Box(0, 0, 900, 1100)
    rng, verdicts = np.random.default_rng(0), set()
    with Searcher(plan, 1) as searcher:
        for number in range(14):
            place = rng.uniform((60, 60), (1040, 840))
            width, depth = float(rng.uniform(1, 7)), float(rng.uniform(0.3, 0.95))
            crack = replace(draw_walk(rng, (0.0, 0.0), float(rng.uniform(0, 6)), 1.2 * side, width), depth=depth)
            crack = replace(crack, points=crack.points - crack.points.mean(axis=0) + place)
            window = window_around(1100, 900, place, 0.55 * 1.2 * side + 8, side)
            assert window.w * window.h < 0.3 * 1100 * 900
            concrete = None if number % 2 else np.ones((900, 1100), bool)
            if concrete is not None:
                concrete[: int(place[1]) - 70] = False
            here, there = (
                search_for(crack, number, image, part, boxes, concrete, side, searcher) for part in (window, whole)
            )
            assert here == there
            verdicts.add(here)
    assert len(verdicts) > 1


@pytest.mark.slow
def test_the_shipped_models_answer_in_the_window_as_on_the_whole_photograph():
    chosen = find_model(None)
    plan = Plan(chosen.path, chosen.tile_side, 0.25, find_segmenter(None), False)
    image, _ = Wall(5, Box(-4000, -4000, 9000, 9000), ()).view(0, 0, 2400, 1800)
    rng = np.random.default_rng(1)
    with Searcher(plan, 2) as searcher:
        side = searcher.classifier.side
        boxes = photo_boxes(2400, 1800, side, 0.25)
        for width, depth in ((0.3, 0.25), (0.8, 0.4), (3.0, 0.6)):
            place = rng.uniform((500, 500), (1900, 1300))
            crack = replace(draw_walk(rng, (0.0, 0.0), float(rng.uniform(0, 6)), 1.2 * side, width), depth=depth)
            crack = replace(crack, points=crack.points - crack.points.mean(axis=0) + place)
            window = window_around(2400, 1800, place, 0.55 * 1.2 * side + 8, side)
            pixels, _ = lay(image, crack, 7)
            # As a search does it that knows of no crack: every tile of the photograph.
            found = searcher.judge(pixels, boxes, None, side)
            assert search_for(crack, 7, image, window, boxes, None, side, searcher) == verdict_on(found, crack)


@pytest.mark.parametrize("settings", [{"certify_cracks": 60}, {"certify": True, "certify_cracks": 2}])
def test_an_impossible_number_of_cracks_is_named(settings):
    with pytest.raises(CrackError, match="--certify-cracks"):
        SurveyConfig(**settings)


def test_a_crack_takes_the_share_of_light_it_is_said_to_and_leaves_the_rest_alone():
    pixels = np.full((200, 300, 3), 200, np.uint8)
    crack = replace(draw_walk(np.random.default_rng(0), (40, 100), 0.0, 220, 8), depth=0.5)
    laid, cover = lay(pixels, crack, 1)
    assert laid[cover == 1].mean() == pytest.approx(200 * (1 - 0.5 * 0.92), rel=0.12)
    assert (laid[:40] == 200).all()
    assert (pixels == 200).all()


def test_contrasts_and_directions_have_names(found):
    trial = found.certificate.trials[0]
    assert [contrast_of(replace(trial, contrast=value)) for value in (0.3, 0.5, 0.7)] == ["faint", "middle", "dark"]
    names = [direction_of(replace(trial, direction_deg=value)) for value in (5.0, 45.0, 90.0, 175.0)]
    assert names == ["level", "oblique", "upright", "level"]


def test_a_damaged_certificate_is_none(found, tmp_path):
    survey = read_survey(found.folder)
    for text in ("{", "[]", '{"format": "crack_tf.certificate/1", "trials": 3}'):
        (tmp_path / "certificate.json").write_text(text)
        assert read_certificate(tmp_path, survey) is None
    with pytest.raises(CheckError):
        certificate_of({**asdict(found.certificate), "trials": []})
