"""The zip that a board gets: models, code and test tiles, and what the models answered here. `crack_tf.bundle` says what is in it."""

from __future__ import annotations

import contextlib
import json
import platform
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import tflite
from crack_tf.common.provenance import environment
from crack_tf.data.cache import subset
from crack_tf.data.registry import prepare
from crack_tf.evaluation.lineage import lineage, notes
from crack_tf.inference.predictor import load_predictor
from crack_tf.models.shipped import ZooModel, load, model_name, read_zoo
from crack_tf.quantisation.data import run_manifest
from crack_tf.zoo.adoption import GOLDEN, golden_tile, has_golden_tiles
from tflite.arguments import check_choice, check_counts, check_types
from tflite.device.bundle import (
    COMPILED,
    FORMAT,
    INDEX,
    MANIFEST,
    MODELS,
    REFERENCE,
    REFERENCE_FORMAT,
    is_plain,
    sealed,
)
from tflite.errors import CrackError
from tflite.files import atomic_path, run_name, sha256_bytes
from tflite.foreign import refuse_foreign
from tflite.images import load_rgb
from tflite.manifest import LABELS, SPLITS, Item, Manifest, refuse_mixed, write_manifest
from tflite.outputs import Output
from tflite.runtime import Classifier
from tflite.sidecar import Sidecar, golden_input, made_from, read_sidecar, sidecar_path, verify_file, write_sidecar
from tflite.words import counted

REQUIREMENTS = "requirements-device.txt"
GOLDEN_TILES = "golden-tiles"  # the data set of the models' own golden tiles
SHIPPED = Path(__file__).parents[1] / "shipped"  # links in a checkout
# Of tflite/: what needs TensorFlow or tfmot stays on the workstation. The one list of these.
HOST_MODULES = ("compare.py", "convert.py", "qat.py")


def _is_bundle(path: Path) -> bool:
    with zipfile.ZipFile(path) as found:
        return INDEX in found.namelist()


OUTPUT = Output("crack-tf bundle", _is_bundle)
_DELEGATES = ("xnnpack", "none")
_TIMESTAMP = (1980, 1, 1, 0, 0, 0)  # the earliest a zip can hold
_DIGITS = 5  # of float logits: more than any comparison needs


@dataclass(frozen=True)
class Packed:
    """One model of the bundle.

    Attributes:
        path: the .tflite file.
        sidecar: beside it.
        source: the .keras file it was made from, whose sha256 is the one the sidecar records; of an adopted model, of which no
            other form is known, `twin`.
        source_sidecar: beside that.
        twin: the file that a model for the Edge TPU was compiled from, which runs on this machine; else `path` itself.
        name: of the file in the bundle, see `file_name`; with its run's in front where two models have one.
    """

    path: Path
    sidecar: Sidecar
    source: Path
    source_sidecar: Sidecar
    twin: Path
    name: str

    @property
    def folder(self) -> str:
        """Where it lies in the bundle."""
        return MODELS if self.twin == self.path else COMPILED


@dataclass(frozen=True)
class BundleConfig:
    """What a bundle holds.

    Attributes:
        models: run folders, which stand for all of their export/*.tflite, and .tflite files.
        float_models: further .keras files to look for their float originals among.
        data: manifest .csv, data set or folder for the tiles; None for the manifest the models were trained on.
        policy: how data that are no manifest are split; None for the set's own.
        split: that the tiles are from.
        tiles: how many, half cracked and half clean.
        seed: of their draw.

    Raises:
        CrackError: naming the field as the command line does.
    """

    models: tuple[Path, ...]
    float_models: tuple[Path, ...] = ()
    data: str | None = None
    policy: str | None = None
    split: str = "test"
    tiles: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        check_types(self)
        check_choice("split", self.split, (*SPLITS, "all"))
        check_counts(self, "tiles", "seed", least=0)


