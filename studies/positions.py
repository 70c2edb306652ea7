"""Do distances that are measured between photographs lie in their stated intervals? `--distance-from-positions` against the truth.

What it makes: results/coverage/positions.csv, a row per synthetic flight along a wall: its lens, its positions' and gimbal's errors, how
many distances were measured, how many of them lie in the interval that holds 95 % by what is stated, how many scales do, and the median of
what they are off by and of what is stated (95 %), in per cent. Of most flights no photographs are drawn: what two of them show in common
comes from the truth, with a pixel of error on a copy of 1000 and one match in twenty false (`photographs` 0). The last flights are drawn,
and their photographs compared as a survey does it (`photographs` 1).
Cost: two minutes on one core.
Expected: docs/scale.md#by-positions.
Command: python -m studies.positions
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from crack_tf.photo.faces import Frame
from crack_tf.survey.geometry.camera import Locator
from crack_tf.survey.geometry.plane_fit import Match, PlaneFit, Pose, fit_plane
from crack_tf.survey.geometry.position_ranges import lens_locator, measure_ranges
from crack_tf.survey.source import open_source
from crack_tf.synthetic.flight import write_flight
from crack_tf.synthetic.flight_geometry import Shot, focal_px, shots, to_photo, to_wall
from crack_tf.synthetic.flight_plan import Plan
from tflite.files import write_csv
from tflite.metrics import wilson_interval
from tflite.place.flightlog import read_flight_log

OUT = Path("results/coverage/positions.csv")
FLIGHTS, DRAWN = 40, 4
LENSES = (0.7, 1.2, 2.5)  # focal length by a photograph's longer side: wide to narrow
POSITIONS_M, GIMBALS_DEG = (0.01, 0.02, 0.03), (0.3, 1.0, 2.0)  # standard deviations
COMPASS_DEG = 3.0  # the same, of what all headings are off by together
SPOTS, FALSE, MATCH_PX = 40, 0.05, 1.0
TWO_SIDED = 1.96
LENS_ERROR = 0.003  # standard deviation of a calibrated focal length, as `crack_tf.photo.gsd` has it


def plan_of(seed: int, *, drawn: bool = False) -> Plan:
    """A flight along a flat wall, three to four metres away."""
    rng = np.random.default_rng([seed, 100])
    side, distance = (800 if drawn else 1200), float(rng.uniform(2.5, 4.0))
    return Plan(
        seed=seed,
        piers=1,
        rows=int(rng.integers(2, 4)),
        columns=int(rng.integers(3, 6)),
        width=side,
        height=side * 3 // 4,
        cracks=0,
        mm_per_pixel=1000 * distance / (side * LENSES[seed % len(LENSES)]),
        distance_m=distance,
        laser_noise_m=0.1,
        pitch_deg=5.0,
        facing_deg=4.0,
        gps_noise_m=POSITIONS_M[seed // 3 % len(POSITIONS_M)],
        gimbal_noise_deg=GIMBALS_DEG[seed // 9 % len(GIMBALS_DEG)],
    )


def poses_of(plan: Plan, taken: Sequence[Shot], compass_deg: float = 0.0) -> list[Pose]:
    """What the photographs say of their cameras."""
    frame, focal = Frame(plan.latitude, plan.longitude), focal_px(plan)
    return [
        Pose(
            *frame.east_north(shot.latitude, shot.longitude),
            shot.altitude_m,
            shot.heading_deg + compass_deg,
            float(np.degrees(shot.said_pitch)),
            float(np.degrees(shot.tilt)),
            focal,
            max(plan.width, plan.height),
        )
        for shot in taken
    ]


def matches_of(plan: Plan, taken: Sequence[Shot], rng: np.random.Generator) -> list[Match]:
    """What pairs of photographs truly show in common, with errors."""
    found, size = [], np.array([plan.width, plan.height])
    middle, pixel = (size - 1) / 2, MATCH_PX * size.max() / 1000
    for one, other in combinations(range(len(taken)), 2):
        places = rng.uniform((0, 0), size - 1, (2 * SPOTS, 2))
        others, facing = to_photo(plan, taken[other], to_wall(plan, taken[one], places))
        with np.errstate(invalid="ignore"):
            seen = ((others >= 0) & (others <= size - 1)).all(axis=1) & (facing > 0.3)
        places, others = places[seen][:SPOTS], others[seen][:SPOTS]
        if len(places) >= SPOTS // 3:
            false = rng.uniform(size=(len(places), 1)) < FALSE
            others = others + rng.normal(0, pixel, others.shape) + false * rng.uniform(-12, 12, others.shape) * pixel
            found.append(Match(one, other, places - middle, others - middle))
    return found


def fit_of(plan: Plan, seed: int) -> tuple[PlaneFit | None, np.ndarray]:
    """The plane of a flight that is not drawn, and its cameras' true distances."""
    rng = np.random.default_rng([seed, 101])
    _, taken = shots(plan)
    poses = poses_of(plan, taken, float(rng.normal(0, COMPASS_DEG)))
    fit = fit_plane(poses, matches_of(plan, taken, rng), plan.gps_noise_m)
    return fit, np.array([shot.distance_m for shot in taken])


