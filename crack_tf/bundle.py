"""`python -m crack_tf.bundle`: one zip with everything a board needs to check and measure models, and nothing else.

    crack-tf bundle runs/opnet runs/mobilenet_v2 --out crack_tf-bundle.zip
    crack-tf bundle --out crack_tf-bundle.zip --ssh pi@raspberrypi     # copy, run, and bring the results back

Unzipped, the folder holds:

    bundle.json                 every other file with size and sha256 (tflite.device.bundle)
    README.txt                  the few commands
    requirements-device.txt     what to install
    tflite/                     the device side of the code
    models/                     .tflite files with their sidecars; in models/edgetpu those compiled for a Coral stick
    evaluation/manifest.csv     a small class-balanced set of test tiles, in evaluation/images
    evaluation/reference.json   what the float models and these files answered on the workstation

The same inputs give the same bytes: names are sorted, time stamps fixed, and `created` is that of the newest model.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from crack_tf.data.policies import POLICIES, POLICY_HELP
from tflite.cli import Parser, named_path, non_negative_int, positive_int, run_main, thread_counts
from tflite.errors import CrackError
from tflite.manifest import SPLITS
from tflite.outputs import check_file
from tflite.words import counted


def make_parser() -> argparse.ArgumentParser:
    """The command line's options."""
    parser = Parser(
        prog="crack-tf bundle",
        description="Pack models, code and test tiles for a board into one zip; with --ssh, run it.",
    )
    add = parser.add_argument
    add(
        "models",
        nargs="*",
        type=named_path,
        metavar="RUN_OR_TFLITE",
        help="run folder (all of its export/*.tflite), .tflite file or shipped model's name; none with --ssh: the bundle that is there",
    )
    add(
        "--out",
        type=named_path,
        default=Path("crack_tf-bundle.zip"),
        metavar="FILE",
        help="(default: crack_tf-bundle.zip)",
    )
    add(
        "--data",
        help="manifest .csv, data set or folder for the tiles (default: the manifest the models were trained on)",
    )
    add("--policy", choices=POLICIES, help=POLICY_HELP)
    add("--split", default="test", choices=(*SPLITS, "all"), help="that the tiles are from (default: test)")
    add("--tiles", type=positive_int, default=64, metavar="N", help="half cracked, half clean (default: 64)")
    add("--seed", type=non_negative_int, default=0, help="of the draw of the tiles")
    add(
        "--float-model",
        type=named_path,
        action="append",
        default=[],
        metavar="MODEL.keras",
        help="a model's float original, where it is not in the run folder; repeat for several",
    )
    add(
        "--overwrite",
        action="store_true",
        help="replace the bundle; with --ssh, also measure again and replace results",
    )
    add("--ssh", metavar="USER@HOST[:PORT]", help="then copy the bundle to a board, run it there, fetch the results")
    add(
        "--results",
        type=named_path,
        default=Path("results/boards"),
        metavar="DIR",
        help="where --ssh puts results, in a folder named after the board (default: results/boards)",
    )
    add(
        "--threads",
        type=thread_counts,
        default="1,2,4",
        metavar="1,2,4",
        help="for the benchmark of --ssh (default: 1,2,4)",
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    args = make_parser().parse_args(argv)
    return run_main(lambda: run(args), interrupted="Run the same command again; with --ssh it goes on where it was.")


def run(args: argparse.Namespace) -> None:
    """Pack, send, or both, as the parsed options say."""
    from crack_tf.deploy import ssh
    from crack_tf.deploy.bundle import OUTPUT, BundleConfig, pack

    if args.models:
        hint = "Choose another --out, or add --overwrite."
        if args.ssh is not None:
            hint = "To send it as it is, leave the models out; to make it again, add --overwrite."
        check_file(args.out, OUTPUT, args.overwrite, inputs=(*args.models, *args.float_model, args.data), hint=hint)
    elif args.ssh is None:
        raise CrackError("no model given: name run folders or .tflite files.")
    config = BundleConfig(
        models=tuple(args.models),
        float_models=tuple(args.float_model),
        data=args.data,
        policy=args.policy,
        split=args.split,
        tiles=args.tiles,
        seed=args.seed,
    )
    host = None
    if args.ssh is not None:
        host = ssh.parse_host(args.ssh)
        ssh.require_programs()
    if args.models:
        made = pack(config, args.out)
        size = made.path.stat().st_size / 1e6
        print(
            f"{made.path}: {size:.1f} MB, {counted(len(made.models), 'model')}, {counted(made.tiles, 'tile')} of {made.source} {made.split}"
        )
    if host is not None:
        ssh.measure_on_board(args.out, host, args.results, args.threads, args.overwrite)


if __name__ == "__main__":
    sys.exit(main())
