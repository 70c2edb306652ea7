"""What a survey found: findings, photographs and gaps; read from and written to `survey.json`.

A finding is the opinion of two networks about a place on a photograph. It says nothing about the safety of a structure.

`survey.json` travels, so whatever is read is checked against the annotations here (`tflite.checked`) before it is used.

    survey = read_survey("found")
    for finding in survey.findings:
        print(finding.severity, finding.photo, finding.length_mm)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any

from crack_tf.models.shipped import RESEARCH, research_note
from crack_tf.photo.gsd import MIN_PIXELS
from crack_tf.photo.limits import CANNOT_TELL as CANNOT_TELL_LIMIT
from crack_tf.photo.limits import (
    NO_CRACK,
    NO_SCALE,
    NOT_DRAWN,
    RANGE,
    Untold,
    check_limits,
    judge,
    untold,
    why_untrusted,
)
from crack_tf.photo.patterns import ORIENTATIONS, PATTERNS
from tflite.checked import (
    Between,
    CheckError,
    Count,
    Holding,
    Latitude,
    Longitude,
    Matching,
    OneOf,
    RelativeName,
    Share,
    Text,
    checked,
)
from tflite.device.tiles import Box
from tflite.errors import CrackError
from tflite.files import read_json, sha256_bytes, write_json
from tflite.words import counted

FORMAT = "crack_tf.survey/1"
FILE_NAME = "survey.json"
CONFIRMED, UNCLEAR, REFUTED = "confirmed", "unclear", "refuted"
VALIDATIONS = (CONFIRMED, UNCLEAR, REFUTED)  # in this order wherever people see them, the best first
MEANINGS = {
    CONFIRMED: "a crack is drawn there, and the classifier agrees",
    UNCLEAR: "nothing settles whether there is a crack, and the note says why",
    REFUTED: "no crack is drawn there, and the classifier is not sure",
}
GROWN, NOT_SHOWN, CANNOT_TELL, NEW, GONE = "grown", "not shown to have grown", "cannot tell", "new", "no longer seen"
# On a crack, since an earlier survey. What has changed comes first: a report folds away what lies far behind.
VERDICTS = (GROWN, NEW, GONE, NOT_SHOWN, CANNOT_TELL)

MAX_PIXELS = 1_000_000_000  # of a photograph; none that is read has as many, and pictures of a place in it take memory

FindingId = Annotated[str, Matching("[0-9a-f]{12}", "an id of 12 hex digits")]
PhotoName = Annotated[str, RelativeName(growth=6)]  # a byte that is no UTF-8 is written as \udc80
Altitude = Annotated[float, Between(-1e7, 1e7)]
Moment = Annotated[str, Text(64)]
Amount = Annotated[float, Between(0, 1e12)]
Difference = Annotated[float, Between(-1e12, 1e12)]
Sha256 = Annotated[str, Text(64)]
_Coordinate = Annotated[float, Between(-1e6, 1e6)]
_Side = Annotated[int, Between(1, 1e6)]
_Place = Annotated[
    Box,
    Holding(
        lambda box: min(box.y, box.x, box.h, box.w) >= 0 and max(box.y + box.h, box.x + box.w) <= 1e6,
        "a place on a photograph",
    ),
]

Polygon = tuple[tuple[_Coordinate, _Coordinate], ...]


@dataclass(frozen=True)
class Finding:
    """A place that the classifier calls cracked, or nearly so, and what the segmentation model says about it.

    Attributes:
        id: 12 hex digits of a hash of photograph and place: the same in every run on the same photographs.
        photo: path as posix text, relative to the survey's source.
        seen_on: all photographs that show it, `photo` first.
        box: around it, in pixels of the upright photograph.
        outline: polygons (x, y) in pixels, not closed: of the crack where it was segmented, else of its tiles.
        latitude, longitude: WGS84 degrees, of the finding where direction and scale are known, else of the camera; or None.
        altitude_m: the same, in the photograph's own system.
        time: of the photograph, ISO 8601 in UTC with "Z", or None.
        probability: the classifier's highest over its tiles; not calibrated.
        tiles: of which the classifier says crack; 0 where it was uncertain about all of them.
        validation: one of VALIDATIONS; `crack_tf.survey.searching.validate` states the rule. Refuted ones stay in all tables.
        validation_score: the segmentation model's mean over what it drew, or its highest in the tiles where that is hardly anything, in
            [0, 1]; None where none was asked.
        mm_per_pixel: ground sampling distance at the finding, along the crack where one was drawn; None if it is not known.
        length_px, mean_width_px, max_width_px: of the segmented crack; None where none was segmented. The length holds what other
            photographs show of it beyond the border of this one.
        length_mm, mean_width_mm, max_width_mm: the same; None also where the scale is not known.
        severity: of `crack_tf.survey.severity`, for ordering only.
        picture, overlay: image files relative to the survey's folder, posix text: the place as it is, and with the outline.
        width_from: "photograph" where widths were measured in its grey values, "mask" where the segmentation model's mask had to
            do, which is often wider than the crack; None where none was measured.
        note: why it is unclear or refuted, what found it where no tile is called cracked, or why its ± is wide, for a person; or None.
        length_error_mm, mean_width_error_mm, max_width_error_mm: half the width of the interval around each that holds 95 % of what the
            scale leaves open (range, focal length, angle), not of errors in pixels; None where the scale was given or is not known.
        centreline: polylines (x, y) in pixels, one per branch of the segmented crack; none where none was segmented, and in surveys from
            before 2026-12.
        holes: polygons inside the outline that are not crack, such as the fields of map cracking.
        width_trusted: whether the widths were measured in the photograph and are not too fine for that (`Crack.width_trusted`); None
            where none was measured, and in surveys from before 2026-12.
        touches_border: whether it runs out of its photograph, or of what was looked at or kept of it: it is longer than stated, and its
            length has no upper end; None where none was segmented, and in surveys from before 2026-12.
        pattern: one of `crack_tf.photo.patterns.PATTERNS`, among the cracks of its photograph; None where none was segmented.
        orientation: one of `crack_tf.photo.patterns.ORIENTATIONS`; None likewise.
        orientation_deg: 0 is horizontal, 90 vertical, counted anticlockwise as seen; None likewise, and for "all ways".
        orientation_to: what that counts from: "member" where the camera's roll is known, else "photograph", by its sides.
        spacing_px, spacing_mm: between the cracks of a set, or across the fields of a mesh; None for other patterns.
        density_px: pixels of crack per megapixel of concrete on the photograph, all its cracks together that are not refuted.
        density_m_per_m2: the same in metres per square metre; None also where the scale is not known.
        condition: state that a table of conditions proposes (`crack_tf.survey.condition`); None without a table, where no crack was
            segmented, and where a number that the table needs is not known.
        condition_rule: the rule that decided and the numbers that it used, or what is not known; None likewise.
        length_low_px, length_high_px, mean_width_low_px, mean_width_high_px, max_width_low_px, max_width_high_px: ends of the ranges
            that hold 95 % of what the photograph leaves open (`crack_tf.photo.ranges`); None where none was measured, in surveys
            from before 2026-12, and for the upper end of a length where `touches_border` or
            another mark lies ahead of an end (`crack_tf.photo.linking.marks_ahead`).
        length_low_mm, length_high_mm, mean_width_low_mm, mean_width_high_mm, max_width_low_mm, max_width_high_mm: the same in
            millimetres, with what the scale leaves open; None also where the scale is not known.
        profile: table of the widths along the crack, relative to the survey's folder, posix text; None where none was measured.
        since: what became of the crack since an earlier survey, one of VERDICTS (`crack_tf.survey.comparison.since`); None without one, and
            for findings that are no drawn crack or were refuted.
        since_old: ids of the earlier survey's findings that are the same crack.
        width_growth_mm, width_growth_low_mm, width_growth_high_mm: of the mean width since then, and the range that holds 95 %; None
            where it could not be measured.
        length_growth_mm, length_growth_low_mm, length_growth_high_mm: of the part that photographs of both surveys show; None likewise.
        condition_sure: whether `condition` rests on a width that is to be trusted, with a range that stays in that state; None likewise.
        merged: ids of the same place's findings on the other photographs, and on its own by an earlier name, in whose name it speaks; none
            in surveys from before 2026-12.
    """

    id: FindingId
    photo: PhotoName
    seen_on: tuple[PhotoName, ...]
    box: _Place
    outline: tuple[Polygon, ...] = field(repr=False)
    latitude: Latitude | None
    longitude: Longitude | None
    altitude_m: Altitude | None
    time: Moment | None
    probability: Share
    tiles: Count
    validation: Annotated[str, OneOf(VALIDATIONS)]
    validation_score: Share | None
    mm_per_pixel: Amount | None
    length_px: Amount | None
    mean_width_px: Amount | None
    max_width_px: Amount | None
    length_mm: Amount | None
    mean_width_mm: Amount | None
    max_width_mm: Amount | None
    severity: Annotated[float, Between(0, 1e36)]
    picture: Annotated[str, RelativeName()]
    overlay: Annotated[str, RelativeName()]
    width_from: Annotated[str, OneOf(("photograph", "mask"))] | None = None
    note: str | None = None
    length_error_mm: Amount | None = None
    mean_width_error_mm: Amount | None = None
    max_width_error_mm: Amount | None = None
    centreline: tuple[Polygon, ...] = field(default=(), repr=False)
    holes: tuple[Polygon, ...] = field(default=(), repr=False)
    width_trusted: bool | None = None
    touches_border: bool | None = None
    pattern: Annotated[str, OneOf(PATTERNS)] | None = None
    orientation: Annotated[str, OneOf(ORIENTATIONS)] | None = None
    orientation_deg: Annotated[float, Between(0, 180)] | None = None
    orientation_to: Annotated[str, OneOf(("member", "photograph"))] | None = None
    spacing_px: Amount | None = None
    spacing_mm: Amount | None = None
    density_px: Amount | None = None
    density_m_per_m2: Amount | None = None
    condition: Annotated[str, Text(60)] | None = None
    condition_rule: Annotated[str, Text(1000)] | None = None
    length_low_px: Amount | None = None
    length_high_px: Amount | None = None
    mean_width_low_px: Amount | None = None
    mean_width_high_px: Amount | None = None
    max_width_low_px: Amount | None = None
    max_width_high_px: Amount | None = None
    length_low_mm: Amount | None = None
    length_high_mm: Amount | None = None
    mean_width_low_mm: Amount | None = None
    mean_width_high_mm: Amount | None = None
    max_width_low_mm: Amount | None = None
    max_width_high_mm: Amount | None = None
    profile: Annotated[str, RelativeName()] | None = None
    since: Annotated[str, OneOf(VERDICTS)] | None = None
    since_old: tuple[FindingId, ...] = ()
    width_growth_mm: Difference | None = None
    width_growth_low_mm: Difference | None = None
    width_growth_high_mm: Difference | None = None
    length_growth_mm: Difference | None = None
    length_growth_low_mm: Difference | None = None
    length_growth_high_mm: Difference | None = None
    condition_sure: bool | None = None
    merged: tuple[FindingId, ...] = ()

    @property
    def max_width_range_mm(self) -> tuple[float, float] | None:
        """Least and greatest maximum width that the measurement leaves possible; None where it is not known."""
        if self.max_width_low_mm is None or self.max_width_high_mm is None:
            return None
        return self.max_width_low_mm, self.max_width_high_mm

    @property
    def has_trusted_width(self) -> bool:
        """As `width_trusted` says; in surveys from before 2026-12, which do not say, whether the mean width is not too fine."""
        if self.width_trusted is not None or self.mean_width_px is None:
            return bool(self.width_trusted)
        return self.mean_width_px >= MIN_PIXELS

    @property
    def width_doubt(self) -> str | None:
        """Why its widths are not to be trusted; None where they are, or were not measured."""
        if self.mean_width_px is None or self.has_trusted_width:
            return None
        return why_untrusted(self.mean_width_px, self.width_from)

    def judged(self, limit_mm: float, accepted: bool = False) -> str:
        """Whether its maximum width exceeds a limit, is below, or nobody can tell: one of `crack_tf.photo.limits.ANSWERS`.

        What may be no crack exceeds none: what was not confirmed, unless a person `accepted` it.
        """
        crack = accepted or self.validation == CONFIRMED
        return judge(limit_mm, self.max_width_range_mm, self.has_trusted_width and crack)

    def untold(self, limit_mm: float, accepted: bool = False) -> Untold | None:
        """Why nobody can tell whether it exceeds a limit; None where `judged` tells."""
        if self.judged(limit_mm, accepted) != CANNOT_TELL_LIMIT:
            return None
        why = untold(
            limit_mm,
            self.max_width_range_mm,
            mean_width_px=self.mean_width_px,
            mm_per_pixel=self.mm_per_pixel,
            width_from=self.width_from,
        )
        above = why.reason not in (NOT_DRAWN, NO_SCALE, RANGE)
        return Untold(NO_CRACK) if above and not accepted and self.validation != CONFIRMED else why

    def as_json(self) -> dict[str, Any]:
        """JSON values, in the order of the attributes. Not copied: an outline has thousands of points."""
        return vars(self) | {"box": self.box.as_json()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Finding:
        """The reverse of `as_json`.

        Raises:
            CheckError: a ValueError, if it is none.
        """
        found: Finding = checked(cls, value)
        return found


@dataclass(frozen=True)
class Gap:
    """What could not be searched. It is never counted as clean. Photographs and gaps are the files.

    Attributes:
        photo: as in `Finding`.
        reason: "unreadable", "missing" or "damaged record"; in surveys from before 2026-12 also "no position", of what was searched.
        detail: for a person.
        latitude, longitude: WGS84 degrees of the camera, or None.
        time: ISO 8601 in UTC with "Z", or None.
    """

    photo: PhotoName
    reason: Annotated[str, Text(64)]
    detail: str
    latitude: Latitude | None = None
    longitude: Longitude | None = None
    time: Moment | None = None


@dataclass(frozen=True)
class PhotoRecord:
    """A photograph that was searched.

    Attributes:
        name: path as posix text, relative to the survey's source; of a video, its name and the number of the frame.
        sha256: of the file; of a frame's pixels where there is no file.
        width, height: of the upright photograph, in pixels.
        time: ISO 8601 in UTC with "Z", or None.
        latitude, longitude, altitude_m: of the camera, or None.
        heading_deg: where the camera looks, clockwise from true north, in [0, 360); or None.
        mm_per_pixel: ground sampling distance in the middle of the photograph, or None.
        tiles: that were classified.
        positives: of which the classifier says crack.
        findings: on this photograph, before those of several photographs were merged.
        left_out: positives that the foreground leaves out; they are unclear findings with a note.
        unplaced: why it has no position, in words; None where it has one.
        notes: what its own data say that cannot be and was left out.
        scale_source: where the scale comes from: "laser", "stated" (--distance-m), "faces" (position), "positions" (and overlap), "EXIF"
            (subject distance), "given" (--mm-per-pixel); None without a scale, and in surveys from before 2026-12.
        scale_error: half the width of the interval around `mm_per_pixel` that holds 95 %, as a share of it; None where the scale was
            given or is not known.
        distance_m: to the surface in the middle of the photograph, or None.
        pitch_deg: of the camera above the horizon, or None.
        roll_deg: of the camera about its axis, clockwise as seen from behind it, of the upright photograph; None where it is not known.
        patches: how well its parts show what is there, see `crack_tf.survey.searching.quality`; None where nothing was measured.
        transparent: share of it that is; None where nothing is, and in surveys from before 2027.
    """

    name: PhotoName
    sha256: Sha256
    width: _Side
    height: _Side
    time: Moment | None
    latitude: Latitude | None
    longitude: Longitude | None
    altitude_m: Altitude | None
    heading_deg: Annotated[float, Between(0, 360)] | None
    mm_per_pixel: Amount | None
    tiles: Count
    positives: Count
    findings: Count
    left_out: Count = 0
    unplaced: str | None = None
    notes: tuple[str, ...] = ()
    scale_source: Annotated[str, OneOf(("laser", "stated", "faces", "positions", "EXIF", "given"))] | None = None
    scale_error: Amount | None = None
    distance_m: Amount | None = None
    pitch_deg: Annotated[float, Between(-360, 360)] | None = None
    patches: Annotated[str, Matching("[bdgn]+(/[bdgn]+)*", "rows of letters")] | None = None
    roll_deg: Annotated[float, Between(-45, 45)] | None = None
    transparent: Annotated[float, Between(0, 1)] | None = None

    def __post_init__(self) -> None:
        if self.width * self.height > MAX_PIXELS:
            raise CheckError(f"has {self.width}x{self.height} pixels, more than any photograph that is read")
        if self.patches is not None and len({len(row) for row in self.patches.split("/")}) > 1:
            raise CheckError("has rows of patches of different lengths")


@dataclass(frozen=True, repr=False)
class Survey:
    """A finished survey.

    Attributes:
        source: name of the folder, video or journal.
        created: when it was started, ISO 8601 in UTC with "Z".
        models: by role, "classifier" and "segmenter": {"name", "sha256", ...}; a missing role was not used. Where "use" is there, it is
            "research only".
        settings: what decides the results.
        photos: that were searched, in order of their names.
        findings: in the order of `crack_tf.survey.severity`.
        gaps: in order of their photographs' names.
        warnings: for a person, about the survey as a whole.
        former: ids (`survey_id`) that the survey in this folder had before photographs or findings changed, the
            first one first. Reviews of those are reviews of it.
    """

    source: str
    created: Moment
    models: Mapping[str, Mapping[str, Any]]
    settings: Mapping[str, Any]
    # No defaults: a file without its findings must not read as crack-free.
    photos: tuple[PhotoRecord, ...]
    findings: tuple[Finding, ...]
    gaps: tuple[Gap, ...]
    warnings: tuple[str, ...] = ()
    former: tuple[str, ...] = ()

    def __repr__(self) -> str:
        counts = ((self.photos, "photograph"), (self.findings, "finding"), (self.gaps, "gap"))
        return f"Survey({self.source}, {self.created}: {', '.join(counted(len(some), noun) for some, noun in counts)})"


def scaled(value: float | None, factor: float | None, digits: int) -> float | None:
    """A measure times a factor, such as a scale, as tables have it; None where either is not known."""
    return None if value is None or factor is None else round(value * factor, digits)


def unplaced(photos: Sequence[PhotoRecord]) -> list[PhotoRecord]:
    """Photographs of which nobody knows where they were taken."""
    return [photo for photo in photos if photo.latitude is None]


def title_of(survey: Survey) -> str:
    """What the survey is called: as somebody named it, else by its source."""
    given = survey.settings.get("title")
    return given if isinstance(given, str) else survey.source


def flown(photos: Sequence[PhotoRecord]) -> str:
    """Days on which photographs were taken: "2025-06-01", or the first and the last."""
    days = sorted({photo.time[:10] for photo in photos if photo.time})
    return "not known" if not days else days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"


def research_of(survey: Survey) -> str:
    """What is told where a survey's models are for research only; "" where none is."""
    return research_note([str(model.get("name")) for model in survey.models.values() if model.get("use") == RESEARCH])


