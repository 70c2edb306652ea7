"""How sharply a classifier should look: the same weights asked about tiles at several sizes, smoothed, and about two views of a tile.

What it makes: a row per view and set, and a picture. In training, crops are enlarged to the input's size, so that what is seen looks
larger and softer than in whole tiles, and a network may answer those better at another size than it was trained at (Touvron et al.,
"Fixing the train-test resolution discrepancy", NeurIPS 2019). A view is a size, or "128>160": reduced to 128 pixels and
enlarged again, which only smooths; or blurred, each pixel the mean of so many by so many; or the mean or the larger of two views' logits.
Validation, from the data trained on, hardly tells them apart: what `export --second-view` takes is the one that ranks best there of
those that cost SDNET2018's hairlines next to nothing. The sets left out were looked at in that choice; they are no untouched test.
Cost: some minutes on two cores; at most --limit tiles of every set.
Expected: results/views.csv and .png. Smoothing ranks concrete never seen better and SDNET2018's hairlines worse; the mean of a sharp and a
blurred view, in which the sharp one counts twice, keeps most of both, and asks twice.
Command: CRACK_TF_DATA=/path/to/data python -m studies.views RUN --val MANIFEST --out results/views.csv
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps

from crack_tf.common.plotting import new_figure, save_png
from crack_tf.common.progress import say_now
from crack_tf.data.cache import load_split
from crack_tf.data.registry import prepare
from crack_tf.evaluation.suite.answers import TestSet
from crack_tf.evaluation.suite.sets import DOMAINS, load_set
from crack_tf.models import build_model
from crack_tf.models.backend import use_tensorflow
from crack_tf.models.keras_models import MODEL_FILE, blurred, load_keras, predict_logits
from tflite.cli import named_path, positive_int, run_main
from tflite.files import write_csv
from tflite.images import resize_rgb
from tflite.metrics import roc_auc
from tflite.outputs import Output, check_file, csv_with
from tflite.sidecar import read_sidecar

# No shipped default learned from these.
LEFT_OUT = ("brick", "crack500 tiles", "deepcrack tiles", "conglomerate tiles", "drone asphalt", "cssc")


@dataclass(frozen=True)
class Way:
    """What becomes of a tile before it is asked about.

    Attributes:
        sizes: in pixels, that it is resized to one after the other.
        blur: side in pixels of the window whose mean each pixel is then; 0 for none.
    """

    sizes: tuple[int, ...]
    blur: int = 0


@dataclass(frozen=True)
class View:
    """How a tile is asked about.

    Attributes:
        ways: one or more; one that is there twice counts twice in the mean of their logits.
        larger: take the largest of their logits rather than the mean.
    """

    ways: tuple[Way, ...]
    larger: bool = False


SHARP, SMOOTH = Way((160,)), Way((128, 160))
WINDOWS = (3, 5, 7, 9)
VIEWS = {
    "128": View((Way((128,)),)),
    "144": View((Way((144,)),)),
    "160": View((SHARP,)),
    "176": View((Way((176,)),)),
    "128>160": View((SMOOTH,)),
    **{f"blurred {window}": View((Way((160,), window),)) for window in WINDOWS},
    **{f"160, 160 and blurred {window}": View((SHARP, SHARP, Way((160,), window))) for window in WINDOWS},
    "160 and blurred 7": View((SHARP, Way((160,), 7))),
    "larger of 160, blurred 7": View((SHARP, Way((160,), 7)), larger=True),
}
OUTPUT = Output("studies.views", csv_with("", "run", "view", "set"))
Row = dict[str, Any]


def rows(model: Path, sets: Iterator[TestSet], views: dict[str, View]) -> Iterator[Row]:
    """Area under the curve of every set with both classes, in every view.

    Args:
        model: a run folder whose classifier pools its features, so that its weights fit any size.
        sets: with tiles at their own side.
        views: as `VIEWS`.
    """
    import keras

    sidecar, weights = read_sidecar(model / MODEL_FILE), load_keras(model / MODEL_FILE).get_weights()
    ways = dict.fromkeys(way for view in views.values() for way in view.ways)
    networks = {}
    for size in {way.sizes[-1] for way in ways}:
        networks[size] = build_model(sidecar.model, keras, image_size=size, **sidecar.hyperparameters)
        networks[size].set_weights(weights)
    for tested in sets:
        if not 0 < tested.labels.mean() < 1:
            continue
        logits = {way: predict_logits(networks[way.sizes[-1]], _through(tested.images, way)) for way in ways}
        for name, view in views.items():
            answer = (np.max if view.larger else np.mean)([logits[way] for way in view.ways], axis=0)
            yield {
                "run": model.name,
                "view": name,
                "set": tested.name,
                "split": tested.split,
                "cracks": int(tested.labels.sum()),
                "clean": int((tested.labels == 0).sum()),
                "auc": round(float(roc_auc(answer, tested.labels) or 0), 4),
                "manifest_sha256": tested.sha256,
            }


def _through(tiles: np.ndarray, way: Way) -> np.ndarray:
    """Tiles as they are asked about: uint8, or blurred float32, (n, way.sizes[-1], way.sizes[-1], 3)."""
    seen = []
    for tile in tiles:
        for size in way.sizes:
            tile = resize_rgb(np.ascontiguousarray(tile), size)
        seen.append(tile)
    pixels = np.stack(seen)
    return np.asarray(blurred(pixels.astype(np.float32), way.blur)) if way.blur else pixels


def means(found: list[Row]) -> dict[str, float]:
    """By view, the mean area over the sets that took no part in training."""
    return {
        view: float(np.mean([row["auc"] for row in found if row["view"] == view and row["set"] in LEFT_OUT]))
        for view in dict.fromkeys(row["view"] for row in found)
    }


def picture(found: list[Row], path: Path) -> None:
    """A line of areas over the views for each set, and the mean of the sets left out in black."""
    figure = new_figure(9, 5)
    axes = figure.subplots()
    axes.set_prop_cycle(color=colormaps["tab20"].colors)  # type: ignore[attr-defined]
    views = list(dict.fromkeys(row["view"] for row in found))
    for name in dict.fromkeys(row["set"] for row in found):
        axes.plot(views, [row["auc"] for row in found if row["set"] == name], marker="o", linewidth=1, label=name)
    axes.plot(views, list(means(found).values()), color="black", linewidth=3, label="mean of the sets left out")
    axes.set_xlabel("view")
    for label in axes.get_xticklabels():
        label.set_horizontalalignment("right")
    axes.set_ylabel("area under the curve")
    axes.tick_params(axis="x", labelrotation=30)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    save_png(figure, path)


def run(args: argparse.Namespace) -> None:
    """Measure, and write the table and its picture.

    Raises:
        CrackError: if the table exists, or there is no such run or data.
    """
    check_file(args.out, OUTPUT, args.overwrite, inputs=(args.model,))
    use_tensorflow()

    def sets() -> Iterator[TestSet]:
        manifest = prepare(args.val)
        side = 256  # of validation, whose sets have tiles of several sizes
        val = load_split(manifest, "val", side, limit=4 * args.limit)
        yield TestSet("validation", val.images, val.labels, manifest.sha256, "val")
        for chosen in DOMAINS:
            yield load_set(chosen, args.limit)

    found = []
    for row in rows(args.model, sets(), VIEWS):
        say_now(f"{row['set']}, {row['view']}: {row['auc']:.4f}")
        found.append(row)
    write_csv(args.out, found)
    picture(found, args.out.with_suffix(".png"))
    for view, mean in means(found).items():
        print(f"{view}: mean of the sets left out {mean:.4f}")


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser("python -m studies.views", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("model", type=named_path, metavar="RUN", help="run folder of a trained or averaged classifier")
    parser.add_argument(
        "--val", required=True, metavar="MANIFEST", help="what it was trained on; its split val is used"
    )
    parser.add_argument(
        "--limit", type=positive_int, default=250, help="tiles of a set; of validation four times as many"
    )
    parser.add_argument(
        "--out", type=named_path, required=True, metavar="FILE", help="the table, .csv; the picture lies beside it"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier table")
    args = parser.parse_args(argv)
    return run_main(lambda: run(args), needs=("keras",))


if __name__ == "__main__":
    sys.exit(main())
