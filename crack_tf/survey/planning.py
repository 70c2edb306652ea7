"""How to fly so that cracks of a width can be measured: distance, spacing, speed, photographs per face, and what a board must do.

The geometry is that of `crack_tf.photo.gsd` and of the coverage that a survey counts (`crack_tf.survey.ledger`): a width counts from three
pixels on, in the direction in which a pixel shows most. The camera is taken to face the surface squarely, its longer side level.

Flown is a tenth nearer than the farthest distance that does, since a distance that is kept by hand or by a laser's beep is off by 5 % (one
standard deviation). Before a round pier it is another tenth nearer: its sides fall back.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from crack_tf.models.speeds import RECOMMENDED, ModelSpeed, board_speeds
from crack_tf.photo.faces import CYLINDER, Face, read_faces
from crack_tf.photo.gsd import MIN_PIXELS, STATED_RANGES, needed_mm_per_pixel
from crack_tf.photo.lenses import Lens, find_lens
from crack_tf.photo.view import MAX_OBLIQUE_DEG
from crack_tf.survey.ledger import NEARER, longer_lens
from tflite.arguments import check_types, option_of
from tflite.device.tiles import tile_boxes
from tflite.errors import CrackError
from tflite.words import counted, plain, rate

MAX_OVERLAP = 0.9
MAX_PHOTOS = 1_000_000
_STEP_DEG = 0.02
# Least and most, wider than any flight: what is beyond was mistyped, or is in another unit.
_RANGES = {
    "needs_mm": (0.01, 100.0, "millimetres"),
    "exposure_s": (1e-6, 1.0, "seconds"),
    "blur_px": (0.01, 100.0, "pixels"),
    "speed_m_s": (0.001, 50.0, "metres a second"),
    **{name: STATED_RANGES[name] for name in ("focal_mm", "sensor_width_mm")},
}


@dataclass(frozen=True)
class PlanConfig:
    """What is to be planned.

    Attributes:
        needs_mm: width of the finest crack that is to be measured.
        camera: a name of `crack_tf.photo.lenses.CAMERAS`, or a photograph that it took.
        board: that answers in flight, one of `crack_tf.models.speeds.BOARDS`.
        faces: file of the surfaces to be seen, see `crack_tf.photo.faces`; or None.
        overlap: share of a photograph that the next one repeats, each way.
        exposure_s: time for which the shutter is open.
        blur_px: how many pixels the surface may move meanwhile; a third of the finest crack's width by default.
        speed_m_s: to fly at; None for the fastest that the blur allows.
        focal_mm, sensor_width_mm: of the camera, where neither its name nor its photograph tells them.
        speeds: table that `python -m tflite.benchmark` wrote on that board; None to measure here, or to project.
    """

    needs_mm: float
    camera: str
    board: str = "x86"
    faces: Path | None = None
    overlap: float = 0.3
    exposure_s: float = 0.001
    blur_px: float = 1.0
    speed_m_s: float | None = None
    focal_mm: float | None = None
    sensor_width_mm: float | None = None
    speeds: Path | None = None

    def __post_init__(self) -> None:
        check_types(self)
        if not 0 <= self.overlap <= MAX_OVERLAP:
            raise CrackError(f"--overlap {self.overlap:g}: choose a share from 0 to {MAX_OVERLAP}.")
        for name, (least, most, unit) in _RANGES.items():
            value = getattr(self, name)
            if value is not None and not least <= value <= most:
                option = "--exposure" if name == "exposure_s" else option_of(name)
                inverse = f", such as 1/{value:g}" if name == "exposure_s" and value > 1 else ""
                raise CrackError(f"{option} {value:g}: give {unit} from {plain(least, 3)} to {most:g}{inverse}.")


@dataclass(frozen=True)
class FacePlan:
    """How one face is flown.

    Attributes:
        name: of the face.
        distance_m: from it.
        columns, rows: of photographs; of a cylinder, columns go all around.
        across_m, down_m: from one photograph to the next, along the surface.
        metres: to fly along it, row by row.
    """

    name: str
    distance_m: float
    columns: int
    rows: int
    across_m: float
    down_m: float
    metres: float

    @property
    def photos(self) -> int:
        """Photographs of the face."""
        return self.columns * self.rows


@dataclass(frozen=True)
class ModelPlan:
    """Whether a model keeps up.

    Attributes:
        speed: of the model on the board.
        tiles: that a photograph is cut into for it.
        needed_per_s: tiles a second that come while flying at the plan's speed.
    """

    speed: ModelSpeed
    tiles: int
    needed_per_s: float

    @property
    def keeps_up(self) -> bool | None:
        """Whether it answers as fast as photographs come; None where it does so in some of the rounds that were measured."""
        if self.speed.least >= self.needed_per_s:
            return True
        return None if self.speed.most >= self.needed_per_s else False

    @property
    def rank(self) -> int:
        """Its place among `RECOMMENDED`; after all of them where it is none."""
        name = self.speed.name
        return RECOMMENDED.index(name) if name in RECOMMENDED else len(RECOMMENDED)


@dataclass(frozen=True)
class FlightPlan:
    """A plan.

    Attributes:
        lens: of the camera.
        mm_per_pixel: the coarsest that does.
        farthest_m: distance at which it is reached.
        distance_m: to fly at.
        footprint_m: width and height of what a photograph shows from there, of a flat wall.
        spacing_m: from one photograph to the next, across and down.
        fastest_m_s: speed at which the blur is as large as allowed.
        speed_m_s: that is planned with.
        interval_s: from one photograph to the next at that speed.
        faces: of the structure, in the order of the file.
        models: the shipped ones: those that keep up first, of these the recommended ones in their order, then the fastest.
        speeds_source: where their speeds are from, for a person.
    """

    lens: Lens
    mm_per_pixel: float
    farthest_m: float
    distance_m: float
    footprint_m: tuple[float, float]
    spacing_m: tuple[float, float]
    fastest_m_s: float
    speed_m_s: float
    interval_s: float
    faces: tuple[FacePlan, ...]
    models: tuple[ModelPlan, ...] = ()
    speeds_source: str = ""


def plan_flight(
    config: PlanConfig,
    speeds: Callable[[str, Path | None], tuple[list[ModelSpeed], str]] = board_speeds,
    tell: Callable[[str], None] | None = None,
) -> FlightPlan:
    """Plan a flight.

    Args:
        config: what is asked for.
        speeds: gives the models' speeds on a board and where they are from.
        tell: called with each line of the plan in words as soon as it is known, those about the flight before models are measured.

    Raises:
        CrackError: if the camera is not known, a face is too large, or a file cannot be read.
    """
    lens = find_lens(config.camera, config.focal_mm, config.sensor_width_mm)
    faces = () if config.faces is None else read_faces(config.faces)
    wanted = needed_mm_per_pixel(config.needs_mm)
    farthest = wanted * lens.focal_px / 1000
    distance = farthest * NEARER
    footprint = distance * lens.width / lens.focal_px, distance * lens.height / lens.focal_px
    spacing = footprint[0] * (1 - config.overlap), footprint[1] * (1 - config.overlap)
    flown = wanted * NEARER  # millimetres per pixel
    fastest = config.blur_px * flown / 1000 / config.exposure_s
    speed = fastest if config.speed_m_s is None else config.speed_m_s
    interval = spacing[0] / speed
    plan = FlightPlan(
        lens=lens,
        mm_per_pixel=wanted,
        farthest_m=farthest,
        distance_m=distance,
        footprint_m=footprint,
        spacing_m=spacing,
        fastest_m_s=fastest,
        speed_m_s=speed,
        interval_s=interval,
        faces=tuple(plan_face(face, lens, distance, config.overlap, wanted) for face in faces),
    )
    tell = tell or (lambda line: None)
    # A table that is none is told before anything else.
    measured = speeds(config.board, config.speeds) if config.speeds else None
    for line in _describe_flight(plan, config):
        tell(line)
    found, source = measured or speeds(config.board, config.speeds)
    models = sorted((_model(model, lens, interval) for model in found), key=_order)
    plan = replace(plan, models=tuple(models), speeds_source=source)
    for line in _describe_board(plan, config):
        tell(line)
    return plan


def plan_face(face: Face, lens: Lens, distance_m: float, overlap: float, wanted: float) -> FacePlan:
    """Photographs of a face.

    Args:
        face: to be seen.
        lens: of the camera.
        distance_m: to fly at before a flat wall.
        overlap: share that the next photograph repeats.
        wanted: millimetres per pixel, the coarsest that does.

    Raises:
        CrackError: if more than a million photographs would be needed.
    """
    if face.kind == CYLINDER:
        distance_m *= NEARER
        radius = (face.diameter_m or 0.0) / 2
        half = _half_angle(lens, radius, distance_m, wanted)
        columns = math.ceil(math.pi / (half * (1 - overlap)) - 1e-9)
        across = face.length_m / columns
        metres = 2 * math.pi * (radius + distance_m)
    else:
        width = distance_m * lens.width / lens.focal_px
        columns, across = _spread(face.length_m, width, overlap)
        metres = across * (columns - 1)
    height = distance_m * lens.height / lens.focal_px
    rows, down = _spread(face.height_m, height, overlap)
    if columns * rows > MAX_PHOTOS:
        raise CrackError(f"face {face.name!r} would take {columns * rows:,} photographs. Is its size in metres?")
    return FacePlan(face.name, distance_m, columns, rows, across, down, metres * rows + down * (rows - 1))


def _half_angle(lens: Lens, radius: float, distance: float, wanted: float) -> float:
    """How far around a cylinder, from straight before the camera, one photograph shows it well enough, in radians.

    What is farther around is coarser, seen more obliquely, or beyond the photograph's edge.
    """
    angles = np.radians(np.arange(_STEP_DEG, 90, _STEP_DEG))
    aside, ahead = radius * np.sin(angles), distance + radius * (1 - np.cos(angles))
    pixels = lens.focal_px * aside / ahead
    # Pixels that a step around the surface moves by; the derivative of aside / ahead.
    moved = lens.focal_px * (radius * np.cos(angles) * ahead - aside * radius * np.sin(angles)) / ahead**2
    with np.errstate(divide="ignore", invalid="ignore"):
        along = np.where(moved > 0, 1000 * radius / moved, np.inf)
    oblique = angles + np.arctan2(aside, ahead)
    good = (
        (pixels <= lens.width / 2)
        & (along <= wanted)
        & (1000 * ahead / lens.focal_px <= wanted)
        & (oblique <= math.radians(MAX_OBLIQUE_DEG))
    )
    count = len(good) if good.all() else int(np.argmin(good))
    return math.radians(_STEP_DEG * max(1, count))


def _spread(length: float, shown: float, overlap: float) -> tuple[int, float]:
    """How many photographs that each show so much of a length it takes, and how far apart they are."""
    if length <= shown:
        return 1, 0.0
    steps = math.ceil((length - shown) / (shown * (1 - overlap)) - 1e-9)
    return steps + 1, (length - shown) / steps


def _model(speed: ModelSpeed, lens: Lens, interval: float) -> ModelPlan:
    tiles = len(tile_boxes(lens.width, lens.height, speed.tile_side))
    return ModelPlan(speed, tiles, tiles / interval)


def _order(model: ModelPlan) -> tuple[int, int, float]:
    """Where a model stands in the list: of those that do not keep up the fastest comes first, whatever is recommended."""
    verdict = (True, None, False).index(model.keeps_up)
    return verdict, model.rank if model.keeps_up is not False else 0, model.tiles / model.speed.tiles_per_s


def _describe_flight(plan: FlightPlan, config: PlanConfig) -> list[str]:
    lens, (width, height) = plan.lens, plan.footprint_m
    longer = longer_lens(plan.distance_m)
    lines = [
        f"camera      {lens.name}: {lens.width}x{lens.height} pixels, focal length {lens.focal_px:,.0f} pixels ({lens.source})",
        f"scale       {plan.mm_per_pixel:.3g} mm per pixel or finer: a crack of {config.needs_mm:g} mm is {MIN_PIXELS:g} pixels wide",
        f"distance    {plan.distance_m:.2f} m, never more than {plan.farthest_m:.2f} m, square to the wall",
        *([f"            {longer}"] if longer else []),
        f"photograph  shows {width:.2f} x {height:.2f} m; the next one {plan.spacing_m[0]:.2f} m on, the next row "
        f"{plan.spacing_m[1]:.2f} m above ({config.overlap:.0%} overlap)",
        f"speed       at most {plan.fastest_m_s:.2g} m/s with {_exposure(config.exposure_s)}: a blur of {config.blur_px:g} px; "
        "faster, stop for each photograph",
    ]
    if plan.speed_m_s > plan.fastest_m_s * 1.0001:
        blur = config.blur_px * plan.speed_m_s / plan.fastest_m_s
        lines.append(f"            at {plan.speed_m_s:g} m/s photographs are smeared by {blur:.1f} pixels")
    for face in plan.faces:
        lines.append(
            f"face        {face.name}: {counted(face.photos, 'photograph')} ({face.columns} x {face.rows}) from {face.distance_m:.2f} m, "
            f"{face.across_m:.2f} m apart, {face.metres:.0f} m to fly, {face.metres / plan.speed_m_s / 60:.0f} minutes"
        )
    if len(plan.faces) > 1:
        lines.append(f"            {counted(sum(face.photos for face in plan.faces), 'photograph')} in all")
    return lines


def _describe_board(plan: FlightPlan, config: PlanConfig) -> list[str]:
    lines = [f"board       {config.board}: a photograph every {plan.interval_s:.2g} s; {plan.speeds_source}"]
    if plan.models and not any(model.keeps_up and model.rank < len(RECOMMENDED) for model in plan.models):
        lines.append(
            "            no recommended model surely keeps up: fly slower (--speed-m-s), or search the photographs afterwards"
        )
    for model in plan.models:
        name = f"{model.speed.name}{', recommended' if model.rank < len(RECOMMENDED) else ''}"
        lines.append(
            f"            {name}: {model.tiles} tiles a photograph, {rate(model.needed_per_s)} a second needed, "
            f"{_rates(model.speed)} a second there: {_verdict(model)}"
        )
    return lines


def _verdict(model: ModelPlan) -> str:
    if model.keeps_up is not None:
        return "keeps up" if model.keeps_up else "does not keep up"
    enough = sum(rate >= model.needed_per_s for rate in model.speed.rounds)
    return f"nobody can tell, it keeps up in {enough} of {len(model.speed.rounds)} rounds"


def _rates(speed: ModelSpeed) -> str:
    least, most = rate(speed.least), rate(speed.most)
    return rate(speed.tiles_per_s) + ("" if least == most else f" ({least} to {most})")


def _exposure(seconds: float) -> str:
    return f"1/{1 / seconds:.0f} s" if seconds < 0.5 else f"{seconds:g} s"
