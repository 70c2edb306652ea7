"""`python -m crack_tf.export`: a trained run to .tflite files, each measured against the float model before it is kept.

For every scheme asked for (`tflite.convert` explains them) it writes, say for OPNet with QAT:

    opnet-int8-qat.tflite            the model: raw pixels in, logit out
    opnet-int8-qat.tflite.json       its sidecar: threshold, quantisation, hashes, origin (tflite.sidecar)
    opnet-int8-qat.md                model card
    opnet-int8-qat.comparison.json   float against quantised on real tiles, with counts
    opnet-int8-qat.comparison.png    the same as a picture

The decision threshold is chosen again on validation for the quantised model: with the run's target recall, or for the highest F1 of
a segmentation model's pixels. When the model then loses more than --max-recall-drop points of recall (of F1: --max-f1-drop) on the
measured split, none of these files appears.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crack_tf.data.policies import POLICIES, POLICY_HELP
from crack_tf.export_data import Data, Source, edge_tpu_changes, file_stem, find_source, load_data, run_manifest
from tflite.cli import non_negative_int, positive_float, positive_int, run_main
from tflite.compare import Comparison, require_f1, require_recall
from tflite.convert import INPUT_DTYPES
from tflite.errors import CrackError
from tflite.files import sha256_bytes, sha256_file, write_json, write_text
from tflite.outputs import Output, check_file, partial_folder, with_sidecar
from tflite.pixels import iou
from tflite.sidecar import Sidecar, TensorSpec, read_sidecar, write_sidecar

if TYPE_CHECKING:
    from crack_tf.quantised import Measured
    from tflite.graph import Graph

# Suffixes of what one export consists of. The model comes last: where it lies, everything else does too.
PARTS = (".comparison.png", ".comparison.json", ".md", ".tflite.json", ".tflite")
CHECKPOINT = ".qat.npz"  # of an unfinished QAT
UNFINISHED = Output("crack-tf export", lambda path: True)  # a checkpoint: nobody else gives such a name


def make_parser() -> argparse.ArgumentParser:
    """The command line's options."""
    parser = argparse.ArgumentParser(
        prog="crack-tf export",
        description="Quantise a trained model and write .tflite files with sidecar and model card.",
    )
    add = parser.add_argument
    add(
        "run",
        nargs="?",
        default=None,
        metavar="RUN_OR_MODEL",
        help="run folder or model.keras (default: newest in runs/)",
    )
    add("--int8", action="store_true", help="full int8 by quantisation-aware training (the default scheme)")
    add(
        "--ptq", action="store_true", help="with --int8: post-training quantisation instead, seconds instead of minutes"
    )
    add("--float16", action="store_true")
    add("--dynamic", action="store_true", help="int8 weights, float activations")
    add("--float32", action="store_true")
    add(
        "--edge-tpu",
        action="store_true",
        help="write LeakyReLU as maximum(x, slope * x), which the Edge TPU has; with --ptq or a float scheme",
    )
    add("--input-dtype", default="uint8", choices=INPUT_DTYPES, help="of int8 models; both take raw pixels")
    add("--data", default=None, help="manifest .csv, data set or folder (default: the manifest the run was trained on)")
    add("--policy", choices=POLICIES, help=POLICY_HELP)
    add(
        "--calibration-samples",
        type=positive_int,
        default=200,
        help="tiles of the train split that set the int8 ranges",
    )
    add("--qat-epochs", type=positive_int, default=1)
    add("--qat-steps", type=positive_int, default=None, help="stop QAT after this many steps")
    add("--qat-batch", type=positive_int, default=None, help="(default: 32; of a segmentation model 8)")
    add("--qat-learning-rate", type=positive_float, default=1e-5)
    add(
        "--measure-split",
        default="test",
        choices=("val", "test"),
        help="split on which float and quantised are compared",
    )
    add("--measure-limit", type=positive_int, default=None, help="compare on at most this many tiles")
    add(
        "--max-recall-drop",
        type=float,
        default=0.1,
        help="points of recall a classifier may lose (default: 0.1; 100 accepts anything)",
    )
    add("--max-f1-drop", type=float, default=1.0, help="points of F1 a segmentation model may lose (default: 1)")
    add("--threads", type=positive_int, default=None, help="for measuring (default: all cores)")
    add("--out", type=Path, default=None, help="folder (default: RUN/export)")
    add("--resume", action="store_true", help="go on with an interrupted QAT; finished files are kept")
    add("--overwrite", action="store_true", help="replace files, and start an interrupted QAT again")
    add("--seed", type=non_negative_int, default=0)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    args = make_parser().parse_args(argv)
    hint = "Finished files are whole; go on with the same command and --resume."
    return run_main(lambda: run(args), interrupted=hint)


