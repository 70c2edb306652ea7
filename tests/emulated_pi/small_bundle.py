"""A bundle of small models for continuous integration, made in a minute or two: no real run is needed.

    python -m tests.emulated_pi.small_bundle --out bundle.zip

OPNet and the lighter opnet_lite at 96 pixels with few filters, trained for a minute on noise with and without a dark line: their
scores spread over the int8 range, as those of real models do, and rounding has something to turn.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.conftest import draw_tile
from tflite.cli import run_main
from tflite.errors import CrackError
from tflite.manifest import LABELS

SIZE = 96
TILES = 24
PER_CLASS = 120
# The export's gate on recall is for real models: here a test split of a dozen cracks would decide.
_LENIENT = ("--max-recall-drop", "100")
_TRAINING = (
    *("--image-size", str(SIZE), "--epochs", "6", "--batch", "16", "--learning-rate", "3e-3", "--warmup-steps", "5"),
    *("--augmentation", "0", "--patience", "0"),
)
# Plain and depthwise-separable convolutions. MobileNetV2 is not among them: so deep a net trained for so short a time is chaotic,
# and two kernels that round differently disagree by many steps, which says nothing about either.
_MODELS = {
    "opnet": ("--hp", "widths=(8,16,16,32)", "--hp", "dropout=0.0"),
    "opnet_lite": ("--hp", "width=8", "--hp", "dropout=0.0"),
}


def make(out: Path) -> None:
    """Train, export and pack.

    Args:
        out: the zip.

    Raises:
        CrackError: if one of the commands fails.
    """
    from crack_tf import bundle, export, train
    from crack_tf.data import __main__ as data

    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        split = work / "split.csv"
        draw_tiles(work / "tiles")
        _call(data.main, "split", work / "tiles", "--policy", "plain", "--out", split)
        for model, options in _MODELS.items():
            _call(train.main, "--model", model, "--data", split, "--out", work / model, *_TRAINING, *options)
            _call(export.main, work / model, "--int8", "--ptq", *_LENIENT)
        _call(export.main, work / "opnet", "--float32", *_LENIENT)
        _call(export.main, work / "opnet", "--int8", "--qat-steps", "8", *_LENIENT)
        runs = [work / model for model in _MODELS]
        _call(bundle.main, *runs, "--out", out, "--tiles", str(TILES), "--overwrite")


def draw_tiles(folder: Path) -> None:
    """Tiles of both classes as JPEG: what the device decodes."""
    for label, name in enumerate(LABELS):
        (folder / name).mkdir(parents=True)
        for number in range(PER_CLASS):
            tile = draw_tile(label, seed=1000 * label + number, size=SIZE)
            tile.save(folder / name / f"{number:03d}.jpg", quality=90)


def _call(command: Callable[[list[str]], int], *arguments: str | Path) -> None:
    words = [str(argument) for argument in arguments]
    if code := command(words):
        raise CrackError(f"{command.__module__} {' '.join(words)} ended with {code}.")


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.emulated_pi.small_bundle", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.zip")
    args = parser.parse_args(argv)
    return run_main(lambda: make(args.out))


if __name__ == "__main__":
    sys.exit(main())