def limits_of(survey: Survey) -> tuple[float, ...]:
    """Widths in millimetres that the survey was asked to hold its cracks against.

    Raises:
        CrackError: if its settings name what is no width.
    """
    given = survey.settings.get("limits_mm", ())
    return check_limits(given if isinstance(given, (list, tuple)) else [given])


def finding_id(photo: str, box: Box, again: int = 0) -> str:
    """The id of a finding: first 12 hex digits of the sha256 of photograph and place.

    Args:
        photo: name of the photograph.
        box: around the finding.
        again: how many findings before it have the same box, as groups of tiles between each other's can.
    """
    text = f"{photo}\n{box.x},{box.y},{box.w},{box.h}" + (f",{again}" if again else "")
    return sha256_bytes(text.encode("utf-8", "surrogatepass"))[:12]


def survey_id(survey: Survey) -> str:
    """First 12 hex digits of a hash of the photographs and findings: the same when the same survey is made again."""
    parts = [f"{photo.name}\t{photo.sha256}" for photo in survey.photos]
    parts += sorted(finding.id for finding in survey.findings)
    return sha256_bytes("\n".join(parts).encode("utf-8", "surrogatepass"))[:12]


def write_survey(out: str | Path, survey: Survey) -> Path:
    """Write `survey.json` into the survey's folder and return its path."""
    value: dict[str, Any] = {"format": FORMAT, "id": survey_id(survey)}
    for entry in fields(survey):
        value[entry.name] = getattr(survey, entry.name)
    value["photos"] = [asdict(photo) for photo in survey.photos]
    value["findings"] = [finding.as_json() for finding in survey.findings]
    value["gaps"] = [asdict(gap) for gap in survey.gaps]
    path = Path(out) / FILE_NAME
    write_json(path, value)
    return path


def read_survey(out: str | Path) -> Survey:
    """Read `survey.json` of a survey's folder.

    Raises:
        CrackError: if there is none, or it is damaged or of another version.
    """
    path = Path(out) / FILE_NAME
    if not path.is_file():
        raise CrackError(
            f"{out} holds no finished survey: {FILE_NAME} is missing. Run crack-tf survey, or run it again."
        )
    value = read_json(path)
    if value.pop("format", None) != FORMAT:
        raise CrackError(f"{path} was not written by this version of crack-tf survey. Make the survey again.")
    value.pop("id", None)  # for other programs; it follows from the rest
    try:
        survey: Survey = checked(Survey, value)
        return survey
    except CheckError as error:
        raise CrackError(f"{path} is damaged: {error}. Make the survey again.") from None
