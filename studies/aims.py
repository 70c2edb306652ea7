"""What the shipped default models were meant to reach, and what results/ says of it: a table of docs/results.md.

Cost: none. After a measurement has changed results/: python -m studies.aims
A test compares docs/results.md with it. The aims are those that were set before the models of real scenes were trained.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from crack_tf.models.shipped import FOLDER, read_zoo
from studies.readme_table import RESULTS, Row, default_name, only, rows
from tflite.sidecar import read_sidecar

CLEAN, QUARTER, TWENTIETH, OPNET = "scenes_whole", "mobilenet_v2_104_real", "mobilenet_v2_035_64_real", "opnet"


def aims(results: Path = RESULTS) -> Iterator[tuple[str, str, bool]]:
    """(aim, what was measured, whether it is met) of each aim."""
    scenes, classifier = results / "real-scenes", default_name("classify")
    tiles, domains = rows(scenes / "matrix.csv"), rows(scenes / "domains.csv")

    def of(name: str) -> Row:
        return only(tiles, model=classifier, set=name)

    def auc(model: str) -> float:
        return float(only(domains, model=model)["mean_auc"])

    left_out = only(domains, model=classifier)
    recall, specificity = float(left_out["mean_recall"]), float(left_out["mean_specificity"])
    worst, mean = float(left_out["worst_auc"]), auc(classifier)
    yield "mean AUC of the sets left out 0.95", f"{mean:.3f}", mean >= 0.95
    yield "none of them below 0.90", f"{worst:.3f} ({left_out['worst_set']})", worst >= 0.9
    yield (
        "their mean recall 0.92 and mean specificity 0.85, at the shipped threshold",
        f"{recall:.3f}, {specificity:.3f}",
        recall >= 0.92 and specificity >= 0.85,
    )
    yield _rates("METU: recall and specificity 0.998", of("metu grouped"), 0.998)
    for name in ("scenes", "cssc spalling"):
        yield _rates(f"{name}: specificity 0.95", of(name), 0.95)

    (speed,) = (scenes / "speed").glob("benchmark-*.json")
    shares = {row["model"].partition("/")[0]: row["paired_ratio"] for row in json.loads(speed.read_text())["compare"]}
    for model, part, most, loss in ((QUARTER, "a quarter", 0.25, 0.02), (TWENTIETH, "a twentieth", 0.05, 0.05)):
        share = shares[model] / shares[classifier]
        yield (
            f"`{model}`: {part} of the default's time, mean AUC within {loss}",
            f"{share:.2f} of the time, {auc(model):.3f}",
            share <= most and auc(model) >= mean - loss,
        )
    opnet = read_sidecar(_device_file(OPNET)).metrics["at_threshold"]
    yield _rates(f"`{OPNET}`: METU's unseen tiles, recall and specificity 0.997", opnet, 0.997)

    surveyed = [row for row in rows(scenes / "scenes.csv") if row["model"] == classifier]
    clean = only(surveyed, set=CLEAN)
    cracked = [row for row in surveyed if row["set"] != CLEAN]

    def total(name: str) -> int:
        return sum(int(row[name]) for row in cracked)

    rate = float(clean["false_per_photograph"])
    yield (
        "survey: at most 0.3 confirmed findings on a photograph without cracks",
        f"{clean['false']} on {clean['photographs']}",
        rate <= 0.3,
    )
    yield (
        "survey: 90 % of the cracks found",
        f"{total('found')} of {total('cracks')}",
        total("found") >= 0.9 * total("cracks"),
    )
    yield (
        "survey: at most 1.5 findings of a crack",
        f"{total('right') / total('found'):.2f}",
        total("right") <= 1.5 * total("found"),
    )
    yield (
        "survey: at most 1 false finding on a photograph with cracks",
        f"{total('false')} on {total('photographs')}",
        total("false") <= total("photographs"),
    )

    segmenter = default_name("segment")
    masks = {
        row["set"]: float(row["tolerant_f1"]) for row in rows(scenes / "masks.csv") if row["name"].startswith(segmenter)
    }
    for name, least in (("deepcrack", 0.95), ("crack500", 0.87)):
        yield f"`{segmenter}`: F1 (2 px) {least} on {name}", f"{masks[name]:.3f}", masks[name] >= least
    lowest = min(masks, key=lambda name: masks[name])
    yield f"`{segmenter}`: 0.65 on every set", f"{masks[lowest]:.3f} ({lowest})", masks[lowest] >= 0.65
    size = _device_file(segmenter).stat().st_size
    yield f"`{segmenter}`: int8 below 4 MB", f"{size / 1e6:.1f} MB", size < 4e6
    seconds = float(only(rows(results / "suite" / "cost.csv"), model=classifier)["p50_s"])
    yield "`predict`: 12 megapixels in 1 s on two cores", f"{seconds:.1f} s", seconds < 1
    minute = float(only(rows(results / "survey" / "performance.csv"), size="4000x3000")["photos_per_minute"])
    yield "survey: 25 such photographs a minute", f"{minute:.1f}", minute >= 25


def table(results: Path = RESULTS) -> str:
    """In Markdown."""
    lines = [f"| {aim} | {measured} | {'met' if met else '**missed**'} |" for aim, measured, met in aims(results)]
    return "\n".join(["| aim | measured | |", "|---|---|---|", *lines])


def _device_file(name: str) -> Path:
    """The int8 file of a shipped model."""
    return FOLDER / read_zoo()[1][name].files["tflite"].path


def _rates(aim: str, row: Mapping[str, Any], least: float) -> tuple[str, str, bool]:
    """Of one set: cracks found where it has any, and clean tiles left alone."""
    pairs = [(int(row[hits] or 0), int(row[misses] or 0)) for hits, misses in (("tp", "fn"), ("tn", "fp"))]
    told = [(hits, hits + misses) for hits, misses in pairs if hits + misses]
    return aim, ", ".join(f"{hits}/{of}" for hits, of in told), all(hits >= least * of for hits, of in told)


def main(argv: list[str] | None = None) -> int:
    """Print the table."""
    argparse.ArgumentParser(prog="python -m studies.aims", description=__doc__.partition("\n")[0]).parse_args(argv)
    print(table())
    return 0


if __name__ == "__main__":
    sys.exit(main())
