"""How far vertices of elevation sheets lie from the truth, on drawn flights with and without errors of position.

What it makes: results/patterns/sheets.csv: for each flight and error of position, with and without photographs aligned to each other, the
median and the 90th percentile of the distance from a vertex to the crack that was drawn; and the median that is left when each sheet
is shifted as a whole onto the truth, which is how wrong it is in itself. Cracks are the true masks; position, angles, laser and lens are
what the photographs' own data say.
Cost: three minutes on one core.
Expected: docs/handover.md#elevation-sheets.
Command: python -m studies.sheets
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.spatial import cKDTree

from crack_tf.photo.crack import Crack
from crack_tf.photo.cracks import measure_cracks
from crack_tf.photo.faces import read_faces
from crack_tf.survey.findings import Finding, PhotoRecord, Survey, finding_id
from crack_tf.survey.formats.alignment import aligned
from crack_tf.survey.geometry.camera import Locator
from crack_tf.survey.geometry.footprint import upright_roll
from crack_tf.survey.geometry.placing import Placed, place_cracks
from crack_tf.survey.geometry.views import views_of
from crack_tf.survey.merge import find_points
from crack_tf.synthetic.flight import FACES, moved, write_flight
from crack_tf.synthetic.flight_plan import Plan
from tflite.files import sha256_bytes, write_csv
from tflite.images import load_rgb

OUT = Path("results/patterns/sheets.csv")
# Standard deviations in metres, the last is that of RTK; rows, columns and seeds of the flights.
FLIGHTS = (
    (0.0, 2, 3, range(1)),
    (0.005, 2, 3, range(3)),
    (0.015, 2, 3, range(6)),
    (0.015, 4, 6, range(6, 8)),
)
FLIGHT = {"piers": 1, "cracks": 5, "laser_noise_m": 0.005, "pitch_deg": 3.0}
NEAR_MM = 100.0  # of a drawn crack; what is farther is another one's
_TURNS = 20  # of shifting


def photo_record(path: Path, truth: dict[str, Any]) -> PhotoRecord:
    """What a survey knows of a photograph."""
    data = path.read_bytes()
    shot = Locator().of_file(data, truth["width"], truth["height"], path.name)
    return PhotoRecord(
        name=path.name,
        sha256=sha256_bytes(data),
        width=truth["width"],
        height=truth["height"],
        time=None,
        latitude=shot.latitude,
        longitude=shot.longitude,
        altitude_m=shot.altitude_m,
        heading_deg=shot.heading_deg,
        mm_per_pixel=shot.mm_per_pixel,
        tiles=1,
        positives=1,
        findings=1,
        scale_source=shot.scale_source,
        scale_error=shot.scale_error,
        distance_m=shot.distance_m,
        pitch_deg=shot.pitch_deg,
        roll_deg=None if shot.roll_deg is None else upright_roll(shot.roll_deg),
    )


def finding_of(photo: PhotoRecord, crack: Crack) -> Finding:
    """A finding with the crack's line."""
    return Finding(
        id=finding_id(photo.name, crack.box),
        photo=photo.name,
        seen_on=(photo.name,),
        box=crack.box,
        outline=(crack.outline[0],),
        latitude=None,
        longitude=None,
        altitude_m=None,
        time=None,
        probability=1.0,
        tiles=1,
        validation="confirmed",
        validation_score=1.0,
        mm_per_pixel=photo.mm_per_pixel,
        length_px=crack.length_px,
        mean_width_px=crack.mean_width_px,
        max_width_px=crack.max_width_px,
        length_mm=None,
        mean_width_mm=None,
        max_width_mm=None,
        severity=1.0,
        picture="pictures/none.jpg",
        overlay="overlays/none.jpg",
        centreline=crack.centreline,
    )


@dataclass(frozen=True)
class Off:
    """How far the vertices of one sheet are off, millimetres, float (n,): as they lie, and the sheet shifted onto the truth."""

    away: np.ndarray
    shifted: np.ndarray


