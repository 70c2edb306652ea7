"""What lies beside an exported model for people: a model card in Markdown, and a picture of float against quantised."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from crack_tf.common.plotting import CLEAN, CRACK
from crack_tf.quantisation.front_matter import front_matter
from tflite.compare import Comparison
from tflite.drawn import METADATA
from tflite.files import atomic_path
from tflite.graph import Graph
from tflite.metrics import summary
from tflite.pixels import pixel_rates
from tflite.sidecar import Sidecar
from tflite.words import counted

SCHEME_TEXT = {
    "float32": "None: float32 weights and activations.",
    "float16": "Weights stored as float16, computed in float32.",
    "dynamic": "Weights int8; activations are quantised while it runs. Input and output are float32.",
    "int8-ptq": "Full int8, per-channel weights, by post-training quantisation.",
    "int8-qat": "Full int8, per-channel weights, by quantisation-aware training (tfmot).",
}
_PURPOSE = {
    "classify": "Tells concrete tiles with a crack from tiles without.",
    "segment": "Draws cracks: a logit for every pixel of a tile, of which whole photographs are put together.",
}
_TASK_LIMITS = {
    "classify": (
        "- One tile, one answer: no length, no width, no position within the tile.",
        "- The numbers above hold for the share of cracked tiles in that split; where cracks are rare, most alarms are false.",
    ),
    "segment": (
        "- Masks of cracks are drawn by hand and differ by pixels from person to person, and widths with them: a width measured in a "
        "drawn mask is that mask's.",
        "- The numbers above hold for photographs that show cracks; on clean ones every pixel called crack is a false alarm.",
    ),
}
_MOST_PHOTOGRAPHS = 30  # in the table of labels
_COLOURS = {1: CRACK, 0: CLEAN}


def model_card(sidecar: Sidecar, comparison: Comparison, graph: Graph, measured_on: str) -> str:
    """The card of an exported model.

    Args:
        sidecar: final, with threshold and metrics.
        comparison: against the float model.
        graph: of the file.
        measured_on: name of the manifest, such as "metu-grouped".

    Returns:
        Markdown, with a head in YAML as model hubs read it.
    """
    training = sidecar.training
    sections = [
        f"# {sidecar.model}, {sidecar.scheme}"
        + (f", adapted to {training['adapted']['to']}" if "adapted" in training else ""),
        f"{_PURPOSE[sidecar.task]} `{sidecar.file}`, {graph.file_bytes / 1000:,.0f} kB, "
        f"{graph.parameters:,} parameters, {graph.macs / 1e6:,.1f} M multiply-accumulates, "
        f"{sidecar.image_size} x {sidecar.image_size} pixels. Made {sidecar.created} with crack_tf.",
        "## Run it",
        _how_to_run(sidecar),
        *((_second_view(sidecar),) if sidecar.second_view else ()),
        "## Decision",
        _decision(sidecar),
        "## Measured",
        _measured(sidecar, comparison, measured_on),
        _map_table(comparison) if sidecar.task == "segment" else _table(comparison),
        _drift(comparison),
        "## Quantisation",
        _quantisation(sidecar),
        "## Training data",
        _bullets(
            {
                "Data set": f"{training.get('dataset', 'not recorded')}, split policy {training.get('policy', 'not recorded')}",
                "Manifest sha256": f"`{training.get('manifest_sha256', 'not recorded')}`",
                "Run": f"{training.get('run', 'not recorded')}, seed {training.get('seed', 'not recorded')}",
                "Hyperparameters": ", ".join(f"{k}={v}" for k, v in sidecar.hyperparameters.items()) or "defaults",
                "Licence of data and weights": sidecar.licence,
            }
        ),
        *(("## Adapted", _adapted(sidecar)) if "adapted" in training else ()),
        "## Limits",
        _limits(sidecar),
        "## Origin",
        _bullets(
            {
                "Model sha256": f"`{sidecar.sha256}`",
                "Made from": f"{training.get('source', 'not recorded')}, sha256 `{training.get('source_sha256', 'not recorded')}`",
                "Code": sidecar.git_revision or "not in a git checkout",
                "Versions": ", ".join(f"{name} {version}" for name, version in sidecar.versions.items()),
            }
        ),
    ]
    return front_matter(sidecar) + "\n\n".join(sections) + "\n"


def comparison_plot(
    reference: np.ndarray,
    quantised: np.ndarray,
    labels: np.ndarray,
    comparison: Comparison,
    title: str,
    path: str | Path,
) -> None:
    """Float against quantised logits, tile by tile or at a sample of pixels, and how both are distributed.

    Args:
        reference: float model's logits, shape (n,).
        quantised: quantised model's logits, shape (n,).
        labels: 0 or 1, shape (n,).
        comparison: of these logits, or of all pixels; gives the thresholds.
        title: of the picture.
        path: PNG to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 5), layout="constrained")
    figure.suptitle(title)
    scatter, histogram = figure.subplots(1, 2)
    names = {1: "crack", 0: "clean"}
    low, high = float(min(reference.min(), quantised.min())), float(max(reference.max(), quantised.max()))
    margin = max(0.5, 0.03 * (high - low))
    for label, colour in _COLOURS.items():
        chosen = labels == label
        scatter.scatter(
            reference[chosen], quantised[chosen], s=10, alpha=0.5, linewidths=0, color=colour,
            label=f"{names[label]} ({int(chosen.sum()):,})",
        )  # fmt: skip
    scatter.plot([low, high], [low, high], color="black", linewidth=0.7, label="equal")
    scatter.axvline(comparison.reference_threshold, color="0.4", linestyle="--", linewidth=0.9, label="thresholds")
    scatter.axhline(comparison.quantised_threshold, color="0.4", linestyle="--", linewidth=0.9)
    sqnr = "equal" if comparison.sqnr_db is None else f"SQNR {comparison.sqnr_db:.1f} dB"
    scatter.set(
        xlabel="float logit", ylabel="quantised logit", xlim=(low - margin, high + margin), ylim=(low - margin, high + margin),
        title=f"agreement {comparison.agreeing:,}/{comparison.total:,} {comparison.unit}, {sqnr}",
    )  # fmt: skip
    scatter.legend(fontsize=8, loc="upper left")
    edges = np.linspace(low, high if high > low else low + 1, 61)
    for label, colour in _COLOURS.items():
        chosen = labels == label
        histogram.hist(quantised[chosen], edges, color=colour, alpha=0.45, label=f"{names[label]}, quantised")
        histogram.hist(
            reference[chosen], edges, color=colour, histtype="step", linewidth=1.3, label=f"{names[label]}, float"
        )
    histogram.axvline(
        comparison.quantised_threshold, color="0.4", linestyle="--", linewidth=0.9, label="threshold, quantised"
    )
    what = comparison.unit if len(labels) == comparison.total else f"sampled {comparison.unit}"
    # A few tiles near the threshold matter more than the thousands far from it.
    histogram.set_yscale("symlog", linthresh=1)
    histogram.set_ylim(bottom=0)
    histogram.set(xlabel="logit", ylabel=f"{what} (logarithmic above 1)", title=_drift_title(comparison))
    histogram.legend(fontsize=8, loc="upper right")
    with atomic_path(path) as temporary:
        FigureCanvasAgg(figure).figure.savefig(temporary, dpi=120, format="png", metadata=METADATA)


