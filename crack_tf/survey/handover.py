"""A finished survey in the formats of other programs: GIS, annotation, drawing. What `crack-tf survey-export` does.

done = hand_over("found", "found.gpkg", HandoverConfig("geopackage", crs="EPSG:2056"))
print(done.told, done.gaps)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from crack_tf.survey.findings import Finding, PhotoRecord, Survey, read_survey
from crack_tf.survey.formats import coco, geopackage, sheet
from crack_tf.survey.formats.crs import WGS84
from crack_tf.survey.reviews.review import Review, kept_review, not_rejected
from crack_tf.survey.severity import ranked
from crack_tf.survey.store import RECORDS, read_points, read_records
from tflite.arguments import check_types
from tflite.errors import CrackError
from tflite.extras import require
from tflite.outputs import check_file, check_folder, making
from tflite.words import counted

GEOPACKAGE, COCO, SHEET = "geopackage", "coco", "sheet"
FORMATS = (GEOPACKAGE, COCO, SHEET)
_NEEDS: dict[str, tuple[str, ...]] = {GEOPACKAGE: ("pyogrio", "pyproj"), COCO: (), SHEET: ("ezdxf", "cv2")}
_SUFFIXES = {GEOPACKAGE: ".gpkg", COCO: ".json"}
_SEARCHED = "no position"  # reason of gaps in surveys from before 2026-12 that were searched, and need no place here


@dataclass(frozen=True)
class HandoverConfig:
    """How a survey is handed over.

    Attributes:
        to: one of FORMATS.
        crs: reference system of a GeoPackage: a code such as "EPSG:2056", or "utm"; None for WGS84 in degrees.
        masks: of COCO: "polygons" or "rle", see `crack_tf.survey.formats.coco`.
        photos: of sheets: folder that the survey was made of, for the mosaic; None for sheets without.

    Raises:
        CrackError: naming the field as the command line does.
    """

    to: str = GEOPACKAGE
    crs: str | None = None
    masks: str = coco.POLYGONS
    photos: Path | None = None

    def __post_init__(self) -> None:
        check_types(self)
        for name, value, known in (("to", self.to, FORMATS), ("masks", self.masks, coco.MASKS)):
            if value not in known:
                raise CrackError(f"--{name} {value}: choose one of {', '.join(known)}.")


@dataclass(frozen=True)
class Handover:
    """What was handed over.

    Attributes:
        path: of the file, or the folder of sheets.
        told: about what is in it, one sentence.
        gaps: what is not in it, or lacks something, a sentence each. It is never free of cracks.
    """

    path: Path
    told: str
    gaps: tuple[str, ...]


def hand_over(
    found: str | Path, out: str | Path, config: HandoverConfig | None = None, *, overwrite: bool = False
) -> Handover:
    """Write a finished survey in a format of other programs.

    Args:
        found: the survey's folder.
        out: file to write; of sheets a folder.
        config: the format and what belongs to it; None for the default.
        overwrite: replace an earlier result of this kind.

    Raises:
        CrackError: if there is no finished survey, a package is missing, the file exists or has another suffix, or the format cannot
            hold this survey.
    """
    found, out, config = Path(found), Path(out), config or HandoverConfig()
    require(_NEEDS[config.to])
    survey = ranked(read_survey(found))
    review, lost = kept_review(found, survey)
    if config.to == SHEET:
        check_folder(out, sheet.OUTPUT, overwrite, inputs=(found, config.photos))
        return _with_gap(_to_sheets(found, survey, review, out, overwrite, config), lost)
    suffix = _SUFFIXES[config.to]
    if out.suffix.lower() != suffix:
        raise CrackError(f"--out {out}: programs know this format by its suffix. Name a file that ends in {suffix}.")
    if config.to == COCO:
        if survey.settings.get("kind") not in (None, "folder"):
            raise CrackError(
                f"--to {COCO} needs photographs that an annotation program can open, and {survey.source} is a {survey.settings['kind']}: "
                "take its frames out as files, and survey these."
            )
        check_file(out, coco.OUTPUT, overwrite, inputs=(found,))
        return _with_gap(_to_coco(found, survey, review, out, config), lost)
    check_file(out, geopackage.OUTPUT, overwrite, inputs=(found,))
    return _with_gap(_to_geopackage(survey, review, out, config), lost)


def _with_gap(done: Handover, gap: str) -> Handover:
    return replace(done, gaps=(*done.gaps, gap)) if gap else done


def _to_sheets(
    found: Path, survey: Survey, review: Review | None, out: Path, overwrite: bool, config: HandoverConfig
) -> Handover:
    photos = None if config.photos is None else Path(config.photos)
    if photos is not None and not photos.is_dir():
        raise CrackError(
            f"--photos {photos} is no folder. Give the one that was surveyed, or leave it out for sheets without photographs."
        )
    standing = not_rejected(survey.findings, review)
    rejected = len(survey.findings) - len(standing)
    survey = replace(survey, findings=tuple(standing))
    drawing = sheet.plan_sheets(survey, partial(read_points, found))
    with making(out, sheet.OUTPUT, overwrite):
        written = sheet.write_sheets(out, survey, drawing, photos)
    gaps = [f"{gap.photo}: {gap.reason}, {gap.detail}" for gap in survey.gaps]
    told = f"{counted(written.sheets, 'sheet')} with {counted(written.cracks, 'crack')}, as SVG, DXF and PNG"
    if rejected:
        told += f"; {counted(rejected, 'rejected finding is', 'rejected findings are')} left out"
    if photos is None:
        told += "; give --photos for the mosaic of the photographs"
    return Handover(out, told, (*gaps, *written.gaps))


def _to_coco(found: Path, survey: Survey, review: Review | None, out: Path, config: HandoverConfig) -> Handover:
    records = [(photo, findings) for photo, findings, _ in read_records(found) if photo is not None]
    gaps = [f"{gap.photo}: {gap.reason}, {gap.detail}" for gap in survey.gaps if gap.reason != _SEARCHED]
    recorded = {photo.name for photo, _ in records}
    missing = [photo for photo in survey.photos if photo.name not in recorded]
    if missing and len(missing) < len(survey.photos):
        gaps += [f"{photo.name}: its record is missing or damaged, survey again" for photo in missing]
    elif missing:
        records, more = _without_records(survey)
        gaps += more
    if review is not None:
        gaps += _undecided_parts(survey, records)
    written = coco.write_coco(out, survey, records, config.masks, review)
    told = f"{counted(written.images, 'photograph')} with {counted(written.cracks, 'crack')}"
    if written.unclear:
        told += f", and {counted(written.unclear, 'place')} of category unclear that nobody has settled: make them cracks, or delete them"
    if written.to_draw:
        told += f", and {counted(written.to_draw, 'accepted place')} without a drawn crack, category {coco.TO_DRAW_NAME}: draw it"
    if written.rejected:
        told += f"; {counted(written.rejected, 'rejected one is', 'rejected ones are')} left out"
    return Handover(out, told, tuple(gaps))


def _undecided_parts(survey: Survey, records: Sequence[tuple[PhotoRecord, Sequence[Finding]]]) -> list[str]:
    """Findings that others speak for, where the survey, of an earlier version, does not say which: no decision is known to be theirs."""
    known = {name for finding in survey.findings for name in (finding.id, *finding.merged)}
    lost = [finding.photo for _, findings in records for finding in findings if finding.id not in known]
    if not lost:
        return []
    return [
        f"{lost[0]}{f' and {len(lost) - 1} more' if len(lost) > 1 else ''}: what was decided on findings that several photographs show is "
        "not known here, since an earlier version made the survey: run it again, nothing is searched again"
    ]


def _without_records(survey: Survey) -> tuple[list[tuple[PhotoRecord, list[Finding]]], list[str]]:
    """For a folder that was handed on without its records: a merged finding says where it is on one of its photographs only."""
    own: dict[str, list[Finding]] = {}
    elsewhere: dict[str, str] = {}
    for finding in survey.findings:
        own.setdefault(finding.photo, []).append(finding)
        elsewhere |= dict.fromkeys(finding.seen_on[1:], finding.id)
    records = [(photo, own.get(photo.name, [])) for photo in survey.photos if photo.name not in elsewhere]
    gaps = [
        f"{name}: shows finding {number}, and without the folder {RECORDS} nothing says where"
        for name, number in sorted(elsewhere.items())
    ]
    return records, gaps


def _to_geopackage(survey: Survey, review: Review | None, out: Path, config: HandoverConfig) -> Handover:
    written = geopackage.write_geopackage(out, survey, config.crs or WGS84, review)
    there = written.projection
    accuracy = ", reached from WGS84 " + (
        "with an accuracy that is not known"
        if there.accuracy_m is None
        else f"within {there.accuracy_m:g} m"
        if there.accuracy_m
        else "exactly"
    )
    if written.places:
        where = f"{written.cracks} of them as lines, in {there.code} ({there.name}{accuracy}); altitudes as the photographs have them"
    else:
        where = "and nothing has a position"
        if config.crs is not None:
            where += f", so --crs {config.crs} was not used"
    told = f"{counted(written.findings, 'finding')}, {where}"
    gaps = [f"{gap.photo}: {gap.reason}, {gap.detail}" for gap in survey.gaps]
    if written.without_place:
        gaps.append(
            f"{counted(written.without_place, 'finding has', 'findings have')} no place: rows without a geometry"
        )
    if lost := written.not_on_a_face:
        pointless = written.lost_without_place
        is_there = "a point, no line" if not pointless else "no line, no point"
        if 0 < pointless < lost:
            is_there = f"no line, and {counted(pointless, 'has', 'have')} no point either"
        gaps.append(
            f"{counted(lost, 'drawn crack lies', 'drawn cracks lie')} on no face (position, altitude, direction or scale are not known, "
            f"or --faces leaves them out): {is_there}"
        )
    return Handover(out, told, tuple(gaps))