@dataclass(frozen=True)
class Bundle:
    """A bundle that was made.

    Attributes:
        path: the zip.
        models: names of the .tflite files in it.
        tiles: how many.
        source: name of the manifest that they are from.
        split: of that.
    """

    path: Path
    models: tuple[str, ...]
    tiles: int
    source: str
    split: str


def pack(config: BundleConfig, out: Path) -> Bundle:
    """Make a bundle.

    Raises:
        CrackError: if there is no model, a model's float original or the tiles are not found, or tiles trained a model.
    """
    models = find_models(config.models, config.float_models)
    with contextlib.ExitStack() as stack:
        if config.data:
            manifest = prepare(config.data, config.policy)
        elif all(model.sidecar.adopted or has_golden_tiles(model.sidecar) or shipped_golden(model) for model in models):
            manifest = stack.enter_context(golden_manifest(models))
        else:
            manifest = common_manifest(models)
        return fill(config, models, manifest, out)


def fill(config: BundleConfig, models: Sequence[Packed], manifest: Manifest, out: Path) -> Bundle:
    """Write the bundle of some models and tiles of a manifest.

    Raises:
        CrackError: if the tiles are not to be had, or trained a model.
    """
    refuse_mixed(manifest, "a bundle's tiles (--data)")
    items = choose_tiles(manifest, config.split, config.tiles, config.seed)
    refuse_trained(models, manifest, items)
    images = {f"evaluation/images/{item.path}": manifest.read(item) for item in items}
    content = code_files() | model_files(models) | images
    content[MANIFEST] = manifest_bytes(manifest, items)
    recorded = reference(models, items, list(images.values()))
    for note in weaknesses(models, recorded):
        print(f"note: {note}", file=sys.stderr)
    content[REFERENCE] = json_bytes(recorded)
    content["README.txt"] = readme(models, manifest, items).encode()
    content[INDEX] = json_bytes(index(content, models, manifest, items, config.split, config.seed))
    write_zip(out, content)
    return Bundle(out, tuple(model.name for model in models), len(items), manifest.name, config.split)


def find_models(paths: Sequence[Path], originals: Sequence[Path]) -> list[Packed]:
    """The .tflite files that the paths stand for, each with the float model it was made from, sorted by name.

    Args:
        paths: .tflite files, run folders that stand for all of their export/*.tflite, and names of shipped models.
        originals: further .keras files to look among.

    Raises:
        CrackError: if there is none, one is damaged, two of one run's name have one name, or a float model is not found.
    """
    files: list[Path] = []
    shipped = read_zoo()[1]
    for path in paths:
        if str(path) in shipped:
            files.append(load(str(path)).tflite)
        elif path.is_dir():
            found = sorted((path / "export").glob("*.tflite")) or sorted(path.glob("*.tflite"))
            if not found:
                refuse_foreign(path)
                raise CrackError(f"{path} has no export/*.tflite. Make one with: crack-tf export {path} --int8")
            files += found
        elif path.suffix != ".tflite":
            refuse_foreign(path)
            raise CrackError(
                f"{path}: name a run folder, a .tflite file or a shipped model. crack-tf export makes .tflite files."
            )
        else:
            files.append(path)
    packed = {file.resolve(): _packed(file, originals) for file in reversed(files)}
    # What was compiled for the Edge TPU comes with the file that the CPU runs, to be compared with.
    twins = {model.twin.resolve(): model.twin for model in packed.values()}
    packed |= {place: _packed(file, originals) for place, file in twins.items() if place not in packed}
    return sorted(_named(list(packed.values())), key=lambda model: model.name)


def _named(models: list[Packed]) -> list[Packed]:
    """Models with names of their own: two runs of one architecture export files of one name."""
    shared = Counter(model.name for model in models)
    named = [
        replace(model, name=f"{run_name(model.path)}-{model.name}") if shared[model.name] > 1 else model
        for model in models
    ]
    first: dict[str, Packed] = {}
    for model in named:
        if (other := first.setdefault(model.name, model)) is not model:
            raise CrackError(
                f"{other.path} and {model.path} have one name, and so have their folders. Rename a folder, or put them into two bundles."
            )
    return named


