"""A trained run to .tflite files, each measured against the float model before it is kept: `export`, `export_all`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crack_tf.common.arguments import check_config
from crack_tf.common.provenance import created, environment
from crack_tf.data.registry import prepare
from crack_tf.data.sides import side_record
from crack_tf.evaluation.thresholds import select_threshold, tells_nothing, threshold_record
from crack_tf.models.backend import use_tensorflow
from crack_tf.models.keras_models import load_keras, predict_logits
from crack_tf.quantisation.bias_correction import correct_bias
from crack_tf.quantisation.compare import Measured, Reference, measure_maps, measure_tiles
from crack_tf.quantisation.config import CHECKPOINT, PARTS, ExportConfig, ExportResult, part_of
from crack_tf.quantisation.data import Data, Source, file_stem, find_source, load_data, require_edge_tpu, run_manifest
from crack_tf.quantisation.fine_tune import quantise_aware
from crack_tf.quantisation.model_card import comparison_plot, model_card
from tflite import convert
from tflite.arguments import check_path, option_of
from tflite.compare import Comparison, require_f1, require_recall
from tflite.errors import CrackError
from tflite.files import refuse_existing, sha256_bytes, sha256_file, write_json, write_text
from tflite.locks import partial_folder
from tflite.manifest import Manifest
from tflite.metrics import summary
from tflite.outputs import Output, check_file
from tflite.pixels import iou, pixel_rates
from tflite.sidecar import Sidecar, TensorSpec, read_sidecar, verify_file, with_sidecar, write_sidecar

if TYPE_CHECKING:
    from tflite.graph import Graph

GAIN_TILES = 500  # fewer do not tell how much a second look may raise an answer; the file then always looks twice
UNFINISHED = Output("crack-tf export", lambda path: True)  # a checkpoint: nobody else gives such a name


_HINT = "Add --overwrite to replace it, --resume to keep it, or choose another --out."


@dataclass(frozen=True)
class Existing:
    """What may be done with files that are there.

    Attributes:
        resume: go on with an interrupted QAT; finished files are kept.
        overwrite: replace files, and start an interrupted QAT again.
    """

    resume: bool = False
    overwrite: bool = False


def export(
    run: str | os.PathLike[str] | None = None,
    config: ExportConfig | None = None,
    out: str | os.PathLike[str] | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
) -> ExportResult:
    """Quantise a trained run and write a .tflite file with its sidecar, model card and comparison.

    Args:
        run: a `Run`, run folder or model.keras; None for the newest run in runs/.
        config: how; None for int8 by quantisation-aware training.
        out: folder; None for RUN/export.
        resume: go on with an interrupted QAT; a finished file is kept.
        overwrite: replace the file, and start an interrupted QAT again.

    Returns:
        The file, which knows its sidecar and its comparison with the float model.

    Raises:
        CrackError: if the run, its data or what lies in `out` do not allow it, or too much recall or F1 is lost; then no file appears.

    Example:
        >>> result = crack_tf.export("runs/opnet", crack_tf.ExportConfig(scheme="int8-ptq"))  # doctest: +SKIP
        >>> result.file, result.sidecar.threshold.raw, result.comparison.recall_drop  # doctest: +SKIP
        (PosixPath('runs/opnet/export/opnet-int8-ptq.tflite'), -37, 0.0)
    """
    check_path("run", run, "a run folder, a .keras file or what crack_tf.train gave", optional=True)
    check_path("out", out, "a folder", optional=True)
    check_config(config, ExportConfig, optional=True)
    (result,) = export_all(run, config or ExportConfig(), out=out, resume=resume, overwrite=overwrite)
    return result


def export_all(
    run: str | os.PathLike[str] | None,
    config: ExportConfig,
    schemes: Sequence[str] = (),
    out: str | os.PathLike[str] | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
) -> list[ExportResult]:
    """Export in several schemes that share the loaded model and data; arguments as for `export`.

    Args:
        schemes: instead of the configuration's own.

    Returns:
        The files in the order of the schemes.

    Raises:
        CrackError: if one fails; all others are tried before, and kept.
    """
    if resume and overwrite:
        raise CrackError("--resume and --overwrite exclude each other: go on with the export, or replace it.")
    existing = Existing(resume, overwrite)
    configs = [replace(config, scheme=scheme) for scheme in schemes or (config.scheme,)]
    path, sidecar = find_source(run)
    if config.second_view and sidecar.task != "classify":
        raise CrackError(
            f"--second-view {config.second_view}: {path} draws maps, and only a classifier looks twice. Leave it out."
        )
    if config.edge_tpu:
        require_edge_tpu(sidecar)
    folder = path.parent / "export" if out is None else Path(out)
    if folder.exists() and not folder.is_dir():
        raise CrackError(f"--out {out} is a file: name a folder.")
    stems = {one.scheme: folder / f"{file_stem(sidecar, config.edge_tpu)}-{one.scheme}" for one in configs}
    inputs = (None if run is None else os.fspath(run), config.data or None)
    manifest = prepare(config.data, config.policy) if config.data and resume else None
    pending = [one for one in configs if not already_done(stems[one.scheme], sidecar, one, existing, inputs, manifest)]
    results = [ExportResult(part_of(stem, ".tflite")) for stem in stems.values()]
    if not pending:
        return results
    use_tensorflow()

    source = Source(path, sidecar, load_keras(path).get_weights(), config.edge_tpu)
    raw_model = source.float_model
    if manifest is None:
        manifest = prepare(config.data, config.policy) if config.data else run_manifest(path, sidecar)
    needs_train = any(one.scheme == "int8-qat" for one in pending)
    data = load_data(config, manifest, path, sidecar, needs_train=needs_train)
    # Maps are compared as they come: their logits do not fit into memory.
    reference = raw_model
    if sidecar.task == "classify":
        reference = reference_of(raw_model, data, sidecar, config.second_view)
    failures = []
    for one in pending:
        try:
            export_scheme(one, source, data, reference, stems[one.scheme], existing)
        except CrackError as error:
            if len(pending) == 1:
                raise
            print(f"{one.scheme}: {error}", file=sys.stderr)
            failures.append(one.scheme)
    if failures:
        raise CrackError(
            f"{len(failures)} of {len(pending)} exports failed: {', '.join(failures)}. The others are in {folder}."
        )
    return results


def reference_of(model: Any, data: Data, sidecar: Sidecar, second_view: int) -> Reference:
    """What the float classifier says, looking as often as the file will; a second look has a threshold of its own."""
    val = predict_logits(model, data.val.images, second_view=second_view)
    measured = predict_logits(model, data.measured.images, second_view=second_view)
    threshold, target = sidecar.threshold.logit, sidecar.threshold.target_recall
    if not second_view:
        return Reference(val, measured, threshold)
    if target is not None:
        threshold = select_threshold(val, data.val.labels, target)
    gain = None
    if len(val) >= GAIN_TILES:
        raised = val - predict_logits(model, data.val.images)
        gain = max(0.0, float(raised.max()))
    return Reference(val, measured, threshold, gain)


def already_done(
    stem: Path,
    source: Sidecar,
    config: ExportConfig,
    existing: Existing,
    inputs: Sequence[str | None],
    manifest: Manifest | None = None,
) -> bool:
    """Whether a scheme was exported from this very model before, with the data given, if any, and --resume keeps it.

    Raises:
        CrackError: if files exist that may be neither kept nor replaced.
    """
    target, checkpoint = part_of(stem, ".tflite"), qat_checkpoint(stem)
    if existing.resume and target.exists():
        finished = read_sidecar(target)
        if finished.training.get("source_sha256") != source.sha256:
            raise CrackError(
                f"--resume: {target} was made from another model. Add --overwrite, or choose another --out."
            )
        made: dict[str, Any] = {"second_view": finished.second_view}
        if config.scheme in convert.INT8_SCHEMES:
            made["input_dtype"] = finished.input.dtype
        if "split" in finished.metrics:
            made["measure_split"] = finished.metrics["split"]
        for name, value in made.items():
            if value != getattr(config, name):
                raise CrackError(
                    f"{option_of(name)} {getattr(config, name)}: {target} was made with {value}. Add --overwrite, or choose another --out."
                )
        if manifest is not None and manifest.sha256 != finished.metrics.get("manifest_sha256"):
            raise CrackError(
                f"--data {config.data}: {target} was made with other data, {finished.metrics.get('dataset')}. Add --overwrite, or "
                "choose another --out."
            )
        verify_file(target, finished)
        require_kept(config, ExportResult(target).comparison, target.stem)  # a run before may have allowed more
        print(f"{target} is finished: kept")
        return True
    output = Output(
        "crack-tf export", lambda _: with_sidecar(target)
    )  # of all parts, in case the model alone was removed
    for part in reversed(PARTS):
        check_file(part_of(stem, part), output, existing.overwrite or existing.resume, inputs=inputs, hint=_HINT)
    if config.scheme == "int8-qat" and not existing.resume:
        hint = "Add --resume to go on with this QAT, or --overwrite to start it again."
        check_file(checkpoint, UNFINISHED, existing.overwrite, hint=hint)
        checkpoint.unlink(missing_ok=True)
    return False


def export_scheme(
    config: ExportConfig, source: Source, data: Data, reference: Any, stem: Path, existing: Existing
) -> None:
    """Convert, choose the threshold, measure, and move the files to their names if the model is good enough.

    Raises:
        CrackError: if conversion fails or too much recall or F1 is lost; then nothing is left but a QAT checkpoint. Also if another
            process has written the file since it was asked for.
    """
    name = stem.name
    with partial_folder(stem) as folder:
        refuse_existing(part_of(stem, ".tflite"), existing.overwrite or existing.resume, _HINT)
        model, details = convert_scheme(config, source, data, qat_checkpoint(stem), existing.resume)
        path = folder / f"{name}.tflite"
        graph = convert.write_model(path, model)
        if config.scheme in convert.INT8_SCHEMES:
            convert.check_int8(graph, config.input_dtype)
        sidecar, found = measure(config, path, graph, source, data, reference, details)
        comparison = found.comparison
        require_kept(config, comparison, name)
        write_comparison(folder / f"{name}.comparison.json", sidecar, comparison)
        title = f"{name} against float on {len(data.measured):,} tiles of {data.manifest.name}, {data.measured_split}"
        picture = folder / f"{name}.comparison.png"
        comparison_plot(found.reference, found.quantised, found.labels, comparison, title, picture)
        write_text(folder / f"{name}.md", model_card(sidecar, comparison, graph, data.manifest.name))
        for part in PARTS:
            part_of(folder / name, part).replace(part_of(stem, part))
    qat_checkpoint(stem).unlink(missing_ok=True)
    print(summary_line(stem.with_name(path.name), sidecar, comparison, graph))
    counts = comparison.quantised
    if sidecar.task == "classify" and (warning := tells_nothing(counts, found.quantised, found.labels)):
        print(warning)
    if found.warning:
        print(found.warning)


def require_kept(config: ExportConfig, comparison: Comparison, name: str) -> None:
    """Refuse a file that lost more than is allowed of what its float model finds.

    Raises:
        CrackError: with what it lost.
    """
    if comparison.unit == "pixels":
        require_f1(comparison, config.max_f1_drop, name)
    else:
        require_recall(comparison, config.max_recall_drop, name)


def convert_scheme(
    config: ExportConfig, source: Source, data: Data, checkpoint: Path, resume: bool
) -> tuple[bytes, dict[str, Any]]:
    """The .tflite bytes of one scheme, and what to record about how they came about."""
    if config.scheme in convert.FLOAT_SCHEMES:
        return convert.convert_float(source.float_model, config.scheme, config.second_view), {}
    calibration = {
        "tiles": len(data.calibration),
        "split": "train",
        "seed": config.seed,
        "manifest_sha256": data.manifest.sha256,
        "sha256": sha256_bytes(data.calibration.tobytes()),
    }
    if config.scheme == "int8-ptq":
        model = source.keras_model(raw_pixels=False)
        # A classifier's threshold takes in a shift of its one logit; in a map the shift differs from place to place.
        if maps := source.sidecar.task == "segment":
            import keras

            correct_bias(keras, model, data.calibration)
        details = {"calibration": calibration, **({"bias_correction": True} if maps else {})}
        return convert.convert_ptq(model, data.calibration, config.input_dtype, config.second_view), details
    twin, qat = quantise_aware(config, source, data, checkpoint, resume)
    return convert.convert_qat(twin, config.input_dtype, config.second_view), {"calibration": calibration, "qat": qat}


def measure(
    config: ExportConfig,
    path: Path,
    graph: Graph,
    source: Source,
    data: Data,
    reference: Any,
    details: dict[str, Any],
) -> tuple[Sidecar, Measured]:
    """Run the file as the device will, choose its threshold on validation, and compare it with the float model.

    Args:
        reference: a classifier's `crack_tf.quantisation.compare.Reference`, a segmentation model's Keras model.

    Returns:
        The written sidecar, and what was measured.
    """
    before, output = source.sidecar, graph.outputs[0]
    maps = before.task == "segment"
    size = before.image_size
    output_format = (output.scale, output.zero_point, output.dtype)
    here = environment()
    draft = Sidecar(
        model=before.model,
        scheme=config.scheme,
        file=path.name,
        sha256=sha256_file(path),
        image_size=size,
        labels=before.labels,
        hyperparameters=source.hyperparameters,
        input=graph.inputs[0],
        output=TensorSpec((1, size, size, 1) if maps else (1, 1), output.dtype, output.scale, output.zero_point),
        threshold=threshold_record(before.threshold.logit, *output_format),
        golden=None,
        training=_training(before, data.manifest)
        | {"source": source.path.name, "source_sha256": before.sha256}
        | details,
        metrics={},
        licence=before.licence,
        versions=here["versions"],
        git_revision=here["git_revision"],
        created=created(),
        task=before.task,
        second_view=config.second_view,
        second_view_gain=None if maps else reference.gain,
    )
    write_sidecar(path, draft)
    find: Callable[..., Measured] = measure_maps if maps else measure_tiles
    threads = config.threads or os.cpu_count() or 1
    found = find(path, config.scheme, before, reference, data.val, data.measured, threads)
    rates: Callable[[Any], dict[str, float | int | None]] = pixel_rates if maps else summary
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


def write_comparison(path: Path, sidecar: Sidecar, comparison: Comparison) -> None:
    """The comparison as a file: of which model, on what, and the numbers."""
    about = {key: sidecar.metrics[key] for key in ("dataset", "split", "manifest_sha256") if key in sidecar.metrics}
    write_json(
        path,
        {
            "format": "crack_tf.comparison/1",
            "file": sidecar.file,
            "sha256": sidecar.sha256,
            "source_sha256": sidecar.training.get("source_sha256"),
            **about,
            **comparison.as_dict(),
            "versions": sidecar.versions,
            "git_revision": sidecar.git_revision,
            "created": sidecar.created,
        },
    )


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
    return part_of(stem, CHECKPOINT)


def _training(before: Sidecar, manifest: Manifest) -> dict[str, Any]:
    """What the float model's sidecar says of its training, and the side of the tiles where it is from before that was recorded."""
    if before.task != "classify" or "tile_side" in before.training:
        return dict(before.training)
    same = manifest.sha256 == before.training.get("manifest_sha256")
    return (side_record(manifest) if same else {}) | before.training