def _how_to_run(sidecar: Sidecar) -> str:
    pixels = {
        "uint8": "raw RGB bytes",
        "int8": "raw RGB bytes minus 128 (the byte with its top bit flipped)",
        "float32": "raw RGB values 0 to 255 as float32",
    }[sidecar.input.dtype]
    if sidecar.task == "segment":
        code = (
            f"```bash\ncrack-tf photo segment pier.jpg --model {sidecar.file} --out found\n```\n\n"
            "or, for one tile,\n\n```python\n"
            "from tflite.images import load_rgb\n"
            "from tflite.segmenter import Segmenter\n\n"
            f'segmenter = Segmenter("{sidecar.file}")  # reads {sidecar.file}.json beside it\n'
            'mask = segmenter.mask(load_rgb("tile.png"))  # of the model\'s size; bool, True is crack\n'
        )
        handling, answer = "tiles are cut from the photograph, never resized", "a map of logits"
    else:
        code = (
            "```python\n"
            "from tflite.images import load_rgb\n"
            "from tflite.runtime import Classifier\n\n"
            f'classifier = Classifier("{sidecar.file}")  # reads {sidecar.file}.json beside it\n'
            'print(classifier.is_crack(load_rgb("tile.jpg", classifier.image_size)))\n'
        )
        handling, answer = "the whole tile is resized, not cropped", "one logit"
    return (
        f"{code}```\n\n"
        f"Needs only `requirements-device.txt`. Input: {pixels}, shape {list(sidecar.input.shape)}; {handling}, "
        f"and normalisation is part of the model. Output: {answer}, "
        f"{_format(sidecar.output.dtype, sidecar.output.scale, sidecar.output.zero_point)}."
    )


