"""Are the square metres, the holes and the scales of a survey true? Twenty flights with everything a drone gets wrong, and their truth.

What it makes: results/coverage/areas.csv (a row per flight and state: square metres as the survey counts them and as they are),
holes.csv (a row per flight), scales.csv (how often the stated interval holds the truth) and areas.png. Photographs are blank but for what
they say of their exposures: positions by RTK, ranges by laser, angles by gimbal, each with its error. No network is asked. Every third
flight is along flat piers, around corners, around cylinders.
Cost: a minute on two cores.
Expected: docs/coverage.md#measured.
Command: python -m studies.coverage
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from crack_tf.photo.view import View
from crack_tf.survey.findings import PhotoRecord
from crack_tf.survey.geometry.camera import Locator
from crack_tf.survey.geometry.curved import both, radii_of, seems_round
from crack_tf.survey.geometry.rounds import round_view
from crack_tf.survey.geometry.views import views_of
from crack_tf.survey.ledger import CLEAN, FaceCoverage, measure_coverage
from crack_tf.synthetic.flight import blank_photo
from crack_tf.synthetic.flight_geometry import Shot, Surface, shots, to_wall
from crack_tf.synthetic.flight_plan import ROUND, SHAPES, Plan
from crack_tf.synthetic.flight_truth import CLASSES, TrueCoverage, declared, true_coverage, true_mm_per_pixel
from tflite.files import sha256_bytes, write_csv
from tflite.metrics import wilson_interval

OUT = Path("results/coverage")
SEEDS = 20
AREA_SHARE = 0.02  # of a face, that a state's square metres may be off
NARROW_M = 0.06  # four standard deviations of a position: a hole whose middle is nearer to its edge may close
# A photograph shows a metre of the pier, as those of 12 megapixels at a quarter of a millimetre do; fewer pixels show the same places.
PLAN = Plan(
    piers=1,
    rows=4,
    columns=8,
    width=1000,
    height=750,
    cracks=0,
    mm_per_pixel=1.0,
    distance_m=2.5,
    gps_noise_m=0.015,
    laser_noise_m=0.1,
    pitch_deg=6.0,
    facing_deg=3.0,
    gimbal_noise_deg=0.3,
    missed=3,
    blurred=2,
    far=2,
)
# The same with angles that nobody knows: walls that lean and taper, pilots who face them as well as they see.
LOOSE = replace(PLAN, rows=3, pitch_deg=10.0, facing_deg=5.0, gimbal_noise_deg=2.0, missed=0, blurred=0)
MARKS = 20  # on each photograph
MARK_PX = 150
SEEMS = "photographs that seem to show something round"


def record_of(plan: Plan, shot: Shot) -> PhotoRecord:
    """What a survey knows of a photograph, by the photograph's own data; as sharp as it is."""
    data = blank_photo(plan, shot)
    known = Locator().of_file(data, plan.width, plan.height, shot.name)
    view = known.view(plan.width, plan.height)
    middle = plan.width / 2, plan.height / 2
    scales = None if view is None else view.measure([[middle, middle]])
    return PhotoRecord(
        name=shot.name,
        sha256=sha256_bytes(data),
        width=plan.width,
        height=plan.height,
        time=None,
        latitude=known.latitude,
        longitude=known.longitude,
        altitude_m=known.altitude_m,
        heading_deg=known.heading_deg,
        mm_per_pixel=known.mm_per_pixel,
        tiles=0,
        positives=0,
        findings=0,
        scale_source=known.scale_source,
        scale_error=None if scales is None else scales.error,
        distance_m=known.distance_m,
        pitch_deg=known.pitch_deg,
        patches="b" if shot.smeared else "g",
    )


@dataclass
class Tally:
    """How often it held."""

    held: int = 0
    tried: int = 0

    def add(self, held: bool) -> None:
        self.held, self.tried = self.held + held, self.tried + 1


