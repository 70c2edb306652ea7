"""`crack-tf benchmark`: the device's benchmark (see `tflite.benchmark`) on any data source of this package.

crack-tf benchmark opnet-int8.tflite --data synthetic --threads 1,2
crack-tf benchmark unet_mobile --threads 2      # a shipped model; of masks: also seconds per 12-megapixel photograph
"""

from __future__ import annotations

import argparse
import sys

from crack_tf.data.policies import POLICIES, POLICY_HELP
from crack_tf.models.shipped import load, model_name
from tflite import benchmark
from tflite.cli import Parser, non_negative_int, run_main
from tflite.manifest import read_manifest
from tflite.sidecar import read_sidecar


def main(argv: list[str] | None = None) -> int:
    parser = Parser(prog="crack-tf benchmark", description=(benchmark.__doc__ or "").split("\n\n")[0])
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
    from crack_tf.inference.maps import photo_time

    roles = ("tflite", "tflite_sidecar")
    shipped = {path: load(str(path), roles=roles) for path in args.models if not (path.suffix or path.exists())}
    args.models = [shipped[path].tflite if path in shipped else path for path in args.models]
    # Several shipped files are of one architecture and named after that.
    names = {model.tflite: model_name(read_sidecar(model.tflite)) for model in shipped.values()}
    manifest = read_manifest(args.manifest) if args.manifest is not None else None
    if args.data is not None:
        from crack_tf.data.registry import prepare

        manifest = prepare(args.data, policy=args.policy, seed=args.seed)
    benchmark.run(args, manifest, photo_time, names)


if __name__ == "__main__":
    sys.exit(main())
