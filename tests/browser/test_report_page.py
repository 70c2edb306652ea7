"""What an engineer does with report.html, in a real browser."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from crack_tf.survey.findings import CONFIRMED, MEANINGS, Finding, survey_id
from crack_tf.survey.report.page import write_page
from crack_tf.survey.reviews.review import UNMEASURED, Decision, Review, read_review
from crack_tf.survey.severity import ASSUMED_MM_PER_PIXEL, VALIDATION_WEIGHTS
from crack_tf.survey.severity import in_order as as_listed
from tests.browser.conftest import ARGUMENTS, FRAME, PHONE, WIDE, Report, Tab, find_chromium
from tests.crack_tf.survey.drawn_surveys import drawn_survey, in_folders, with_names
from tests.documents import ROOT
from tflite.words import counted

pytestmark = pytest.mark.slow  # each opens a browser

ReportOf = Callable[[int], Report]
OpenPage = Callable[..., Tab]
HOSTILE = '</script><script>window.hacked=1</script><img src=x onerror="window.hacked=1">\'"&<!--'

OVERFLOW = """() => {
  const wide = document.documentElement.clientWidth;
  const found = [...document.querySelectorAll("body *")].filter((element) => {
    const box = element.getBoundingClientRect();
    // What is clipped on purpose, and what is only there for screen readers, does not widen the page.
    return box.width && (box.right > wide + 1 || box.left < -1) && !element.closest("svg, .skip, thead, #gallery .file");
  });
  return [document.documentElement.scrollWidth - wide, found.map((element) => element.outerHTML.slice(0, 80))];
}"""

# WCAG 2.2, 1.4.3: contrast of visible texts with what is behind them.
CONTRAST = """() => {
  const parse = (color) => (color.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = parse(getComputedStyle(at).backgroundColor);
      if (color.length === 3 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  const bad = [];
  for (const element of document.querySelectorAll("body *:not(script, style, option, svg *)")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !element.checkVisibility() || element.disabled || element.closest(".skip")) continue;
    const [a, b] = [light(parse(getComputedStyle(element).color)), light(behind(element))].sort((x, y) => y - x);
    const contrast = (a + 0.05) / (b + 0.05);
    if (contrast < 4.5) bad.push(`${element.tagName} ${element.className} ${element.textContent.slice(0, 20)} ${contrast.toFixed(2)}`);
  }
  return bad;
}"""

UNNAMED = """() => [...document.querySelectorAll("button, input, select, textarea, img, svg[role=img]")]
  .filter((element) => element.checkVisibility())
  .filter((element) => !(element.ariaLabel || element.alt || element.labels?.length || element.textContent.trim() || element.title))
  .map((element) => element.outerHTML.slice(0, 100))"""


def ids(findings: Sequence[Finding]) -> list[str]:
    return [finding.id for finding in findings]


@pytest.mark.parametrize("findings", [0, 1, 12, 500])
def test_the_page_opens_without_complaint_and_shows_all_findings(
    report_of: ReportOf, open_page: OpenPage, findings: int
) -> None:
    report = report_of(findings)
    started = time.monotonic()
    tab = open_page(report.path)
    assert tab.order() == ids(report.survey.findings)
    assert tab.is_visible("#controls") == (findings > 0)
    if findings:
        tab.select_option("#sort", "width")
        assert len(tab.order()) == findings
    assert time.monotonic() - started < 60  # generous: CI machines are busy
    texts = {0: "Nothing was found. That does not mean that there is nothing.", 1: "All 1 finding"}
    assert tab.texts("#count") == [texts.get(findings, f"All {findings} findings")]
    assert len(tab.requests) == len([url for url in tab.requests if url.startswith(("file:", "data:"))])


# -------------------------------------------------------------------------------------------- sorting, filtering


def in_order(findings: Sequence[Finding], key: Callable[[Finding], Any], reverse: bool) -> list[str]:
    """As the page promises: unknown last either way, then by validation and severity."""
    ranked = as_listed(findings)
    known = sorted([finding for finding in ranked if key(finding) is not None], key=key, reverse=reverse)
    return ids([*known, *(finding for finding in ranked if key(finding) is None)])


def sort_width(finding: Finding) -> float | None:
    scale = ASSUMED_MM_PER_PIXEL if finding.mm_per_pixel is None else finding.mm_per_pixel
    return None if finding.max_width_px is None else finding.max_width_px * scale


KEYS: dict[str, Callable[[Finding], Any]] = {
    "rank": lambda finding: (VALIDATION_WEIGHTS[finding.validation], finding.severity),
    "width": sort_width,
    "length": lambda finding: None if finding.length_px is None else finding.length_px * (finding.mm_per_pixel or 0),
    "confidence": lambda finding: finding.probability,
    "photo": lambda finding: finding.photo,
    "time": lambda finding: finding.time,
}


@pytest.mark.parametrize("name", KEYS)
def test_findings_are_sorted_both_ways(report_of: ReportOf, open_page: OpenPage, name: str) -> None:
    report = report_of(12)
    tab = open_page(report.path)
    tab.select_option("#sort", name)
    highest_first = name not in ("photo", "time")
    assert tab.order() == in_order(report.survey.findings, KEYS[name], highest_first)
    tab.click("#direction")
    assert tab.order() == in_order(report.survey.findings, KEYS[name], not highest_first)


def test_photographs_are_sorted_by_number(report_of: ReportOf, open_page: OpenPage, tmp_path: Path) -> None:
    survey = drawn_survey(tmp_path, 3)
    named = [replace(f, photo=name) for f, name in zip(survey.findings, ("p10", "p9", "p100"), strict=True)]
    tab = open_page(write_page(tmp_path, replace(survey, findings=tuple(named))))
    tab.select_option("#sort", "photo")
    assert tab.texts(".card .file") == ["p9", "p10", "p100"]


def test_filters_leave_what_fits_and_reset_brings_all_back(report_of: ReportOf, open_page: OpenPage) -> None:
    report = report_of(12)
    findings = report.survey.findings
    tab = open_page(report.path)
    tab.fill("#min-width", "1.2")
    unknown = [finding for finding in findings if finding.max_width_mm is None]
    wide = [finding for finding in findings if finding.max_width_mm is None or finding.max_width_mm >= 1.2]
    assert 0 < len(unknown) < len(wide) < 12
    assert tab.order() == ids(wide)
    assert tab.texts("#count") == [f"{len(wide)} of 12 findings, {len(unknown)} of them without a known width"]

    tab.fill("#min-confidence", "70")
    sure = [finding for finding in wide if finding.probability >= 0.7]
    assert 0 < len(sure) < len(wide)
    assert tab.order() == ids(sure)
    for name in ("refuted", "unclear"):
        tab.uncheck(f"[name=validation][value={name}]")
    confirmed = [finding for finding in sure if finding.validation == CONFIRMED]
    assert tab.order() == ids(confirmed)
    dimmed = tab.eval_on_selector_all(".marks .finding.out", "signs => signs.map(sign => sign.dataset.id)")
    assert set(dimmed) == set(ids(findings)) - set(ids(confirmed))

    tab.click("#clear-filters")
    assert tab.texts("#count") == ["All 12 findings"]
    assert tab.order() == ids(findings)


def test_findings_are_filtered_by_ones_own_decision(report_of: ReportOf, open_page: OpenPage) -> None:
    report = report_of(12)
    first, second, *others = ids(report.survey.findings)
    tab = open_page(report.path)
    tab.click(".card .open >> nth=0")
    tab.keyboard.press("a")
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("r")
    tab.keyboard.press("Escape")
    for choice, expected in (("accepted", [first]), ("rejected", [second]), ("open", others)):
        tab.select_option("#decision-filter", choice)
        assert tab.order() == expected


# -------------------------------------------------------------------------------------------------- one finding


def test_a_finding_opens_with_its_facts_and_both_pictures(report_of: ReportOf, open_page: OpenPage) -> None:
    report = report_of(12)
    finding = report.survey.findings[0]
    tab = open_page(report.path)
    tab.click(".card >> nth=0")  # anywhere on the card
    assert tab.texts("#detail-title") == ["Finding 1"]
    facts = dict(zip(tab.texts("#facts dt"), tab.texts("#facts dd"), strict=True))
    assert facts["Photograph"] == finding.photo
    assert facts["Second opinion"] == f"{finding.validation}: {MEANINGS[finding.validation]}"
    assert facts["Its score"] == f"{finding.validation_score:.2f} (on average of the drawn crack)"
    assert facts["Maximum width"].startswith(f"{finding.max_width_mm:.2f} mm")
    assert (
        facts["Length"] == f"{finding.length_mm:.0f} mm ({finding.length_low_mm:.0f} to {finding.length_high_mm:.0f})"
    )
    assert facts["Id"] == finding.id
    assert facts["Position"].startswith("47.07")
    assert finding.time is not None
    assert facts["Time"] == finding.time.replace("T", " ").replace("Z", " UTC")
    for name in ("before", "after"):
        tab.until(f"document.getElementById('{name}').naturalWidth > 0")
    assert tab.texts("#files a") == ["full size", "with outline"]
    assert (report.path.parent / tab.get_attribute("#files a", "href")).is_file()


def test_a_finding_without_a_length_says_what_measures_it(report_of: ReportOf, open_page: OpenPage) -> None:
    report = report_of(12)
    place = next(n for n, finding in enumerate(report.survey.findings) if finding.length_px is None)
    tab = open_page(report.path)
    tab.click(f".card .open >> nth={place}")
    facts = dict(zip(tab.texts("#facts dt"), tab.texts("#facts dd"), strict=True))
    assert facts["Length"] == "not measured (see How this was made)"
    assert tab.texts(".how")[0].count(UNMEASURED) == 1
    assert facts["Mean width"] == "not measured"


@pytest.mark.parametrize("known", [True, False])
def test_what_is_not_known_of_any_finding_is_said_once(open_page: OpenPage, tmp_path: Path, known: bool) -> None:
    survey = drawn_survey(tmp_path, 3, located=False, scaled=known)
    tab = open_page(write_page(tmp_path, survey))
    assert tab.texts("#unknown") == [f"Not known of any finding: {'' if known else 'scale, '}position."]
    tab.click(".open >> nth=0")
    assert {"Scale", "Position", "Time"} & set(tab.texts("#facts dt")) == ({"Scale", "Time"} if known else {"Time"})
    # Of some, each says so.
    first = replace(survey.findings[0], latitude=47.0, longitude=15.0)
    tab = open_page(write_page(tmp_path, replace(survey, findings=(first, *survey.findings[1:]))))
    assert tab.is_visible("#unknown") != known
    tab.click(".open >> nth=1")
    facts = dict(zip(tab.texts("#facts dt"), tab.texts("#facts dd"), strict=True))
    assert facts["Position"] == "not known"


def test_a_card_has_the_proposed_condition_and_on_paper_the_note(open_page: OpenPage, tmp_path: Path) -> None:
    survey = drawn_survey(tmp_path, 3)
    sure, doubted, other = survey.findings
    rated = (
        replace(sure, condition="CS2", condition_rule="a rule", condition_sure=True, note=None),
        replace(doubted, condition="CS3", condition_rule="a rule", condition_sure=False, note="a note"),
        replace(other, note=None),
    )
    tab = open_page(write_page(tmp_path, replace(survey, findings=rated)))
    told = {entry.id: "" for entry in rated} | {
        sure.id: "proposed condition CS2",
        doubted.id: "proposed condition CS3, in doubt",
    }
    for finding, text in told.items():
        assert tab.locator(f"[data-id='{finding}'] .condition").text_content() == text
        assert tab.locator(f"[data-id='{finding}'] .condition").is_visible() == (text != "")
    assert not any(entry.is_visible() for entry in tab.locator(".why").all())
    tab.page.emulate_media(media="print")
    assert [entry.text_content() for entry in tab.locator(".why").all() if entry.is_visible()] == ["a note"]


def test_a_low_percentage_beside_confirmed_is_the_classifiers_and_says_who_drew_the_crack(
    open_page: OpenPage, tmp_path: Path
) -> None:
    survey = drawn_survey(tmp_path, 2)
    nearly = replace(survey.findings[0], validation=CONFIRMED, tiles=0, probability=0.12)
    called = replace(survey.findings[1], validation=CONFIRMED, tiles=2, probability=0.9)
    tab = open_page(write_page(tmp_path, replace(survey, findings=(nearly, called))))
    nearly_a_crack = "nearly a crack, drawn by the segmentation model"
    assert tab.texts(f"[data-id='{nearly.id}'] .confidence") == [f"classifier 12.0 %: {nearly_a_crack}"]
    assert tab.texts(f"[data-id='{called.id}'] .confidence") == ["classifier 90.0 %"]
    told = []
    for finding in (nearly, called):
        tab.click(f"[data-id='{finding.id}'] .open")
        told.append(dict(zip(tab.texts("#facts dt"), tab.texts("#facts dd"), strict=True))["Classifier"])
        tab.keyboard.press("Escape")
    assert told == [
        f"12.0 % on its highest tile: {nearly_a_crack}",
        "90.0 % on its highest tile, 2 tiles called cracked",
    ]
    # On paper the note of a finding says it, where it has one.
    tab = open_page(write_page(tmp_path, replace(survey, findings=(replace(nearly, note="a note"), called))))
    tab.emulate_media(media="print")
    assert tab.texts(".confidence") == ["classifier 12.0 %", "classifier 90.0 %"]
    # The table's page has the card's words.
    table = (ROOT / "docs/findings.md").read_text(encoding="utf-8")
    assert "nearly a crack to the classifier, and drawn by the segmentation model" in table


def test_behind_a_length_without_an_upper_end_stands_at_least(open_page: OpenPage, tmp_path: Path) -> None:
    survey = drawn_survey(tmp_path, 2)
    first = replace(survey.findings[0], touches_border=True, length_high_px=None, length_high_mm=None)
    path = write_page(tmp_path, replace(survey, findings=(first, *survey.findings[1:])))
    tab = open_page(path)
    least = f"at least {first.length_low_mm:.0f} mm"
    assert tab.texts(".card .measures span")[1] == f"{first.length_mm:.0f} mm ({least}) long"
    tab.click(".card >> nth=0")
    facts = dict(zip(tab.texts("#facts dt"), tab.texts("#facts dd"), strict=True))
    assert facts["Length"] == f"{first.length_mm:.0f} mm ({least}: its end is not in sight)"


def test_the_widths_along_a_crack_are_drawn_where_there_are_any(report_of: ReportOf, open_page: OpenPage) -> None:
    report = report_of(12)
    tab = open_page(report.path)
    tab.click(".open >> nth=0")
    assert report.survey.findings[0].profile is not None
    assert tab.evaluate("document.querySelectorAll('#profile-plot .line').length") == 2  # its crack has a fork
    assert "NaN" not in tab.evaluate("document.getElementById('profile-plot').innerHTML")
    (caption,) = tab.texts("#profile-caption")
    assert caption.startswith("Width along the crack in mm, and its range, 2 branches one after the other")
    assert tab.evaluate("document.querySelectorAll('#profile-plot .branch').length") == 1
    assert tab.evaluate(
        "[...document.querySelectorAll('#profile-plot text')].some((text) => text.textContent.endsWith(' mm'))"
    )
    for finding in report.survey.findings[1:]:
        tab.keyboard.press("ArrowRight")
        assert tab.evaluate("document.getElementById('profile').hidden") == (finding.profile is None)


def test_the_outline_is_uncovered_by_slider_buttons_and_key(report_of: ReportOf, open_page: OpenPage) -> None:
    tab = open_page(report_of(12).path)
    tab.click(".open >> nth=0")

    def share() -> float:
        style = tab.evaluate("document.getElementById('compare').style.getPropertyValue('--at')")
        return float(style.rstrip("%"))

    assert share() == 100  # a crack in one half of the picture is in sight, too
    tab.click(".show[value='50']")
    assert share() == 50
    tab.click(".show[value='0']")
    assert share() == 0
    tab.keyboard.press("o")
    assert share() == 100
    tab.focus("#slider")
    tab.keyboard.press("ArrowLeft")
    assert share() == 99
    assert tab.texts("#detail-title") == ["Finding 1"]  # arrows move the slider while it has the focus
    box = tab.locator("#slider").bounding_box()
    tab.mouse.click(box["x"] + box["width"] / 4, box["y"] + box["height"] / 2)
    assert share() == pytest.approx(25, abs=3)


def test_arrows_walk_through_what_is_shown_and_closing_returns_to_the_card(
    report_of: ReportOf, open_page: OpenPage
) -> None:
    report = report_of(12)
    tab = open_page(report.path)
    tab.select_option("#sort", "confidence")
    expected = [ids(report.survey.findings).index(name) + 1 for name in tab.order()]
    tab.locator(".open").first.focus()
    tab.keyboard.press("Enter")
    seen = tab.texts("#detail-title")
    for _ in range(11):
        tab.keyboard.press("ArrowRight")
        seen += tab.texts("#detail-title")
    assert seen == [f"Finding {number}" for number in expected]
    tab.keyboard.press("ArrowRight")  # the end
    assert tab.texts("#position") == ["12 of 12 shown"]
    tab.keyboard.press("ArrowLeft")
    tab.keyboard.press("Escape")
    assert not tab.is_visible("#detail")
    expected_card = tab.order()[10]
    tab.until(f"document.activeElement.closest('.card')?.dataset.id === '{expected_card}'")


def test_a_sign_on_the_map_opens_its_finding(report_of: ReportOf, open_page: OpenPage) -> None:
    report = report_of(12)
    tab = open_page(report.path)
    tab.dispatch_event(f".marks [data-id='{report.survey.findings[4].id}'] >> nth=0", "click")
    assert tab.texts("#detail-title") == ["Finding 5"]
    tab.click("#close")
    assert not tab.is_visible("#detail")


# -------------------------------------------------------------------------------------------------- the review


def decide(tab: Tab) -> None:
    """Accept the first, reject the second with a comment, comment on the third."""
    tab.fill("#reviewer", "A. Engineer")
    tab.click(".open >> nth=0")
    tab.keyboard.press("a")
    tab.keyboard.press("ArrowRight")
    tab.click(".decision[value=rejected]")
    tab.keyboard.press("c")
    tab.keyboard.type('A joint, "not" a crack </script> ü 🙂')
    tab.click("#next")
    tab.fill("#comment", "Look again in spring")
    tab.click("#close")


def export(tab: Tab, folder: Path) -> Path:
    with tab.expect_download() as download:
        tab.click("#export")
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def test_an_exported_review_is_one_that_crack_tf_reads(
    report_of: ReportOf, open_page: OpenPage, tmp_path: Path
) -> None:
    report = report_of(12)
    tab = open_page(report.path)
    decide(tab)
    assert tab.texts("#progress") == ["2 of 12 decided: 1 accepted, 1 rejected"]
    assert tab.texts(".verdict:not([hidden])")[0] == "✓ Accepted"
    path = export(tab, tmp_path)
    assert path.name == f"review-{survey_id(report.survey)}.json"
    review = read_review(path, report.survey)
    first, second, third, *_ = ids(report.survey.findings)
    assert review.reviewer == "A. Engineer"
    assert {name: (entry.decision, entry.comment) for name, entry in review.decisions.items()} == {
        first: ("accepted", ""),
        second: ("rejected", 'A joint, "not" a crack </script> ü 🙂'),
        third: ("", "Look again in spring"),
    }
    assert all(entry.time.endswith("Z") for entry in review.decisions.values())


def open_until(tab: Tab, opened: Callable[[], object], progress: str, forget: str = "") -> None:
    """Open a page until it shows so many decisions.

    On a busy machine what a page kept reaches the browser's next process a moment later. What one took over of another survey's too
    soon, it forgets.
    """
    for _ in range(30):
        opened()
        if tab.texts("#progress") == [progress]:
            return
        if forget:
            tab.evaluate(f"localStorage.removeItem('crack_tf.review/{forget}')")
        tab.wait_for_timeout(200)
    assert tab.texts("#progress") == [progress]


def test_decisions_survive_closing_the_page_and_can_be_taken_back(report_of: ReportOf, open_page: OpenPage) -> None:
    tab = open_page(report_of(12).path)
    decide(tab)
    open_until(tab, tab.reload, "2 of 12 decided: 1 accepted, 1 rejected")
    assert tab.input_value("#reviewer") == "A. Engineer"
    tab.click(".open >> nth=0")
    assert tab.get_attribute(".decision[value=accepted]", "aria-pressed") == "true"
    tab.keyboard.press("a")
    assert tab.get_attribute(".decision[value=accepted]", "aria-pressed") == "false"
    tab.keyboard.press("Escape")
    assert tab.texts("#progress") == ["1 of 12 decided: 0 accepted, 1 rejected"]


def test_a_review_is_loaded_in_another_browser_and_a_wrong_one_is_refused(
    report_of: ReportOf, open_page: OpenPage, tmp_path: Path
) -> None:
    report = report_of(12)
    tab = open_page(report.path)
    decide(tab)
    path = export(tab, tmp_path)
    other = open_page(report.path)
    assert other.texts("#progress") == ["0 of 12 decided: 0 accepted, 0 rejected"]
    other.set_input_files("#import-file", path)
    other.wait_for_selector("#message:not([hidden])")
    assert other.texts("#message") == [f"Loaded 3 decisions from {path.name}."]
    assert other.texts("#progress") == ["2 of 12 decided: 1 accepted, 1 rejected"]
    for name, text in (("torn.json", "{"), ("null.json", "null"), ("other.json", json.dumps({"survey": "x"}))):
        (tmp_path / name).write_text(text)
        other.set_input_files("#import-file", tmp_path / name)
        other.until(f"document.getElementById('message').textContent.startsWith('{name} is not a')")
    assert other.texts("#progress") == ["2 of 12 decided: 1 accepted, 1 rejected"]


def test_the_page_and_crack_tf_say_the_same_of_who_commented_in_an_older_review(
    report_of: ReportOf, open_page: OpenPage, tmp_path: Path
) -> None:
    report = report_of(12)
    when = {"time": "2025-06-02T08:00:00.000Z"}
    entries = (
        {"decision": "accepted", "comment": "wet", **when},
        {"decision": "accepted", "comment": "wet", "reviewer": "A. Engineer", **when},
        {"decision": "", "comment": "wet", "reviewer": "A. Engineer", **when},
        {
            "decision": "accepted",
            "comment": "wet",
            "reviewer": "A. Engineer",
            "commented": "2025-07-02T08:00:00.000Z",
            **when,
        },
        {"decision": "rejected", "comment": "", **when},
    )
    head = {"format": "crack_tf.review/1", "survey": survey_id(report.survey), "source": "", "reviewer": "B. Engineer"}
    path = tmp_path / "older.json"
    path.write_text(json.dumps({**head, "decisions": dict(zip(ids(report.survey.findings), entries, strict=False))}))
    tab = open_page(report.path)
    tab.set_input_files("#import-file", path)
    tab.wait_for_selector("#message:not([hidden])")
    found = read_review(export(tab, tmp_path), report.survey).decisions
    assert found == read_review(path, report.survey).decisions
    assert [entry.commenter for entry in found.values()] == ["B. Engineer", "", "A. Engineer", "B. Engineer", ""]


def test_a_report_made_with_a_review_starts_with_it(report_of: ReportOf, open_page: OpenPage, tmp_path: Path) -> None:
    report = report_of(12)
    tab = open_page(report.path)
    decide(tab)
    review = read_review(export(tab, tmp_path))
    survey = drawn_survey(tmp_path / "again", 12)
    fresh = open_page(write_page(tmp_path / "again", survey, kept=(review, "")))
    assert fresh.texts("#progress") == ["2 of 12 decided: 1 accepted, 1 rejected"]


def test_decisions_survive_when_the_survey_goes_on(open_page: OpenPage, tmp_path: Path) -> None:
    survey = drawn_survey(tmp_path, 6)
    tab = open_page(write_page(tmp_path, survey))
    decide(tab)
    path = export(tab, tmp_path)
    before = read_review(path).decisions
    first, _, third, fourth, *rest = survey.findings
    # The first one's decision goes to what it has become part of, the second one's finding is gone, the third one's stands.
    grown = replace(
        survey, findings=(third, replace(fourth, merged=(first.id,)), *rest), former=("0123456789ab", survey_id(survey))
    )
    page, decided = write_page(tmp_path, grown).as_uri(), "1 of 4 decided: 1 accepted, 0 rejected"
    open_until(tab, lambda: tab.goto(page), decided, survey_id(grown))
    for _ in range(2):  # asked again, it has them under its own name
        assert tab.input_value("#reviewer") == "A. Engineer"
        review = read_review(export(tab, tmp_path), replace(grown, former=()))
        assert review.decisions == {third.id: before[third.id], fourth.id: before[first.id]}
        open_until(tab, tab.reload, decided)
    # What the page starts with is later, and counts.
    kept = Review(survey_id(grown), "", "B.", "", {fourth.id: Decision("rejected", "", "2999-01-01T00:00:00Z")})
    later = replace(grown, findings=grown.findings[1:], former=(survey_id(survey), survey_id(grown)))
    page = write_page(tmp_path, later, kept=(kept, "")).as_uri()
    open_until(tab, lambda: tab.goto(page), "1 of 3 decided: 0 accepted, 1 rejected", survey_id(later))
    (message,) = tab.texts("#message")
    assert message.endswith("kept 1 decision on findings that are still here, and 1 that could not be taken over.")
    # A file from before is taken, too.
    other = open_page(write_page(tmp_path, grown))
    other.set_input_files("#import-file", path)
    other.wait_for_selector("#message:not([hidden])")
    assert other.texts("#message") == [f"Loaded 2 decisions from {path.name}; 1 could not be taken over."]


def test_a_later_reviewers_decisions_have_their_own_name(open_page: OpenPage, tmp_path: Path) -> None:
    survey = drawn_survey(tmp_path, 3)
    first, second, third = ids(survey.findings)
    entries = {name: Decision("accepted", "", "2026-01-02T03:04:05Z") for name in (first, second)}
    review = Review(survey_id(survey), survey.source, "A. Engineer", "", entries)
    tab = open_page(write_page(tmp_path, survey, kept=(review, "")))
    assert tab.input_value("#reviewer") == ""  # nobody decides in another one's name
    tab.fill("#reviewer", "B. Engineer")
    tab.click(".open >> nth=0")
    tab.fill("#comment", "I agree")
    assert tab.texts("#decided-by") == ["Decision: A. Engineer, 2026-01-02 03:04 UTC"]
    assert tab.texts("#commented-by")[0].startswith("Comment: B. Engineer, 20")
    tab.focus("#next")
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("r")
    assert tab.texts("#decided-by")[0].startswith("Decision: B. Engineer, 20")
    tab.keyboard.press("ArrowRight")
    assert tab.texts("#decided-by") == [""]
    tab.keyboard.press("a")
    tab.keyboard.press("Escape")
    found = read_review(export(tab, tmp_path), survey).decisions
    names = {first: "A. Engineer", second: "B. Engineer", third: "B. Engineer"}
    assert {name: entry.reviewer for name, entry in found.items()} == names
    made = replace(entries[first], comment="I agree", reviewer="A. Engineer", commenter="B. Engineer")
    assert found[first] == replace(made, commented=found[first].commented)
    assert found[first].commented > entries[first].time


def test_the_totals_follow_the_decisions_and_a_rejected_cards_verdict_is_struck(
    report_of: ReportOf, open_page: OpenPage
) -> None:
    report = report_of(12)
    tab = open_page(report.path)
    assert (tab.texts("#standing"), tab.texts("#decided")) == (["12"], [""])
    states, cracked = tab.texts("#standing-more"), tab.texts("#cracked")
    tab.click(".card .open >> nth=0")
    tab.keyboard.press("r")
    tab.keyboard.press("Escape")
    assert tab.texts("#decided") == ["12 in all: 0 accepted, 1 rejected, 11 open"]
    assert tab.texts("#standing") == ["11"]
    confirmed = sum(finding.validation == "confirmed" for finding in report.survey.findings)
    assert states[0].startswith(f"{confirmed} confirmed")
    assert tab.texts("#standing-more")[0].startswith(f"{confirmed - 1} confirmed")
    style = "getComputedStyle(document.querySelector('.card.rejected .chip')).textDecorationLine"
    assert tab.evaluate(style) == "line-through"
    tab.click(".card .open >> nth=0")
    tab.keyboard.press("r")
    tab.keyboard.press("Escape")
    assert (tab.texts("#standing"), tab.texts("#decided"), tab.texts("#cracked")) == (["12"], [""], cracked)


def test_a_browser_that_keeps_nothing_says_so_and_still_exports(
    report_of: ReportOf, open_page: OpenPage, tmp_path: Path
) -> None:
    broken = "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('denied'); } });"
    report = report_of(1)
    tab = open_page(report.path, script=broken)
    assert "does not keep decisions" in tab.texts("#message")[0]
    tab.click(".open")
    tab.keyboard.press("r")
    tab.keyboard.press("Escape")
    (decision,) = read_review(export(tab, tmp_path), report.survey).decisions.values()
    assert decision.decision == "rejected"


# ------------------------------------------------------------------------------------- hostile names, odd pictures


def test_html_in_names_never_runs(open_page: OpenPage, tmp_path: Path) -> None:
    survey = with_names(drawn_survey(tmp_path, 2), HOSTILE)
    tab = open_page(write_page(tmp_path, survey))
    assert tab.texts("h1") == [HOSTILE]
    assert tab.texts(".card .file") == [HOSTILE, HOSTILE]
    tab.click(".open >> nth=0")
    facts = dict(zip(tab.texts("#facts dt"), tab.texts("#facts dd"), strict=True))
    assert facts["Photograph"] == facts["Also seen on"] == HOSTILE
    tab.fill("#comment", HOSTILE)
    tab.click("#close")
    assert HOSTILE in tab.texts(".verdict:not([hidden])")[0]
    assert tab.evaluate("window.hacked") is None


@pytest.mark.parametrize(("severity", "told"), [(2253.4, "2,250"), (0.01234, "0.0123")])
def test_a_severity_is_told_without_an_exponent(
    open_page: OpenPage, tmp_path: Path, severity: float, told: str
) -> None:
    survey = drawn_survey(tmp_path, 1)
    tab = open_page(write_page(tmp_path, replace(survey, findings=(replace(survey.findings[0], severity=severity),))))
    tab.click(".open")
    assert f"{told}, number 1 of 1" in tab.texts("#facts dd")


def test_linked_pictures_of_any_name_are_shown_and_missing_ones_are_told(open_page: OpenPage, tmp_path: Path) -> None:
    survey = drawn_survey(tmp_path, 3)
    first, second, third = survey.findings
    odd = "pictures/größe #1?&%41 <b>.jpg"
    (tmp_path / first.picture).rename(tmp_path / odd)
    (tmp_path / third.picture).unlink()
    (tmp_path / third.overlay).unlink()
    tab = open_page(write_page(tmp_path, replace(survey, findings=(replace(first, picture=odd), second, third))))
    for number in range(2):
        tab.click(f".open >> nth={number}")
        tab.until("document.getElementById('before').naturalWidth > 0")
        tab.until("document.getElementById('after').naturalWidth > 0")
        tab.click("#close")
    tab.click(".open >> nth=2")
    assert tab.is_visible("#no-picture")
    assert not tab.is_visible("#before")
    tab.click("#close")
    assert tab.locator(".card .no-picture:visible").count() == 1
    assert "lie beside this file" in tab.texts("footer")[0]


# ------------------------------------------------------------------------------------------- looks and accessibility


@pytest.mark.parametrize("size", [(1400, 1150), WIDE, (1280, 640), PHONE])
def test_accept_and_reject_are_in_sight_when_a_finding_is_opened(
    report_of: ReportOf, open_page: OpenPage, size: tuple[int, int]
) -> None:
    tab = open_page(report_of(12).path, size)
    tab.click(".open >> nth=0")
    for value in ("accepted", "rejected"):
        box = tab.locator(f".decision[value={value}]").bounding_box()
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= size[1]


@pytest.mark.parametrize("size", [WIDE, (820, 1180), PHONE, (320, 640)])
def test_nothing_overflows_at_any_width(
    report_of: ReportOf, open_page: OpenPage, tmp_path: Path, size: tuple[int, int]
) -> None:
    long_name = "a_folder_with_a_very_long_name/" * 6 + "DJI_0001.JPG"
    survey = with_names(drawn_survey(tmp_path, 2), long_name)
    for path in (report_of(12).path, write_page(tmp_path, survey)):
        tab = open_page(path, size)
        assert tab.evaluate(OVERFLOW) == [0, []]
        tab.click(".open >> nth=0")
        assert tab.evaluate("[document.getElementById('detail')].map(d => d.scrollWidth - d.clientWidth)") == [0]
        box = tab.locator("#detail").bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= size[0]


def test_on_a_telephone_each_cell_says_what_it_is(report_of: ReportOf, open_page: OpenPage) -> None:
    named = "[...document.querySelectorAll('table.rows td:nth-child(2)')].map(td => getComputedStyle(td, '::before').content)"
    path = report_of(12).path
    assert set(open_page(path, PHONE).evaluate(named)) == {'"Reason: "', '"Tiles looked at: "'}
    assert set(open_page(path, WIDE).evaluate(named)) == {"none"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out_and_controls_have_names(report_of: ReportOf, open_page: OpenPage, scheme: str) -> None:
    tab = open_page(report_of(12).path, color_scheme=scheme)
    assert tab.evaluate(CONTRAST) == []
    assert tab.evaluate(UNNAMED) == []
    tab.click(".open >> nth=0")
    tab.keyboard.press("a")
    assert tab.evaluate(CONTRAST) == []
    assert tab.evaluate(UNNAMED) == []
    dark = tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(17, 22, 26)"
    assert dark == (scheme == "dark")


def test_all_is_done_with_the_keyboard_alone(report_of: ReportOf, open_page: OpenPage) -> None:
    tab = open_page(report_of(1).path)
    reached = []
    for _ in range(40):
        tab.keyboard.press("Tab")
        reached.append(tab.evaluate("document.activeElement.id || document.activeElement.className"))
        if reached[-1] == "open":
            break
    assert {"skip", "reviewer", "import", "export", "sort", "direction", "min-width", "min-confidence"} <= set(reached)
    assert reached[-1] == "open"
    tab.keyboard.press("Enter")
    inside = []
    for _ in range(14):
        tab.keyboard.press("Tab")
        inside.append(tab.evaluate("document.activeElement.id || document.activeElement.className"))
    assert {"close", "slider", "show", "decision", "comment"} <= set(inside)
    assert "sort" not in inside  # the rest of the page waits


def test_a_printed_report_has_findings_and_no_controls(report_of: ReportOf, open_page: OpenPage) -> None:
    tab = open_page(report_of(12).path, (794, 1123))
    tab.emulate_media(media="print", color_scheme="light")
    assert not tab.is_visible("#controls")
    assert not tab.is_visible("#export")
    assert tab.locator(".card:visible").count() == 12
    assert tab.evaluate(OVERFLOW)[0] == 0
    assert tab.pdf(format="A4").startswith(b"%PDF")


def pages_of(pdf: bytes) -> int:
    return len(re.findall(rb"/Type\s*/Page\b", pdf))


def test_printed_pages_are_full(report_of: ReportOf, open_page: OpenPage, tmp_path: Path) -> None:
    report = report_of(100)
    tab = open_page(report.path)
    more = pages_of(tab.pdf(format="A4", prefer_css_page_size=True))
    few = open_page(write_page(tmp_path, replace(report.survey, findings=())))
    pages = more - pages_of(few.pdf(format="A4", prefer_css_page_size=True))
    # Lines of two cards, seven to a page.
    assert pages <= 8


def test_on_paper_tables_stay_tables_and_cards_are_whole(open_page: OpenPage, tmp_path: Path) -> None:
    survey = in_folders(drawn_survey(tmp_path, 12), ("pier 1", "pier 2"))
    noted = [replace(finding, note="a long note " * 12) for finding in survey.findings]
    tab = open_page(
        write_page(tmp_path, replace(survey, findings=tuple(noted))), (688, 1000)
    )  # of A4 between its margins
    tab.emulate_media(media="print", color_scheme="light")
    assert tab.evaluate(OVERFLOW)[0] == 0
    displays = "cells => [...new Set(cells.map((cell) => getComputedStyle(cell).display))]"
    assert tab.eval_on_selector_all("table td", displays) == ["table-cell"]
    assert tab.eval_on_selector_all("table", displays) == ["table"]  # also those that are folded away on screen
    # What is in a line of text is never cut by a page's end, while a grid's rows are.
    assert tab.eval_on_selector_all(".card", displays) == ["inline-block"]
    boxes = [card.bounding_box() for card in tab.locator(".card").all()]
    assert len({round(box["x"]) for box in boxes}) == 2
    for card in tab.locator(".card").all():
        picture, text = (card.locator(part).bounding_box() for part in (".thumb", ".body"))
        assert picture["x"] + picture["width"] <= text["x"] + 1


@pytest.mark.parametrize(("media", "size"), [("screen", WIDE), ("print", (688, 1000)), ("screen", PHONE)])
def test_the_key_stands_beside_one_map_and_below_two(
    open_page: OpenPage, tmp_path: Path, media: str, size: tuple[int, int]
) -> None:
    survey = drawn_survey(tmp_path, 3)
    flat = replace(
        survey,
        photos=tuple(replace(photo, altitude_m=None) for photo in survey.photos),
        findings=tuple(replace(finding, altitude_m=None) for finding in survey.findings),
    )
    for shown, maps in ((flat, 1), (survey, 2)):
        tab = open_page(write_page(tmp_path, shown), size)
        tab.emulate_media(media=media)
        plots = [plot.bounding_box() for plot in tab.locator(".map .plot").all()]
        key = tab.locator(".map .legend").bounding_box()
        assert len(plots) == maps
        beside = plots[0]["x"] + plots[0]["width"] <= key["x"]
        assert beside == (maps == 1 and size != PHONE)
        assert beside or max(plot["y"] + plot["height"] for plot in plots) <= key["y"]
        assert tab.evaluate(OVERFLOW)[0] == 0


# ---------------------------------------------------------------------------------------------------------- groups


def grouped(out: Path, findings: int) -> Report:
    """A report of photographs of three folders, which takes turns: a finding's neighbours in the order are of others."""
    survey = in_folders(
        drawn_survey(out, findings, photos=24 if findings < 100 else 200), ("pier 1", "pier 2", "pier 3")
    )
    return Report(survey, write_page(out, survey))


def by_folder(findings: Sequence[Finding]) -> dict[str, list[str]]:
    """Ids by folder, both in the given order."""
    found: dict[str, list[str]] = {}
    for finding in findings:
        found.setdefault(finding.photo.partition("/")[0], []).append(finding.id)
    return found


def told(tab: Tab) -> list[tuple[str, int]]:
    """Headings of the list as they are seen, each with the number of cards below it."""
    kinds = tab.eval_on_selector_all(
        ".gallery > li", "nodes => nodes.map((node) => node.matches('.group') ? node.innerText : '')"
    )
    found: list[tuple[str, int]] = []
    for kind in kinds:
        found = [*found, (" ".join(kind.split()), 0)] if kind else [*found[:-1], (found[-1][0], found[-1][1] + 1)]
    return found


def test_findings_of_several_folders_stand_below_headings_the_worst_first(open_page: OpenPage, tmp_path: Path) -> None:
    report = grouped(tmp_path, 12)
    groups = by_folder(as_listed(report.survey.findings))
    tab = open_page(report.path)
    assert tab.order() == [name for some in groups.values() for name in some]
    assert told(tab) == [(f"{name} {counted(len(some), 'finding')}", len(some)) for name, some in groups.items()]
    # Sorted, filtered and walked through as any list, group after group.
    tab.select_option("#sort", "confidence")
    sure = by_folder(sorted(report.survey.findings, key=lambda finding: -finding.probability))
    assert tab.order() == [name for some in sure.values() for name in some]
    for name in ("unclear", "refuted"):
        tab.uncheck(f"[name=validation][value={name}]")
    shown = by_folder([f for f in report.survey.findings if f.validation == CONFIRMED])
    assert dict(told(tab)) == {
        f"{name} {f'{len(some)} of ' if len(some) < len(groups[name]) else ''}{counted(len(groups[name]), 'finding')}": len(
            some
        )
        for name, some in shown.items()
    }
    expected = tab.order()
    tab.click(".open >> nth=0")
    walked = []
    for _ in expected:
        walked += tab.evaluate(
            "[...document.querySelectorAll('#facts dt')].at(-1).nextElementSibling.textContent"
        ).split()
        tab.keyboard.press("ArrowRight")
    assert walked == expected


@pytest.mark.parametrize("faces", [False, True])
def test_a_finding_says_on_which_face_it_is(open_page: OpenPage, tmp_path: Path, faces: bool) -> None:
    """A folder is in the photograph's name."""
    report = grouped(tmp_path, 3)
    text = report.path.read_text(encoding="utf-8")
    assert '"faces":false' in text
    report.path.write_text(text.replace('"faces":false', f'"faces":{str(faces).lower()}'), encoding="utf-8")
    tab = open_page(report.path)
    tab.click(".open >> nth=0")
    facts = dict(zip(tab.texts("#facts dt"), tab.texts("#facts dd"), strict=True))
    assert facts.get("Face") == (facts["Photograph"].partition("/")[0] if faces else None)


def test_the_table_of_groups_leads_to_each_and_counts_decisions(open_page: OpenPage, tmp_path: Path) -> None:
    report = grouped(tmp_path, 12)
    worst, *_ = as_listed(report.survey.findings)
    name = worst.photo.partition("/")[0]
    tab = open_page(report.path)

    def counts() -> dict[str, str]:
        cells = tab.locator(f"#groups tr:has(a:text-is('{name}')) [data-count]")
        return dict(
            zip(
                cells.evaluate_all("cells => cells.map((cell) => cell.dataset.count)"),
                cells.all_inner_texts(),
                strict=True,
            )
        )

    before = counts()
    assert (before["accepted"], before["rejected"]) == ("0", "0")
    tab.click(".open >> nth=0")
    tab.keyboard.press("r")
    tab.keyboard.press("Escape")
    after = counts()
    for what, change in ((worst.validation, -1), ("rejected", 1), ("open", -1), ("accepted", 0)):
        assert int(after[what]) == int(before[what]) + change
    last = list(by_folder(as_listed(report.survey.findings)))[-1]
    tab.click(f"#groups a:text-is('{last}')")
    assert 0 <= tab.locator(f".group:has-text('{last}')").bounding_box()["y"] < WIDE[1] / 2
    assert last in tab.texts(".card:focus-within .file")[0]
    tab.fill("#contains", "no such name")
    tab.click(f"#groups a:text-is('{last}')")
    assert tab.texts("#message") == [f"The filters leave no finding of {last}."]


def test_a_long_list_of_groups_keeps_its_height_and_its_place(open_page: OpenPage, tmp_path: Path) -> None:
    report = grouped(tmp_path, 500)
    groups = by_folder(as_listed(report.survey.findings))
    for size in (WIDE, PHONE):
        tab = open_page(report.path, size)
        assert tab.order() == [name for some in groups.values() for name in some]
        total = tab.evaluate("document.getElementById('gallery').getBoundingClientRect().height")
        for share in (0.3, 0.999, 0.1):
            scroll_to(tab, share)
            assert tab.locator(".card").count() < NEAR
            height = tab.evaluate("document.getElementById('gallery').getBoundingClientRect().height")
            assert height == pytest.approx(total)
        last, some = list(groups.items())[-1]
        tab.click(f"#groups a:text-is('{last}')")
        tab.until(f"document.activeElement.closest('.card')?.dataset.id === '{some[0]}'")
        assert 0 <= tab.locator(f".group:has-text('{last}')").bounding_box()["y"] < size[1] / 2
        assert tab.evaluate(OVERFLOW) == [0, []]


# ------------------------------------------------------------------------------------------------------ long lists

NEAR = 100  # cards, of a window of 1400 x 900: more than it shows, far fewer than there are


def scroll_to(tab: Tab, share: float) -> None:
    """To that share of the gallery's height."""
    tab.evaluate(
        """(share) => {
        const box = document.getElementById("gallery").getBoundingClientRect();
        window.scrollBy(0, box.top + share * box.height);
        }""",
        share,
    )
    tab.evaluate(FRAME)


def test_five_thousand_findings_open_at_once(report_of: ReportOf, open_page: OpenPage) -> None:
    report = report_of(5000)
    assert report.path.stat().st_size < 10_000_000
    tab = open_page(report.path)
    tab.evaluate(FRAME)
    assert tab.cpu_seconds() < 5
    assert tab.texts("#count") == ["All 5000 findings"]
    assert tab.locator(".card").count() < NEAR
    before = tab.cpu_seconds()
    tab.select_option("#sort", "width")
    tab.evaluate(FRAME)
    assert tab.cpu_seconds() - before < 2
    tab.select_option("#sort", "rank")
    scroll_to(tab, 1)
    assert tab.texts(".card .open")[-1] == "Finding 5000"
    assert tab.locator(".card").count() < NEAR
    tab.until("[...document.querySelectorAll('.card img')].at(-1).naturalWidth > 0")
    pictures = [url for url in tab.requests if "/overlays/" in url]
    assert 0 < len(pictures) < 2 * NEAR  # those that were seen
    assert not [url for url in tab.requests if "/pictures/" in url]


def test_cards_of_a_long_list_stay_in_line(report_of: ReportOf, open_page: OpenPage) -> None:
    """A row's height is that of all rows, whatever its cards say: else those that come would move those that are there."""
    report = report_of(500)
    assert any(finding.length_px is None for finding in report.survey.findings)  # these have no answer to a limit
    for size in (WIDE, PHONE, (320, 640)):
        tab = open_page(report.path, size)
        reviewer = "document.getElementById('reviewer')"
        # At once: a smooth scroll that is under way takes the window back from where the next one has put it.
        assert abs(tab.evaluate(f"({reviewer}.scrollIntoView(), {reviewer}.getBoundingClientRect().top)")) < 1
        tab.click(".open >> nth=0")
        tab.fill("#comment", "a comment of many words " * 20)
        tab.keyboard.press("Escape")
        tab.evaluate(FRAME)  # with which the page hears of it, and returns to the finding
        heights = tab.eval_on_selector_all(".card", "cards => cards.map(card => card.getBoundingClientRect().height)")
        assert max(heights) - min(heights) < 0.5
        total = tab.evaluate("document.getElementById('gallery').getBoundingClientRect().height")
        for share in (0.3, 0.6, 0.999, 0.1):
            scroll_to(tab, share)
            assert tab.evaluate("document.getElementById('gallery').getBoundingClientRect().height") == pytest.approx(
                total
            )
            # The event of a scroll comes with a frame of its own, and late on a busy machine.
            tab.wait_for_function(
                """([height, last]) => {
                const boxes = [...document.querySelectorAll(".card")].map((card) => card.getBoundingClientRect());
                const covered = Math.max(...boxes.map((box) => box.bottom)) >= height || last;
                return covered && Math.min(...boxes.map((box) => box.top)) <= 0;
                }""",
                arg=[size[1], share > 0.9],
            )
        assert tab.evaluate(OVERFLOW) == [0, []]


def test_a_finding_far_down_is_returned_to(report_of: ReportOf, open_page: OpenPage) -> None:
    report = report_of(500)
    tab = open_page(report.path)
    far = report.survey.findings[430].id
    tab.dispatch_event(f".marks [data-id='{far}'] >> nth=0", "click")
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("a")
    tab.keyboard.press("Escape")
    tab.until("document.activeElement.textContent === 'Finding 432'")
    box = tab.locator(".card:focus-within").bounding_box()
    assert 0 <= box["y"] < WIDE[1]
    assert tab.texts(".card:focus-within .verdict") == ["✓ Accepted"]
    assert tab.get_attribute(".card:focus-within", "aria-posinset") == "432"
    assert tab.get_attribute(".card:focus-within", "aria-setsize") == "500"


def test_the_tab_key_walks_a_long_list(report_of: ReportOf, open_page: OpenPage) -> None:
    tab = open_page(report_of(500).path)
    tab.locator(".open").first.focus()
    seen = []
    for _ in range(60):
        tab.keyboard.press("Tab")
        seen.append(tab.evaluate("document.activeElement.textContent"))
    assert seen == [f"Finding {number}" for number in range(2, 62)]
    tab.keyboard.press("Shift+Tab")
    assert tab.evaluate("document.activeElement.textContent") == "Finding 60"


def test_findings_are_found_by_name_and_comment(report_of: ReportOf, open_page: OpenPage) -> None:
    report = report_of(500)
    tab = open_page(report.path)
    name = report.survey.findings[40].photo.rpartition("/")[2]
    tab.fill("#contains", f" {name.lower()} ")
    assert tab.order() == ids(
        [finding for finding in report.survey.findings if any(name in one for one in finding.seen_on)]
    )
    tab.fill("#contains", "")
    tab.click(".open >> nth=2")
    tab.fill("#comment", "Ask the OWNER")
    tab.keyboard.press("Escape")
    tab.fill("#contains", "owner")
    assert tab.order() == [report.survey.findings[2].id]
    tab.click("#clear-filters")
    assert tab.texts("#count") == ["All 500 findings"]


def test_a_long_list_is_printed_whole_with_its_pictures(report_of: ReportOf, open_page: OpenPage) -> None:
    tab = open_page(report_of(500).path)
    tab.fill("#min-confidence", "70")
    shown = int(tab.texts("#count")[0].split()[0])
    assert shown > NEAR
    assert tab.locator(".card").count() < NEAR
    # The page's own button waits for the pictures; a browser's own menu does not, on a machine that is busy.
    tab.evaluate(
        """() => { window.print = () => {
        window.printed = [...document.querySelectorAll(".card img")].map((image) => image.complete && image.naturalWidth > 0);
        window.dispatchEvent(new Event("afterprint"));
        } }"""
    )
    tab.click("#print")
    tab.until("window.printed")
    assert tab.evaluate("window.printed") == [True] * shown
    tab.until(f"document.querySelectorAll('.card').length < {NEAR}")
    pdf: bytes = tab.pdf(format="A4")  # now that they have been loaded once
    assert len(re.findall(rb"/Subtype\s*/Image", pdf)) == shown
    tab.until(f"document.querySelectorAll('.card').length < {NEAR}")


def test_a_report_that_is_printed_without_a_window_has_all_its_pictures(tmp_path: Path) -> None:
    name = find_chromium()
    if name is None:
        pytest.skip("no Chromium found")
    found, pdf = tmp_path / "found", tmp_path / "report.pdf"
    path = write_page(found, drawn_survey(found, 250))
    command = [name, *ARGUMENTS, f"--user-data-dir={tmp_path / 'profile'}", f"--print-to-pdf={pdf}", path.as_uri()]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    assert len(re.findall(rb"/Subtype\s*/Image", pdf.read_bytes())) == 250


def test_a_page_without_its_folder_says_what_is_missing(
    report_of: ReportOf, open_page: OpenPage, tmp_path: Path
) -> None:
    alone = tmp_path / "report.html"
    alone.write_bytes(report_of(12).path.read_bytes())
    tab = open_page(alone)
    tab.until("document.querySelectorAll('.card .no-picture:not([hidden])').length > 0")
    assert "They lie in the survey's folder" in tab.texts("#message")[0]
    tab.click(".open >> nth=0")
    tab.until("!document.getElementById('no-picture').hidden")
    assert not tab.is_visible("#before")
    assert all("ERR_FILE_NOT_FOUND" in error for error in tab.errors)
    tab.errors.clear()


def test_a_report_in_one_file_shows_its_pictures_anywhere(open_page: OpenPage, tmp_path: Path) -> None:
    survey = drawn_survey(tmp_path / "found", 12)
    path = write_page(tmp_path / "found", survey, one_file=True)
    alone = tmp_path / "report.html"
    alone.write_bytes(path.read_bytes())
    tab = open_page(alone)
    tab.until("[...document.querySelectorAll('.card img')].filter(image => image.naturalWidth > 0).length > 2")
    tab.click(".open >> nth=11")
    for name in ("before", "after"):
        tab.until(f"document.getElementById('{name}').naturalWidth > 0")
    assert tab.texts("footer")[0].endswith("All pictures are inside this file.")
    assert [url for url in tab.requests if not url.startswith("data:")] == [alone.resolve().as_uri()]