def run(args: argparse.Namespace) -> None:
    """Export as the parsed options say."""
    schemes = chosen_schemes(args)
    if args.resume and args.overwrite:
        raise CrackError("--resume and --overwrite exclude each other: go on with the export, or replace it.")
    for option, points in (("--max-recall-drop", args.max_recall_drop), ("--max-f1-drop", args.max_f1_drop)):
        if not 0 <= points <= 100:
            raise CrackError(f"{option} {points}: give points from 0 to 100.")
    path, sidecar = find_source(args.run)
    changes = edge_tpu_changes(sidecar) if args.edge_tpu else {}
    out = args.out or path.parent / "export"
    if out.exists() and not out.is_dir():
        raise CrackError(f"--out {out} is a file: name a folder.")
    pending = [scheme for scheme in schemes if not already_done(out, sidecar, scheme, args, changes)]
    if not pending:
        return
    use_tensorflow()

    from crack_tf.data.registry import prepare
    from crack_tf.quantised import Reference
    from crack_tf.training import load_keras, predict_logits

    source = Source(path, sidecar, load_keras(path).get_weights(), changes)
    raw_model = source.keras_model(raw_pixels=True)
    manifest = prepare(args.data, args.policy) if args.data else run_manifest(path, sidecar)
    data = load_data(args, manifest, path, sidecar, needs_train="int8-qat" in pending)
    # Maps are compared as they come: their logits do not fit into memory.
    reference = raw_model
    if sidecar.task == "classify":
        reference = Reference(
            predict_logits(raw_model, data.val.images), predict_logits(raw_model, data.measured.images)
        )
    failures = []
    for scheme in pending:
        try:
            export_scheme(args, scheme, source, data, reference, out)
        except CrackError as error:
            if len(pending) == 1:
                raise
            print(f"{scheme}: {error}", file=sys.stderr)
            failures.append(scheme)
    if failures:
        raise CrackError(
            f"{len(failures)} of {len(pending)} exports failed: {', '.join(failures)}. The others are in {out}."
        )


def chosen_schemes(args: argparse.Namespace) -> list[str]:
    """Scheme codes of the options, cheap ones first; int8 by QAT when none is given.

    Raises:
        CrackError: if --ptq stands without --int8 beside another scheme, where its meaning would be unclear.
    """
    schemes = [name for name in ("float32", "float16", "dynamic") if getattr(args, name)]
    if args.ptq and schemes and not args.int8:
        raise CrackError("--ptq is a way to make --int8 models: add --int8, or leave --ptq out.")
    if args.int8 or not schemes:
        schemes.append("int8-ptq" if args.ptq else "int8-qat")
    return schemes


def already_done(out: Path, source: Sidecar, scheme: str, args: argparse.Namespace, changes: dict[str, Any]) -> bool:
    """Whether a scheme was exported from this very model before and --resume keeps it.

    Raises:
        CrackError: if files exist that may be neither kept nor replaced.
    """
    stem = out / f"{file_stem(source, changes)}-{scheme}"
    target, checkpoint = _part(stem, ".tflite"), qat_checkpoint(stem)
    if args.resume and target.exists():
        finished = read_sidecar(target)
        if finished.training.get("source_sha256") != source.sha256:
            raise CrackError(
                f"--resume: {target} was made from another model. Add --overwrite, or choose another --out."
            )
        print(f"{target} is finished: kept")
        return True
    hint = "Add --overwrite to replace it, --resume to keep it, or choose another --out."
    output = Output(
        "crack-tf export", lambda _: with_sidecar(target)
    )  # of all parts, in case the model alone was removed
    for part in reversed(PARTS):
        check_file(_part(stem, part), output, args.overwrite or args.resume, inputs=(args.run, args.data), hint=hint)
    if scheme == "int8-qat" and not args.resume:
        hint = "Add --resume to go on with this QAT, or --overwrite to start it again."
        check_file(checkpoint, UNFINISHED, args.overwrite, hint=hint)
        checkpoint.unlink(missing_ok=True)
    return False


