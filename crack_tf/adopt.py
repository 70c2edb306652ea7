"""`crack-tf adopt`: take a classifier made elsewhere. What its file cannot say is stated here, and checked on two pictures.

    crack-tf adopt mine.tflite --input-scaling unit --classes no_crack,crack --threshold 0.5 --crack a.jpg --clean b.jpg

Writes mine.tflite.json, the sidecar, and the two pictures' tiles, mine.tflite.crack.png and mine.tflite.clean.png. From then on
predict, evaluate, benchmark, survey, bundle and the device take the file as one of their own; of a .keras evaluate and explain. A file
whose answers to the two pictures are wrong gets nothing. `crack-tf benchmark` times files that nobody has adopted, latency alone.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from tflite.cli import Parser, fraction, named_path, positive_float, positive_int, run_main
from tflite.errors import CrackError
from tflite.heads import KINDS
from tflite.scaling import COLOURS, Scaling
from tflite.words import counted

if TYPE_CHECKING:
    from crack_tf.zoo.adoption import Adopted

# Mean and deviation of a pixel, red, green, blue.
SCALINGS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "none": ((0.0,) * 3, (1.0,) * 3),
    "unit": ((0.0,) * 3, (255.0,) * 3),
    "signed": ((127.5,) * 3, (127.5,) * 3),
    "imagenet": ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
}


def make_parser() -> argparse.ArgumentParser:
    """The command line's options."""
    parser = Parser(prog="crack-tf adopt", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add(
        "model",
        type=named_path,
        metavar="MODEL",
        help=".tflite or .keras file: one logit, one probability, or two classes",
    )
    add(
        "--input-scaling",
        required=True,
        metavar="HOW",
        help="what pixels became in its training: none (0 to 255, also where the model rescales them itself), unit (0 to 1), "
        "signed (-1 to 1), imagenet (mean and deviation, as PyTorch's models have it), or MEAN,STD in pixel values, one for all "
        "channels or R,G,B,R,G,B",
    )
    add(
        "--channels",
        default="rgb",
        choices=COLOURS,
        help="that it takes; bgr where OpenCV read the pictures (default: rgb)",
    )
    add(
        "--classes",
        required=True,
        metavar="FIRST,SECOND",
        help="in the order of its outputs; a single output stands for the second. Keras sorts folders by name: crack,no_crack",
    )
    add("--crack-class", metavar="NAME", help="which of the two means a crack, where the names do not say it")
    add(
        "--threshold", required=True, type=fraction, metavar="P", help="probability from which a tile is called cracked"
    )
    add("--head", choices=KINDS, help="what it answers with (default: by its last operator)")
    add("--crack", required=True, type=named_path, metavar="IMAGE", help="with a crack; a large one is cut into tiles")
    add("--clean", required=True, type=named_path, metavar="IMAGE", help="without")
    add(
        "--tile-side",
        type=positive_int,
        metavar="PX",
        help="of its training tiles before resizing (default: its input)",
    )
    add(
        "--tile-mm",
        type=positive_float,
        metavar="MM",
        help="of the surface that its training tiles show; tiles then follow the scale of photographs that tell theirs",
    )
    add("--name", help="that it goes by in results (default: the file's)")
    add("--dataset", metavar="NAME", help="that it was trained on, for the notes of evaluate")
    add("--licence", default="not stated", help="of its weights (default: not stated)")
    add(
        "--out",
        type=named_path,
        metavar="DIR",
        help="copy the model there, and write beside it (default: beside the model)",
    )
    add("--overwrite", action="store_true", help="replace what an earlier adoption wrote, and nothing else")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    args = make_parser().parse_args(argv)
    return run_main(lambda: run(args))


def run(args: argparse.Namespace) -> None:
    """Adopt as the parsed options say."""
    for option, path in (("MODEL", args.model), ("--crack", args.crack), ("--clean", args.clean)):
        if not path.exists():
            raise CrackError(f"{option} {path} does not exist.")
    scaling = parse_scaling(args.input_scaling, args.channels)
    classes = tuple(part.strip() for part in args.classes.split(","))
    if len(classes) != 2 or not all(classes):
        raise CrackError(f"--classes {args.classes}: name two, in the order of the outputs, such as no_crack,crack.")

    from crack_tf.zoo.adoption import AdoptConfig, adopt

    config = AdoptConfig(
        scaling,
        (classes[0], classes[1]),
        args.threshold,
        crack_class=args.crack_class,
        head=args.head,
        name=args.name,
        licence=args.licence,
        dataset=args.dataset,
        tile_side=args.tile_side,
        tile_mm=args.tile_mm,
    )
    print("\n".join(told(adopt(args.model, config, args.crack, args.clean, args.out, args.overwrite))))


def parse_scaling(text: str, colours: str) -> Scaling:
    """Read --input-scaling: a name, MEAN,STD, or three means and three deviations.

    Raises:
        CrackError: if the text is none of these.
    """
    if text in SCALINGS:
        mean, std = SCALINGS[text]
    else:
        try:
            numbers = [float(part) for part in text.split(",")]
        except ValueError:
            numbers = []
        if len(numbers) not in (2, 6):
            raise CrackError(
                f"--input-scaling {text}: choose one of {', '.join(SCALINGS)}, or give MEAN,STD such as 127.5,127.5 "
                "(one for all channels, or R,G,B,R,G,B)."
            )
        half = len(numbers) // 2
        mean, std = (tuple(side * (3 // half)) for side in (numbers[:half], numbers[half:]))
    if colours == "bgr":  # stated in the order of red, green, blue; the model has them the other way round
        mean, std = mean[::-1], std[::-1]
    if colours == "grey":
        if len({*mean}) > 1 or len({*std}) > 1:
            raise CrackError(f"--input-scaling {text}: grey has one channel, give one mean and one deviation.")
        mean, std = mean[:1], std[:1]
    scaling = Scaling(mean, std, colours)
    try:
        scaling.check()
    except ValueError as error:
        raise CrackError(f"--input-scaling {text}: {error}. Deviations are numbers above 0.") from None
    return scaling


def told(adopted: Adopted) -> list[str]:
    """What is printed about an adopted model."""
    sidecar, threshold = adopted.sidecar, adopted.sidecar.threshold
    raw = f", raw {threshold.raw}" if threshold.raw is not None else ""
    lines = [
        f"{adopted.path}: {sidecar.scheme}, {sidecar.image_size} px, {sidecar.head.kind}, crack from probability "
        f"{threshold.probability:.4g}{raw}"
    ]
    for role, answer in adopted.answers.items():
        tiles = f", the highest of {counted(answer.tiles, 'tile')}" if answer.tiles > 1 else ""
        lines.append(f"  {role:<5}  {answer.picture}: probability {answer.probability:.4f}{tiles}")
    lines += [f"note: {note}." for note in adopted.notes]
    return [*lines, f"{adopted.path}.json, and two golden tiles beside it"]


if __name__ == "__main__":
    sys.exit(main())
