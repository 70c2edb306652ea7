"""The models that come with the package: a manifest with the sha256 of every file, and `load`, which compares them.

`zoo_models/zoo.json` describes the models, `zoo_models/NAME/` holds one: model.keras and its sidecar, the int8 .tflite file,
its sidecar and its model card, and two golden tiles, one cracked and one clean, with the answers they are to get. The tiles are
drawn by `crack_tf.synthetic.tiles`, so that no data set's picture is passed on.

Example:
    from crack_tf.zoo import load
    from tflite.runtime import Classifier

    classifier = Classifier(load().tflite)
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tflite.errors import CrackError, ModelFileError
from tflite.files import read_json, sha256_file, write_json
from tflite.foreign import refuse_foreign
from tflite.images import load_rgb
from tflite.runtime import Classifier
from tflite.segmenter import Segmenter, load_model
from tflite.sidecar import Sidecar, read_sidecar

if TYPE_CHECKING:
    import numpy as np

FORMAT = "crack_tf.zoo/1"
FOLDER = Path(__file__).parents[1] / "zoo_models"
MANIFEST = "zoo.json"
LIMIT_BYTES = 70 * 10**6  # of all models together: they are in git and in the wheel, and PyPI takes wheels up to 100 MB
ROLES = ("keras", "keras_sidecar", "tflite", "tflite_sidecar", "card", "golden_crack", "golden_no_crack")
KINDS = {"classify": "classifier", "segment": "segmentation model"}
_USES = {
    "classify": "it says crack or no crack. Use it with crack-tf predict.",
    "segment": "it draws cracks. Use it with crack-tf photo segment.",
}
GOLDEN = {"golden_crack": True, "golden_no_crack": False}
RESEARCH = "research only"


@dataclass(frozen=True)
class ZooFile:
    """One file of the zoo.

    Attributes:
        path: below the zoo's folder, with forward slashes.
        bytes: its length.
        sha256: hexadecimal.
    """

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class ZooModel:
    """One entry of the manifest.

    Attributes:
        name: what `load` and `--model` take.
        model: registry name, such as "opnet".
        scheme: of the .tflite file, "int8-qat" or "int8-ptq".
        image_size: side of the square input, pixels.
        tile_side: side in pixels of the tiles it was trained on, before they were resized; `predict` cuts such tiles.
        summary: one line.
        trained_on: data set, split policy, hash of the split manifest, and what to quote.
        licence: of the weights.
        default: whether `load()` means this model; every task has a default of its own.
        files: by role, one of `ROLES`.
        golden: by role, the raw output to the golden tile; of a segmentation model the largest of its map.
        tolerance: largest accepted difference from it.
        folder: of the zoo it came from; not in the manifest.
        task: "classify" or "segment".
    """

    name: str
    model: str
    scheme: str
    image_size: int
    tile_side: int
    summary: str
    trained_on: dict[str, Any]
    licence: str
    default: bool
    files: dict[str, ZooFile]
    golden: dict[str, float]
    tolerance: float
    folder: Path
    task: str = "classify"

    def path(self, role: str) -> Path:
        """Where the file of a role lies."""
        return self.folder / self.files[role].path

    @property
    def keras(self) -> Path:
        """The Keras model."""
        return self.path("keras")

    @property
    def tflite(self) -> Path:
        """The int8 model for LiteRT."""
        return self.path("tflite")

    @property
    def card(self) -> Path:
        """The model card, Markdown."""
        return self.path("card")

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.bytes for file in self.files.values())


@dataclass(frozen=True)
class Chosen:
    """A .tflite model to predict with.

    Attributes:
        path: of the file.
        tile_side: of the photographs' tiles in pixels; None if nothing is known beyond the sidecar.
        looks_again: whether it is asked again about a few cracked tiles, see `looks_again`.
    """

    path: Path
    tile_side: int | None
    looks_again: bool = False


def load(
    name: str | None = None, *, roles: Collection[str] = ROLES, folder: Path = FOLDER, task: str = "classify"
) -> ZooModel:
    """A shipped model, its files compared with the manifest.

    Args:
        name: of the model; None for the task's default.
        roles: files to compare; the others are taken on trust.
        folder: of another zoo.
        task: "classify" or "segment", what the default is wanted for.

    Raises:
        CrackError: if the zoo has no such model, or none for the task; the message lists the names.
        ModelFileError: if a file is missing or is not the one the manifest describes.
    """
    models = read_zoo(folder)[1]
    if name is None:
        found = [model for model in models.values() if model.default and model.task == task]
        if not found:
            raise CrackError(
                f"no {KINDS[task]} is shipped with this copy of crack_tf. Name a .tflite file: --model FILE.tflite."
            )
        model = found[0]
    elif name in models:
        model = models[name]
    else:
        raise CrackError(
            f"model {name!r} is not in the zoo: choose one of {', '.join(models)}, or name a .tflite file."
        )
    for role in roles:
        verify(model, role)
    return model


def find_model(text: str | None, folder: Path = FOLDER, task: str = "classify", option: str = "--model") -> Chosen:
    """What the user's `--model` stands for: a .tflite file, a run folder with an int8 export, a name in the zoo, or its default.

    Messages name it by the option, or the argument, that it was given as.

    Raises:
        CrackError: see `load`; also if there is no such file, or the model in the zoo is for another task.
    """
    if text is not None and text.endswith(".tflite"):
        path = Path(text)
        if not path.is_file():
            raise CrackError(f"{option} {text} does not exist.")
        return _chosen(path, folder)
    if (
        text is not None and Path(text).exists() and text not in read_zoo(folder)[1]
    ):  # ./NAME is a file or folder of that name
        if (exported := exported_file(Path(text))) is not None:
            return _chosen(exported, folder)
        refuse_foreign(text)
        if text.endswith(".keras"):
            run = Path(text).parent
            give = f"give its run folder, {run}, or a .tflite file"
            if exported_file(run) is None:
                give = f"make its int8 file, crack-tf export {run} --int8, and give the run folder"
            raise CrackError(f"{option} {text}: {give}.")
        raise CrackError(f"{option} {text}: name a .tflite file, such as one in a run's export folder.")
    model = load(text, roles=("tflite", "tflite_sidecar"), folder=folder, task=task)
    if model.task != task:
        raise CrackError(f"{option} {model.name} is a {KINDS[model.task]}: {_USES[model.task]}")
    return Chosen(model.tflite, model.tile_side, looks_again(read_sidecar(model.tflite), folder))


def _chosen(path: Path, folder: Path) -> Chosen:
    try:
        sidecar = read_sidecar(path)
    except ModelFileError:  # for whoever loads it to tell
        return Chosen(path, None)
    shipped = shipped_as(sidecar, folder)
    return Chosen(path, None if shipped is None else shipped.tile_side, looks_again(sidecar, folder))


def shipped_as(sidecar: Sidecar, folder: Path = FOLDER) -> ZooModel | None:
    """The shipped model whose file this is, by its hash, wherever it lies; None where it is none."""
    manifest = folder / MANIFEST
    return _by_hash(folder, manifest.stat().st_mtime_ns if manifest.is_file() else 0).get(sidecar.sha256)


def model_name(sidecar: Sidecar, folder: Path = FOLDER) -> str:
    """What a model is called in tables, titles and messages, such as "mobilenet_v2_real-int8-qat".

    Several shipped files are of one architecture, so a shipped one has its name in the zoo, whatever path it was loaded from; any other
    has its architecture's. A name is for people: whether two files are the same model, their hashes say (`tflite.sameness.changed`).
    """
    shipped = shipped_as(sidecar, folder)
    # It may have the shipped bytes, and a threshold of its own.
    adapted = "-adapted" if "adapted" in sidecar.training else ""
    return f"{sidecar.model if shipped is None else shipped.name}{adapted}-{sidecar.scheme}"


def is_research_only(sidecar: Sidecar) -> bool:
    """Whether a model's training data allow research and nothing else."""
    return RESEARCH in sidecar.licence.lower()


