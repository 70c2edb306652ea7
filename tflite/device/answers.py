"""What a bundle's models answer on this board, against what they answered on the workstation. See `tflite.device.check`."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tflite import hardware
from tflite.device.bundle import MANIFEST, Bundle, read_reference
from tflite.errors import CrackError
from tflite.files import sha256_bytes
from tflite.images import load_rgb
from tflite.isolate import can_spawn, in_child
from tflite.manifest import Item, Manifest, read_manifest
from tflite.runtime import Classifier
from tflite.sidecar import golden_input
from tflite.tables import format_table
from tflite.words import counted


@dataclass(frozen=True)
class Job:
    """One model to be checked with one delegate.

    Attributes:
        path: the .tflite file.
        delegate: one of `tflite.runtime.DELEGATES`.
        threads: CPU threads.
        manifest: of the evaluation tiles.
        positions: of the tiles used, in the manifest and in the recorded outputs alike.
        reference: what was recorded for this model.
        pixels: sha256 of each tile's decoded pixels at this model's size, one per tile of the manifest.
    """

    path: Path
    delegate: str
    threads: int
    manifest: Manifest
    positions: tuple[int, ...]
    reference: Mapping[str, Any]
    pixels: tuple[str, ...]

    @property
    def recorded(self) -> Mapping[str, Any]:
        """The workstation's answers with this delegate; an Edge TPU is compared with LiteRT's own kernels."""
        delegates = self.reference["delegates"]
        answers: Mapping[str, Any] = delegates[self.delegate if self.delegate in delegates else "none"]
        return answers


def check_models(bundle: Bundle, delegates: Sequence[str], threads: int, limit: int | None) -> list[dict[str, Any]]:
    """Check every model with every delegate; one row each, see `check_model`.

    Args:
        bundle: whose files are whole.
        delegates: of `tflite.runtime.DELEGATES`.
        threads: CPU threads.
        limit: use that many tiles, and the golden ones; None for all.

    Raises:
        CrackError: see `make_jobs`.
    """
    elsewhere = can_spawn()
    rows = []
    for job in make_jobs(bundle, delegates, threads, limit):
        print(f"checking {job.path.stem}, {job.delegate}, {counted(len(job.positions), 'tile')}", file=sys.stderr)
        # In a process of its own, so that a runtime that crashes on this CPU is reported and not just gone.
        try:
            rows.append(in_child(check_model, job) if elsewhere else check_model(job))
        except CrackError as error:
            rows.append(_failed(job, str(error)))
    return rows


def make_jobs(bundle: Bundle, delegates: Sequence[str], threads: int, limit: int | None) -> list[Job]:
    """What there is to check: every model with every delegate; "edgetpu" runs the models compiled for it, and only those.

    Raises:
        CrackError: if the recorded answers do not fit the models or the tiles, or there is no model for a delegate.
    """
    manifest = read_manifest(bundle.folder / MANIFEST)
    reference = read_reference(bundle)
    jobs = []
    try:
        if reference["tiles"] != [item.path for item in manifest.items]:
            raise ValueError("they are about other tiles")
        for delegate in delegates:
            models = bundle.models(compiled=delegate == "edgetpu")
            if not models:
                raise CrackError(
                    f"--delegate {delegate}: this bundle holds no model for it. On the workstation: "
                    "python -m tflite.edgetpu compile makes models for a Coral stick, crack-tf export those for the CPU."
                )
            for path in models:
                recorded = reference["models"][path.name]
                chosen = positions(len(manifest.items), limit, recorded["golden_tiles"].values())
                pixels = tuple(reference["pixels"][str(recorded["image_size"])])
                jobs.append(Job(path, delegate, threads, manifest, chosen, recorded, pixels))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CrackError(
            f"the recorded answers of the bundle do not fit it ({error!r}). Make the bundle again: crack-tf bundle."
        ) from None
    return jobs


def positions(count: int, limit: int | None, golden: Iterable[int]) -> tuple[int, ...]:
    """Which of `count` tiles to use: all, or `limit` spread evenly; the golden ones always."""
    spread = range(count) if limit is None or limit >= count else np.linspace(0, count - 1, limit).round().astype(int)
    return tuple(sorted({*map(int, spread), *map(int, golden)}))


def check_model(job: Job) -> dict[str, Any]:
    """Ask one model everything and compare.

    Returns:
        A row: "problems" (must be empty) and "notes" (worth knowing), the differences in units of the output ("step" of an
        integer output, "logit" of a float one), the raw outputs, and what the delegate took.
    """
    try:
        classifier = Classifier(job.path, threads=job.threads, delegate=job.delegate)
        items = [job.manifest.items[position] for position in job.positions]
        outputs, same_pixels = answers(classifier, job, items)
    except CrackError as error:
        return _failed(job, str(error))
    if strange := int(np.sum(~np.isfinite(outputs))):
        return _failed(job, f"{strange} of {len(items)} outputs are not finite numbers")
    golden = classifier.raw(golden_input(classifier.image_size))
    return compare(job, classifier, golden, outputs, same_pixels, items)


def answers(classifier: Classifier, job: Job, items: list[Item]) -> tuple[np.ndarray, int]:
    """Raw outputs for the tiles, float64 (n,), and how many of them decoded to the workstation's very pixels."""

    outputs = np.empty(len(items))
    same = 0
    for number, (position, item) in enumerate(zip(job.positions, items, strict=True)):
        tile = load_rgb(job.manifest.read(item), classifier.image_size)
        same += sha256_bytes(tile.tobytes()) == job.pixels[position]
        outputs[number] = classifier.raw(tile)
    return outputs, same


