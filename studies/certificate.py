"""Does a certificate say what is true? The recall that it foretells for a flight's real cracks, against how many of them were found.

What it makes: results/coverage/certificate.csv, a row per synthetic flight: cracks laid in and found, a90 and a90/95, how many views of the
flight's own cracks (a crack on a photograph that shows most of it) were found, how many the certificate foretells with an interval of
95 %, and the seconds of survey and certificate, where nothing stopped them. certificate-cost.csv has the same of flights with larger
photographs; certificate.png draws what was foretold and found. Cracks are hairlines, since all others are found. The certificate lays as
many cracks as it lays where nobody asks for a number, on larger photographs, and 16 on small ones, which are too few to lay as many in
half of the survey's time. Flights that have a row are not flown again; one that was stopped goes on
(runs/certificate).
Cost: a minute a flight on one core.
Expected: docs/certificate.md#measured.
Command: python -m studies.certificate
"""

from __future__ import annotations

import csv
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from crack_tf.survey.certificates.certificate import PROBABILITY, Certificate
from crack_tf.survey.certificates.certify import LEAST_CRACKS
from crack_tf.survey.certificates.pod import REFERENCE, columns
from crack_tf.survey.config import SurveyConfig
from crack_tf.survey.findings import REFUTED, Finding
from crack_tf.survey.surveying import survey
from crack_tf.survey.truth import lies_on
from crack_tf.synthetic.flight import write_flight
from crack_tf.synthetic.flight_plan import Plan
from tflite.files import read_json, write_csv

OUT, RUNS = Path("results/coverage"), Path("runs/certificate")
FLIGHTS = 20
# Flights for the cost, and their photographs: smaller ones are searched too fast for a certificate.
LARGE, WIDE, HIGH = 1, 3200, 2400
MOST_OF = 0.8  # of a crack's length that a view shows
DRAWS = 4000


def plan_of(seed: int) -> Plan:
    """A flight with hairlines, of which some are missed."""
    return Plan(
        seed=seed,
        piers=1,
        rows=3,
        columns=3,
        width=1000,
        height=750,
        cracks=6,
        mm_per_pixel=0.2,
        laser_noise_m=0.02,
        widths_px=(0.3, 1.0),
        darkness=(0.26, 0.55),
        needs_mm=0.75,
    )


def views(folder: Path, truth: Mapping[str, Any]) -> list[tuple[float, float, bool]]:
    """Width in millimetres, darkness, and whether it was found, of each view of a crack; by the photographs' own records."""
    found: dict[str, list[Finding]] = {}
    for path in (folder / "records").glob("*.json"):
        record = read_json(path)
        found[record["name"]] = [Finding.from_json(value) for value in record["findings"]]
    seen = []
    for crack in truth["cracks"]:
        for name, shown in crack["photos"].items():
            if shown["visible_length_mm"] < MOST_OF * crack["length_mm"]:
                continue
            line = np.array(shown["points"], float)
            hit = any(
                lies_on(finding.outline, finding.length_px is not None, line, crack["max_width_px"])
                for finding in found[name]
                if finding.validation != REFUTED
            )
            seen.append((crack["mean_width_mm"], crack["darkness"], hit))
    return seen


def foretold(certificate: Certificate, cracks: Sequence[tuple[float, float, bool]]) -> tuple[float, np.ndarray]:
    """How many views a certificate says are found, and draws of it, int (DRAWS,): of the curve, and of chance."""
    pod, rng = certificate.pod, np.random.default_rng(0)
    sizes, contrasts = (np.array([crack[place] for crack in cracks]) for place in (0, 1))
    design = columns(sizes, contrasts, float(np.log(pod.sizes).mean()))
    weights = rng.multivariate_normal(pod.weights, pod.covariance(), DRAWS)
    shares = 1 / (1 + np.exp(-np.clip(design @ weights.T, -50, 50)))
    hits = (rng.uniform(size=shares.shape) < shares).sum(axis=0)
    return float(pod.probability(sizes, contrasts).sum()), hits