def file_name(path: Path, sidecar: Sidecar) -> str:
    """What a .tflite file is called in a bundle: a shipped one by the model's name, since several shipped files have one name."""
    return path.name if _shipped_at(path) is None else f"{model_name(sidecar)}.tflite"


def shipped_golden(model: Packed) -> dict[str, Path]:
    """A shipped model's golden tiles by role; nothing for another model."""
    ours = _shipped_at(model.twin)
    return {} if ours is None else {"crack": ours.path("golden_crack"), "clean": ours.path("golden_no_crack")}


def _shipped_at(path: Path) -> ZooModel | None:
    """The shipped model whose own file this is; None for a copy, which its owner named."""
    return next((ours for ours in read_zoo()[1].values() if ours.tflite.resolve() == path.resolve()), None)


@contextlib.contextmanager
def golden_manifest(models: Sequence[Packed]) -> Iterator[Manifest]:
    """The golden tiles of adopted, adapted and shipped models as a data set, for whoever names no other: a cracked and a clean one each.

    Raises:
        CrackError: if a tile is missing, or is not the one that the model was adopted with.
    """
    with tempfile.TemporaryDirectory(prefix="crack_tf-") as folder:
        items = {}
        names = {model.path: model.name for model in models}
        for model in models:
            ours = shipped_golden(model)
            for role, crack in GOLDEN.items():
                data = ours[role].read_bytes() if ours else golden_tile(model.twin, model.sidecar, role)
                name = f"{names.get(model.twin, model.name)}.{role}.png"
                (Path(folder) / name).write_bytes(data)
                items[name] = Item(name, sha256_bytes(data), int(crack), name, "test")
        chosen = tuple(items[name] for name in sorted(items))
        drawn = all(shipped_golden(model) for model in models)  # by crack_tf.synthetic
        yield Manifest(GOLDEN_TILES, "plain", 0, folder, "CC0-1.0" if drawn else "not stated", chosen)


def common_manifest(models: Sequence[Packed]) -> Manifest:
    """The manifest that all models were trained on.

    Raises:
        CrackError: if they were trained on different ones, or it is not found.
    """
    manifests = {model.path: run_manifest(model.source, model.source_sidecar) for model in models}
    first, *others = manifests.items()
    for path, manifest in others:
        if manifest.sha256 != first[1].sha256:
            raise CrackError(
                f"{first[0].name} was trained on {first[1].source} and {path.name} on {manifest.source}: name one with "
                "--data, whose test tiles trained neither, or make two bundles."
            )
    return first[1]