def distances(folder: Path, seed: int, position_m: float, rows: int, columns: int) -> tuple[Off, Off]:
    """From each vertex to the nearest drawn crack on its photograph: by positions alone, and aligned."""
    plan = Plan(seed=seed, gps_noise_m=position_m, rows=rows, columns=columns, **FLIGHT)  # type: ignore[arg-type]
    truth = write_flight(folder, plan)
    photos = [photo_record(folder / "photos" / entry["name"], truth) for entry in truth["photos"]]
    findings = []
    for photo in photos:
        mask = np.asarray(Image.open(folder / "masks" / f"{Path(photo.name).stem}.png").convert("L")) > 0
        if mask.any():
            findings += [finding_of(photo, crack) for crack in measure_cracks(mask) if crack.length_px >= 40]
    error = max(0.05, 3 * position_m)
    views = views_of(photos, read_faces(folder / FACES), error)
    assert views is not None
    points = {photo.name: find_points(load_rgb(folder / "photos" / photo.name)) for photo in photos}
    survey = Survey("flight", "2026-01-01T00:00:00Z", {}, {}, tuple(photos), tuple(findings), ())
    by_position, together = (
        _away(place_cracks(survey, chosen), plan, truth) for chosen in (views, aligned(views, points.get, error))
    )
    return by_position, together


def _away(placed: Placed, plan: Plan, truth: dict[str, Any]) -> Off:
    """From each vertex to the nearest drawn crack on its photograph."""
    to_wall = {entry["name"]: np.array(entry["to_wall_mm"]) for entry in truth["photos"]}
    left, bottom = (plan.mm_per_pixel * value for value in (plan.pier.x, plan.pier.y + plan.pier.h))
    vertices, trees = [], []
    for crack in placed.cracks:
        name = crack.finding.photo
        lines = [
            moved(np.array(entry["photos"][name]["points"]), to_wall[name])
            for entry in truth["cracks"]
            if name in entry["photos"]
        ]
        if lines:
            trees.append(cKDTree(np.concatenate([_fine(line) for line in lines])))
            vertices.append(
                np.concatenate([np.c_[left + 1000 * x, bottom - 1000 * y] for x, y in map(np.transpose, crack.lines)])
            )
    away = np.concatenate([tree.query(points)[0] for tree, points in zip(trees, vertices, strict=True)])
    shift = np.zeros(2)
    for _ in range(_TURNS):
        towards = [
            tree.data[tree.query(points + shift)[1]] - points for tree, points in zip(trees, vertices, strict=True)
        ]
        steps = np.concatenate(towards)
        shift = np.median(steps[np.hypot(*steps.T) < NEAR_MM], axis=0)
    shifted = np.concatenate([tree.query(points + shift)[0] for tree, points in zip(trees, vertices, strict=True)])
    return Off(away[away < NEAR_MM], shifted[shifted < NEAR_MM])


def _fine(line: np.ndarray) -> np.ndarray:
    """A polyline with ten places for each of its own."""
    at = np.arange(0, len(line) - 1 + 1e-9, 0.1)
    return np.stack([np.interp(at, np.arange(len(line)), line[:, axis]) for axis in (0, 1)], axis=1)


def main() -> int:
    """Draw, place and compare."""
    made = []
    for position_m, rows, columns, seeds in FLIGHTS:
        found: dict[str, list[Off]] = {"no": [], "yes": []}
        for seed in seeds:
            with tempfile.TemporaryDirectory() as folder:
                for name, off in zip(
                    found, distances(Path(folder) / "flight", seed, position_m, rows, columns), strict=True
                ):
                    found[name].append(off)
        for name, sheets in found.items():
            away, shifted = (np.concatenate([getattr(sheet, part) for sheet in sheets]) for part in ("away", "shifted"))
            made.append(
                {
                    "position_error_m": position_m,
                    "photographs": rows * columns,
                    "flights": len(sheets),
                    "aligned": name,
                    "vertices": len(away),
                    "median_mm": round(float(np.median(away)), 2),
                    "p90_mm": round(float(np.quantile(away, 0.9)), 2),
                    "shifted_median_mm": round(float(np.median(shifted)), 2),
                }
            )
            print(made[-1], flush=True)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    write_csv(OUT, made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