def _decision(sidecar: Sidecar) -> str:
    threshold = sidecar.threshold
    chosen = (
        f" It was chosen on split {threshold.split} to find {100 * threshold.target_recall:g} % of the cracks."
        if threshold.target_recall is not None
        else f" It gives the highest F1 over the pixels of split {threshold.split}."
        if sidecar.task == "segment" and threshold.split
        else ""
    )
    raw = f", which is raw output >= {threshold.raw}" if threshold.raw is not None else ""
    return f"Crack when logit >= {threshold.logit:.4f} (probability {threshold.probability:.4g}){raw}.{chosen}"


def _measured(sidecar: Sidecar, comparison: Comparison, measured_on: str) -> str:
    where = f"of {measured_on}, split {sidecar.metrics['split']}, each model at its own threshold"
    if sidecar.task == "segment":
        return (
            f"On {comparison.total:,} pixels of {sidecar.metrics['tiles']:,} tiles {where}, all pixels alike. Figures of whole "
            "photographs, with intervals: `python -m crack_tf.evaluate`."
        )
    return f"On {comparison.total:,} tiles {where}; Wilson 95 % intervals in brackets."


def _map_table(comparison: Comparison) -> str:
    names = ("f1", "iou", "recall", "precision", "specificity")
    rows = ["| | F1 | IoU | recall | precision | specificity |", "|---|---|---|---|---|---|"]
    for name, counts in (("float", comparison.reference), ("this file", comparison.quantised)):
        rates = pixel_rates(counts)
        cells = ("none" if rates[key] is None else f"{rates[key]:.4f}" for key in names)
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _table(comparison: Comparison) -> str:
    rows = ["| | recall | specificity | accuracy | F1 |", "|---|---|---|---|---|"]
    for name, counts in (("float", comparison.reference), ("this file", comparison.quantised)):
        values: Mapping[str, Any] = summary(counts)
        recall = _rate(values, "recall", counts.true_positive, counts.positives)
        specificity = _rate(values, "specificity", counts.true_negative, counts.negatives)
        rest = " | ".join("none" if values[key] is None else f"{values[key]:.4f}" for key in ("accuracy", "f1"))
        rows.append(f"| {name} | {recall} | {specificity} | {rest} |")
    return "\n".join(rows)


def _rate(values: Mapping[str, Any], name: str, part: int, whole: int) -> str:
    if not whole:
        return "no tiles"
    return f"{values[name]:.4f} ({part:,}/{whole:,}) [{values[f'{name}_low']:.4f}, {values[f'{name}_high']:.4f}]"


def _drift(comparison: Comparison) -> str:
    sqnr = "the logits are equal" if comparison.sqnr_db is None else f"SQNR of the logits {comparison.sqnr_db:.1f} dB"
    return (
        f"Both decide alike on {comparison.agreeing:,} of {comparison.total:,} {comparison.unit} ({100 * comparison.agreement:.2f} %). "
        f"Confidence drift |p_float - p| is {comparison.drift_mean:.4f} on average, {comparison.drift_p95:.4f} at the 95th "
        f"percentile; {sqnr}."
    )


def _drift_title(comparison: Comparison) -> str:
    return f"confidence drift: mean {comparison.drift_mean:.4f}, p95 {comparison.drift_p95:.4f}"


def _quantisation(sidecar: Sidecar) -> str:
    lines = [SCHEME_TEXT[sidecar.scheme]]
    pixels = sidecar.input
    if pixels.quantised:
        lines.append(
            f"Input {_format(pixels.dtype, pixels.scale, pixels.zero_point)}: a raw pixel is its own quantised value "
            "(pixel / 128 - 1), no arithmetic is needed on the device."
        )
    if calibration := sidecar.training.get("calibration"):
        lines.append(
            f"Ranges from {calibration['tiles']} tiles of split {calibration['split']}, seed {calibration['seed']}."
        )
    if qat := sidecar.training.get("qat"):
        lines.append(
            f"Fine-tuned for {qat['steps']} steps of {qat['batch']} tiles at learning rate {qat['learning_rate']:g}, "
            "batch normalisation frozen. It went on learning meanwhile, so the difference from the float model above is not rounding "
            "alone."
        )
    return " ".join(lines)