def use_tensorflow() -> None:
    """Make Keras run on TensorFlow, which conversion needs, whatever backend training used.

    Raises:
        CrackError: if TensorFlow is missing, or this process has loaded Keras with another backend.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = "tensorflow"
    try:
        import keras
        import tensorflow as tf
    except ImportError as error:
        raise CrackError(f"export needs TensorFlow ({error}). Run: pip install -r requirements.txt") from None
    if keras.backend.backend() != "tensorflow":
        raise CrackError(
            f"export needs Keras on TensorFlow; this process uses {keras.backend.backend()}. Start a new one."
        )
    # TensorFlow Lite warns through absl that the conversion path taken here is the older one; tflite.convert says why it is.
    from absl import logging

    logging.set_verbosity(logging.ERROR)
    tf.get_logger().setLevel("ERROR")


def export_scheme(args: argparse.Namespace, scheme: str, source: Source, data: Data, reference: Any, out: Path) -> None:
    """Convert, choose the threshold, measure, and move the files to their names if the model is good enough.

    Raises:
        CrackError: if conversion fails or too much recall or F1 is lost; then nothing is left but a QAT checkpoint.
    """
    from crack_tf.model_card import comparison_plot, model_card
    from tflite import convert

    name = f"{source.stem}-{scheme}"
    with partial_folder(out / name) as folder:
        model, details = convert_scheme(args, scheme, source, data, out / name)
        path = folder / f"{name}.tflite"
        graph = convert.write_model(path, model)
        if scheme in convert.INT8_SCHEMES:
            convert.check_int8(graph, args.input_dtype)
        sidecar, found = measure(args, path, scheme, graph, source, data, reference, details)
        comparison = found.comparison
        if sidecar.task == "segment":
            require_f1(comparison, args.max_f1_drop, name)
        else:
            require_recall(comparison, args.max_recall_drop, name)
        write_json(folder / f"{name}.comparison.json", comparison_record(sidecar, comparison))
        title = f"{name} against float on {len(data.measured):,} tiles of {data.manifest.name}, {data.measured_split}"
        picture = folder / f"{name}.comparison.png"
        comparison_plot(found.reference, found.quantised, found.labels, comparison, title, picture)
        write_text(folder / f"{name}.md", model_card(sidecar, comparison, graph, data.manifest.name))
        for part in PARTS:
            _part(folder / name, part).replace(_part(out / name, part))
    qat_checkpoint(out / name).unlink(missing_ok=True)
    print(summary_line(out / path.name, sidecar, comparison, graph))


def convert_scheme(
    args: argparse.Namespace, scheme: str, source: Source, data: Data, stem: Path
) -> tuple[bytes, dict[str, Any]]:
    """The .tflite bytes of one scheme, and what to record about how they came about."""
    from crack_tf.export_qat import quantise_aware
    from tflite import convert

    if scheme in convert.FLOAT_SCHEMES:
        return convert.convert_float(source.keras_model(raw_pixels=True), scheme), {}
    calibration = {
        "tiles": len(data.calibration),
        "split": "train",
        "seed": args.seed,
        "manifest_sha256": data.manifest.sha256,
        "sha256": sha256_bytes(data.calibration.tobytes()),
    }
    if scheme == "int8-ptq":
        model = source.keras_model(raw_pixels=False)
        # A classifier's threshold takes in a shift of its one logit; in a map the shift differs from place to place.
        if maps := source.sidecar.task == "segment":
            import keras

            from crack_tf.bias_correction import correct_bias

            correct_bias(keras, model, data.calibration)
        details = {"calibration": calibration, **({"bias_correction": True} if maps else {})}
        return convert.convert_ptq(model, data.calibration, args.input_dtype), details
    twin, qat = quantise_aware(args, source, data, qat_checkpoint(stem))
    return convert.convert_qat(twin, args.input_dtype), {"calibration": calibration, "qat": qat}


def measure(
    args: argparse.Namespace,
    path: Path,
    scheme: str,
    graph: Graph,
    source: Source,
    data: Data,
    reference: Any,
    details: dict[str, Any],
) -> tuple[Sidecar, Measured]:
    """Run the file as the device will, choose its threshold on validation, and compare it with the float model.

    Args:
        reference: a classifier's `crack_tf.quantised.Reference`, a segmentation model's Keras model.

    Returns:
        The written sidecar, and what was measured.
    """
    from crack_tf.provenance import created, environment
    from crack_tf.quantised import measure_maps, measure_tiles
    from crack_tf.thresholds import threshold_record
    from tflite.metrics import summary
    from tflite.pixels import pixel_rates

    before, output = source.sidecar, graph.outputs[0]
    maps = before.task == "segment"
    size = before.image_size
    output_format = (output.scale, output.zero_point, output.dtype)
    here = environment()
    draft = Sidecar(
        model=before.model,
        scheme=scheme,
        file=path.name,
        sha256=sha256_file(path),
        image_size=size,
        labels=before.labels,
        hyperparameters=source.hyperparameters,
        input=graph.inputs[0],
        output=TensorSpec((1, size, size, 1) if maps else (1, 1), output.dtype, output.scale, output.zero_point),
        threshold=threshold_record(before.threshold.logit, *output_format),
        golden=None,
        training=before.training | {"source": source.path.name, "source_sha256": before.sha256} | details,
        metrics={},
        licence=before.licence,
        versions=here["versions"],
        git_revision=here["git_revision"],
        created=created(),
        task=before.task,
    )
    write_sidecar(path, draft)
    find: Callable[..., Measured] = measure_maps if maps else measure_tiles
    found = find(path, scheme, before, reference, data.val, data.measured, args.threads or os.cpu_count() or 1)
    rates: Callable[[Any], dict[str, Any]] = pixel_rates if maps else summary
    metrics = {
        "split": data.measured_split,
        "dataset": data.manifest.name,
        "manifest_sha256": data.manifest.sha256,
        "at_threshold": rates(found.comparison.quantised),
        **({"tiles": len(data.measured)} if maps else {"at_half": found.at_half}),
        "float": {"at_threshold": rates(found.comparison.reference)},
        "comparison": found.comparison.as_dict(),
    }
    threshold = threshold_record(
        found.threshold, *output_format, target_recall=before.threshold.target_recall, split=found.split
    )
    sidecar = replace(draft, threshold=threshold, golden=found.golden, metrics=metrics)
    write_sidecar(path, sidecar)
    return sidecar, found


def comparison_record(sidecar: Sidecar, comparison: Comparison) -> dict[str, Any]:
    """What the comparison JSON holds: which file, on what, and the numbers."""
    return {
        "format": "crack_tf.comparison/1",
        "file": sidecar.file,
        "sha256": sidecar.sha256,
        "source_sha256": sidecar.training["source_sha256"],
        **{key: sidecar.metrics[key] for key in ("dataset", "split", "manifest_sha256")},
        **comparison.as_dict(),
        "versions": sidecar.versions,
        "git_revision": sidecar.git_revision,
        "created": sidecar.created,
    }


def summary_line(path: Path, sidecar: Sidecar, comparison: Comparison, graph: Graph) -> str:
    """The one line printed for a finished export."""
    old, new = comparison.reference, comparison.quantised
    if comparison.unit == "pixels":
        rates = (
            f"F1 {new.f1:.4f} (float {old.f1:.4f}), recall {new.recall:.4f} (float {old.recall:.4f}), IoU {iou(new):.4f} "
            f"(float {iou(old):.4f})"
        )
    else:
        rates = (
            f"recall {new.true_positive}/{new.positives} (float {old.true_positive}), specificity "
            f"{new.true_negative}/{new.negatives} (float {old.true_negative})"
        )
    sqnr = "exact" if comparison.sqnr_db is None else f"{comparison.sqnr_db:.1f} dB"
    raw = "" if sidecar.threshold.raw is None else f", raw {sidecar.threshold.raw}"
    return (
        f"{path}: {graph.file_bytes / 1000:,.0f} kB; {sidecar.metrics['split']} {rates}, agreement "
        f"{comparison.agreement:.4f}, SQNR {sqnr}; threshold logit {sidecar.threshold.logit:.3f}{raw}"
    )


def qat_checkpoint(stem: Path) -> Path:
    """Where an unfinished QAT is kept."""
    return _part(stem, CHECKPOINT)


def _part(stem: Path, suffix: str) -> Path:
    # Not with_suffix: a model name may hold a dot.
    return stem.with_name(stem.name + suffix)


if __name__ == "__main__":
    sys.exit(main())
