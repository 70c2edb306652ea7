"""`crack-tf zoo`: the models that come with the package; `crack_tf.models.shipped` describes them and gives them out.

crack-tf zoo list
crack-tf zoo check                              hashes, and two known answers of every model
crack-tf zoo add RUN --name NAME [--default]    for maintainers: ship a finished run
crack-tf zoo renew                              for maintainers: bring sidecars and cards of shipped models up to date
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import fields

from crack_tf.models.shipped import FOLDER, MANIFEST, ROLES, ZooModel, check, read_zoo
from tflite.cli import Parser, named_path, positive_int, run_main
from tflite.errors import CrackError
from tflite.words import counted


def make_parser() -> argparse.ArgumentParser:
    parser = Parser("crack-tf zoo", description="The models that come with crack_tf.")
    parser.add_argument(
        "--zoo", type=named_path, default=FOLDER, metavar="DIR", help="another zoo than the package's own"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="name, task, size and summary of every model")
    commands.add_parser("check", help="compare all files with the manifest and ask every model about its golden tiles")
    commands.add_parser(
        "renew", help="for maintainers: state the tile side in all sidecars, make the heads of all cards anew"
    )
    add = commands.add_parser("add", help="for maintainers: copy a finished run into the zoo")
    add.add_argument("run", type=named_path, metavar="RUN", help="run folder with an exported int8 model")
    add.add_argument("--name", required=True, help="what load() and --model will take")
    add.add_argument("--default", action="store_true", help="make it its task's default; the first model always is")
    add.add_argument(
        "--tflite",
        type=named_path,
        metavar="FILE",
        help="which export (default: export/*-int8-qat.tflite, else *-int8-ptq)",
    )
    add.add_argument(
        "--tile-side",
        type=positive_int,
        metavar="PX",
        help="side of the training tiles before resizing (default: by data set)",
    )
    add.add_argument("--summary", help="one line (default: made from the sidecar)")
    add.add_argument("--citation", help="what to quote for the training data (default: the registry's)")
    add.add_argument(
        "--round-weights", action="store_true", help="store the float model with 10 significant bits: half the bytes"
    )
    add.add_argument("--overwrite", action="store_true", help="replace a model of that name")
    return parser


def main(argv: list[str] | None = None) -> int:
    args = make_parser().parse_args(argv)
    return run_main(lambda: run(args))


def run(args: argparse.Namespace) -> None:
    """Do what the command line asks for.

    Raises:
        CrackError: if there is no zoo in the folder; see also `load`, `check` and `crack_tf.zoo.add.add`.
    """
    if args.command == "add":
        from crack_tf.zoo.add import AddConfig, add

        config = AddConfig(**{entry.name: getattr(args, entry.name) for entry in fields(AddConfig)})
        model = add(args.run, config, args.zoo, overwrite=args.overwrite)
        print(f"{model.name}: {model.size / 1000:,.0f} kB, {model.summary}")
        return
    if not (args.zoo / MANIFEST).is_file():
        raise CrackError(
            f"--zoo {args.zoo}: no {MANIFEST} lies there. Name the folder of a zoo, or leave the option out."
        )
    if args.command == "renew":
        from crack_tf.zoo.add import renew

        print(f"changed: {', '.join(renew(args.zoo)) or 'nothing'}")
        return
    version, models = read_zoo(args.zoo)
    total = sum(model.size for model in models.values())
    for line in _listed(models) if args.command == "list" else _checked(models):
        print(line, flush=True)
    print(f"zoo version {version}: {counted(len(models), 'model')}, {total / 1e6:.1f} MB")


def _listed(models: dict[str, ZooModel]) -> Iterator[str]:
    width = max(map(len, models), default=0)
    for name, model in models.items():
        kilobytes = model.files["tflite"].bytes / 1000
        default = "default" if model.default else ""
        yield f"{name:<{width}}  {model.task:<8} {kilobytes:>7,.0f} kB {default:<7}  {model.summary}"


def _checked(models: dict[str, ZooModel]) -> Iterator[str]:
    for name, model in models.items():
        answers = check(model)
        yield f"{name}: {counted(len(ROLES), 'file')} as described, " + ", ".join(
            f"{role} {raw:g}" for role, raw in answers.items()
        )


if __name__ == "__main__":
    sys.exit(main())