def choose_tiles(manifest: Manifest, split: str, count: int, seed: int) -> list[Item]:
    """Half cracked and half clean tiles of a split, sorted by path; the same seed draws the same ones.

    Raises:
        CrackError: if the split is empty or holds one class only, or fewer than two tiles are asked for.
    """
    if count < 2:
        raise CrackError(f"--tiles {count}: at least 2 are needed, one cracked and one clean.")
    items = manifest.split(split)
    chosen = []
    for label, name in enumerate(LABELS):
        of_class = [item for item in items if item.label == label]
        if not of_class:
            raise CrackError(
                f"split {split!r} of {manifest.name} has no {name} tile. Choose another --split or --data."
            )
        drawn = subset(of_class, count // 2, seed)
        if len(drawn) < count // 2 and manifest.dataset != GOLDEN_TILES:  # there are no more of those
            found = counted(len(drawn), f"{name} tile")
            print(f"note: only {found} in split {split!r} of {manifest.name}", file=sys.stderr)
        chosen += drawn
    for item in chosen:
        if not is_plain(item.path):
            raise CrackError(
                f"tile {item.path!r} of {manifest.name} lies outside its folder. Split the data set again."
            )
    return sorted(chosen)


def refuse_trained(models: Sequence[Packed], manifest: Manifest, items: Sequence[Item]) -> None:
    """Compare the tiles with what trained each model.

    Raises:
        CrackError: if one of them trained a model: its answers would look better than they are.
    """
    # Once per float model: what was made from it has seen the same tiles.
    for source, sidecar in {model.source: model.source_sidecar for model in models}.items():
        origin = lineage(sidecar, source, manifest, items)
        if origin.trained:
            raise CrackError(
                f"{origin.trained} of the {len(items)} tiles trained {source}: accuracy on the board would be flattered. "
                "Choose another --split or --data."
            )
        # Golden tiles come with the models: where they are from is nobody's question.
        for note in notes(model_name(sidecar), sidecar, manifest, origin) if manifest.dataset != GOLDEN_TILES else ():
            print(f"note: {note}", file=sys.stderr)


def reference(models: Sequence[Packed], items: Sequence[Item], images: Sequence[bytes]) -> dict[str, Any]:
    """What every model answers on this machine: the float original, and the .tflite file with each delegate.

    Args:
        models: to be asked.
        items: the tiles.
        images: their files' bytes, in the same order.
    """
    sizes = sorted({model.sidecar.image_size for model in models})
    tiles = {size: np.stack([load_rgb(data, size) for data in images]) for size in sizes}
    labels = np.array([item.label for item in items])
    floats: dict[str, np.ndarray] = {}
    records = {}
    for model in models:
        print(f"recording the answers of {model_name(model.sidecar)}", file=sys.stderr)
        here = tiles[model.sidecar.image_size]
        sha256 = model.source_sidecar.sha256
        if sha256 not in floats:
            floats[sha256] = load_predictor(model.source).logits(here)
        logits = floats[sha256]
        assert model.sidecar.golden is not None
        records[model.name] = {
            "sha256": model.sidecar.sha256,
            "image_size": model.sidecar.image_size,
            "tolerance": model.sidecar.golden.tolerance,
            "float": {
                "file": model.source.name,
                "sha256": sha256,
                "threshold": model.source_sidecar.threshold.logit,
                "logits": [round(float(value), _DIGITS) for value in logits],
            },
            # The clearest crack and the clearest clean tile in the float model's eyes: no rounding may turn them.
            "golden_tiles": {
                "crack": int(np.argmax(np.where(labels == 1, logits, -np.inf))),
                "no_crack": int(np.argmin(np.where(labels == 0, logits, np.inf))),
            },
            "delegates": {delegate: outputs(model, here, delegate) for delegate in _DELEGATES},
        }
    return {
        "format": REFERENCE_FORMAT,
        "machine": platform.machine(),
        "tiles": [item.path for item in items],
        "labels": labels.tolist(),
        "pixels": {str(size): [sha256_bytes(tile.tobytes()) for tile in tiles[size]] for size in sizes},
        "models": records,
    }


def weaknesses(models: Sequence[Packed], recorded: Mapping[str, Any]) -> list[str]:
    """What the models get wrong on this very machine, one sentence each: no board can do better, and none is to blame for it."""
    labels = np.array(recorded["labels"]) == 1
    lines = []
    for model in models:
        record = recorded["models"][model.name]
        called = model.sidecar.calls_crack(np.array(record["delegates"][_DELEGATES[0]]["raw"]))
        golden = [name for name, place in record["golden_tiles"].items() if called[place] != (name == "crack")]
        if golden or not called[labels].any() or called[~labels].all():
            clearest = " and ".join(name.replace("_", " ") for name in golden)
            named = f"takes the clearest {clearest} tile for the opposite; " if golden else ""
            lines.append(
                f"{model_name(model.sidecar)} {named}finds {int(called[labels].sum())} of {int(labels.sum())} cracked tiles here and calls "
                f"{int(called[~labels].sum())} of {int((~labels).sum())} clean ones cracked: that is the model's doing, and the check on a "
                "board will not blame the board for it. Train it longer, or choose another threshold."
            )
    return lines


def outputs(model: Packed, tiles: np.ndarray, delegate: str) -> dict[str, Any]:
    """Raw outputs of a .tflite file for uint8 tiles (n, s, s, 3) and the golden input, and what the delegate took."""
    classifier = Classifier(model.twin, delegate=delegate)
    convert = int if model.sidecar.output.quantised else float
    answers = np.array([classifier.raw(tile) for tile in (*tiles, golden_input(classifier.image_size))])
    if strange := int(np.sum(~np.isfinite(answers))):
        raise CrackError(
            f"{model.twin} answers {strange} of {counted(len(answers), 'tile')} with a number that is not finite here. Train again."
        )
    return {
        "raw": [convert(answer) for answer in answers[:-1]],
        "golden": convert(answers[-1]),
        "nodes": asdict(classifier.nodes),
    }


def code_files() -> dict[str, bytes]:
    """The device side of tflite/, what to install for it, and the licence.

    Raises:
        CrackError: if the installation is not whole.
    """
    package = Path(tflite.__file__).parent
    root = package.parent
    content = {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(package.rglob("*.py"))
        if path.relative_to(package).as_posix() not in HOST_MODULES
    }
    for name in (REQUIREMENTS, "LICENSE", "NOTICE"):
        if not (SHIPPED / name).is_file():
            raise CrackError(
                f"{SHIPPED / name} does not exist: this installation is not whole. Install crack_tf again."
            )
        content[name] = (SHIPPED / name).read_bytes()
    return content


def model_files(models: Sequence[Packed]) -> dict[str, bytes]:
    """The .tflite files and their sidecars."""
    content: dict[str, bytes] = {}
    for model in models:
        place = f"{model.folder}/{model.name}"
        content |= {place: model.path.read_bytes(), sidecar_path(place).as_posix(): _sidecar_bytes(model)}
    return content


def _sidecar_bytes(model: Packed) -> bytes:
    """A model's sidecar, which states the name that the file has in the bundle."""
    if model.name == model.path.name:
        return sidecar_path(model.path).read_bytes()
    with tempfile.TemporaryDirectory(prefix="crack_tf-") as folder:
        path = Path(folder) / model.name
        write_sidecar(path, replace(model.sidecar, file=model.name))
        return sidecar_path(path).read_bytes()


def manifest_bytes(manifest: Manifest, items: Sequence[Item]) -> bytes:
    """The manifest of the evaluation tiles, all in its test split, with the images beside it."""
    chosen = tuple(replace(item, split="test") for item in items)
    policy = f"{manifest.policy}-bundle"  # so that no result row passes for one on the whole split
    small = Manifest(manifest.dataset, policy, manifest.seed, "images", manifest.licence, chosen)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "manifest.csv"
        write_manifest(path, small)
        return path.read_bytes()


def index(
    content: Mapping[str, bytes],
    models: Sequence[Packed],
    manifest: Manifest,
    items: Sequence[Item],
    split: str,
    seed: int,
) -> dict[str, Any]:
    """What bundle.json holds; see `tflite.device.bundle`."""
    surroundings = environment()
    cracked = sum(item.label for item in items)
    return sealed(
        {
            "format": FORMAT,
            # Of the newest model: the time of packing would change the bytes of an unchanged bundle.
            "created": max(model.sidecar.created for model in models),
            "git_revision": surroundings["git_revision"],
            "versions": surroundings["versions"],
            "evaluation": {
                "manifest": MANIFEST,
                "from": manifest.name,
                "from_sha256": manifest.sha256,
                "split": split,
                "seed": seed,
                "tiles": len(items),
                "cracked": cracked,
                "licence": manifest.licence,
            },
            "models": [f"{model.folder}/{model.name}" for model in models],
            "files": [
                {"path": path, "bytes": len(data), "sha256": sha256_bytes(data)}
                for path, data in sorted(content.items())
            ],
        }
    )


def readme(models: Sequence[Packed], manifest: Manifest, items: Sequence[Item]) -> str:
    """The commands to run on the board."""
    names = "\n".join(
        f"  {model.folder}/{model.name}  ({model_name(model.sidecar)})\n    Licence: {model.sidecar.licence}"
        for model in models
    )
    on_cpu = sum(model.folder == MODELS for model in models)
    compare = " --compare" if on_cpu > 1 else ""  # one model has nothing to be compared with
    coral = f"""
With a Coral stick and libedgetpu (https://coral.ai/software):

  .venv/bin/python -m tflite.device check --delegate edgetpu --out check-edgetpu.json
  .venv/bin/python -m tflite.benchmark {COMPILED}/*.tflite --delegate edgetpu --manifest {MANIFEST} --out results-edgetpu
"""
    return f"""Crack classifiers for a Raspberry Pi (64-bit system) or another Linux board, with what is needed to check and measure them.

In this folder:

  python3 -m venv .venv
  .venv/bin/pip install -r {REQUIREMENTS}
  .venv/bin/python -m tflite.device check
  .venv/bin/python -m tflite.benchmark models/*.tflite --manifest {MANIFEST} --threads 1,2,4{compare} --out results

Bring back check.json and the folder results. Every command has --help.
{coral if on_cpu < len(models) else ""}
Models:
{names}

The {len(items)} tiles in evaluation/images are from {manifest.name}. Licence of the tiles: {manifest.licence}
They show that the models work here, and are too few to say how good they are.
"""


def write_zip(path: Path, content: Mapping[str, bytes]) -> None:
    """Write a zip atomically, the same bytes for the same content."""
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, data in sorted(content.items()):
            entry = zipfile.ZipInfo(name, _TIMESTAMP)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, whatever this machine is
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data, compresslevel=9)