def stated_use(sidecar: Sidecar) -> dict[str, str]:
    """What files say of a model's use beside its hash: {"use": "research only"}, or nothing. It follows from the licence in the sidecar."""
    return {"use": RESEARCH} if is_research_only(sidecar) else {}


def research_note(names: Sequence[str]) -> str:
    """What people are told of models that are for research only; "" where there are none."""
    if not names:
        return ""
    are, whose = ("is", "its") if len(names) == 1 else ("are", "their")
    return f"{' and '.join(names)} {are} {RESEARCH}: licences of {whose} training data allow no other use"


def looks_again(sidecar: Sidecar, folder: Path = FOLDER) -> bool:
    """Whether a classifier is asked again about a few cracked tiles (`crack_tf.inference.second_look`).

    The default is, for which that was measured, and so is what was adapted from it: that learned the same, and a structure's own tiles.
    """
    if sidecar.task != "classify":
        return False
    adapted = sidecar.training.get("adapted")
    if isinstance(adapted, dict):
        origin = read_zoo(folder)[1].get(str(adapted.get("from")))
        return origin is not None and origin.default
    shipped = shipped_as(sidecar, folder)
    return shipped is not None and shipped.default and sidecar.sha256 == shipped.files["tflite"].sha256


@lru_cache(maxsize=8)
def _by_hash(folder: Path, changed_ns: int) -> dict[str, ZooModel]:
    return {model.files[role].sha256: model for model in read_zoo(folder)[1].values() for role in ("keras", "tflite")}