def compare(
    job: Job, classifier: Classifier, golden: float, outputs: np.ndarray, same_pixels: int, items: list[Item]
) -> dict[str, Any]:
    """Differences between these outputs and the recorded ones, and what is wrong about them.

    Args:
        job: with the recorded answers.
        classifier: that gave these.
        golden: its raw answer to the golden input.
        outputs: its raw answers to the tiles, float64 (n,).
        same_pixels: tiles that decoded to the recorded pixels.
        items: the tiles.
    """
    chosen = list(job.positions)
    recorded, tolerance = job.recorded, float(job.reference["tolerance"])
    expected = np.array(recorded["raw"], dtype=np.float64)[chosen]
    differences = np.abs(outputs - expected)
    decisions = np.array([classifier.decide(value) for value in outputs])
    there = np.array([classifier.decide(value) for value in expected])
    flipped = [item.path for item, turned in zip(items, decisions != there, strict=True) if turned]
    float_decisions = np.array(job.reference["float"]["logits"])[chosen] >= job.reference["float"]["threshold"]
    labels = np.array([item.label for item in items])
    golden_at = {name: chosen.index(position) for name, position in job.reference["golden_tiles"].items()}
    wrong = {name: place for name, place in golden_at.items() if decisions[place] != (name == "crack")}
    # What the workstation took for the opposite too is the model's error, and says nothing about this board.
    turned_here = [name.replace("_", " ") for name, place in wrong.items() if decisions[place] != there[place]]
    weak = [name.replace("_", " ") for name, place in wrong.items() if decisions[place] == there[place]]
    unit, nodes = classifier.unit, classifier.nodes
    problems = []
    if over := int(np.sum(differences > tolerance)):
        problems.append(
            f"{over} of {len(items)} outputs differ from the workstation's by more than {tolerance:g} {unit}(s), "
            f"the worst ({items[int(np.argmax(differences))].path}) by {differences.max():g}"
        )
    if not abs(golden - recorded["golden"]) <= tolerance:  # written so that NaN fails too
        problems.append(f"the golden input gives {golden:g}, the workstation had {recorded['golden']:g}")
    problems += [
        f"the golden {name} tile is taken for the opposite, and was not on the workstation" for name in turned_here
    ]
    if job.delegate == "xnnpack" and not nodes.delegates and recorded["nodes"]["delegates"]:
        problems.append("XNNPACK took no operator here: right answers, but many times slower")
    return {
        "model": job.path.stem,
        "delegate": job.delegate,
        "problems": problems,
        "notes": _notes(weak, [] if problems else flipped, len(items) - same_pixels, len(items)),
        "sha256": classifier.sidecar.sha256,
        "tiles": len(items),
        "unit": unit,
        "tolerance": tolerance,
        "max_difference": float(differences.max()),
        "mean_difference": float(differences.mean()),
        "share_equal": float(np.mean(differences == 0)),
        "flipped": flipped,
        "weak": weak,
        "same_pixels": same_pixels,
        "as_float": int(np.sum(decisions == float_decisions)),
        "correct": int(np.sum(decisions == (labels == 1))),
        "golden": golden,
        "golden_expected": recorded["golden"],
        "delegate_nodes": nodes.delegates,
        "nodes_total": nodes.total,
        "nodes_remaining": nodes.remaining,
        "raw": [int(value) for value in outputs] if unit == "step" else [float(value) for value in outputs],
    }


