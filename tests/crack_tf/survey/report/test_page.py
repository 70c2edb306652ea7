"""The report's HTML as text. What it does in a browser is in tests/browser."""

from __future__ import annotations

import base64
import csv
import glob
import hashlib
import io
import json
import math
import re
import tomllib
from collections import Counter
from dataclasses import asdict, replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from crack_tf.photo.crack import MEASURES, RANGE_COLUMNS
from crack_tf.photo.faces import RECTANGLE, Face
from crack_tf.survey.condition import count_states, read_condition
from crack_tf.survey.findings import CONFIRMED, VALIDATIONS, Finding, Survey, survey_id
from crack_tf.survey.formats.geojson import write_tables
from crack_tf.survey.photo_list import photo_rows
from crack_tf.survey.report.page import _script_json, write_page
from crack_tf.survey.report.page_map import flight_figures, nice_length
from crack_tf.survey.report.page_pictures import DETAIL_SIDE, PictureShelf
from crack_tf.survey.reviews.review import Decision, Review
from crack_tf.survey.severity import DISCLAIMER, RULE
from tests.crack_tf.survey.drawn_surveys import drawn_survey, with_names
from tflite.words import counted

VOID = {"meta", "link", "img", "input", "br"}


class Page(HTMLParser):
    """What matters of a page: elements in order, the text outside scripts, and whether every element is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.scripts: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] in (["script"], ["style"]):
            self.scripts.append(data)
        else:
            self.text += data

    @property
    def data(self) -> dict[str, Any]:
        return next(json.loads(text) for text in self.scripts if text.startswith("{"))


def page(out: Path, survey: Survey, **options: Any) -> Page:
    return Page(write_page(out, survey, **options).read_text(encoding="utf-8"))


@pytest.mark.parametrize("findings", [0, 1, 12])
def test_the_page_tells_what_was_searched_and_what_is_not_known(tmp_path: Path, findings: int) -> None:
    survey = drawn_survey(tmp_path, findings)
    found = page(tmp_path, survey)
    text = " ".join(found.text.split())
    assert f"Findings{findings}" in found.text
    assert [entry["id"] for entry in found.data["findings"]] == [finding.id for finding in survey.findings]
    for expected in ("Pier 7 east", "3f" * 32, "a7" * 32, "2 unreadable, 1 no position", "DCIM/DJI_902.JPG", RULE):
        assert expected in text
    assert DISCLAIMER.partition(". ")[2] in text
    assert "Not a safety assessment" in text
    assert "Cracks only. Spalling, rust, efflorescence, leakage and other damage are not looked for" in text
    assert ("The pictures lie beside this file" in text) == (findings > 0)
    assert "All pictures are inside this file." in page(tmp_path, survey, one_file=True).text


def test_the_head_names_what_was_surveyed_when_and_who_reviewed_it(tmp_path: Path) -> None:
    survey = drawn_survey(tmp_path, 2)
    days = sorted({photo.time[:10] for photo in survey.photos if photo.time})
    first, second = (finding.id for finding in survey.findings)
    names = {
        first: Decision("accepted", reviewer="B. <Engineer>"),
        second: Decision("rejected", reviewer="A. Engineer"),
    }
    named = replace(survey, settings={**survey.settings, "title": "Bridge 12 <east>, 2026"})
    plain, full = page(tmp_path, survey), page(tmp_path, named, kept=(Review("", "", "", "", names), ""))
    head, whole = (" ".join(found.text.partition("Findings")[0].split()) for found in (plain, full))
    assert f"Crack survey Pier 7 east Photographs: Pier 7 east, taken: {days[0]}" in head
    assert "Reviewed by" not in head
    assert "Crack survey Bridge 12 <east>, 2026 Photographs: Pier 7 east, taken: " in whole
    assert "Reviewed by A. Engineer, B. <Engineer>. Made" in whole


@pytest.mark.parametrize("zone", [None, "Europe/Vienna"])
def test_the_head_says_what_photographs_without_a_time_may_lack(tmp_path: Path, zone: str | None) -> None:
    survey = drawn_survey(tmp_path, 2)
    timeless = tuple(replace(photo, time=None) for photo in survey.photos)
    text = page(tmp_path, replace(survey, photos=timeless, settings={**survey.settings, "timezone": zone})).text
    head = " ".join(text.partition("Findings")[0].split())
    assert "taken: not known" in head
    assert ("hold no time, or one without its zone: then give --timezone" in head) == (zone is None)


def test_validations_stand_in_one_order_everywhere(tmp_path: Path) -> None:
    text = write_page(tmp_path, drawn_survey(tmp_path, 12)).read_text(encoding="utf-8")
    for pattern in (
        r"[>(;\s](confirmed|unclear|refuted): ",
        r'name="validation" value="(\w+)"',
        r"[\d,]+ (confirmed|unclear|refuted)\b",
    ):
        told = tuple(re.findall(pattern, text.partition("<details><summary>All")[0]))
        assert told == VALIDATIONS * (len(told) // 3) != ()


def test_rejected_findings_are_not_in_the_totals(tmp_path: Path) -> None:
    table = read_condition("mbei-1130")
    survey = drawn_survey(tmp_path, 12, limits=(0.3,))
    cracks = [
        replace(finding, condition=table.states[1], condition_rule="a rule", width_trusted=True)
        for finding in survey.findings
        if finding.validation == CONFIRMED
    ]
    asked = {**survey.settings, "condition": table.as_json()}
    survey = replace(survey, findings=tuple(cracks), settings=asked)
    decided = {cracks[0].id: Decision("rejected"), cracks[1].id: Decision("accepted")}
    review = Review(survey_id(survey), survey.source, "A. Engineer", "", decided)

    count = len(cracks)
    before, after = (" ".join(page(tmp_path, survey, kept=(given, "")).text.split()) for given in (None, review))
    assert f"Findings{count}{count} confirmed, 0 unclear, 0 refutedPhotographs with" in before
    head = f"{count - 1} confirmed, 0 unclear, 0 refuted{count} in all: 1 accepted, 1 rejected, {count - 2} open"
    assert f"Findings{count - 1}{head}Photographs with" in after
    for text, left in ((before, count), (after, count - 1)):
        assert f"Of {counted(left, 'crack')}, confirmed or accepted" in text
        sure, doubtful = (counts[table.states[1]] for counts in count_states(table, cracks[count - left :]))
        assert sure + doubtful == left
        assert f"{table.states[1]}{sure}{doubtful}{table.states[2]}00" in text
    assert (
        before.count("Without the findings that were rejected"),
        after.count("Without the findings that were rejected"),
    ) == (
        0,
        3,
    )


def test_files_that_were_read_are_not_called_coverage(tmp_path: Path) -> None:
    known = page(tmp_path, drawn_survey(tmp_path, 3, gaps=0)).text
    assert "Files not read0every file was read\n" in known
    assert "Coverage is not known" not in known
    unknown = page(tmp_path, drawn_survey(tmp_path, 3, gaps=0, located=False)).text
    assert "Files not read0every file was read; coverage: not known\n" in unknown
    assert "Coverage is not known, since no photograph says where it was taken from" in unknown


def test_the_page_has_of_each_finding_what_its_script_asks_for_and_no_more(tmp_path: Path) -> None:
    found = page(tmp_path, drawn_survey(tmp_path, 3))
    script = next(text for text in found.scripts if '"use strict"' in text)
    measures = {f"{name}{end}" for name in MEASURES for end in ("_px", "_mm", "_error_mm")} | set(RANGE_COLUMNS)
    names = set(found.data["findings"][0]) - measures - {"embedded"}  # which is counted when the page is made
    assert {name for name in names if not re.search(rf"\b{name}\b", script)} == set()


@pytest.mark.parametrize("one_file", [False, True])
def test_nothing_is_loaded_from_anywhere(tmp_path: Path, one_file: bool) -> None:
    found = page(tmp_path, drawn_survey(tmp_path, 12), one_file=one_file)
    for tag, attributes in found.elements:
        for name in ("src", "href", "action", "data", "poster", "srcset"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:", "#")), (tag, name, value)
        assert not any(name.startswith("on") for name in attributes)
        assert "style" not in attributes  # which the policy forbids
    style, script = (next(text for text in found.scripts if start in text) for start in (":root", '"use strict"'))
    assert "@import" not in style
    assert "url(" not in style
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "fetch(", "XMLHttpRequest"):
        assert word not in script


def test_the_policy_names_the_pages_own_style_and_script(tmp_path: Path) -> None:
    found = page(tmp_path, drawn_survey(tmp_path, 1))
    policy = next(a["content"] for tag, a in found.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    for start in (":root", '"use strict"'):
        text = next(text for text in found.scripts if start in text)
        assert base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() in policy
    assert "unsafe" not in policy


HOSTILE = '</script><script>window.hacked=1</script><img src=x onerror="window.hacked=1">\'"&<!--\u202e'


def test_a_model_for_research_only_is_told_where_the_models_are(tmp_path: Path) -> None:
    survey = drawn_survey(tmp_path, 2)
    assert "research only" not in page(tmp_path, survey).text
    drawing = {**survey.models["segmenter"], "name": "<b>", "use": "research only"}
    text = page(tmp_path, replace(survey, models={**survey.models, "segmenter": drawing})).text
    assert "Models<b> is research only: licences of its training data allow no other use." in text


def test_html_in_names_is_shown_and_never_run(tmp_path: Path) -> None:
    survey = drawn_survey(tmp_path, 2)
    plain = page(tmp_path, survey)
    found = page(tmp_path, with_names(survey, HOSTILE))
    assert [tag for tag, _ in found.elements if tag in ("script", "img")] == [
        tag for tag, _ in plain.elements if tag in ("script", "img")
    ]
    assert len(found.scripts) == len(plain.scripts)
    assert found.data["findings"][0]["photo"] == HOSTILE
    assert HOSTILE in found.text
    titles = [a["aria-label"] for tag, a in found.elements if tag == "svg" and "aria-label" in a]
    assert len(titles) == 2


@given(st.recursive(st.text() | st.none() | st.integers(), lambda inner: st.dictionaries(st.text(), inner)))
def test_json_in_a_script_survives_and_never_ends_it(value: Any) -> None:
    text = _script_json(value)
    assert json.loads(text) == value
    assert not set(text) & set("<>&\u2028\u2029")
    assert text.isascii()


def test_names_that_are_no_unicode_do_not_stop_the_page(tmp_path: Path) -> None:
    survey = drawn_survey(tmp_path, 1)
    found = page(tmp_path, with_names(survey, "caf\udce9 ☕.jpg"))
    assert "caf\\udce9 ☕.jpg" in found.text
    assert found.data["findings"][0]["photo"] == "caf\udce9 ☕.jpg"


def test_the_page_is_the_same_when_it_is_written_again(tmp_path: Path) -> None:
    survey = drawn_survey(tmp_path, 3)
    first = write_page(tmp_path, survey).read_bytes()
    assert write_page(tmp_path, survey).read_bytes() == first


def test_many_gaps_are_folded_away_and_all_listed(tmp_path: Path) -> None:
    survey = drawn_survey(tmp_path, 0, photos=40, gaps=40)
    found = page(tmp_path, survey)
    assert "List of 40 files" in found.text
    assert all(gap.photo in found.text for gap in survey.gaps)
    none = page(tmp_path, replace(survey, gaps=()))
    assert "None: every file was read." in none.text


def test_of_files_that_were_not_read_only_what_is_known_has_a_column(tmp_path: Path) -> None:
    survey = drawn_survey(tmp_path, 1, gaps=2)
    heads = []
    for gaps in (survey.gaps, tuple(replace(gap, latitude=None, time=None) for gap in survey.gaps)):
        html = write_page(tmp_path, replace(survey, gaps=gaps)).read_text(encoding="utf-8")
        table = html.partition('id="gaps-title"')[2].partition("</thead>")[0]
        heads.append(re.findall(r'<th scope="col">([^<]*)<', table))
    assert heads == [["Photograph", "Reason", "Detail", "Position", "Time"], ["Photograph", "Reason", "Detail"]]


def test_every_file_is_listed_with_what_was_found_on_it(tmp_path: Path) -> None:
    survey = drawn_survey(tmp_path, 6, photos=6, gaps=3)
    shown = Counter(name for finding in survey.findings for name in finding.seen_on)
    clean = [photo.name for photo in survey.photos if not shown[photo.name]]
    assert clean
    decided = {finding.id: Decision("rejected") for finding in survey.findings}
    review = Review(survey_id(survey), "", "", "", decided)
    text = " ".join(page(tmp_path, survey, kept=(review, "")).text.split())
    assert "All 9 files: 6 photographs that were searched, 3 not read" in text
    for name in clean:
        assert f"{name}432nothing found" in text
    assert f" ({max(shown[photo.name] for photo in survey.photos)} rejected)" in text
    assert "DCIM/DJI_902.JPGnot read: unreadable, is damaged or truncated" in text
    write_tables(tmp_path, survey)
    with (tmp_path / "photos.csv").open(encoding="utf-8", newline="") as stream:
        rows = {row["photo"]: row for row in csv.DictReader(stream)}
    assert len(rows) == len(survey.photos) + len(survey.gaps)
    for photo in survey.photos:
        row = rows[photo.name]
        assert sum(int(row[name]) for name in VALIDATIONS) == shown[photo.name]
        assert (row["tiles"], row["gap"]) == (str(photo.tiles), "")
    for gap in survey.gaps:
        assert [rows[gap.photo][name] for name in ("confirmed", "tiles", "gap")] == ["", "", gap.reason]
    rejected = {row["photo"]: row["rejected"] for row in photo_rows(survey, review)}
    assert {name: rejected[name] for name in shown if name in rejected} == {
        name: count for name, count in shown.items() if name in rejected
    }


def test_an_empty_survey_has_a_page(tmp_path: Path) -> None:
    found = page(tmp_path, Survey("nothing", "2025-06-01T12:00:00Z", {}, {}, (), (), ()))
    assert "No photograph was searched: there is nothing to draw." in found.text
    assert found.data["findings"] == []


def test_settings_read_as_sentences_do(tmp_path: Path) -> None:
    faces = [
        asdict(Face(f"pier {number}", RECTANGLE, 48.21019988979399, 16.4203, 164.7, 29.0966, 2.0, 0.5015999999999999))
        for number in (1, 2)
    ]
    settings = {
        "tile_side": 256,
        "distance_m": None,
        "focal_mm": 8.0,
        "every_s": None,
        "limits_mm": [0.2, 0.3],
        "faces": faces,
    }
    html = write_page(tmp_path, replace(drawn_survey(tmp_path, 1), settings=settings)).read_text(encoding="utf-8")
    rows = dict(re.findall(r'<tr><th scope="row">([^<]*)</th><td>([^<]*)</td>', html.partition("<h3>Settings</h3>")[2]))
    assert {name: rows[name] for name in rows if not name.startswith(("scale", "where"))} == {
        "tile side": "256",
        "focal length": "8 mm",
        "limits": "0.2, 0.3 mm",
        "faces": "\n".join(
            f"pier {number}, rectangle, latitude 48.2101999, longitude 16.4203, bottom 164.7 m, heading 29.0966°, "
            "height 2 m, width 0.5016 m"
            for number in (1, 2)
        ),
        "not given": "distance, time between frames",
    }


def test_the_classifiers_percentage_is_told_with_where_it_calls_a_tile_cracked(tmp_path: Path) -> None:
    survey = drawn_survey(tmp_path, 2)
    assert "not calibrated; a tile is called cracked from 41.0 % on." in page(tmp_path, survey).text
    assert "at its first look, not calibrated. " in page(tmp_path, replace(survey, models={})).text


@pytest.mark.parametrize("located", [True, False])
def test_photographs_that_nobody_flew_are_on_a_map_too(tmp_path: Path, located: bool) -> None:
    text = page(tmp_path, drawn_survey(tmp_path, 2, located=located)).text
    assert "flight" not in text.lower().replace("--flight-log", "")
    assert ("No photograph has a position: there is nothing to draw." in text) != located


def test_widths_are_filtered_in_millimetres_when_there_are_any(tmp_path: Path) -> None:
    assert page(tmp_path, drawn_survey(tmp_path, 6)).data["width_field"] == "max_width_mm"
    assert page(tmp_path, drawn_survey(tmp_path, 6, scaled=False)).data["width_field"] == "max_width_px"


def test_a_finding_has_its_ranges_widths_and_limits(tmp_path: Path) -> None:
    found = page(tmp_path, drawn_survey(tmp_path, 6, limits=(0.3, 0.8)))
    assert "Limits of 0.3, 0.8 mm were stated" in found.text
    assert "A limit of 0.3 mm was stated" in page(tmp_path, drawn_survey(tmp_path, 6, limits=(0.3,))).text
    drawn = [entry for entry in found.data["findings"] if entry["length_px"] is not None]
    others = [entry for entry in found.data["findings"] if entry["length_px"] is None]
    assert drawn
    assert others
    for entry in drawn:
        assert entry["max_width_low_mm"] < entry["max_width_mm"] < entry["max_width_high_mm"]
        assert entry["profile"]["unit"] == "mm"
        assert len(entry["profile"]["lines"]) == 2
        assert {answer for _, answer, _ in entry["limits"]} <= {"exceeds", "below", "cannot tell"}
        assert all((why is not None) == (answer == "cannot tell") for _, answer, why in entry["limits"])
    assert all(entry["limits"] == [] for entry in others)
    assert all(entry["profile"] is None for entry in others)
    assert "--limit-mm" not in page(tmp_path, drawn_survey(tmp_path / "other", 2)).text


def test_a_limit_is_asked_of_what_was_not_drawn_only_when_a_person_accepted_it(tmp_path: Path) -> None:
    survey = drawn_survey(tmp_path, 6, limits=(0.3,))
    undrawn = [finding.id for finding in survey.findings if finding.length_px is None]
    accepted = Review("", "", "", "", {undrawn[0]: Decision("accepted"), undrawn[1]: Decision("rejected")})
    entries = page(tmp_path, survey, kept=(accepted, "")).data["findings"]
    told = {entry["id"]: entry["limits"] for entry in entries if entry["id"] in undrawn}
    assert told.pop(undrawn[0]) == [[0.3, "cannot tell", "not measured"]]
    assert set(map(len, told.values())) == {0}


def test_why_a_width_is_not_to_be_trusted_is_said_of_each(tmp_path: Path) -> None:
    survey = drawn_survey(tmp_path, 6)
    drawn = next(finding for finding in survey.findings if finding.length_px is not None)
    fine = replace(drawn, width_trusted=False, mean_width_px=2.0, width_from="photograph")
    doubts = {
        "too fine, below 3 pixels": fine,
        "not clear enough in the photograph": replace(fine, mean_width_px=5.0, width_from="mask"),
        "short or wide for a crack": replace(fine, mean_width_px=5.0),
        None: replace(fine, mean_width_px=5.0, width_trusted=True),
    }
    for why, finding in doubts.items():
        (entry,) = page(tmp_path, replace(survey, findings=(finding,))).data["findings"]
        assert entry["width_doubt"] == why


# ---------------------------------------------------------------------------------------------------- pictures


def test_pictures_lie_beside_the_page(tmp_path: Path) -> None:
    survey = drawn_survey(tmp_path, 3)
    (tmp_path / survey.findings[1].overlay).unlink()
    first, second, _ = page(tmp_path, survey).data["findings"]
    assert first["links"] == [f"./pictures/{first['id']}.jpg", f"./overlays/{first['id']}.jpg"]
    assert second["links"] == [f"./pictures/{second['id']}.jpg", ""]
    with Image.open(tmp_path / survey.findings[0].overlay) as image:
        assert (first["width"], first["height"]) == image.size
    assert "data:image" not in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_page_of_five_thousand_findings_stays_below_ten_megabytes(tmp_path: Path) -> None:
    survey = drawn_survey(tmp_path, 50, photos=2000)
    long = "2025-06-01 bridge over the river, piers 1 to 9/100MEDIA"
    findings = [
        replace(
            finding,
            id=f"{number:05d}{finding.id[5:]}",
            photo=f"{long}/{finding.photo}",
            seen_on=(f"{long}/{finding.photo}",),
        )
        for number in range(100)
        for finding in survey.findings
    ]
    assert len(findings) == 5000
    assert write_page(tmp_path, replace(survey, findings=tuple(findings))).stat().st_size < 10_000_000


def test_pictures_beyond_the_budget_are_linked_the_most_severe_stay_inside(tmp_path: Path) -> None:
    survey = drawn_survey(tmp_path, 12)
    all_inside = page(tmp_path, survey, one_file=True)
    sizes = [sum(len(entry[name]) * 3 / 4 for name in ("before", "after")) for entry in all_inside.data["findings"]]
    found = page(tmp_path, survey, one_file=True, embed_bytes=int(sum(sizes[:5]) + 100))
    embedded = [entry["embedded"] for entry in found.data["findings"]]
    assert embedded == [True] * 5 + [False] * 7
    last = found.data["findings"][-1]
    assert (last["before"], last["links"][0]) == ("", f"./pictures/{last['id']}.jpg")
    assert last["thumbnail"].startswith("data:image/jpeg;base64,")
    assert "of 5 findings are inside this file. Those of the other 7 are linked" in found.text


def test_pictures_are_bounded_in_size_and_missing_ones_are_told(tmp_path: Path) -> None:
    Image.new("RGB", (3000, 1500)).save(tmp_path / "large.png")
    (tmp_path / "torn.png").write_bytes((tmp_path / "large.png").read_bytes()[:50])
    shelf = PictureShelf(tmp_path, one_file=True)
    found = shelf.pictures("large.png", "large.png")
    with Image.open(io.BytesIO(base64.b64decode(found.before.partition(",")[2]))) as image:
        assert image.size == (DETAIL_SIDE, DETAIL_SIDE // 2)
    assert (found.width, found.height) == (3000, 1500)
    for name in ("none.png", "torn.png", "../outside.png", str(tmp_path / "large.png"), "", "a\0b"):
        nothing = shelf.pictures(name, name)
        assert (nothing.before, nothing.after, nothing.thumbnail, nothing.links) == ("", "", "", ("", ""))
    assert len(shelf.missing) == 12
    beside = PictureShelf(tmp_path)
    assert (beside.pictures("large.png", "large.png").width, beside.missing) == (3000, [])
    for name in ("none.png", "../outside.png", str(tmp_path / "large.png"), "", "a\0b", "report.html"):
        assert beside.pictures(name, name).links == ("", "")
    assert len(beside.missing) == 12
    survey = drawn_survey(tmp_path, 1)
    (tmp_path / survey.findings[0].picture).unlink()
    assert "1 picture of findings could not be read" in page(tmp_path, survey).text


# ------------------------------------------------------------------------------------------------------ flight


def figures(survey: Survey) -> list[str]:
    ranks = {finding.id: number for number, finding in enumerate(survey.findings, 1)}
    return re.findall(r"<figure.*?</figure>", flight_figures(survey, ranks), flags=re.DOTALL)


def spots(figure: str) -> list[tuple[float, float]]:
    path = re.search(r'class="photos" d="(.*?)"', figure)
    assert path
    return [(float(x), float(y)) for x, y in re.findall(r"M([-\d.]+) ([-\d.]+)h0", path[1])]


def bar_metres(figure: str) -> tuple[float, float]:
    """Metres that the scale bar says, and its length in the drawing."""
    bar = re.search(r'class="scale"><path d="M[-\d.]+ [-\d.]+v5h([\d.]+)v-5"/><text.*?>([\d.]+) (k?m)</text>', figure)
    assert bar
    return float(bar[2]) * (1000 if bar[3] == "km" else 1), float(bar[1])


def flown(tmp_path: Path, *places: tuple[float, float, float]) -> Survey:
    survey = drawn_survey(tmp_path, 0, photos=len(places), gaps=0)
    photos = tuple(
        replace(photo, latitude=lat, longitude=lon, altitude_m=alt)
        for photo, (lat, lon, alt) in zip(survey.photos, places, strict=True)
    )
    return replace(survey, photos=photos)


def test_signs_do_not_cover_the_scale_bar(tmp_path: Path) -> None:
    survey = drawn_survey(tmp_path, 24, photos=2, gaps=0)
    places = ((47.0, 15.0), (47.0002, 15.0))
    photos = tuple(
        replace(photo, latitude=lat, longitude=lon) for photo, (lat, lon) in zip(survey.photos, places, strict=True)
    )
    findings = tuple(replace(finding, latitude=47.0, longitude=15.0) for finding in survey.findings)
    figure = figures(replace(survey, photos=photos, findings=findings))[0]
    bar = re.search(r'class="scale"><path.*?<text x="[\d.]+" y="([\d.]+)"', figure)
    signs = re.findall(r'cy="([\d.]+)" r="([\d.]+)"', figure)
    assert bar
    assert len(signs) == 24
    # What is written above the bar is about 12 units high.
    assert max(float(y) + float(radius) for y, radius in signs) < float(bar[1]) - 12


@pytest.mark.parametrize(
    ("lat", "lon"), [(47.0, 15.0), (-33.9, -70.5), (0.0, 0.001), (-16.8, 179.9999), (69.6, -179.9999)]
)
def test_distances_on_the_map_are_those_of_its_scale_bar(tmp_path: Path, lat: float, lon: float) -> None:
    # 100 m to the north and then about 100 m to the east, by the length of a degree on a sphere of 6,371 km.
    north, east = 100 / 111195, 100 / (111195 * math.cos(math.radians(lat)))
    wrapped = (lon + east + 180) % 360 - 180
    (figure,) = figures(flown(tmp_path, (lat, lon, 5.0), (lat + north, lon, 5.0), (lat + north, wrapped, 5.0)))
    metres, length = bar_metres(figure)
    (ax, ay), (bx, by), (cx, cy) = spots(figure)
    assert (ay - by) * metres / length == pytest.approx(100, rel=0.01)
    assert (cx - bx) * metres / length == pytest.approx(100, rel=0.01)
    assert abs(ax - bx) < 0.2
    assert abs(by - cy) < 0.2


def test_a_side_view_is_drawn_where_altitudes_differ(tmp_path: Path) -> None:
    flat, side = figures(flown(tmp_path, (47, 15, 100), (47, 15.001, 100), (47, 15.001, 120)))
    assert "Seen from above" in flat
    assert "Seen from the side" in side
    metres, length = bar_metres(side)
    (ax, ay), (bx, by), (_, cy) = spots(side)
    assert (by - cy) * metres / length == pytest.approx(20, rel=0.02)
    assert ay == pytest.approx(by, abs=0.2)
    assert bx > ax  # east on the right
    assert re.findall(r'class="end".*?>(\w+)<', side) == ["W", "E"]
    assert "110 m" in side


def test_findings_at_one_place_do_not_hide_each_other(tmp_path: Path) -> None:
    survey = drawn_survey(tmp_path, 9, photos=1, gaps=0)
    (figure,) = figures(survey)
    places = re.findall(r'<circle class="finding \w+" data-id="\w+" cx="([-\d.]+)" cy="([-\d.]+)"', figure)
    assert len(set(places)) == 9


def test_findings_and_gaps_without_a_place_are_left_out_of_the_map_only(tmp_path: Path) -> None:
    survey = drawn_survey(tmp_path, 4, located=False)
    assert figures(survey) == []
    assert "No photograph has a position: there is nothing to draw." in page(tmp_path, survey).text
    located = drawn_survey(tmp_path, 4)
    one = replace(located, findings=(unplaced(located.findings[0]), *located.findings[1:]))
    assert figures(one)[0].count('<circle class="finding') == 3


def unplaced(finding: Finding) -> Finding:
    return replace(finding, latitude=None, longitude=None, altitude_m=None)


@given(st.floats(1e-3, 1e6))
def test_the_scale_bar_has_a_round_length(most: float) -> None:
    length = nice_length(most)
    assert length <= most * (1 + 1e-9) < length * 2.5 + 1e-9
    assert re.fullmatch(r"[125]\.?0*e?[-+]?\d*", f"{length:.1e}")


def test_titles_of_signs_are_escaped(tmp_path: Path) -> None:
    survey = with_names(drawn_survey(tmp_path, 1), HOSTILE)
    text = "".join(figures(survey))
    assert "<img" not in text
    assert HOSTILE in unescape(text)


def test_the_wheel_holds_every_file_that_is_no_module() -> None:
    root = Path(__file__).parents[4]
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    data = project["package-data"]
    for package in ("crack_tf", "tflite", "tuning"):
        files = {path for path in (root / package).rglob("*") if path.is_file() and "__pycache__" not in path.parts}
        # As setuptools looks for them.
        matches = (glob.glob(str(root / package / pattern), recursive=True) for pattern in data.get(package, ()))
        packed = {Path(name) for found in matches for name in found}
        assert {path for path in files if path.suffix != ".py"} <= packed
    assert len(list((root / "crack_tf" / "survey" / "assets").glob("report.*"))) == 3
