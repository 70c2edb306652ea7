"""The loop on a drawn bridge: survey -> review -> adapt -> the next flight surveyed, with the shipped model and with the adapted one.

What it makes: results/adapt/bridge.csv, a row per bridge, flight and model, and bridge-candidates.csv, what the guard said of each.
A bridge is that of `make survey-demo`, or of another seed. The flight of one year is surveyed with the shipped model; every finding, also
one that the second opinion refuted, is accepted where it lies on a drawn crack and rejected where it does not; `crack_tf.adapt` takes this
review with clean tiles around; the flight of the next year along the same piers, whose photographs nobody has learned from, is surveyed
with either model. A false alarm is a finding on no crack, a false finding one that the second opinion has not refuted either.
Cost: five minutes a bridge on two cores. What is there is not made again (runs/adapt-bridge).
Expected: docs/adapt.md#the-whole-loop.
Command: CRACK_TF_DATA=/path/to/data python -m studies.adapt_bridge
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from crack_tf.adaptation.adapting import adapt
from crack_tf.adaptation.config import REPORT, AdaptConfig
from crack_tf.common.provenance import created
from crack_tf.survey.findings import FILE_NAME, REFUTED, Survey, read_survey, survey_id
from crack_tf.survey.reviews.review import ACCEPTED, REJECTED, Decision, Review
from crack_tf.survey.surveying import survey
from crack_tf.survey.truth import compare, on_a_crack
from crack_tf.synthetic.flight import write_flight
from crack_tf.synthetic.flight_plan import Plan
from tflite.files import read_csv, read_json, write_csv, write_json

OUT, RUNS = Path("results/adapt"), Path("runs/adapt-bridge")
SEEDS = (0,)
REGRESSION = 100  # tiles of each other structure's test
SHIPPED, ADAPTED = "shipped", "adapted"
Row = dict[str, Any]


def flight(folder: Path, seed: int, epoch: int) -> Path:
    """Photographs of one year, drawn now or before."""
    truth = folder / "truth.json"
    if not (truth.is_file() and read_json(truth).get("complete")):
        write_flight(folder, replace(Plan(), seed=seed, epoch=epoch), overwrite=True)
    return folder


def surveyed(flown: Path, out: Path, model: Path | None = None) -> Survey:
    """A flight's survey, made now or before."""
    if not (out / FILE_NAME).is_file():
        survey(
            flown / "photos",
            out,
            flight_log=flown / "flight.csv",
            model=None if model is None else str(model),
            say=lambda _: None,
        )
    return read_survey(out)


def review(found: Survey, truth: Mapping[str, Any]) -> Review:
    """What an engineer would say who knows what was drawn."""
    decisions = {
        finding.id: Decision(ACCEPTED if on_a_crack(finding, truth) else REJECTED, "", created())
        for finding in found.findings
    }
    return Review(survey_id(found), found.source, "drawn", created(), decisions)


def row(seed: int, year: int, model: str, found: Survey, truth: Mapping[str, Any], out: Path) -> Row:
    """What one survey found."""
    compared = compare(found, truth)
    off = [finding for finding in found.findings if not on_a_crack(finding, truth)]
    return {
        "bridge": seed,
        "year": year,
        "model": model,
        "photographs": len(found.photos),
        "cracks": compared.cracks,
        "cracks_found": compared.found,
        "findings": len(found.findings),
        "false_alarms": len(off),
        "false_findings": sum(finding.validation != REFUTED for finding in off),
        "photographs_a_minute": round(read_json(out / "performance.json")["photos_per_minute"], 1),
    }


def bridge(seed: int) -> tuple[list[Row], list[Row]]:
    """Rows of one bridge's surveys, and of its candidates."""
    place = RUNS / f"bridge-{seed}"
    flights = [flight(place / f"flight-{year}", seed, year) for year in (0, 1)]
    truths = [read_json(flown / "truth.json") for flown in flights]
    found = surveyed(flights[0], place / "found-0")
    rows = [row(seed, 0, SHIPPED, found, truths[0], place / "found-0")]
    reviewed, out = place / "review.json", place / ADAPTED
    if not reviewed.is_file():
        write_json(reviewed, review(found, truths[0]).as_json())
    config = AdaptConfig(
        str(place / "found-0"),
        review=str(reviewed),
        photos=str(flights[0] / "photos"),
        regression_limit=REGRESSION,
    )
    started = time.monotonic()
    result = adapt(config, out, resume=(out / REPORT).is_file())
    minutes = round((time.monotonic() - started) / 60, 1)
    tried = [{"bridge": seed, **line} for line in read_csv(out / "candidates.csv")]
    models = {SHIPPED: None, ADAPTED: out} if result.model else {SHIPPED: None}
    for name, model in models.items():
        later = place / f"found-1-{name}"
        rows.append(row(seed, 1, name, surveyed(flights[1], later, model), truths[1], later))
    return [{**line, "candidate": result.candidate or "", "adapt_minutes": minutes} for line in rows], tried


def table(rows: Sequence[Row]) -> str:
    """In Markdown, a line per survey."""
    lines = [
        "| bridge | flight | model | candidate | cracks found | false alarms | false findings | photographs a minute |",
        "|---" * 8 + "|",
    ]
    for line in rows:
        year = "reviewed" if int(line["year"]) == 0 else "a year later"
        candidate = line["candidate"] if line["model"] == ADAPTED else ""
        lines.append(
            f"| {line['bridge']} | {year} | {line['model']} | {candidate} | {line['cracks_found']} of {line['cracks']} | "
            f"{line['false_alarms']} | {line['false_findings']} | {float(line['photographs_a_minute']):.0f} |"
        )
    return "\n".join(lines)


def main() -> int:
    """Measure, bridge by bridge; SEED=n measures one."""
    seeds = [int(os.environ["SEED"])] if "SEED" in os.environ else SEEDS
    done = RUNS / "rows"
    for seed in seeds:
        if not (done / f"{seed}.csv").is_file():
            rows, tried = bridge(seed)
            write_csv(done / f"{seed}-candidates.csv", tried)
            write_csv(done / f"{seed}.csv", rows)
    kept = [seed for seed in SEEDS if (done / f"{seed}.csv").is_file()]
    write_csv(OUT / "bridge.csv", [line for seed in kept for line in read_csv(done / f"{seed}.csv")])
    write_csv(
        OUT / "bridge-candidates.csv",
        [line for seed in kept for line in read_csv(done / f"{seed}-candidates.csv")],
    )
    print(table(read_csv(OUT / "bridge.csv")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
