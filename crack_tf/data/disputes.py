"""Labels that a model which has not seen them disputes: the audit of a data set's annotation.

Every tile is judged by a classifier fitted on other groups of tiles (cross-validation by group, so that no copy or neighbour
of a tile takes part in judging it): logistic regression on the pooled features of a MobileNetV2 from ImageNet, which has
never seen a crack label. Which disagreements count follows confident learning (Northcutt, Jiang, Chuang, JAIR 2021): a tile
is disputed when the probability of the other class exceeds what that class gets on average where it is the label.

A dispute is a hint to look at the tile, not a verdict.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from crack_tf.common.plotting import new_figure, save_png
from crack_tf.common.progress import bar
from crack_tf.data.cache import Tiles, load_split
from crack_tf.data.registry import prepare
from crack_tf.data.reviews import keep_verdicts
from crack_tf.models import build_model, get_model
from tflite.errors import CrackError
from tflite.files import write_csv
from tflite.images import load_rgb
from tflite.manifest import LABELS
from tflite.outputs import Output, check_folder, csv_with, making

OUTPUT = Output(
    "crack-tf data disputes",
    csv_with("disputes.csv", "path", "sha256", "probability", "margin", "verdict"),
    ("disputes.csv", "disputes.png"),
)
TABLE = "disputes.csv"
FOLDS = 5
FEATURE_SIZE = 224
_BATCH = 32
_STRENGTH = 0.1  # inverse regularisation; weak features of a thousand dimensions overfit without


@dataclass(frozen=True)
class Dispute:
    """One tile whose label is doubted.

    Attributes:
        path: of the tile, relative to the data set.
        label: as annotated; 1 is cracked.
        probability: of a crack, out of fold.
        margin: by how much the other class's probability exceeds that class's own mean; larger is surer.
    """

    path: str
    label: int
    probability: float
    margin: float


@dataclass(frozen=True)
class Disputes:
    """The tiles of a data set whose labels are doubted.

    Attributes:
        data: name of its manifest.
        tiles: how many were looked at.
        found: the surest first.
    """

    data: str
    tiles: int
    found: tuple[Dispute, ...]

    @property
    def title(self) -> str:
        """One line."""
        return f"{self.data}: {len(self.found)} of {self.tiles} labels disputed, the surest first"


def dispute_labels(
    data: str, out: Path, weights: str = "imagenet", limit: int | None = None, overwrite: bool = False
) -> Disputes:
    """Look for disputed labels of a data set, and write `out`/disputes.csv, a review as `relabel` takes it, and disputes.png.

    Args:
        data: data set, folder or manifest .csv, of tiles.
        out: folder.
        weights: of MobileNetV2: imagenet, or a notop weights file.
        limit: at most so many tiles; None for all.
        overwrite: whether what an earlier call wrote is replaced; a table with a person's verdicts is not.

    Raises:
        CrackError: if the data hold masks, cannot be read, or `out` is not to be written to.
    """
    check_folder(out, OUTPUT, overwrite, inputs=(data, weights))
    keep_verdicts(out / TABLE, "doubtful")
    manifest = prepare(data)
    if manifest.task != "classify":
        raise CrackError(f"{data} holds masks: labels can be disputed only where tiles have one.")
    tiles = load_split(manifest, "all", FEATURE_SIZE, limit=limit)
    groups = np.unique([item.group for item in tiles.items], return_inverse=True)[1]
    probabilities = out_of_fold(pooled_features(tiles, weights), tiles.labels, groups)
    found = find_disputes([item.path for item in tiles.items], tiles.labels, probabilities)
    disputes = Disputes(manifest.name, len(tiles), tuple(found))
    hashes = {item.path: item.sha256 for item in tiles.items}
    # The table is a review as `relabel` takes it: it leaves disputed tiles out.
    rows = [asdict(dispute) | {"sha256": hashes[dispute.path], "verdict": "doubtful"} for dispute in found]
    with making(out, OUTPUT, overwrite):
        gallery(found, manifest.folder(), disputes.title, out / "disputes.png")
        write_csv(out / TABLE, rows, ["path", "sha256", "label", "probability", "margin", "verdict"])
    return disputes


def out_of_fold(features: np.ndarray, labels: np.ndarray, groups: np.ndarray, seed: int = 0) -> np.ndarray:
    """Probability of a crack for every tile, from a classifier fitted without the tile's group.

    Args:
        features: float (n, d).
        labels: 0 or 1, (n,).
        groups: (n,), tiles that belong together.
        seed: of the folds.

    Returns:
        float64 (n,).

    Raises:
        CrackError: if a class has fewer groups than there are folds.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    for label in (0, 1):
        count = len(np.unique(groups[labels == label]))
        if count < FOLDS:
            raise CrackError(
                f"class {label} has {count} groups of tiles: at least {FOLDS} are needed to judge each by the others."
            )
    probabilities = np.full(len(labels), np.nan)
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    for fitted, judged in folds.split(features, labels, groups):
        classifier = make_pipeline(StandardScaler(), LogisticRegression(C=_STRENGTH, max_iter=2000))
        classifier.fit(features[fitted], labels[fitted])
        probabilities[judged] = classifier.predict_proba(features[judged])[:, 1]
    return probabilities


