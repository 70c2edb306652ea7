from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crack_tf.adapt import main
from crack_tf.adaptation.config import AdaptConfig
from crack_tf.adaptation.sources import REVIEW, kind_of, read_site
from crack_tf.adaptation.suggesting import how_sure, most_different
from crack_tf.adaptation.tiles import ASSUMED, PERSON
from crack_tf.survey.findings import Survey, survey_id, write_survey
from crack_tf.survey.reviews.review import ACCEPTED, FORMAT, REJECTED, UNDECIDED, keep_review, read_review
from tests.crack_tf.survey.drawn_surveys import TILE_SIDE, drawn_survey
from tflite.errors import CrackError
from tflite.files import read_csv, read_json, write_json


@pytest.fixture
def survey(tmp_path: Path) -> Survey:
    return drawn_survey(tmp_path / "found", findings=6, photos=6)


def write_review(path: Path, survey: Survey, decisions: Sequence[str], more: dict[str, str] | None = None) -> Path:
    entries = {finding.id: {"decision": name} for finding, name in zip(survey.findings, decisions, strict=False)}
    head = {"format": FORMAT, "survey": survey_id(survey), "source": survey.source}
    write_json(path, head | (more or {}) | {"decisions": entries})
    return path


def test_accepted_findings_are_cracks_rejected_ones_are_none_and_photographs_are_known(
    survey: Survey, tmp_path: Path
) -> None:
    found = tmp_path / "found"
    review = write_review(tmp_path / "r.json", survey, ["accepted", "rejected"] * 3)
    for record in survey.photos[:3]:
        path = tmp_path / "DCIM" / record.name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (record.width, record.height), (168, 163, 154)).save(path)
    assert kind_of(str(found)) == REVIEW
    config = AdaptConfig(str(found), review=str(review), photos=str(tmp_path / "DCIM"))
    tiles = read_site(config, 32, TILE_SIDE, tmp_path / "work").tiles
    told = tiles.take(tiles.with_origin(PERSON))
    photo_of = {finding.id: finding.photo for finding in survey.findings}
    decided = {finding.id: number % 2 == 0 for number, finding in enumerate(survey.findings)}
    assert {name.partition("-")[0] for name in told.names} == set(photo_of)
    for name, photo, label in zip(told.names, told.photos, told.labels.tolist(), strict=True):
        finding = name.partition("-")[0]
        assert photo == photo_of[finding]
        assert label == decided[finding]
    around = tiles.take(tiles.with_origin(ASSUMED))
    assert set(around.photos) <= {record.name for record in survey.photos[:3]}
    assert not around.labels.any()


@pytest.mark.parametrize(
    ("decisions", "more", "told"),
    [
        (["accepted"] * 6, {}, "labels of one kind only"),
        (
            ["accepted", "rejected"] * 3,
            {"survey": "abcdef012345", "source": "Pier 1"},
            "belongs to survey 'abcdef012345'",
        ),
    ],
)
def test_a_review_that_does_not_do_is_refused(
    survey: Survey, tmp_path: Path, decisions: list[str], more: dict[str, str], told: str
) -> None:
    review = write_review(tmp_path / "r.json", survey, decisions, more)
    with pytest.raises(CrackError) as error:
        read_site(AdaptConfig(str(tmp_path / "found"), review=str(review)), 32, TILE_SIDE, tmp_path / "work")
    assert told in str(error.value)


def test_a_review_from_before_the_survey_went_on_gives_labels(survey: Survey, tmp_path: Path) -> None:
    review = write_review(tmp_path / "r.json", survey, ["accepted", "rejected"] * 3)
    first, second, *rest = survey.findings
    merged = replace(rest[0], merged=(first.id,))
    write_survey(tmp_path / "found", replace(survey, findings=(merged, *rest[1:]), former=(survey_id(survey),)))
    site = read_site(AdaptConfig(str(tmp_path / "found"), review=str(review)), 32, TILE_SIDE, tmp_path / "work")
    assert f"of the review, 1 decision is on findings that the survey no longer has ({second.id})" in site.notes


def test_a_survey_without_a_review_has_no_labels(survey: Survey, tmp_path: Path) -> None:
    with pytest.raises(CrackError, match=r"name the review that its report\.html exports with --review FILE"):
        read_site(AdaptConfig(str(tmp_path / "found")), 32, TILE_SIDE, tmp_path / "work")


def test_a_review_that_the_survey_keeps_need_not_be_named(survey: Survey, tmp_path: Path) -> None:
    found = tmp_path / "found"
    named = write_review(tmp_path / "r.json", survey, ["accepted", "rejected"] * 3)
    wanted = read_site(AdaptConfig(str(found), review=str(named)), 32, TILE_SIDE, tmp_path / "work")
    keep_review(found, read_review(named, survey))
    site = read_site(AdaptConfig(str(found)), 32, TILE_SIDE, tmp_path / "work-2")
    assert site.tiles.names == wanted.tiles.names
    assert site.tiles.labels.tolist() == wanted.tiles.labels.tolist()


