"""Findings of several faces or folders stand in groups, and every finding, photograph and gap is counted in one of them."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from crack_tf.photo.faces import Face
from crack_tf.survey.findings import Gap, Survey
from crack_tf.survey.report.page import write_page
from crack_tf.survey.report.page_groups import FACE, FOLDER, NO_FACE, groups_of, groups_table
from crack_tf.survey.reviews.review import Decision, Review
from crack_tf.survey.severity import in_order
from tests.crack_tf.survey.drawn_surveys import drawn_survey, in_folders
from tests.crack_tf.survey.geometric_flight import before_wall, record, wall_face
from tests.crack_tf.survey.some_finding import some_finding
from tflite.device.tiles import Box

FOLDERS = ("pier 1", "pier 2/100MEDIA", "pier <3>")


class Rows(HTMLParser):
    """A table's cells, row by row, and which of them lead somewhere."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.links: list[str] = []
        self._link = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        self._link = tag == "a"

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data
        if self._link:
            self.links.append(data)


def table_of(survey: Survey, review: Review | None = None) -> Rows:
    return Rows(groups_table(groups_of(survey), survey, review).partition("</table>")[0])


def test_folders_are_counted_apart_and_nothing_is_left_out(tmp_path: Path) -> None:
    survey = in_folders(drawn_survey(tmp_path, 12, photos=9), FOLDERS)
    survey = replace(survey, gaps=(*survey.gaps, Gap("pier 4/a.jpg", "unreadable", "is empty")))
    first, second, third = (finding.id for finding in survey.findings[:3])
    decided = {first: Decision("accepted"), second: Decision("rejected"), third: Decision("", "a comment")}
    table = table_of(survey, Review("", "", "", "", decided))
    head, *rows = table.rows
    assert head == [FOLDER, "Photographs", "Confirmed", "Unclear", "Refuted", "Accepted", "Rejected", "Open", "Files not read"]  # fmt: skip
    worst_first = dict.fromkeys(finding.photo.rpartition("/")[0] for finding in in_order(survey.findings))
    assert [row[0] for row in rows] == [*worst_first, *(name for name in FOLDERS if name not in worst_first), "pier 4"]
    assert table.links == [*worst_first]
    sums = [sum(int(row[column]) for row in rows) for column in range(1, len(head))]
    kept = [finding.validation for finding in survey.findings if finding.id != second]
    assert sums == [9, *(kept.count(name) for name in ("confirmed", "unclear", "refuted")), 1, 1, 10, len(survey.gaps)]
    for name, *counts in rows:
        photos = sum(photo.name.rpartition("/")[0] == name for photo in survey.photos)
        gaps = sum(gap.photo.rpartition("/")[0] == name for gap in survey.gaps)
        assert (int(counts[0]), int(counts[-1])) == (photos, gaps)


def test_photographs_beside_folders_are_a_group_by_the_name_of_what_was_surveyed(tmp_path: Path) -> None:
    survey = in_folders(drawn_survey(tmp_path, 6, photos=4), ("", "100MEDIA"))
    names = {row[0] for row in table_of(survey).rows[1:]}
    assert names == {"Pier 7 east itself", "100MEDIA"}


def test_one_folder_has_no_groups(tmp_path: Path) -> None:
    survey = drawn_survey(tmp_path, 6)
    assert groups_of(survey) is None
    html = write_page(tmp_path, survey).read_text(encoding="utf-8")
    assert '"group' not in html.partition('id="survey-data">')[2].partition("</script>")[0]
    assert 'id="groups"' not in html
    assert "groups stand" not in html


def test_many_folders_are_folded_away(tmp_path: Path) -> None:
    survey = in_folders(drawn_survey(tmp_path, 3, photos=40), [f"folder {number}" for number in range(40)])
    html = groups_table(groups_of(survey), survey, None)
    assert html.startswith("<details><summary>40 folders</summary>")
    assert len(Rows(html).rows) == 41


def flown_along(faces: tuple[Face, ...]) -> Survey:
    """A photograph of the middle of each face, one without a place, all with a finding, and a file that was not read."""
    rng, still = np.random.default_rng(0), (0.0, 0.0, 0.0)
    photos = [
        record(number, before_wall(0.0, 2.0, 2.0, 3.0, corner=(30.0 * number, 0.0)), rng, *still) for number in range(2)
    ]
    photos.append(replace(photos[0], name="lost.jpg", latitude=None, longitude=None))
    findings = tuple(
        some_finding(photo.name, id=f"{number:012d}", box=Box(1400, 1900, 200, 200), severity=float(number))
        for number, photo in enumerate(photos)
    )
    settings = {"faces": [asdict(face) for face in faces]}
    return Survey("DCIM", "2025-06-01T12:00:00Z", {}, json.loads(json.dumps(settings)), tuple(photos), findings,
        (Gap("torn.jpg", "unreadable", "is torn"),))  # fmt: skip


def test_findings_are_by_declared_face_where_photographs_look_at_one(tmp_path: Path) -> None:
    faces = tuple(wall_face(0.0, 4.0, 4.0, (30.0 * number, 0.0), f"pier {number}") for number in range(3))
    survey = flown_along(faces)
    head, *rows = table_of(survey).rows
    assert head[0] == FACE
    # The worst finding's first; pier 2, which nobody photographed, is there too.
    assert [(row[0], row[1], row[2], row[-1]) for row in rows] == [
        (NO_FACE, "1", "1", "1"),
        ("pier 1", "1", "1", "0"),
        ("pier 0", "1", "1", "0"),
        ("pier 2", "0", "0", "0"),
    ]
    html = write_page(tmp_path, survey).read_text(encoding="utf-8")
    assert '"faces":true' in html
    assert "groups stand one after the other" in html


def test_a_file_that_was_not_read_counts_at_the_face_of_its_neighbours() -> None:
    faces = tuple(wall_face(0.0, 4.0, 4.0, (30.0 * number, 0.0), f"pier {number}") for number in range(2))
    survey = flown_along(faces)
    first, second, lost = survey.photos
    names = {"DCIM/2.jpg": first, "DCIM/4.jpg": first, "DCIM/6.jpg": second, "DCIM/8.jpg": second, "DCIM/9.jpg": lost,
             "pier 1/2.jpg": second, "pier 1/3.jpg": second}  # fmt: skip
    known = {
        "DCIM/3.jpg": "pier 0",
        "DCIM/7.jpg": "pier 1",
        **dict.fromkeys(("pier 1/1.jpg", "pier 1/4.jpg"), "pier 1"),
        # Between two faces, beside one of which nothing is known, the first of several, and of a folder of its own.
        **dict.fromkeys(("DCIM/5.jpg", "DCIM/8a.jpg", "DCIM/1.jpg", "elsewhere/1.jpg"), NO_FACE),
    }
    for gap, face in known.items():
        photos = tuple(replace(photo, name=name) for name, photo in names.items())
        torn = replace(survey, photos=photos, findings=(), gaps=(Gap(gap, "unreadable", "torn"),))
        groups = groups_of(torn)
        assert groups is not None
        assert {name: count for name, count in groups.gaps.items() if count} == {face: 1}, gap
        assert "the photographs before and after it" in groups_table(groups, torn, None)


@pytest.mark.parametrize("turned", [False, True])
def test_faces_that_no_photograph_looks_at_give_no_groups(turned: bool) -> None:
    """Nor does one face alone."""
    faces = tuple(wall_face(math.pi * turned, 4.0, 4.0, (30.0 * n, 0.0), f"pier {n}") for n in range(1 + turned))
    assert groups_of(flown_along(faces)) is None
