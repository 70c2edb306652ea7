"""`python -m crack_tf.benchmark`: the device's benchmark (see `tflite.benchmark`) on any data source of this package.

python -m crack_tf.benchmark opnet-int8.tflite --data synthetic --threads 1,2
python -m crack_tf.benchmark unet_mobile --threads 2      # a shipped model; of masks: also seconds per 12-megapixel photograph
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from crack_tf.data.policies import POLICIES, POLICY_HELP
from tflite import benchmark
from tflite.cli import non_negative_int, run_main
from tflite.manifest import read_manifest


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m crack_tf.benchmark", description=(benchmark.__doc__ or "").split("\n\n")[0]
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--data", metavar="SOURCE", help="manifest, data set name, or folder with one sub-folder per class"
    )
    source.add_argument("--manifest", metavar="M.csv", help="split manifest")
    parser.add_argument("--policy", choices=POLICIES, help=POLICY_HELP)
    parser.add_argument("--seed", type=non_negative_int, default=0, help="of the split, when SOURCE has to be split")
    benchmark.add_arguments(parser)
    args = parser.parse_args(argv)
    return run_main(lambda: _run(args), interrupted=benchmark.interrupted_message(args.out))


def _run(args: argparse.Namespace) -> None:
    from crack_tf.inference.maps import photo_columns

    args.models = [_model(path) for path in args.models]
    manifest = read_manifest(args.manifest) if args.manifest is not None else None
    if args.data is not None:
        from crack_tf.data.registry import prepare

        manifest = prepare(args.data, policy=args.policy, seed=args.seed)
    benchmark.run(args, manifest, photo_columns)


def _model(path: Path) -> Path:
    """The file of a shipped model that is named; other paths as they are."""
    if path.suffix or path.exists():
        return path
    from crack_tf.models.shipped import load

    return load(str(path), roles=("tflite", "tflite_sidecar")).tflite


if __name__ == "__main__":
    sys.exit(main())