def fly(seed: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Rows for the tables of areas and of holes of one flight."""
    plan = replace(PLAN, seed=seed, shape=SHAPES[seed % len(SHAPES)])
    surfaces, taken = shots(plan)
    truth = true_coverage(plan, surfaces, taken)
    faces = [declared(plan, surface) for surface in surfaces]
    coverage = measure_coverage(
        [record_of(plan, shot) for shot in taken], [], faces, plan.needed_mm, 3 * plan.gps_noise_m
    )
    assert coverage is not None
    areas, holes = [], Tally()
    narrow, invented, invented_m2 = Tally(), 0, 0.0
    for known, found in zip(truth, coverage.faces, strict=True):
        for name, state in zip(CLASSES, ("clean", *CLASSES[1:]), strict=True):
            areas.append(
                {
                    "seed": seed,
                    "shape": plan.shape,
                    "face": known.face.name,
                    "state": name,
                    "face_m2": round(known.face.area_m2, 3),
                    "true_m2": round(known.areas_m2[name], 4),
                    "found_m2": round(found.areas_m2[state], 4),
                    "off_share_of_face": round((found.areas_m2[state] - known.areas_m2[name]) / known.face.area_m2, 5),
                }
            )
        for hole in known.holes:
            (narrow if hole.depth_m < NARROW_M else holes).add(_lacks(found, hole.along_m, hole.up_m))
        number, area = _invented(known, found)
        invented, invented_m2 = invented + number, invented_m2 + area
    return areas, {
        "seed": seed,
        "shape": plan.shape,
        "photographs": len(taken),
        "holes": holes.tried,
        "found": holes.held,
        "narrow_holes": narrow.tried,
        "narrow_found": narrow.held,
        "invented": invented,
        "invented_m2": round(invented_m2, 4),
    }


def _lacks(found: FaceCoverage, along: float, up: float) -> bool:
    """Whether a survey's map says that a spot was not seen well."""
    rows, columns = found.cells.shape
    row = min(rows - 1, int((1 - up / found.face.height_m) * rows))
    column = min(columns - 1, int(along / found.face.length_m * columns))
    return bool(found.cells[row, column] > CLEAN)


def _invented(known: TrueCoverage, found: FaceCoverage) -> tuple[int, float]:
    """Connected parts of a survey's map that were seen well all over, though it says otherwise; number and square metres."""
    import cv2

    lacking = (found.cells > CLEAN).astype(np.uint8)
    count, labels = cv2.connectedComponents(lacking, connectivity=8)
    rows, columns = found.cells.shape
    truly = known.cells > 0
    y = ((np.arange(rows) + 0.5) / rows * truly.shape[0]).astype(int)
    x = ((np.arange(columns) + 0.5) / columns * truly.shape[1]).astype(int)
    real = set(np.unique(labels[truly[np.ix_(y, x)]]).tolist())
    made_up = [number for number in range(1, count) if number not in real]
    return len(made_up), float(np.isin(labels, made_up).sum()) * found.cell_m[0] * found.cell_m[1]


def scales(seed: int, tallies: dict[tuple[str, str], Tally]) -> None:
    """Hold the stated intervals of one flight against the truth: of its photographs' scales, and of marks on them."""
    plan = replace(LOOSE, seed=seed, shape=SHAPES[seed % len(SHAPES)])
    rng = np.random.default_rng(seed)
    surfaces, taken = shots(plan)
    declared_views = around_pier(plan, surfaces, taken) if plan.shape == ROUND else {}
    radii = radii_of([record_of(plan, shot) for shot in taken])
    tallies.setdefault((plan.shape, SEEMS), Tally()).held += len(radii)
    tallies[plan.shape, SEEMS].tried += len(taken)
    for shot in taken:
        known = Locator().of_file(blank_photo(plan, shot), plan.width, plan.height, shot.name)
        view = known.view(plan.width, plan.height)
        assert view is not None
        middle = view.measure([[(plan.width / 2, plan.height / 2)] * 2])
        assert middle is not None
        assert middle.error is not None
        truly = true_mm_per_pixel(plan, shot)
        tallies.setdefault((plan.shape, "scale"), Tally()).add(
            abs(middle.length - truly) <= middle.error * middle.length
        )
        tally = tallies.setdefault((plan.shape, "lengths"), Tally())
        for start, angle in zip(rng.uniform(0.1, 0.9, (MARKS, 2)), rng.uniform(0, np.pi, MARKS), strict=True):
            reach = MARK_PX / 2 * np.array([np.cos(angle), np.sin(angle)])
            line = start * (plan.width, plan.height) + np.linspace(-1, 1, 9)[:, None] * reach
            places = to_wall(plan, shot, line)
            if not (np.isfinite(places).all() and np.all(line >= 0) and np.all(line <= (plan.width, plan.height))):
                continue
            long = plan.mm_per_pixel * float(np.hypot(*np.diff(places, axis=0).T).sum())
            tally.add(_holds(view, line, long))
            if shot.name in declared_views:
                name = plan.shape, "lengths, pier declared"
                tallies.setdefault(name, Tally()).add(_holds(declared_views[shot.name], line, long))
            name = plan.shape, "lengths, nobody declares the pier"
            tallies.setdefault(name, Tally()).add(_holds(view, line, long, radii.get(shot.name)))


def _holds(view: View, line: np.ndarray, long: float, radius_m: float | None = None) -> bool:
    """Whether a mark's stated interval holds its length in millimetres; a wider one, where the photograph seems to show a pier."""
    measured = view.measure([line.tolist()])
    around = None if radius_m is None else seems_round(view, radius_m).measure([line.tolist()])
    if measured is None or measured.error is None or (around is not None and around.error is None):
        return False
    error = measured.error if around is None else both(measured, around)[1]
    return abs(MARK_PX * measured.length - long) <= error * MARK_PX * measured.length


def around_pier(plan: Plan, surfaces: Sequence[Surface], taken: Sequence[Shot]) -> dict[str, View]:
    """How photographs show a round pier that a person declared."""
    (face,) = (declared(plan, surface) for surface in surfaces)
    views = views_of([record_of(plan, shot) for shot in taken], [face], 3 * plan.gps_noise_m)
    assert views is not None
    found = {}
    for photo, camera in views.faces[0][1]:
        shot = next(shot for shot in taken if shot.name == photo.name)
        flat = (
            Locator().of_file(blank_photo(plan, shot), plan.width, plan.height, shot.name).view(plan.width, plan.height)
        )
        assert flat is not None
        found[photo.name] = round_view(flat, face, camera, views.frame)
    return found


def draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """How far each state's square metres are off, flight by flight."""
    from crack_tf.common.plotting import new_figure, save_png

    figure = new_figure(8, 4)
    axes = figure.add_subplot()
    for name in CLASSES:
        own = [row for row in rows if row["state"] == name]
        axes.plot(
            [row["seed"] for row in own], [100 * row["off_share_of_face"] for row in own], "o", label=name, alpha=0.8
        )
    for edge in (-100 * AREA_SHARE, 100 * AREA_SHARE):
        axes.axhline(edge, color="0.5", linestyle="--", linewidth=1)
    axes.set_xlabel("flight")
    axes.set_ylabel("found less true, % of the face")
    axes.legend(ncols=len(CLASSES), fontsize="small", loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False)
    save_png(figure, path)


def scale_rows(tallies: Mapping[tuple[str, str], Tally]) -> list[dict[str, Any]]:
    """The table of intervals, shape by shape."""
    rows = []
    for (shape, what), tally in sorted(tallies.items()):
        low, high = wilson_interval(tally.held, tally.tried)
        rows.append(
            {
                "shape": "cylinder" if shape == ROUND else shape,
                "what": what,
                "tried": tally.tried,
                "inside": tally.held,
                "share": round(tally.held / tally.tried, 4),
                "low": round(low, 4),
                "high": round(high, 4),
            }
        )
        print(rows[-1])
    return rows


def main() -> int:
    """Measure and write; $SEEDS flights, where it is set."""
    seeds = range(int(os.environ.get("SEEDS", SEEDS)))
    areas: list[dict[str, Any]] = []
    holes: list[dict[str, Any]] = []
    tallies: dict[tuple[str, str], Tally] = {}
    for seed in seeds:
        of_areas, of_holes = fly(seed)
        areas, holes = areas + of_areas, [*holes, of_holes]
        scales(seed, tallies)
        print(of_holes, max(abs(row["off_share_of_face"]) for row in of_areas), flush=True)
    rows = scale_rows(tallies)
    OUT.mkdir(parents=True, exist_ok=True)
    write_csv(OUT / "areas.csv", areas)
    write_csv(OUT / "holes.csv", holes)
    write_csv(OUT / "scales.csv", rows)
    draw(areas, OUT / "areas.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
