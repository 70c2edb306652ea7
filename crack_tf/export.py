"""`python -m crack_tf.export`: a trained run to .tflite files, each measured against the float model before it is kept.

For every scheme asked for (`tflite.convert` explains them) it writes, say for OPNet with QAT:

    opnet-int8-qat.tflite            the model: raw pixels in, logit out
    opnet-int8-qat.tflite.json       its sidecar: threshold, quantisation, hashes, origin (tflite.sidecar)
    opnet-int8-qat.md                model card
    opnet-int8-qat.comparison.json   float against quantised on real tiles, with counts
    opnet-int8-qat.comparison.png    the same as a picture

The decision threshold is chosen again on validation for the quantised model, with the run's target recall. When the model then
loses more than --max-recall-drop points of recall on the measured split, none of these files appears.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tflite.cli import non_negative_int, positive_float, positive_int, run_main
from tflite.compare import Comparison, compare, require_recall
from tflite.convert import INPUT_DTYPES
from tflite.errors import CrackError
from tflite.files import read_json, refuse_existing, sha256_bytes, sha256_file, write_json, write_text
from tflite.sidecar import Golden, Sidecar, TensorSpec, golden_input, read_sidecar, verify_file, write_sidecar

if TYPE_CHECKING:
    from crack_tf.data.cache import Tiles
    from tflite.graph import Graph
    from tflite.manifest import Manifest

# Suffixes of what one export consists of. The model comes last: where it lies, everything else does too.
PARTS = (".comparison.png", ".comparison.json", ".md", ".tflite.json", ".tflite")
_GOLDEN_STEPS = 2.0  # int8 steps by which kernels of another CPU may round the golden answer differently
_TURNS = 8  # four quarter turns, each also mirrored


@dataclass(frozen=True)
class Source:
    """The trained model that is exported.

    Attributes:
        path: of model.keras.
        sidecar: beside it.
        weights: in `get_weights()` order.
    """

    path: Path
    sidecar: Sidecar
    weights: list[np.ndarray]

    def build(self, keras: Any, raw_pixels: bool) -> Any:
        """The architecture in a Keras namespace, in float32, with untrained weights."""
        from crack_tf.models import build_model

        side = self.sidecar
        return build_model(side.model, keras, image_size=side.image_size, raw_pixels=raw_pixels, **side.hyperparameters)

    def keras_model(self, raw_pixels: bool) -> Any:
        """The trained model in Keras 3 and float32, whatever precision it was trained in.

        Raises:
            CrackError: if the weights do not fit the architecture that the sidecar names.
        """
        import keras

        model = self.build(keras, raw_pixels)
        try:
            model.set_weights(self.weights)
        except ValueError:
            raise CrackError(
                f"{self.path} does not hold the weights of {self.sidecar.model} {self.sidecar.hyperparameters} that its "
                "sidecar names. Copy both files again."
            ) from None
        return model


@dataclass(frozen=True)
class Data:
    """Real tiles for every purpose. Calibration and fine-tuning use the train split alone.

    Attributes:
        manifest: they are from.
        train: for QAT, None when it is not asked for.
        calibration: uint8 (n, s, s, 3), a class-balanced draw from the train split.
        val: the threshold is chosen on it.
        measured: float and quantised are compared on it.
        measured_split: its name.
    """

    manifest: Manifest
    train: Tiles | None
    calibration: np.ndarray
    val: Tiles
    measured: Tiles
    measured_split: str


@dataclass(frozen=True)
class Reference:
    """The float model's logits.

    Attributes:
        val: float32 (n,), on `Data.val`.
        measured: float32 (m,), on `Data.measured`.
    """

    val: np.ndarray
    measured: np.ndarray


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
    add("--input-dtype", default="uint8", choices=INPUT_DTYPES, help="of int8 models; both take raw pixels")
    add("--data", default=None, help="manifest .csv, data set or folder (default: the manifest the run was trained on)")
    add("--policy", default="grouped", choices=("grouped", "plain"), help="split policy when --data is no manifest")
    add(
        "--calibration-samples",
        type=positive_int,
        default=200,
        help="tiles of the train split that set the int8 ranges",
    )
    add("--qat-epochs", type=positive_int, default=1)
    add("--qat-steps", type=positive_int, default=None, help="stop QAT after this many steps")
    add("--qat-batch", type=positive_int, default=32)
    add("--qat-learning-rate", type=positive_float, default=1e-5)
    add(
        "--measure-split",
        default="test",
        choices=("val", "test"),
        help="split on which float and quantised are compared",
    )
    add("--measure-limit", type=positive_int, default=None, help="compare on at most this many tiles")
    add("--max-recall-drop", type=float, default=0.1, help="points of recall a model may lose (100 accepts anything)")
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
    if not 0 <= args.max_recall_drop <= 100:
        raise CrackError(f"--max-recall-drop {args.max_recall_drop}: give points of recall from 0 to 100.")
    path, sidecar = find_source(args.run)
    out = args.out or path.parent / "export"
    if out.exists() and not out.is_dir():
        raise CrackError(f"--out {out} is a file: name a folder.")
    pending = [scheme for scheme in schemes if not already_done(out, sidecar, scheme, args)]
    if not pending:
        return
    use_tensorflow()

    from crack_tf.training import load_keras, predict_logits

    source = Source(path, sidecar, load_keras(path).get_weights())
    raw_model = source.keras_model(raw_pixels=True)
    data = load_data(args, path, sidecar, needs_train="int8-qat" in pending)
    reference = Reference(predict_logits(raw_model, data.val.images), predict_logits(raw_model, data.measured.images))
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


def find_source(text: str | None) -> tuple[Path, Sidecar]:
    """The .keras file to export and its verified sidecar.

    Args:
        text: run folder, .keras file, or None for the newest run in runs/.

    Raises:
        CrackError: if there is none, it is no .keras file, or it does not match its sidecar.
    """
    from crack_tf.predictor import MODEL_FILE, model_file

    if text is None:
        runs = sorted(Path("runs").glob(f"*/{MODEL_FILE}"), key=lambda file: file.stat().st_mtime)
        if not runs:
            raise CrackError(
                "there is no trained run in runs/. Train one with python -m crack_tf.train, or name a run folder."
            )
        print(f"exporting {runs[-1].parent}")
        text = str(runs[-1])
    path = model_file(text)
    if path.suffix != ".keras":
        raise CrackError(f"{path} is exported already: name the .keras file or run folder it was made from.")
    sidecar = read_sidecar(path)
    verify_file(path, sidecar)
    return path, sidecar


def already_done(out: Path, source: Sidecar, scheme: str, args: argparse.Namespace) -> bool:
    """Whether a scheme was exported from this very model before and --resume keeps it.

    Raises:
        CrackError: if files exist that may be neither kept nor replaced.
    """
    stem = out / f"{source.model}-{scheme}"
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
    refuse_existing(target, args.overwrite, hint)
    if scheme == "int8-qat" and not args.resume:
        refuse_existing(
            checkpoint, args.overwrite, "Add --resume to go on with this QAT, or --overwrite to start it again."
        )
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


def load_data(args: argparse.Namespace, path: Path, sidecar: Sidecar, needs_train: bool) -> Data:
    """Tiles for calibration, fine-tuning, threshold and measurement.

    Raises:
        CrackError: if the run's manifest cannot be found or changed, or the measured tiles trained the model.
    """
    from crack_tf.data.cache import load_split
    from crack_tf.data.registry import prepare
    from crack_tf.evaluate import lineage

    manifest = prepare(args.data, args.policy) if args.data else run_manifest(path, sidecar)
    trained = lineage(sidecar, path, manifest, manifest.split(args.measure_split)).trained
    if trained:
        raise CrackError(
            f"{trained} tiles of split {args.measure_split!r} of {manifest.name} trained this model: quantisation measured on "
            "them would say little. Use the run's own manifest, or other data."
        )
    size = sidecar.image_size
    return Data(
        manifest=manifest,
        train=load_split(manifest, "train", size) if needs_train else None,
        calibration=np.asarray(load_split(manifest, "train", size, args.calibration_samples, args.seed).images),
        val=load_split(manifest, "val", size),
        measured=load_split(manifest, args.measure_split, size, args.measure_limit, args.seed),
        measured_split=args.measure_split,
    )


def run_manifest(path: Path, sidecar: Sidecar) -> Manifest:
    """The manifest the run was trained on, as its config.json names it.

    Raises:
        CrackError: if it is not to be found, or no longer the one that was used.
    """
    from tflite.manifest import read_manifest

    config = path.parent / "config.json"
    if not config.is_file():
        raise CrackError(f"{path} is not in a run folder (no {config.name} beside it): name its data with --data.")
    named = read_json(config).get("data", {}).get("manifest")
    if not isinstance(named, str):
        raise CrackError(f"{config} names no manifest: give one with --data.")
    try:
        manifest = read_manifest(named)
    except CrackError as error:
        raise CrackError(f"{error} It was named by {config}; if it moved, give it with --data.") from None
    if manifest.sha256 != sidecar.training.get("manifest_sha256"):
        raise CrackError(
            f"manifest {named} is not the one {path} was trained on (its sha256 differs). Name one with --data."
        )
    return manifest


def export_scheme(
    args: argparse.Namespace, scheme: str, source: Source, data: Data, reference: Reference, out: Path
) -> None:
    """Convert, choose the threshold, measure, and move the files to their names if the model is good enough.

    Raises:
        CrackError: if conversion fails or too much recall is lost; then nothing is left but a QAT checkpoint.
    """
    from crack_tf.model_card import comparison_plot, model_card
    from tflite import convert

    name = f"{source.sidecar.model}-{scheme}"
    with partial_folder(out, name) as folder:
        model, details = convert_scheme(args, scheme, source, data, out / name)
        path = folder / f"{name}.tflite"
        graph = convert.write_model(path, model)
        if scheme in convert.INT8_SCHEMES:
            convert.check_int8(graph, args.input_dtype)
        sidecar, comparison, logits = measure(args, path, scheme, graph, source, data, reference, details)
        require_recall(comparison, args.max_recall_drop, name)
        write_json(folder / f"{name}.comparison.json", comparison_record(sidecar, comparison))
        title = f"{name} against float on {comparison.tiles:,} tiles of {data.manifest.name}, {data.measured_split}"
        picture = folder / f"{name}.comparison.png"
        comparison_plot(reference.measured, logits, data.measured.labels, comparison, title, picture)
        write_text(folder / f"{name}.md", model_card(sidecar, comparison, graph, data.manifest.name))
        for part in PARTS:
            _part(folder / name, part).replace(_part(out / name, part))
    qat_checkpoint(out / name).unlink(missing_ok=True)
    print(summary_line(out / path.name, sidecar, comparison, graph))


def convert_scheme(
    args: argparse.Namespace, scheme: str, source: Source, data: Data, stem: Path
) -> tuple[bytes, dict[str, Any]]:
    """The .tflite bytes of one scheme, and what to record about how they came about."""
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
        return convert.convert_ptq(model, data.calibration, args.input_dtype), {"calibration": calibration}
    twin, qat = quantise_aware(args, source, data, stem)
    return convert.convert_qat(twin, args.input_dtype), {"calibration": calibration, "qat": qat}


def quantise_aware(args: argparse.Namespace, source: Source, data: Data, stem: Path) -> tuple[Any, dict[str, Any]]:
    """Fine-tune the quantised twin, resumably; returns it with a record of how."""
    from crack_tf.training import say_now
    from tflite import qat

    assert data.train is not None
    training = source.sidecar.training
    batch = min(args.qat_batch, len(data.train))
    steps = args.qat_epochs * (len(data.train) // batch)
    settings = qat.QatSettings(
        steps=min(steps, args.qat_steps or steps),
        learning_rate=args.qat_learning_rate,
        positive_weight=float(training.get("positive_weight", 1.0)),
        negative_weight=float(training.get("negative_weight", 1.0)),
    )
    fingerprint = {
        "model": source.sidecar.sha256,
        "manifest": data.manifest.sha256,
        "calibration_samples": len(data.calibration),
        "batch": batch,
        "seed": args.seed,
    }
    twin = qat.build_twin(lambda keras: source.build(keras, raw_pixels=False), source.weights, data.calibration)
    loss = qat.fine_tune(
        twin,
        settings,
        qat_batches(data.train.images, data.train.labels, batch, args.seed),
        qat_checkpoint(stem),
        fingerprint=fingerprint,
        resume=args.resume,
        say=say_now,
    )
    record: dict[str, Any] = {"steps": settings.steps, "batch": batch, "learning_rate": settings.learning_rate}
    return twin, record | {"final_loss": round(loss, 6) if np.isfinite(loss) else None, "seed": args.seed}


def qat_batches(
    images: np.ndarray, labels: np.ndarray, batch: int, seed: int
) -> Callable[[int], tuple[np.ndarray, np.ndarray]]:
    """Batches for QAT, each a function of its step alone, so that a resumed fine-tune sees what it would have seen.

    Every tile comes once per epoch, mirrored or turned at random by quarter turns: a crack has no upright. Training's stronger
    augmentation is left out, since the observers should see pixels as the camera delivers them.

    Args:
        images: uint8 (n, s, s, 3).
        labels: (n,).
        batch: tiles per step, 1 <= batch <= n.
        seed: of order and turns.
    """
    per_epoch = len(images) // batch

    def batch_at(step: int) -> tuple[np.ndarray, np.ndarray]:
        epoch, number = divmod(step, per_epoch)
        order = np.random.default_rng([seed, epoch]).permutation(len(images))
        chosen = np.sort(order[number * batch : (number + 1) * batch])  # sorted: neighbours on disk are read together
        turns = np.random.default_rng([seed, epoch, number]).integers(_TURNS, size=batch)
        tiles = np.stack([_turn(images[i], int(turn)) for i, turn in zip(chosen, turns, strict=True)])
        return tiles, np.asarray(labels)[chosen]

    return batch_at


def measure(
    args: argparse.Namespace,
    path: Path,
    scheme: str,
    graph: Graph,
    source: Source,
    data: Data,
    reference: Reference,
    details: dict[str, Any],
) -> tuple[Sidecar, Comparison, np.ndarray]:
    """Run the file as the device will, choose its threshold on validation, and compare it with the float model.

    Returns:
        The written sidecar, the comparison, and the quantised logits of the measured tiles, float32 (m,).
    """
    from crack_tf.provenance import created, environment
    from crack_tf.thresholds import select_threshold, threshold_record
    from tflite.metrics import confusion, summary
    from tflite.runtime import Classifier

    before, output = source.sidecar, graph.outputs[0]
    output_format = (output.scale, output.zero_point, output.dtype)
    here = environment()
    sidecar = Sidecar(
        model=before.model,
        scheme=scheme,
        file=path.name,
        sha256=sha256_file(path),
        image_size=before.image_size,
        labels=before.labels,
        hyperparameters=before.hyperparameters,
        input=graph.inputs[0],
        output=TensorSpec((1, 1), output.dtype, output.scale, output.zero_point),
        threshold=threshold_record(before.threshold.logit, *output_format),
        golden=None,
        training=before.training | {"source": source.path.name, "source_sha256": before.sha256} | details,
        metrics={},
        licence=before.licence,
        versions=here["versions"],
        git_revision=here["git_revision"],
        created=created(),
    )
    write_sidecar(path, sidecar)
    classifier = Classifier(path, threads=args.threads or os.cpu_count() or 1)
    threshold, target = before.threshold.logit, before.threshold.target_recall
    split = before.threshold.split
    if target is not None:
        threshold, split = select_threshold(classifier.logits(data.val.images), data.val.labels, target), "val"
    logits = classifier.logits(data.measured.images)
    labels = data.measured.labels
    comparison = compare(reference.measured, logits, labels, before.threshold.logit, threshold)
    metrics = {
        "split": data.measured_split,
        "dataset": data.manifest.name,
        "manifest_sha256": data.manifest.sha256,
        "at_threshold": summary(comparison.quantised),
        "at_half": summary(confusion(logits, labels, 0.0)),
        "float": {"at_threshold": summary(comparison.reference)},
        "comparison": comparison.as_dict(),
    }
    answer = classifier.raw(golden_input(before.image_size))
    sidecar = replace(
        sidecar,
        threshold=threshold_record(threshold, *output_format, target_recall=target, split=split),
        golden=Golden(answer, golden_tolerance(scheme, answer, logits)),
        metrics=metrics,
    )
    write_sidecar(path, sidecar)
    return sidecar, comparison, logits


def golden_tolerance(scheme: str, answer: float, logits: np.ndarray) -> float:
    """How far another CPU's kernels may round the golden answer away.

    int8 kernels differ by a step or two. Float kernels differ in the last bits; with dynamic quantisation one of those bits
    can move a whole activation step, hence a share of the spread of real logits.
    """
    if scheme.startswith("int8"):
        return _GOLDEN_STEPS
    spread = max(1.0, abs(answer), float(np.std(logits)))
    return spread * (0.05 if scheme == "dynamic" else 0.005)


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
    sqnr = "exact" if comparison.sqnr_db is None else f"{comparison.sqnr_db:.1f} dB"
    raw = "" if sidecar.threshold.raw is None else f", raw {sidecar.threshold.raw}"
    return (
        f"{path}: {graph.file_bytes / 1000:,.0f} kB; {sidecar.metrics['split']} recall {new.true_positive}/{new.positives} "
        f"(float {old.true_positive}), specificity {new.true_negative}/{new.negatives} (float {old.true_negative}), agreement "
        f"{comparison.agreement:.4f}, SQNR {sqnr}; threshold logit {sidecar.threshold.logit:.3f}{raw}"
    )


@contextlib.contextmanager
def partial_folder(out: Path, name: str) -> Iterator[Path]:
    """A folder beside the results for files in the making; removed afterwards, and what a kill left there before."""
    folder = out / f".{name}.partial"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def qat_checkpoint(stem: Path) -> Path:
    """Where an unfinished QAT is kept."""
    return _part(stem, ".qat.npz")


def _part(stem: Path, suffix: str) -> Path:
    # Not with_suffix: a model name may hold a dot.
    return stem.with_name(stem.name + suffix)


def _turn(tile: np.ndarray, number: int) -> np.ndarray:
    """One of the eight mirrored and turned versions of a tile."""
    turned = np.rot90(tile, number % 4)
    return turned[:, ::-1] if number >= 4 else turned


if __name__ == "__main__":
    sys.exit(main())