def by_photographs(plan: Plan) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distances of a drawn flight as a survey measures them, their standard deviations, and the true ones."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_flight(folder / "flight", plan)
        log = read_flight_log(folder / "flight" / "flight.csv")
        source = open_source(folder / "flight" / "photos", folder / "out", lens_locator(Locator(log=log)), 1.0, None)
        rows, _ = measure_ranges(source, 2 * plan.gps_noise_m, 1)
    frame, (_, taken) = Frame(plan.latitude, plan.longitude), shots(plan)
    places = np.array([(*frame.east_north(shot.latitude, shot.longitude), shot.altitude_m) for shot in taken])
    said = np.array([(*frame.east_north(row[0], row[1]), row[2]) for row in rows])
    nearest = np.linalg.norm(said[:, None] - places, axis=2).argmin(axis=1)
    true = np.array([taken[number].distance_m for number in nearest])
    return np.array([row[5] for row in rows]), np.array([row[6] for row in rows]), true


def scale_errors(distances: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """What a survey makes of distances' errors for the scale: it adds that of a calibrated lens, metres."""
    return np.hypot(errors, LENS_ERROR * distances)


def row_of(plan: Plan, photographs: int, distances: np.ndarray, errors: np.ndarray, true: np.ndarray) -> dict[str, Any]:
    """A row of the table."""
    off = np.abs(distances - true)
    return {
        "seed": plan.seed,
        "photographs": photographs,
        "lens": LENSES[plan.seed % len(LENSES)],
        "position_m": plan.gps_noise_m,
        "gimbal_deg": plan.gimbal_noise_deg,
        "measured": len(distances),
        "inside": int((off <= TWO_SIDED * errors).sum()),
        "scales_inside": int((off <= TWO_SIDED * scale_errors(distances, errors)).sum()),
        "off_percent": round(100 * float(np.median(np.abs(distances / true - 1))), 2),
        "stated_percent": round(100 * TWO_SIDED * float(np.median(errors / distances)), 2),
    }


def main() -> int:
    """Measure and write."""
    rows = []
    for seed in range(FLIGHTS):
        plan = plan_of(seed)
        fit, true = fit_of(plan, seed)
        assert fit is not None
        rows.append(row_of(plan, 0, fit.distance_m, fit.error_m, true))
        print(rows[-1], flush=True)
    for seed in range(FLIGHTS, FLIGHTS + DRAWN):
        plan = replace(plan_of(seed, drawn=True), rows=2, columns=4)
        rows.append(row_of(plan, 1, *by_photographs(plan)))
        print(rows[-1], flush=True)
    write_csv(OUT, rows)
    for drawn in (0, 1):
        own = [row for row in rows if row["photographs"] == drawn]
        tried = sum(row["measured"] for row in own)
        for name in ("inside", "scales_inside"):
            inside = sum(row[name] for row in own)
            low, high = wilson_interval(inside, tried)
            print(f"photographs {drawn}, {name}: {inside} of {tried}, {inside / tried:.1%} ({low:.1%} to {high:.1%})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
