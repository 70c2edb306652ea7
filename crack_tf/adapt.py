"""`crack-tf adapt SOURCE --out DIR`: a model for one structure, from a few labels or none, if it is better than the shipped one.

    crack-tf adapt found --review review-0123456789ab.json --photos DCIM --out adapted
    crack-tf survey next-flight --model adapted --out found-2

SOURCE is the folder of a finished survey, of tiles in crack/ and no_crack/, or of photographs that nobody has looked at. Candidates are
tried cheap to dear: another threshold, other normalisation statistics, another last layer, one that sees finer features too, and other
last blocks. The first that is better on photographs that it has not seen, and has lost nothing on other
structures, is written as an int8 model; if none is, none is written.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from dataclasses import fields
from types import ModuleType
from typing import TYPE_CHECKING

from crack_tf.adaptation.config import CANDIDATES, SCHEMES, AdaptConfig
from crack_tf.common.called_module import make_callable
from crack_tf.common.progress import say_now
from tflite.cli import (
    EXIT_GAPS,
    Parser,
    fraction,
    named_path,
    named_text,
    non_negative_int,
    positive_int,
    resumed,
    run_main,
)
from tflite.errors import CrackError
from tflite.extras import require
from tflite.metrics import sigmoid
from tflite.words import counted

if TYPE_CHECKING:
    from crack_tf.adaptation.result import Adapted
    from crack_tf.adaptation.suggesting import Suggested

KEEP = " Where no crack may be lost, keep the shipped model."
EPILOG = "exit codes: 0 a better model, 1 no better model found, and why; 2 nothing could be done as asked."
_FIELDS = {entry.name for entry in fields(AdaptConfig)}


def make_parser() -> argparse.ArgumentParser:
    """The command line's options."""
    parser = Parser("crack-tf adapt", description=__doc__, epilog=EPILOG)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add(
        "source",
        type=named_text,
        metavar="SOURCE",
        help="a finished survey, a folder with crack/ and no_crack/, or a folder of photographs",
    )
    add(
        "--out",
        type=named_path,
        required=True,
        metavar="DIR",
        help="folder for the report and the model; give it as --model",
    )
    add(
        "--review",
        type=named_text,
        metavar="FILE",
        help="of a survey: the review that its report.html exported (default: the one that its folder keeps)",
    )
    add(
        "--photos",
        type=named_text,
        metavar="DIR",
        help="of a survey: the folder that was surveyed, for clean tiles around the findings",
    )
    add(
        "--model",
        type=named_text,
        help="what is adapted: a shipped model, a run folder or a .keras file (default: the default)",
    )
    add(
        "--start",
        type=named_text,
        metavar="MODEL",
        help="whose last blocks the candidate blocks trains, such as mobilenet_v2_cells_real (default: those of --model)",
    )
    add(
        "--candidates",
        type=_names,
        metavar="A,B",
        help=f"which of {','.join(CANDIDATES)} are tried, with commas between (default: all)",
    )
    add("--target-recall", type=fraction, help="share of the cracks here that is to be found (default: 0.98)")
    add("--scheme", choices=SCHEMES, help="of the int8 model; qat fine-tunes, and takes longer (default: int8-ptq)")
    add(
        "--shapes",
        type=named_text,
        action="append",
        metavar="MANIFEST",
        help="without labels: cracks to lay into clean tiles, photographs with masks (default: drawn ones, and uav_concrete's)",
    )
    add(
        "--regression-limit", type=positive_int, metavar="N", help="tiles of each other structure's test (default: 300)"
    )
    add(
        "--tile-side", type=positive_int, metavar="PX", help="side of tiles cut from photographs (default: the model's)"
    )
    add("--blocks", type=positive_int, metavar="N", help="last blocks that the candidate blocks trains (default: 13)")
    add("--steps", type=positive_int, metavar="N", help="batches of each of its trainings (default: 100)")
    add(
        "--suggest",
        type=positive_int,
        metavar="N",
        help="write the N tiles or findings most worth a label; adapt nothing",
    )
    add("--seed", type=non_negative_int, help="of all draws (default: 0)")
    add("--resume", action="store_true", help="go on with an interrupted run in --out")
    add("--overwrite", action="store_true", help="replace an earlier result in --out; what else lies there stays")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    args = make_parser().parse_args(argv)
    # Who is ended by a service is told how to go on, too.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return run_main(lambda: run(args), interrupted=resumed(args.overwrite), needs=("keras", "tensorflow", "cv2"))
    finally:
        signal.signal(signal.SIGTERM, before)