def _notes(weak: list[str], flipped: list[str], other_pixels: int, tiles: int) -> list[str]:
    """What is to be known and is no problem of the board.

    Args:
        weak: golden tiles that the workstation takes for the opposite too.
        flipped: tiles that rounding turned.
        other_pixels: tiles that decode to other pixels here.
        tiles: all of them.
    """
    notes = []
    if weak:
        notes.append(
            f"the model takes the golden {' and '.join(weak)} tile for the opposite, here as on the workstation: the model is weak, "
            "this board is not to blame"
        )
    if flipped:
        notes.append(f"rounding turned {len(flipped)} decision(s) at the threshold: {', '.join(flipped[:3])}")
    if other_pixels:
        notes.append(
            f"{other_pixels} of {tiles} tiles decode to other pixels than on the workstation (another Pillow or JPEG library)"
        )
    return notes


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as aligned text; a model that did not run has dashes."""

    def cell(row: Mapping[str, Any], text: str) -> str:
        return text.format(**row) if "raw" in row else "-"

    return format_table(
        rows,
        {
            "model": lambda row: str(row["model"]),
            "delegate": lambda row: str(row["delegate"]),
            "nodes": lambda row: cell(row, "{delegate_nodes} + {nodes_remaining}"),
            "golden": lambda row: cell(row, "{golden:.4g} ({golden_expected:.4g})"),
            "tiles": lambda row: cell(row, "{tiles}"),
            "max diff": lambda row: cell(row, "{max_difference:.3g} {unit}"),
            "mean diff": lambda row: cell(row, "{mean_difference:.2g}"),
            "equal": lambda row: cell(row, "{share_equal:.1%}"),
            "flipped": lambda row: str(len(row["flipped"])) if "raw" in row else "-",
            "as float": lambda row: cell(row, "{as_float}/{tiles}"),
            "right": lambda row: cell(row, "{correct}/{tiles}"),
            "check": lambda row: "FAILED" if row["problems"] else "ok",
        },
    )


def environment() -> dict[str, str]:
    """Versions of what decodes and computes here."""
    import PIL

    return {
        "python": platform.python_version(),
        "litert": hardware.runtime_version(),
        "numpy": np.__version__,
        "pillow": PIL.__version__,
    }


def machine_line(board: Mapping[str, Any], versions: Mapping[str, str]) -> str:
    """Board and interpreter in one line."""
    name = board["model"] or board["cpu"] or board["arch"]
    facts = [str(name), f"{board['cores']} cores"]
    facts += [f"{board['temperature_c']:.0f} C"] if board["temperature_c"] is not None else []
    facts += [f"governor {board['governor']}"] if board["governor"] else []
    facts += [f"throttled now: {', '.join(board['throttled_now'])}"] if board["throttled_now"] else []
    facts += [f"Python {versions['python']}", f"LiteRT {versions['litert']}", f"Pillow {versions['pillow']}"]
    return "board: " + ", ".join(facts)


def _failed(job: Job, problem: str) -> dict[str, Any]:
    """The row of a model that gave no answers."""
    return {"model": job.path.stem, "delegate": job.delegate, "problems": [problem], "notes": [], "weak": []}
