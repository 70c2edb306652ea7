"""How far a photograph's camera is from the wall, by photographs that overlap and positions by RTK, where no laser measured it.

Positions and angles alone say where lines of sight run, not where they end. Two photographs of one place do: places of one are looked for
on the other (`crack_tf.survey.merge.alike_points`), and what overlaps hangs together as a wall, to which a plane is fitted
(`crack_tf.survey.geometry.plane_fit`). For this all photographs are read once before the search.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from crack_tf.photo.faces import Frame
from crack_tf.photo.view import MAX_WALL_PITCH_DEG
from crack_tf.survey.geometry.camera import Locator, Scale, Shot
from crack_tf.survey.geometry.footprint import upright_roll
from crack_tf.survey.geometry.plane_fit import Match, PlaneFit, Pose, fit_plane
from crack_tf.survey.geometry.walls import SAME_HEADING_DEG
from crack_tf.survey.merge import SMALL_SIDE, agreeing_points, alike_points, find_points
from crack_tf.survey.source import Item, Source
from crack_tf.survey.store import RANGES, SETTINGS
from tflite.checked import CheckError, checked
from tflite.errors import CrackError, ImageError
from tflite.files import read_json, sha256_bytes, write_json
from tflite.words import counted

MOST_ERROR = (
    0.1  # of a distance, standard deviation; what is less sure than a lens that says where it focused, says nothing
)
_ANY_M = 3.0  # metres, to ask a photograph for its lens
_NEIGHBOURS = 10  # photographs that one is compared with, the nearest of those that are well apart
_APART, _REACH_M = 3.0, 50.0  # position errors, and metres: between cameras whose photographs are compared
_RESIDUAL = 12.0  # pixels of the small copies; a wall that is not flat has to show
_SPOTS = 40  # of a pair of photographs

FORMAT, SETTING = "crack_tf.ranges/1", "distance_from_positions"
# Latitude, longitude, altitude, heading and pitch of a camera, and metres to the wall with their standard deviation.
Row = tuple[float, float, float, float, float, float, float]


@dataclass(frozen=True)
class PositionRanges:
    """Finds distances that were measured between photographs.

    Attributes:
        photographs: that they were measured with, and what decided them: a number and a hash.
        rows: of all cameras whose distance is known.
    """

    photographs: str
    rows: tuple[Row, ...]

    def __call__(self, shot: Shot) -> tuple[float, float] | None:
        """Metres along a camera's line of sight to the wall, and their standard deviation; None where they are not known."""
        key = _key(shot)
        return None if key is None else self._by_camera.get(key)

    def write(self, folder: Path) -> None:
        """Keep them in a survey's folder, so that a survey that goes on does not measure again."""
        write_json(folder / RANGES, {"format": FORMAT, **asdict(self)})

    @cached_property
    def _by_camera(self) -> Mapping[tuple[float, ...], tuple[float, float]]:
        return {row[:5]: row[5:] for row in self.rows}


@dataclass(frozen=True)
class _Taken:
    """A photograph: where its camera stands, and what it is known again by."""

    shot: Shot
    key: tuple[float, float, float, float, float]
    focal_px: float
    width: int
    height: int
    points: np.ndarray


def lens_locator(locator: Locator) -> Locator:
    """One that finds out about photographs' lenses without knowing distances."""
    scale = Scale(focal_mm=locator.scale.focal_mm, sensor_width_mm=locator.scale.sensor_width_mm)
    return Locator(scale, locator.log, locator.clock, _any_distance)


