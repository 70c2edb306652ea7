"""How far vertices of elevation sheets lie from the truth, on drawn flights with and without errors of position.

What it makes: results/patterns/sheets.csv: for each error of position, with and without photographs aligned to each other, the median and
the 90th percentile of the distance from a vertex to the crack that was drawn. Cracks are the true masks; position, angles, laser and lens
are what the photographs' own data say.
Cost: a minute on one core.
Expected: docs/handover.md#elevation-sheets.
Command: python -m studies.sheets
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from crack_tf.photo.cracks import Crack, measure_cracks
from crack_tf.survey.alignment import aligned
from crack_tf.survey.camera import Locator
from crack_tf.survey.faces import read_faces
from crack_tf.survey.findings import Finding, PhotoRecord, Survey, finding_id
from crack_tf.survey.footprint import upright_roll
from crack_tf.survey.merge import find_points
from crack_tf.survey.placing import Placed, place_cracks
from crack_tf.survey.views import views_of
from crack_tf.synthetic.flight import FACES, moved, write_flight
from crack_tf.synthetic.flight_plan import Plan
from tflite.files import sha256_bytes, write_csv
from tflite.images import load_rgb

OUT = Path("results/patterns/sheets.csv")
# Standard deviations in metres; the last are those of RTK.
POSITION_M, SEEDS = (0.0, 0.005, 0.015), range(1)
FLIGHT = {"piers": 1, "rows": 2, "columns": 3, "cracks": 5, "laser_noise_m": 0.005, "pitch_deg": 3.0}
NEAR_MM = 100.0  # of a drawn crack; what is farther is another one's


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


def distances(folder: Path, seed: int, position_m: float) -> tuple[list[float], list[float]]:
    """Millimetres from each vertex to the nearest drawn crack on its photograph: by positions alone, and aligned."""
    plan = Plan(seed=seed, gps_noise_m=position_m, **FLIGHT)  # type: ignore[arg-type]
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


def _away(placed: Placed, plan: Plan, truth: dict[str, Any]) -> list[float]:
    """Millimetres from each vertex to the nearest drawn crack on its photograph."""
    to_wall = {entry["name"]: np.array(entry["to_wall_mm"]) for entry in truth["photos"]}
    left, bottom = (plan.mm_per_pixel * value for value in (plan.pier.x, plan.pier.y + plan.pier.h))
    found: list[float] = []
    for crack in placed.cracks:
        name = crack.finding.photo
        lines = [
            moved(np.array(entry["photos"][name]["points"]), to_wall[name])
            for entry in truth["cracks"]
            if name in entry["photos"]
        ]
        if not lines:
            continue
        true = np.concatenate([_fine(line) for line in lines])
        for line in crack.lines:
            wall = np.c_[left + 1000 * line[:, 0], bottom - 1000 * line[:, 1]]
            away = np.sqrt(((wall[:, None] - true[None]) ** 2).sum(axis=2)).min(axis=1)
            found += [float(value) for value in away if value < NEAR_MM]
    return found


def _fine(line: np.ndarray) -> np.ndarray:
    """A polyline with ten places for each of its own."""
    at = np.arange(0, len(line) - 1 + 1e-9, 0.1)
    return np.stack([np.interp(at, np.arange(len(line)), line[:, axis]) for axis in (0, 1)], axis=1)


def main() -> int:
    """Draw, place and compare."""
    rows = []
    for position_m in POSITION_M:
        away: dict[str, list[float]] = {"no": [], "yes": []}
        for seed in SEEDS:
            with tempfile.TemporaryDirectory() as folder:
                for name, found in zip(away, distances(Path(folder) / "flight", seed, position_m), strict=True):
                    away[name] += found
        for name, found in away.items():
            rows.append(
                {
                    "position_error_m": position_m,
                    "aligned": name,
                    "vertices": len(found),
                    "median_mm": round(float(np.median(found)), 2),
                    "p90_mm": round(float(np.quantile(found, 0.9)), 2),
                }
            )
            print(rows[-1], flush=True)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    write_csv(OUT, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