def run(args: argparse.Namespace) -> int:
    """Adapt as the parsed options say."""
    config = make_config(args)
    if config.suggest is not None:
        if args.resume:
            raise CrackError("--resume: suggestions are made at once. Leave it out.")

        from crack_tf.adaptation.suggesting import suggest

        return tell_suggested(suggest(config, args.out, overwrite=args.overwrite))

    from crack_tf.adaptation.places import check_out

    check_out(args.out, config, args.resume, args.overwrite)
    say_now(f"reading {config.source}")

    from crack_tf.adaptation.adapting import adapt  # after the check: importing Keras takes seconds

    return tell(adapt(config, args.out, resume=args.resume, overwrite=args.overwrite), config.model)


def make_config(args: argparse.Namespace) -> AdaptConfig:
    """What the options say, checked."""
    given = {name: value for name, value in vars(args).items() if name in _FIELDS and value is not None}
    return AdaptConfig(**given)


def tell(result: Adapted, kept: str = "") -> int:
    """Print what came out, or that the model stays that was kept, "" for the default; returns the exit code."""
    for gap in result.gaps:
        print(gap)
    if result.model is None:
        reasons = (f"  {reason}" for reason in result.why_not)
        print(f"no better model found: {kept or 'the shipped one'} stays.", *reasons, sep="\n")
        return EXIT_GAPS
    row = next(row for row in result.here if row.candidate == result.candidate)
    for reason in result.why_not:
        print(f"not shown to be better: {reason}")
    print(f"{result.model}: made by the candidate {row.candidate}" + (f" ({row.choice})." if row.choice else "."))
    crack, clean = ("crack", "clean tile") if result.labelled else ("laid-in crack", "tile")
    print(
        f"On photographs that it had not seen it finds {row.found_after} of {counted(row.cracks, crack)} (before {row.found_before}) and "
        f"calls {row.alarms_after} of {counted(row.clean, clean)} cracked (before {row.alarms_before})."
    )
    if result.trade:
        print(f"So: {result.trade}." + (KEEP if row.found_after < row.found_before else ""))
    if result.labelled:
        print(f"Of 1,000 further cracks like these, at most {1000 * row.miss_bound_after:.0f} are missed on average.")
    else:
        print(
            "Nobody labelled a tile, so how many of this structure's own cracks it finds is not known. Label some: --suggest 40"
        )
    chance = sigmoid(row.threshold)
    print(
        f"It says crack from a probability of {chance:.3f} on (logit {row.threshold:z.3f}); its model card has the rest."
    )
    print(f"Use it: crack-tf survey DCIM --model {result.folder} --out found")
    return 0


def tell_suggested(result: Suggested) -> int:
    """Print what to look at, and how to say what is seen; returns the exit code."""
    for gap in result.gaps:
        print(gap)
    for row in result.suggestions[:20]:
        chance = "-" if row.probability is None else f"{row.probability:.2f}"
        print(f"{row.rank:>3}  {row.kind:<10}  {row.photo}  {row.name}  {chance}")
    folder = result.folder
    if (folder / "suggested.json").is_file():
        print(f"{folder}/suggested.csv; in the report: crack-tf survey --review {folder}/suggested.json --out FOUND")
    else:
        place = folder / "suggested"
        print(
            f"{folder}/suggested.csv; write crack or no_crack into {place}/review.csv, numbers are those on {place}/sheet-*.png, then:"
        )
        print(f"crack-tf data relabel {place}/manifest.csv --review {place}/review.csv --out {folder.name}-labels.csv")
    return EXIT_GAPS if result.gaps else 0


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(","))


class AdaptVerb(ModuleType):
    """This module as `crack_tf.adapt(config, out)`: a package's attribute becomes the module as soon as anybody imports it."""

    def __call__(
        self,
        config: AdaptConfig,
        out: str | os.PathLike[str],
        *,
        resume: bool = False,
        overwrite: bool = False,
    ) -> Adapted:
        """Make a model for one structure, if it is better there. See `crack_tf.adaptation.adapting.adapt`."""
        require(("keras", "tensorflow", "cv2"))
        from crack_tf.adaptation.adapting import adapt

        return adapt(config, out, resume=resume, overwrite=overwrite)


make_callable(__name__, AdaptVerb)

if __name__ == "__main__":
    sys.exit(main())