def find_disputes(paths: list[str], labels: np.ndarray, probabilities: np.ndarray) -> list[Dispute]:
    """Tiles whose label confident learning doubts, the surest first.

    Args:
        paths: of the tiles.
        labels: 0 or 1, (n,), both present.
        probabilities: of a crack, out of fold, (n,).
    """
    confident = [float(np.mean(1 - probabilities[labels == 0])), float(np.mean(probabilities[labels == 1]))]
    found = []
    for path, label, probability in zip(paths, labels, probabilities, strict=True):
        other = 1 - int(label)
        chance = float(probability if other else 1 - probability)
        if chance >= confident[other] and chance > 0.5:
            found.append(Dispute(path, int(label), float(probability), chance - confident[other]))
    return sorted(found, key=lambda dispute: (-dispute.margin, dispute.path))


def pooled_features(tiles: Tiles, weights: str, progress: bool = True) -> np.ndarray:
    """Features of a MobileNetV2 1.0 without its head: float32 (n, 1280).

    Args:
        tiles: at `FEATURE_SIZE` pixels.
        weights: "imagenet" or a weights file, see `crack_tf.models.mobilenet_v2.load_pretrained`.
        progress: show a bar.

    Raises:
        CrackError: if the weights cannot be had.
    """
    import keras

    spec = get_model("mobilenet_v2")
    model = build_model(spec.name, keras, image_size=FEATURE_SIZE)
    assert spec.pretrained is not None
    spec.pretrained(keras, model, weights, image_size=FEATURE_SIZE)
    body = keras.Model(model.input, model.get_layer("features").output)
    places = range(0, len(tiles), _BATCH)
    starts = bar(places, "features", len(places), "tile", each=_BATCH, shown=progress)
    return np.concatenate(
        [np.asarray(body.predict_on_batch(np.asarray(tiles.images[s : s + _BATCH], np.float32))) for s in starts]
    )


def gallery(disputes: list[Dispute], folder: Path, title: str, path: Path, limit: int = 24) -> None:
    """PNG of the surest disputes with label and probability."""
    shown = disputes[:limit]
    columns = 6
    rows = max(1, -(-len(shown) // columns))
    figure = new_figure(1.9 * columns, 2.25 * rows + 0.4)
    figure.suptitle(title, fontsize=10)
    axes = np.atleast_2d(figure.subplots(rows, columns))
    for axis in axes.ravel():
        axis.set_axis_off()
    for axis, dispute in zip(axes.ravel(), shown, strict=False):
        axis.imshow(load_rgb(folder / dispute.path))
        axis.set_title(
            f"{Path(dispute.path).name}\nlabel {LABELS[dispute.label]}, p {dispute.probability:.3f}", fontsize=7
        )
    save_png(figure, path)