def fly(seed: int, plan: Plan, asked: int | None) -> dict[str, Any]:
    """A row of the table."""
    flight, folder = RUNS / f"flight-{seed}", RUNS / f"found-{seed}"
    truth = read_json(flight / "truth.json") if (flight / "truth.json").is_file() else {}
    if not truth.get("complete"):
        truth = write_flight(flight, plan, overwrite=True)
    fresh = not folder.exists()
    started = time.monotonic()
    config = SurveyConfig(
        flight_log=flight / "flight.csv",
        needs_mm=plan.needed_mm,
        jobs=1,
        certify=True,
        certify_cracks=asked,
        certify_seed=seed,
    )
    certificate = survey(flight / "photos", folder, config).certificate
    seconds = time.monotonic() - started
    assert certificate is not None
    assert certificate.seconds is not None
    cracks = views(folder, truth)
    expected, draws = foretold(certificate, cracks)
    low, high = (float(edge) for edge in np.percentile(draws, (2.5, 97.5), method="inverted_cdf"))
    hits = sum(crack[2] for crack in cracks)
    return {
        "seed": seed,
        "photographs": plan.photographs,
        "laid": len(certificate.trials),
        "laid_found": certificate.found,
        "a90_mm": certificate.pod.size(PROBABILITY, REFERENCE),
        "a90_95_mm": certificate.pod.size(PROBABILITY, REFERENCE, confident=True),
        "views": len(cracks),
        "views_found": hits,
        "foretold": round(expected, 2),
        "variance": round(float(draws.var()), 3),
        "low": low,
        "high": high,
        "inside": int(low <= hits <= high),
        "survey_s": round(seconds - certificate.seconds, 1) if fresh else None,
        "certificate_s": round(certificate.seconds, 1) if fresh else None,
    }


def draw(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Foretold and found, flight by flight."""
    from crack_tf.common.plotting import new_figure, save_png

    figure = new_figure(7, 4)
    axes = figure.add_subplot()
    numbers = np.array([[float(row[name]) for name in ("foretold", "low", "high", "views_found")] for row in rows])
    places = np.arange(len(rows))
    axes.vlines(places, numbers[:, 1], numbers[:, 2], color="0.6", linewidth=5, alpha=0.5, label="95 % interval")
    axes.plot(places, numbers[:, 0], "_", color="0.2", markersize=10, label="foretold by the certificate")
    axes.plot(places, numbers[:, 3], "o", color="#d55e00", markersize=5, label="found")
    axes.set(xlabel="flight", ylabel="views of its cracks", ylim=(0, None), xticks=places)
    axes.legend(fontsize=8, frameon=False, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    save_png(figure, path)


def fly_missing(table: Path, plans: Sequence[Plan], asked: int | None = None) -> list[Mapping[str, Any]]:
    """The rows of a table, with those flights flown that it lacks; at most $MORE of them, where it is set."""
    rows: list[Mapping[str, Any]] = list(csv.DictReader(table.open())) if table.is_file() else []
    missing = [plan for plan in plans if str(plan.seed) not in {str(row["seed"]) for row in rows}]
    for plan in missing[: int(os.environ.get("MORE", FLIGHTS))]:
        rows.append(fly(plan.seed, plan, asked))
        print(dict(rows[-1]), flush=True)
        write_csv(table, sorted(rows, key=lambda row: int(row["seed"])))
    return rows


def main() -> int:
    """Fly those that are missing."""
    rows = fly_missing(OUT / "certificate.csv", [plan_of(seed) for seed in range(FLIGHTS)], LEAST_CRACKS)
    large = [replace(plan_of(100 + number), width=WIDE, height=HIGH, columns=4) for number in range(LARGE)]
    dear = fly_missing(OUT / "certificate-cost.csv", large)
    total, hits, expected, variance = (
        sum(float(row[name]) for row in rows) for name in ("views", "views_found", "foretold", "variance")
    )
    inside = sum(int(row["inside"]) for row in rows)
    print(
        f"{len(rows)} flights, {inside} inside; of {total:g} views {hits:g} were found, {expected:.1f} foretold, give or take "
        f"{1.96 * variance**0.5:.1f}"
    )
    for name, timed in (("small", rows), ("larger", dear)):
        shares = [float(row["certificate_s"]) / float(row["survey_s"]) for row in timed if row["survey_s"]]
        print(f"{name} photographs: certificates took {[f'{share:.0%}' for share in shares]} more time")
    draw(rows, OUT / "certificate.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