def test_suggestions_leave_out_what_the_kept_review_decided(survey: Survey, tmp_path: Path) -> None:
    found, out = tmp_path / "found", tmp_path / "look"
    keep_review(found, read_review(write_review(tmp_path / "r.json", survey, ["accepted", "rejected"]), survey))
    assert main([str(found), "--suggest", "99", "--out", str(out)]) == 0
    named = {row["name"] for row in read_csv(out / "suggested.csv") if row["kind"] == "finding"}
    assert named == {finding.id for finding in survey.findings[2:]}
    assert read_review(out / "suggested.json", survey).verdict(survey.findings[0]) == ACCEPTED


def test_a_kept_review_of_comments_alone_is_none(survey: Survey, tmp_path: Path) -> None:
    keep_review(tmp_path / "found", read_review(write_review(tmp_path / "r.json", survey, ["", ""]), survey))
    with pytest.raises(CrackError, match="without a decision on any finding"):
        read_site(AdaptConfig(str(tmp_path / "found")), 32, TILE_SIDE, tmp_path / "work")


def test_suggestions_are_open_findings_in_a_review_that_the_survey_reads(
    survey: Survey, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found, out = tmp_path / "found", tmp_path / "look"
    review = write_review(tmp_path / "r.json", survey, ["accepted", "rejected"])
    assert main([str(found), "--review", str(review), "--suggest", "3", "--out", str(out)]) == 0
    rows = read_csv(out / "suggested.csv")
    with_findings = {name for finding in survey.findings for name in finding.seen_on}
    assert not with_findings & {row["photo"] for row in rows if row["kind"] == "photograph"}
    named = [row["name"] for row in rows if row["kind"] == "finding"]
    assert 0 < len(rows) <= 3
    assert set(named) <= {finding.id for finding in survey.findings[2:]}
    made = read_review(out / "suggested.json", survey)
    assert Counter(entry.decision for entry in made.decisions.values()) == {
        ACCEPTED: 1,
        REJECTED: 1,
        UNDECIDED: len(named),
    }
    assert "look at this" in made.decisions[named[0]].comment
    assert "crack-tf survey --review" in capsys.readouterr().out
    assert main([str(found), "--suggest", "3", "--out", str(out)]) == 2
    assert main([str(found), "--suggest", "3", "--out", str(out), "--overwrite"]) == 0


def test_a_suggestion_leaves_what_a_person_wrote_and_takes_the_place_of_an_earlier_one(
    survey: Survey, tmp_path: Path
) -> None:
    found, out = tmp_path / "found", tmp_path / "look"
    review = write_review(tmp_path / "r.json", survey, ["accepted", "rejected"])
    number = survey.findings[2].id
    value = read_json(review)
    told = {"comment": "wet\nin spring", "commenter": "A. Engineer", "commented": "2026-01-02T08:00:00Z"}
    value["decisions"][number] = {"decision": "", **told}
    write_json(review, value)
    for _ in range(2):
        asked = ["--review", str(review), "--suggest", "9", "--out", str(out), "--overwrite"]
        assert main([str(found), *asked]) == 0
        entry = read_review(out / "suggested.json", survey).decisions[number]
        assert re.fullmatch(r"wet\nin spring\nlook at this, number \d+: .*", entry.comment)
        assert (entry.commenter, entry.commented) == ("A. Engineer", "2026-01-02T08:00:00Z")
        review = tmp_path / "again.json"
        review.write_bytes((out / "suggested.json").read_bytes())


def test_the_most_different_come_first() -> None:
    features = np.array([[0.0, 0], [0.1, 0], [10, 0], [0, 10], [10.1, 0]])
    assert most_different(features, 3).tolist()[0] == 0
    assert set(most_different(features, 3).tolist()) in ({0, 4, 3}, {0, 2, 3})
    assert len(most_different(features, 9)) == 5
    assert len(most_different(features, 0)) == 0


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (-5.0, "the model is sure"),
        (-2.5, "the model is not sure"),
        (0.9, "the model is not sure"),
        (12.0, "the model is sure"),
    ],
)
def test_a_suggestion_does_not_call_a_sure_answer_unsure(answer: float, told: str) -> None:
    assert how_sure(answer, border=-0.6) == told


def test_the_reason_of_a_suggested_finding_goes_with_its_probability(survey: Survey, tmp_path: Path) -> None:
    plain, doubtful, *rest = survey.findings
    findings = (replace(plain, probability=0.999999), replace(doubtful, probability=0.36), *rest)
    write_survey(tmp_path / "found", replace(survey, findings=findings))
    assert main([str(tmp_path / "found"), "--suggest", "99", "--out", str(tmp_path / "look")]) == 0
    why = {row["name"]: row["why"] for row in read_csv(tmp_path / "look" / "suggested.csv")}
    assert why[plain.id] == f"{plain.validation}; the model is sure"
    assert why[doubtful.id] == f"{doubtful.validation}; the model is not sure"


def test_a_photograph_of_a_survey_has_no_probability_since_none_was_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn_survey(tmp_path / "found", findings=2, photos=8)
    out = tmp_path / "look"
    assert main([str(tmp_path / "found"), "--suggest", "8", "--out", str(out)]) == 0
    rows = read_csv(out / "suggested.csv")
    assert {row["kind"]: bool(row["probability"]) for row in rows} == {"photograph": False, "finding": True}
    told = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert {words[-1] for words in told if words[1:2] == ["photograph"]} == {"-"}