def ranges_of(
    source: Source,
    folder: Path,
    position_error_m: float,
    decide: Mapping[str, Any],
    jobs: int,
    say: Callable[[str], None],
    *,
    overwrite: bool = False,
) -> PositionRanges:
    """Distances of a survey's photographs: those in its folder, where they are of these photographs, else measured.

    Args:
        source: of the photographs, with a locator of `lens_locator`.
        folder: of the survey; only read.
        position_error_m: of the cameras, two standard deviations of each coordinate.
        decide: JSON values that decide where cameras stand, and their lenses.
        jobs: threads.
        say: takes what is told of them.
        overwrite: whether the survey in the folder is going to be replaced.

    Raises:
        CrackError: if these are no photographs, or no distance could be measured, saying why.
    """
    if source.kind != "folder":
        raise CrackError(
            f"--distance-from-positions takes a folder of photographs, not a {source.kind}. Give --distance-m instead."
        )
    files = [(item.name, item.bytes) for item in source.items(lambda name, size: True)]
    key = sha256_bytes(json.dumps([FORMAT, files, position_error_m, dict(decide)]).encode())
    photographs = f"{counted(len(files), 'photograph')}, {key[:16]}"
    if not overwrite and (folder / SETTINGS).is_file():
        with suppress(CrackError, CheckError, KeyError):
            value = read_json(folder / RANGES)
            if value.get("format") == FORMAT and value.get("photographs") == photographs:
                return PositionRanges(photographs, checked(tuple[Row, ...], value["rows"]))
        with suppress(CrackError, KeyError, TypeError, AttributeError):
            if read_json(folder / SETTINGS)["settings"].get(SETTING) != photographs:
                return PositionRanges(photographs, ())  # the survey's folder refuses other settings
    rows, told = measure_ranges(source, position_error_m, jobs)
    say(told)
    return PositionRanges(photographs, rows)


def measure_ranges(source: Source, position_error_m: float, jobs: int) -> tuple[tuple[Row, ...], str]:
    """Measure distances between photographs.

    Args:
        source, position_error_m, jobs: as for `ranges_of`.

    Returns:
        The distances, and what is told of them.

    Raises:
        CrackError: if none could be measured, saying why.
    """
    why: Counter[str] = Counter()
    taken: list[_Taken] = []
    with ThreadPoolExecutor(jobs, thread_name_prefix="ranges") as threads:
        for found in threads.map(_read, source.items(lambda name, size: True)):
            if isinstance(found, str):
                why[found] += 1
            else:
                taken.append(found)
        rows: list[Row] = []
        frame = Frame(*taken[0].key[:2]) if taken else Frame(0.0, 0.0)
        poses = [_pose(photo, frame) for photo in taken]
        pairs = _near(poses, position_error_m)
        matches = [match for match in threads.map(lambda pair: _match(taken, *pair), pairs) if match is not None]
    walls = _walls(len(taken), matches)
    why[ALONE] += len(taken) - sum(len(numbers) for numbers, _ in walls)
    for numbers, its_matches in walls:
        fit = fit_plane([poses[number] for number in numbers], its_matches, position_error_m / 2)
        for place, number in enumerate(numbers):
            reason = _why_not(fit, place)
            if reason is not None or fit is None:
                why[reason or NO_WALL] += 1
                continue
            distance, error = round(float(fit.distance_m[place]), 4), round(float(fit.error_m[place]), 5)
            rows.append((*taken[number].key, distance, error))
    missing = ", ".join(f"{count} {reason}" for reason, count in why.most_common() if count)
    if not rows:
        raise CrackError(
            f"--distance-from-positions: no distance could be measured ({missing}). It takes photographs that overlap, with position, "
            "altitude, heading, pitch and lens, from places that are many times --position-error-m apart. Give --distance-m instead."
        )
    return tuple(rows), _told(rows, sum(why.values()), missing)


UNREAD, UNPLACED, NO_LENS = "unreadable", "without position, altitude, heading or pitch", "that do not tell their lens"
STEEP = f"looking more than {MAX_WALL_PITCH_DEG:g} degrees up or down"
ALONE = "that overlap with no other from another place"
NO_WALL, NOT_FLAT = "before no wall", "before what is not flat"
UNSURE = f"from places too near each other for a distance within {2 * MOST_ERROR:.0%}"


def _told(rows: Sequence[Row], others: int, missing: str) -> str:
    distances = [row[5] for row in rows]
    errors = [200 * row[6] / row[5] for row in rows]
    text = (
        f"distances from positions: {counted(len(rows), 'photograph')}, {min(distances):.2f} to {max(distances):.2f} m, 95 % within "
        f"{min(errors):.0f} to {max(errors):.0f} %"
    )
    return f"{text}; without: {missing}" if others else text


def _any_distance(shot: Shot) -> tuple[float, float]:
    return _ANY_M, 0.0


def _key(shot: Shot) -> tuple[float, float, float, float, float] | None:
    known = (shot.latitude, shot.longitude, shot.altitude_m, shot.heading_deg, shot.pitch_deg)
    return None if None in known else known  # type: ignore[return-value]


