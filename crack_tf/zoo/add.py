"""Ship a finished run: copy its files into the zoo, find two golden tiles it answers clearly, write the manifest."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from crack_tf.data.registry import DATASETS
from crack_tf.inference.predictor import model_file
from crack_tf.models.shipped import (
    GOLDEN,
    LIMIT_BYTES,
    MANIFEST,
    RESEARCH,
    ROLES,
    ZooFile,
    ZooModel,
    check,
    highest,
    is_research_only,
    read_zoo,
    write_zoo,
)
from crack_tf.quantisation.front_matter import with_front_matter
from crack_tf.synthetic.tiles import render_tile
from crack_tf.zoo.rounded import round_keras
from tflite.device.tiles import training_side
from tflite.errors import CrackError
from tflite.files import sha256_file, write_bytes, write_text
from tflite.locks import partial_folder
from tflite.outputs import Output, check_folder, making, remove_files
from tflite.segmenter import load_model
from tflite.sidecar import Sidecar, made_from, read_sidecar, sidecar_path, verify_file, write_sidecar

CANDIDATES = 40  # synthetic tiles of each class among which the clearest is taken
CLEAR = (
    4  # times the tolerance: how far from the threshold a golden answer must lie, so that no CPU's rounding turns it
)
# Licences of training data whose models may be passed on, the data being named.
LICENCES = frozenset(
    {
        "CC0-1.0",
        "CC-BY-2.0",
        "CC-BY-4.0",
        "Apache-2.0",
        "MIT",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "CC-BY-3.0",
        "BSD-3-Clause-Clear",
    }
)
_MODELS = ("keras", "tflite")  # roles of files with a sidecar
_RENEWED = ".renewed"  # folder of a zoo: all that a renewal changes, whole before anything is replaced
_SEED = 20_260_101  # of the golden tiles; nothing is trained on this set


@dataclass(frozen=True)
class AddConfig:
    """How a run becomes a model of a zoo.

    Attributes:
        name: of the model; lower-case letters, digits, dots, hyphens and underscores.
        default: whether `load()` shall mean this model; the first one always is.
        tflite: which export; None for the quantisation-aware int8 one, else the post-training one.
        tile_side: of the training tiles in pixels; None: by data set, see `tflite.device.tiles.training_side`.
        summary: one line; None: made from the sidecar.
        citation: of the training data; None for the registry's.
        round_weights: halve the float model's file, see `crack_tf.zoo.rounded`; its sidecar then names the hash it had.

    Raises:
        CrackError: if the name has other characters.
    """

    name: str
    default: bool = False
    tflite: Path | None = None
    tile_side: int | None = None
    summary: str | None = None
    citation: str | None = None
    round_weights: bool = False

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", self.name):
            raise CrackError(f"--name {self.name!r}: use lower-case letters, digits, dots, hyphens and underscores.")


def add(run: Path, config: AddConfig, zoo: Path, *, overwrite: bool = False) -> ZooModel:
    """Copy a finished run into a zoo, atomically: the manifest names it when all its files are there and checked.

    Args:
        run: folder with model.keras, and exports in `export`.
        config: under which name, and how.
        zoo: folder of the zoo; made if missing.
        overwrite: replace a model of that name.

    Returns:
        The new entry.

    Raises:
        CrackError: if a file is missing, the files do not belong together, the licence does not allow it, the model answers
            no synthetic tile clearly, the name is taken, or the zoo would grow too large.
    """
    name = config.name
    _put_renewed(zoo)
    version, models = read_zoo(zoo) if (zoo / MANIFEST).is_file() else (0, {})
    target = zoo / name
    hint = "Choose another --name, or add --overwrite."
    check_folder(target, _ADDED, overwrite, inputs=(run, config.tflite), hint=hint)
    sources = find_files(run, config.tflite)
    sidecar = read_sidecar(sources["tflite"])
    _check_origin(sources, sidecar)

    others = [other for other in models.values() if other.name != name]
    with partial_folder(target) as partial:
        for source in sources.values():
            shutil.copyfile(source, partial / source.name)
        card = partial / sources["card"].name
        write_text(card, with_front_matter(card.read_text(encoding="utf-8"), sidecar))
        if config.round_weights:
            _round(sources["keras"], partial / sources["keras"].name)
        side = config.tile_side or training_side(sidecar)
        for role in _MODELS:
            path = partial / sources[role].name
            _state_side(path, side, path)
        golden = write_golden_tiles(partial / sources["tflite"].name, partial)
        names = {role: source.name for role, source in sources.items()} | {role: f"{role}.png" for role in GOLDEN}
        model = ZooModel(
            name=name,
            model=sidecar.model,
            scheme=sidecar.scheme,
            image_size=sidecar.image_size,
            tile_side=side,
            summary=_labelled(config.summary or _summary(sidecar), sidecar),
            trained_on=_trained_on(sidecar, config.citation),
            licence=sidecar.licence,
            default=config.default or not any(other.default for other in others if other.task == sidecar.task),
            files={role: _describe(partial / names[role], name) for role in ROLES},
            golden=golden,
            tolerance=_tolerance(sidecar),
            folder=zoo,
            task=sidecar.task,
        )
        # A new default takes the place of the old one of its task.
        others = [
            replace(other, default=other.default and not (model.default and other.task == model.task))
            for other in others
        ]
        total = model.size + sum(other.size for other in others)
        if total >= LIMIT_BYTES:
            raise CrackError(
                f"the zoo would hold {total / 1e6:.1f} MB, its limit is {LIMIT_BYTES / 1e6:.0f} MB. Leave a model out."
            )
        before = models[name].files.values() if name in models else ()
        _put_in_place(partial, target, {zoo / file.path for file in before})
    check(model)
    write_zoo(zoo, version + 1, [*others, model])
    return model


def renew(zoo: Path) -> list[str]:
    """State in all sidecars the tile side that the manifest knows, and make the heads of all model cards anew, as `add` does today.

    The models themselves stay as they are; the manifest lists the new hashes. A renewal that was killed is finished first.

    Returns:
        Names of the models of which a file changed.

    Raises:
        CrackError: if a file is not what the manifest says.
    """
    finished = _put_renewed(zoo)
    version, models = read_zoo(zoo)
    renewed = []
    with partial_folder(zoo / _RENEWED) as partial:
        for model in models.values():
            check(model)
            made = {role: partial / file.path for role, file in model.files.items()}
            for role in _MODELS:
                _state_side(model.path(role), model.tile_side, made[role])
            card = model.card.read_text(encoding="utf-8")
            write_text(made["card"], with_front_matter(card, read_sidecar(made["tflite"])))
            changed = {
                role: _describe(made[role], model.name) for role in ("card", *(f"{role}_sidecar" for role in _MODELS))
            }
            renewed.append(replace(model, files={**model.files, **changed}))
            if renewed[-1] == model:
                for path in made.values():
                    path.unlink(missing_ok=True)
        if renewed == list(models.values()):
            return finished
        write_zoo(partial, version + 1, renewed)
        os.replace(partial, zoo / _RENEWED)
    _put_renewed(zoo)
    return [*finished, *(model.name for model in renewed if model != models[model.name])]


def _put_renewed(zoo: Path) -> list[str]:
    """Put what a renewal changes in place, the manifest last, also where the one that made it was killed meanwhile.

    Returns:
        Names of the models.
    """
    whole = zoo / _RENEWED
    files = sorted((path for path in whole.rglob("*") if path.is_file()), key=lambda path: path.name == MANIFEST)
    for path in files:
        os.replace(path, zoo / path.relative_to(whole))
    if whole.is_dir():
        for folder in (*whole.iterdir(), whole):
            folder.rmdir()
    return sorted({path.parent.name for path in files if path.name != MANIFEST})


def _is_model(folder: Path) -> bool:
    """Whether a folder is a model of a zoo, listed or, after a kill, not yet."""
    return all((folder / f"{role}.png").is_file() for role in GOLDEN) and len(list(folder.glob("*.tflite.json"))) == 1


_ADDED = Output("crack-tf zoo add", _is_model)


def _put_in_place(partial: Path, target: Path, earlier: set[Path]) -> None:
    """Make the files of a whole folder those of the model, in place of the earlier ones; what else lies there stays."""
    made = {target / path.name: path for path in sorted(partial.iterdir())}
    with making(target, _ADDED, overwrite=True, clear=False):
        for place, path in made.items():
            os.replace(path, place)
        remove_files(target, earlier - {*made})


def find_files(run: Path, tflite: Path | None) -> dict[str, Path]:
    """A run's files by role, all of `ROLES` but the golden tiles.

    Raises:
        CrackError: if one is missing, or several exports could be meant.
    """
    keras = model_file(run)
    if tflite is None:
        exports = next(
            (found for kind in ("qat", "ptq") if (found := sorted(run.glob(f"export/*-int8-{kind}.tflite")))), []
        )
        if len(exports) != 1:
            raise CrackError(
                f"{run / 'export'} has {len(exports) or 'no'} int8 models"
                f"{': name one with --tflite FILE.' if exports else '. Make one: crack-tf export RUN --int8'}"
            )
        tflite = exports[0]
    files = {
        "keras": keras,
        "keras_sidecar": sidecar_path(keras),
        "tflite": tflite,
        "tflite_sidecar": sidecar_path(tflite),
        "card": tflite.with_suffix(".md"),
    }
    for role, path in files.items():
        if not path.is_file():
            raise CrackError(f"{path} ({role.replace('_', ' ')}) does not exist: export the run again.")
    return files


def write_golden_tiles(path: Path, folder: Path) -> dict[str, float]:
    """Save the synthetic tile that a model most clearly calls cracked, and the one it most clearly calls clean.

    Args:
        path: the .tflite file, its sidecar beside it.
        folder: where to write golden_crack.png and golden_no_crack.png, at the model's input size.

    Returns:
        Raw outputs by role.

    Raises:
        CrackError: if the model is wrong or unsure about all of a class.
    """
    from PIL import Image

    runner = load_model(path)
    threshold = runner.sidecar.threshold
    border = float(threshold.logit if threshold.raw is None else threshold.raw)
    margin = CLEAR * _tolerance(runner.sidecar)
    golden = {}
    for role, crack in GOLDEN.items():
        tiles = (render_tile(_SEED, index, crack, runner.image_size).image for index in range(CANDIDATES))
        scored = [(highest(runner, tile)[0], tile) for tile in tiles]
        raw, tile = (max if crack else min)(scored, key=lambda pair: pair[0])
        if (raw - border if crack else border - raw) < margin:
            raise CrackError(
                f"{path.name} answers no {'cracked' if crack else 'clean'} synthetic tile clearly: its best raw output is {raw:g}, "
                f"the threshold {border:g}. Such a model has no golden tile to guard it."
            )
        Image.fromarray(tile).save(folder / f"{role}.png", optimize=True)
        golden[role] = raw
    return golden


def _round(source: Path, target: Path) -> None:
    """Replace a copied float model and its sidecar by the rounded ones."""
    round_keras(source, target)
    sidecar = read_sidecar(source)
    training = {**sidecar.training, "rounded_from": sidecar.training.get("rounded_from", sidecar.sha256)}
    write_sidecar(target, replace(sidecar, sha256=sha256_file(target), training=training))


def _state_side(path: Path, side: int, target: Path) -> None:
    """Write the side of the training tiles into a model's sidecar, or into that of `target`: on a board the data set's name would be
    all there is to go by.
    """
    sidecar = read_sidecar(path)
    if sidecar.training.get("tile_side") != side:
        write_sidecar(target, replace(sidecar, training={**sidecar.training, "tile_side": side}))
    elif target != path:
        write_bytes(sidecar_path(target), sidecar_path(path).read_bytes())


def _check_origin(sources: dict[str, Path], sidecar: Sidecar) -> None:
    """Refuse files that do not belong together, or that must not be passed on."""
    keras = read_sidecar(sources["keras"])
    verify_file(sources["keras"], keras)
    verify_file(sources["tflite"], sidecar)
    if not sidecar.scheme.startswith("int8"):
        raise CrackError(f"{sources['tflite']} is {sidecar.scheme}: the zoo ships int8 models.")
    if not made_from(sidecar, keras):
        raise CrackError(f"{sources['tflite']} was not made from {sources['keras']}: export the run again.")
    for found in (keras, sidecar):
        # The data's licence, then perhaps a sentence on pretrained weights with theirs in brackets.
        data, _, note = found.licence.partition(". ")
        names = set(re.findall(r"\(([^()]+)\)", note))
        # The strictest licence among the data's is the model's; what nobody has stated allows nothing.
        if not is_research_only(found):
            # A mixture says "metu: CC-BY-4.0; sdnet2018: CC-BY-4.0".
            names |= {part.rpartition(": ")[2] for part in re.split(r"\s*(?:,|;|\bAND\b)\s*", data)}
        if names - LICENCES or "not stated" in data:
            raise CrackError(
                f"{found.file} has licence {found.licence!r}: only models under {', '.join(sorted(LICENCES))}, and with a "
                f"label those for {RESEARCH}, may ship."
            )


def _tolerance(sidecar: Sidecar) -> float:
    if sidecar.golden is None:
        raise CrackError(f"{sidecar.file} has no golden answer in its sidecar: export the run again.")
    return sidecar.golden.tolerance


def _labelled(summary: str, sidecar: Sidecar) -> str:
    """A summary that says once what the weights may be used for."""
    needed = is_research_only(sidecar) and not summary.rstrip(". ").endswith(RESEARCH)
    return f"{summary}; {RESEARCH}" if needed else summary


def _summary(sidecar: Sidecar) -> str:
    rates = sidecar.metrics.get("at_threshold", {})
    names = (
        {"f1": "pixel F1", "iou": "IoU"}
        if sidecar.task == "segment"
        else {"recall": "recall", "specificity": "specificity"}
    )
    measured = ", ".join(f"{name} {rates[rate]:.4f}" for rate, name in names.items() if rates.get(rate) is not None)
    text = f"{sidecar.model}, {sidecar.scheme}, {sidecar.image_size} px, trained on {sidecar.training.get('dataset')}"
    return (
        f"{text}: {measured} on {sidecar.metrics.get('split')} of {sidecar.metrics.get('dataset')}"
        if measured
        else text
    )


def _trained_on(sidecar: Sidecar, citation: str | None) -> dict[str, str]:
    training = sidecar.training
    dataset = str(training.get("dataset"))
    # A mixture is called after its parts.
    known = [DATASETS[part] for part in dataset.split("+") if part in DATASETS]
    if citation is None and len(known) != len(dataset.split("+")):
        raise CrackError(
            f"the model was trained on {dataset!r}, whose source is not known here: name it with --citation TEXT."
        )
    return {
        "dataset": dataset,
        "policy": str(training.get("policy")),
        "manifest_sha256": str(training.get("manifest_sha256")),
        "citation": citation or "; ".join(entry.citation for entry in known),
    }


def _describe(path: Path, name: str) -> ZooFile:
    return ZooFile(f"{name}/{path.name}", path.stat().st_size, sha256_file(path))
