"""The part of the report that says where findings are: by declared face where photographs are placed on one, else by folder.

Where that is one place for all, there are no groups.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from posixpath import dirname

from crack_tf.survey.findings import VALIDATIONS, Finding, Survey
from crack_tf.survey.geometry.placing import list_faces
from crack_tf.survey.reviews.review import ACCEPTED, REJECTED, UNDECIDED, Review, not_rejected
from crack_tf.survey.severity import in_order
from tflite.words import counted

FACE, FOLDER = "Face", "Folder"
NO_FACE = "face not known"
_LISTED = 25  # more are folded away
_OPEN = "open"
_ABOUT_GAPS = "A file that was not read counts at the face that the photographs before and after it in its folder show, where that is one."


@dataclass(frozen=True)
class Groups:
    """Where findings, photographs and gaps are.

    Attributes:
        kind: FACE or FOLDER.
        names: of the places: that of the first finding first, those without findings last.
        of: by a finding's id, the number of its place in `names`.
        photos, gaps: how many each place has, by its name; a photograph counts at the face in its middle, and a file that was not read
            at that of its neighbours (`_faces_between`).
    """

    kind: str
    names: tuple[str, ...]
    of: Mapping[str, int]
    photos: Mapping[str, int]
    gaps: Mapping[str, int]


def groups_of(survey: Survey) -> Groups | None:
    """The groups of a survey; None where all is in one.

    Raises:
        CrackError: if its settings are damaged.
    """
    return _by_face(survey) or _by_folder(survey)


def _by_face(survey: Survey) -> Groups | None:
    places = list_faces(survey)
    if len(places.faces) < 2 or not places.photos:
        return None
    seen = Counter(places.photos.get(photo.name, NO_FACE) for photo in survey.photos)
    photos = {name: seen[name] for name in (*places.faces, NO_FACE)}
    gaps = Counter(_faces_between(survey, places.photos))
    where = {finding.id: places.findings.get(finding.id, NO_FACE) for finding in survey.findings}
    return _grouped(FACE, survey, where, photos, gaps)


def _faces_between(survey: Survey, faces: Mapping[str, str]) -> Iterator[str]:
    """The face of each file that was not read: it hardly ever says where it was taken, but those before and after it in its folder do.

    Where it is the first or last there, all of them have to be on one face.
    """
    folders: dict[str, list[str]] = {}
    for name in sorted(photo.name for photo in survey.photos):
        folders.setdefault(dirname(name), []).append(name)
    for gap in survey.gaps:
        read = folders.get(dirname(gap.photo), [])
        place = bisect_left(read, gap.photo)
        beside = read[place - 1 : place + 1] if 0 < place < len(read) else read
        found = {faces.get(name, NO_FACE) for name in beside}
        yield found.pop() if len(found) == 1 else NO_FACE


def _by_folder(survey: Survey) -> Groups | None:
    def folder(name: str) -> str:
        return dirname(name) or f"{survey.source} itself"

    photos = Counter(folder(photo.name) for photo in survey.photos)
    gaps = Counter(folder(gap.photo) for gap in survey.gaps)
    where = {finding.id: folder(finding.photo) for finding in survey.findings}
    return _grouped(FOLDER, survey, where, photos, gaps)


def _grouped(
    kind: str, survey: Survey, where: Mapping[str, str], photos: Mapping[str, int], gaps: Mapping[str, int]
) -> Groups | None:
    others = [name for name in (*photos, *sorted(gaps)) if photos.get(name) or gaps.get(name) or name != NO_FACE]
    names = dict.fromkeys([*(where[finding.id] for finding in in_order(survey.findings)), *others])
    numbers = {name: number for number, name in enumerate(names)}
    if len(names) < 2:
        return None
    return Groups(kind, tuple(names), {one: numbers[name] for one, name in where.items()}, photos, gaps)


def groups_table(groups: Groups | None, survey: Survey, review: Review | None) -> str:
    """HTML of a table with a row per group, which leads to its findings; empty without groups. The page's script keeps its counts."""
    if groups is None:
        return ""
    heads = (groups.kind, "Photographs", *(name.capitalize() for name in _COUNTS), "Files not read")
    found: dict[int, list[Finding]] = {}
    for finding in survey.findings:
        found.setdefault(groups.of[finding.id], []).append(finding)
    rows = []
    for number, name in enumerate(groups.names):
        findings = found.get(number, [])
        counts = _counts(findings, review)
        told = f'<a href="#findings">{escape(name)}</a>' if findings else escape(name)
        cells = [(groups.photos.get(name, 0), ""), *((counts[what], f' data-count="{what}"') for what in _COUNTS)]
        cells.append((groups.gaps.get(name, 0), ""))
        rows.append(
            f'<tr data-group="{number}"><td data-head="{groups.kind}">{told}</td>'
            + "".join(
                f'<td data-head="{head}"{more}>{count:,}</td>'
                for head, (count, more) in zip(heads[1:], cells, strict=True)
            )
            + "</tr>"
        )
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    table = f'<table class="rows" id="groups"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
    if groups.kind == FACE and survey.gaps:
        table += f'<p class="muted">{_ABOUT_GAPS}</p>'
    if len(rows) > _LISTED:
        table = f"<details><summary>{counted(len(rows), groups.kind.lower())}</summary>{table}</details>"
    return table


_COUNTS = (*VALIDATIONS, ACCEPTED, REJECTED, _OPEN)


def _counts(findings: list[Finding], review: Review | None) -> Counter[str]:
    """As the head of the page counts: verdicts of what was not rejected, and decisions on all."""
    verdicts = Counter(UNDECIDED if review is None else review.verdict(finding) for finding in findings)
    return Counter(
        {
            **Counter(finding.validation for finding in not_rejected(findings, review)),
            ACCEPTED: verdicts[ACCEPTED],
            REJECTED: verdicts[REJECTED],
            _OPEN: verdicts[UNDECIDED],
        }
    )