def json_bytes(value: Any) -> bytes:
    """JSON as `tflite.files.write_json` writes it."""
    return (json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False) + "\n").encode()


def _packed(path: Path, originals: Sequence[Path]) -> Packed:
    if not path.is_file():
        raise CrackError(f"model {path} does not exist.")
    sidecar = read_sidecar(path)
    verify_file(path, sidecar)
    if sidecar.task != "classify":
        raise CrackError(
            f"{path} draws masks, which is done after the flight: a bundle holds the classifiers of a board. To time it there, copy "
            f"it with its sidecar and the folder tflite, and run: python -m tflite.benchmark {path.name}"
        )
    if sidecar.golden is None:
        raise CrackError(f"{path} has no golden answer in its sidecar, so nothing could be checked. Export it again.")
    twin, compiled_from = path, sidecar.training.get("compiled_from")
    if isinstance(compiled_from, dict):
        # Names alone: a sidecar from elsewhere may say anything.
        twin = path.with_name(Path(str(compiled_from.get("file"))).name or "?")
        if not twin.is_file() or read_sidecar(twin).sha256 != compiled_from.get("sha256"):
            raise CrackError(f"{path} was compiled from {twin.name}, which is not beside it. Copy that there again.")
        verify_file(twin, read_sidecar(twin))
    if sidecar.adopted:
        return Packed(path, sidecar, twin, sidecar, twin, file_name(path, sidecar))
    name = Path(str(sidecar.training.get("source"))).name
    around = [folder / name for folder in (path.parent, path.parent.parent)]
    for source in [*originals, *around]:
        if source.is_file() and sidecar_path(source).is_file():
            found = read_sidecar(source)
            if made_from(sidecar, found):
                verify_file(source, found)
                return Packed(path, sidecar, source, found, twin, file_name(path, sidecar))
    raise CrackError(
        f"the float model {name} that {path} was made from is not in {path.parent.parent}. "
        "Name the .keras file, with its sidecar beside it: --float-model FILE."
    )