def exported_file(run: Path) -> Path | None:
    """The int8 export of a run folder; None where there is none. Quantisation-aware training goes before calibration alone."""
    exports = sorted((run / "export").glob("*-int8-*.tflite")) if run.is_dir() else []
    return next((file for file in exports if "qat" in file.name), exports[0]) if exports else None


def read_zoo(folder: Path = FOLDER) -> tuple[int, dict[str, ZooModel]]:
    """The manifest: its version, raised with every change, and the models by name.

    Raises:
        CrackError: if it is missing or not a zoo's manifest.
    """
    path = folder / MANIFEST
    record = read_json(path)
    if record.get("format") != FORMAT:
        raise CrackError(f'{path} is not a zoo\'s manifest (no "format": "{FORMAT}"). Install crack_tf again.')
    try:
        models = [
            ZooModel(
                **{**entry, "files": {role: ZooFile(**file) for role, file in entry["files"].items()}, "folder": folder}
            )
            for entry in record["models"]
        ]
        if any(set(model.files) != set(ROLES) or set(model.golden) != set(GOLDEN) for model in models):
            raise ValueError("a model lacks a file")
        if any(model.task not in KINDS for model in models):
            raise ValueError("a model has an unknown task")
        if sorted({model.task for model in models}) != sorted(model.task for model in models if model.default):
            raise ValueError("one model of each task must be the default")
        return int(record["version"]), {model.name: model for model in models}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CrackError(f"{path} is damaged ({error}). Install crack_tf again.") from None


def write_zoo(folder: Path, version: int, models: Collection[ZooModel]) -> None:
    """Write the manifest atomically, models sorted by name."""
    entries = []
    for model in sorted(models, key=lambda model: model.name):
        entry = asdict(model)
        del entry["folder"]
        entries.append(entry)
    write_json(folder / MANIFEST, {"format": FORMAT, "version": version, "models": entries})


def verify(model: ZooModel, role: str) -> None:
    """Compare one file with the manifest.

    Raises:
        ModelFileError: if it is missing or differs.
    """
    path = model.path(role)
    if not path.is_file():
        raise ModelFileError(f"{path} of the shipped model {model.name} is missing. Install crack_tf again.")
    if sha256_file(path) != model.files[role].sha256:
        raise ModelFileError(
            f"{path} of the shipped model {model.name} was changed or damaged. Install crack_tf again."
        )


def check(model: ZooModel) -> dict[str, float]:
    """Compare all files of a model with the manifest and ask it about its golden tiles.

    Returns:
        Its raw outputs by role.

    Raises:
        ModelFileError: if a file or an answer differs.
    """
    for role in ROLES:
        verify(model, role)
    runner = load_model(model.tflite)
    answers = {}
    for role, crack in GOLDEN.items():
        raw, decision = highest(runner, load_rgb(model.path(role), runner.image_size))
        if decision != crack or not abs(raw - model.golden[role]) <= model.tolerance:
            raise ModelFileError(
                f"{model.tflite} answers {raw:g} to {model.path(role).name}, the manifest says {model.golden[role]:g} "
                f"+- {model.tolerance:g}. The file or this machine's runtime is faulty."
            )
        answers[role] = raw
    return answers


def highest(runner: Classifier | Segmenter, tile: np.ndarray) -> tuple[float, bool]:
    """A model's raw output to a tile, of a map the largest one; and whether it is a crack."""
    import numpy as np

    if isinstance(runner, Classifier):
        answer = runner.raw(tile)
        return answer, runner.decide(answer)
    raw = float(np.max(runner.raw(tile)))
    threshold = runner.sidecar.threshold
    return raw, bool(raw >= (threshold.logit if threshold.raw is None else threshold.raw))