def _second_view(sidecar: Sidecar) -> str:
    window = f"{sidecar.second_view} x {sidecar.second_view} pixels"
    return (
        f"The file looks twice at every tile: at its pixels, and at a copy in which each is the mean of {window}. Both looks use the same "
        "weights; the answer is the mean of their logits, in which the first counts twice. `model.keras` looks once: its answers and its "
        "threshold differ."
    )


def _adapted(sidecar: Sidecar) -> str:
    """To which structure, from what, by which labels, and what that brought; see `crack_tf.adaptation.deliver`."""
    record = sidecar.training["adapted"]
    here, labels = record["here"], record["labels"]
    counts = labels["counts"]
    told = "; ".join(
        f"{origin}: {found['crack']} crack, {found['no_crack']} no_crack, of {counted(found['photographs'], 'photograph')}"
        for origin, found in counts.items()
        if found["photographs"]
    )
    labelled = counts["person"]["photographs"]
    crack, clean = ("crack", "clean tile") if labelled else ("laid-in crack", "tile")
    bound = (
        f" Of further cracks like these at most {here['miss_bound_after']:.1%} are missed, on average."
        if labelled
        else ""
    )
    lines = [
        f"- To {record['to']}, from {record['from']} (sha256 `{record['from_sha256']}`), by the candidate *{record['candidate']}*"
        + (f" ({record['choice']})." if record.get("choice") else "."),
        f"- Labels: {told}.",
        f"- On photographs that it had not seen: {here['found_after']} of {counted(here['cracks'], crack)} found (before "
        f"{here['found_before']}), {here['alarms_after']} of {counted(here['clean'], clean)} called cracked (before "
        f"{here['alarms_before']}).{bound}",
    ]
    if record.get("trade"):
        lines.append(f"- **{record['trade']}**, beside {record['from']}.")
    lines += [
        f"- On {row['set']}: {row['found_after']} of {counted(row['cracks'], 'crack')} found (before {row['found_before']}), "
        f"{row['alarms_after']} of {counted(row['clean'], 'clean tile')} called cracked (before {row['alarms_before']})."
        for row in record.get("elsewhere", [])
    ]
    if here.get("asked_recall") == 0:
        lines.append(
            "- Its threshold finds as many cracks there as the shipped model does, with fewer false alarms; no more was to be had."
        )
    if here.get("asked_recall", 0) is None:
        lines.append("- Its threshold lies as high as the shipped one, by rank among tiles of other structures.")
    if record["shapes"]:
        shapes = ", ".join(record["shapes"])
        lines.append(
            f"- Nobody labelled a tile, so nothing is known of real cracks here: cracks laid into tiles are from {shapes}."
        )
    lines += [f"- Not checked: {line}." for line in record["not_checked"]]
    photos = labels["by_photograph"]
    if photos:
        shown = list(photos.items())[:_MOST_PHOTOGRAPHS]
        rows = [f"| {name.replace('|', '_')} | {found['crack']} | {found['no_crack']} |" for name, found in shown]
        lines.append("\n".join(["", "| photograph | crack | no_crack |", "|---|---|---|", *rows]))
        if len(photos) > len(shown):
            lines.append(f"\nand {len(photos) - len(shown)} more, in labels.csv.")
    return "\n".join(lines)


def _limits(sidecar: Sidecar) -> str:
    data = sidecar.training.get("dataset", "unrecorded")
    lines = [
        f"- Trained on {data} only. Other surfaces, distances and cameras score worse, "
        "often far worse: brickwork and joints are known to be taken for cracks. Measure on your own "
        "photographs first (`python -m crack_tf.evaluate`).",
        *_TASK_LIMITS[sidecar.task],
        "- Not a statement about structural safety. What is called clean has not been inspected; an engineer decides.",
    ]
    if adapted := sidecar.training.get("adapted"):
        lines.insert(
            0,
            f"- **For {adapted['to']} only**, and for surfaces, distances and cameras like those of its labels. Elsewhere use "
            f"{adapted['from']}: that it finds no fewer cracks there was checked on a few sets, its false alarms were not.",
        )
    if "research" in sidecar.licence.lower():
        lines.insert(
            0, "- **For research only**: the licence of its training data (above) allows no other use of the weights."
        )
    return "\n".join(lines)


def _bullets(rows: Mapping[str, str]) -> str:
    return "\n".join(f"- {name}: {text}" for name, text in rows.items())


def _format(dtype: str, scale: float, zero_point: int) -> str:
    return f"{dtype}, scale {scale:.6g}, zero point {zero_point}" if scale else dtype