def _read(item: Item) -> _Taken | str:
    """A photograph, or why it does not count."""
    try:
        frame = item.read()
    except (FileNotFoundError, ImageError):
        return UNREAD
    shot, key = frame.shot, _key(frame.shot)
    if key is None:
        return UNPLACED
    if abs(key[4]) > MAX_WALL_PITCH_DEG:
        return STEEP
    if shot.mm_per_pixel is None or not shot.distance_m:
        return NO_LENS
    height, width = frame.image.shape[:2]
    return _Taken(shot, key, 1000 * shot.distance_m / shot.mm_per_pixel, width, height, find_points(frame.image))


def _pose(photo: _Taken, frame: Frame) -> Pose:
    latitude, longitude, altitude, heading, pitch = photo.key
    roll = upright_roll(photo.shot.roll_deg or 0.0)
    east, north = frame.east_north(latitude, longitude)
    return Pose(east, north, altitude, heading, pitch, roll, photo.focal_px, max(photo.width, photo.height))


def _near(poses: Sequence[Pose], position_error_m: float) -> list[tuple[int, int]]:
    """Pairs of cameras that look the same way, near to each other but not at one place."""
    places = np.array([(pose.east, pose.north, pose.up) for pose in poses]).reshape(-1, 3)
    headings = np.array([pose.heading_deg for pose in poses])
    found: set[tuple[int, int]] = set()
    for number in range(len(poses)):
        apart = np.linalg.norm(places - places[number], axis=1)
        turned = np.abs((headings - headings[number] + 180) % 360 - 180)
        fit = (apart >= _APART * position_error_m) & (apart <= _REACH_M) & (turned <= SAME_HEADING_DEG)
        others = np.flatnonzero(fit)
        for other in others[np.argsort(apart[others], kind="stable")][:_NEIGHBOURS].tolist():
            found.add((min(number, other), max(number, other)))
    return sorted(found)


def _match(taken: Sequence[_Taken], one: int, other: int) -> Match | None:
    """What two photographs show in common; None where they do not clearly agree."""
    import cv2

    alike = alike_points(taken[one].points, taken[other].points)
    if alike is None:
        return None
    matrix, inliers = cv2.findHomography(
        *alike, method=cv2.RANSAC, ransacReprojThreshold=_RESIDUAL, maxIters=3000, confidence=0.999
    )
    agreed = agreeing_points(alike[0], inliers)
    if matrix is None or agreed is None:
        return None
    _, spots = agreed
    chosen = spots[np.linspace(0, len(spots) - 1, min(_SPOTS, len(spots))).astype(int)]
    places, others = (
        (points[chosen] + 0.5) / _small(photo) - (photo.width / 2, photo.height / 2)
        for photo, points in ((taken[one], alike[0]), (taken[other], alike[1]))
    )
    return Match(one, other, places, others)


def _small(photo: _Taken) -> float:
    """How much smaller the copy is that `find_points` looks at."""
    return min(1.0, SMALL_SIDE / max(photo.width, photo.height))


def _walls(count: int, matches: Iterable[Match]) -> list[tuple[list[int], list[Match]]]:
    """Photographs that hang together, and their matches by their numbers among these."""
    near: list[list[int]] = [[] for _ in range(count)]
    listed = list(matches)
    for match in listed:
        near[match.one].append(match.other)
        near[match.other].append(match.one)
    wall_of: dict[int, int] = {}
    walls: list[list[int]] = []
    for first in range(count):
        if first in wall_of or not near[first]:
            continue
        members, due = [], [first]
        wall_of[first] = len(walls)
        while due:
            members.append(due.pop())
            for other in near[members[-1]]:
                if other not in wall_of:
                    wall_of[other] = len(walls)
                    due.append(other)
        walls.append(sorted(members))
    found = []
    for number, members in enumerate(walls):
        place = {member: at for at, member in enumerate(members)}
        own = [match for match in listed if wall_of[match.one] == number]
        found.append(
            (members, [Match(place[match.one], place[match.other], match.places, match.others) for match in own])
        )
    return found


def _why_not(fit: PlaneFit | None, place: int) -> str | None:
    """Why a camera's distance is not known; None where it is."""
    if fit is None:
        return NO_WALL
    if not fit.is_flat:
        return NOT_FLAT
    return UNSURE if not fit.error_m[place] <= MOST_ERROR * fit.distance_m[place] else None
