"""What an emulated Pi answers, against x86: `tflite.device check` of a bundle under qemu-user, as a table.

    python -m tests.emulated_pi.measure crack_tf-bundle.zip --out results/emulated-pi

Writes outputs.csv (one row per CPU, model and delegate) and for each CPU the whole record of the check. The differences are in
steps of the output (int8) or logits (float). There are no latencies: emulated ones mean nothing.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from crack_tf.data.cache import cache_folder
from tests.emulated_pi.machine import CPUS, Machine, emulator_version, make_machine
from tests.emulated_pi.userland import fetch
from tflite.cli import positive_int, run_main
from tflite.errors import CrackError
from tflite.files import read_json, refuse_existing, write_csv, write_json

TABLE = "outputs.csv"
DELEGATES = "xnnpack,none"
_SECONDS = 4 * 3600.0  # a model at 224 pixels takes seconds per tile
_COLUMNS = (
    *("model", "delegate", "tiles", "unit", "max_difference", "mean_difference", "share_equal", "flipped", "as_float"),
    *(
        "correct",
        "same_pixels",
        "golden",
        "golden_expected",
        "delegate_nodes",
        "nodes_total",
        "nodes_remaining",
        "sha256",
    ),
)


def userland_cache() -> Path:
    """Where user-spaces are kept, for all checkouts of this user."""
    return cache_folder() / "emulated-pi"


def unpack_bundle(bundle: Path, folder: Path) -> Path:
    """Unzip a bundle as its user does.

    Raises:
        CrackError: if it is no zip file.
    """
    try:
        with zipfile.ZipFile(bundle) as archive:
            archive.extractall(folder)
    except (OSError, zipfile.BadZipFile) as error:
        raise CrackError(f"bundle {bundle} cannot be unpacked ({error}). Make one with: crack-tf bundle.") from None
    return folder


def check(
    machine: Machine, bundle: Path, out: Path, *options: str, timeout: float = _SECONDS, quiet: bool = False
) -> dict[str, Any]:
    """Run `tflite.device check` on the emulated board.

    Args:
        machine: the board.
        bundle: folder of an unpacked bundle.
        out: for the JSON record.
        options: further ones of `check`.
        timeout: in seconds.
        quiet: do not show its progress.

    Returns:
        The record, with "emulation" added: qemu's CPU and version.

    Raises:
        CrackError: if the check fails, with what it printed.
    """
    out = out.absolute()
    out.unlink(missing_ok=True)
    done = machine.run("-m", "tflite.device", "check", "--out", out, *options, cwd=bundle, timeout=timeout, quiet=quiet)
    if done.returncode:
        raise CrackError(
            f"emulated {machine.cpu}: check ended with {done.returncode}.\n{done.stdout}{done.stderr or ''}"
        )
    record = read_json(out) | {"emulation": {"cpu": machine.cpu, "qemu": emulator_version(machine.userland)}}
    write_json(out, record)
    return record


def rows(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of a check for the table; flipped decisions are counted."""
    emulation, environment = record["emulation"], record["environment"]
    head = {
        "emulated_cpu": emulation["cpu"],
        "litert": environment["litert"],
        "bundle": record["bundle"]["index_sha256"],
    }
    return [
        head | {name: len(row[name]) if name == "flipped" else row[name] for name in _COLUMNS} for row in record["rows"]
    ]


def make_parser() -> argparse.ArgumentParser:
    """The command line's options."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.emulated_pi.measure", description=(__doc__ or "").split("\n")[0]
    )
    add = parser.add_argument
    add("bundle", type=Path, metavar="BUNDLE.zip", help="made by crack-tf bundle")
    add("--out", type=Path, default=Path("results/emulated-pi"), metavar="DIR", help="(default: results/emulated-pi)")
    add("--cpu", nargs="+", default=list(CPUS), choices=tuple(CPUS), help="(default: all)")
    add("--delegate", default=DELEGATES, metavar="NAME,...", help=f"(default: {DELEGATES})")
    add("--limit", type=positive_int, metavar="N", help="use N tiles of the bundle (default: all)")
    add("--overwrite", action="store_true", help="replace earlier results")
    return parser


def run(args: argparse.Namespace) -> None:
    """Check the bundle on every CPU and write the table.

    Raises:
        CrackError: if results exist, the user-space cannot be had, or a check fails.
    """
    refuse_existing(args.out / TABLE, args.overwrite)
    userland = fetch(userland_cache())
    options = ["--delegate", args.delegate, *(["--limit", str(args.limit)] if args.limit else [])]
    table = []
    with tempfile.TemporaryDirectory() as name:
        bundle = unpack_bundle(args.bundle, Path(name) / "bundle")
        for cpu in args.cpu:
            print(f"emulated {cpu}: checking {args.bundle}; seconds per tile and model at 224 pixels", file=sys.stderr)
            machine = make_machine(userland, cpu, Path(name) / cpu)
            record = check(machine, bundle, args.out / f"check-{cpu}.json", *options)
            table += rows(record)
            write_csv(args.out / TABLE, table)
    print(summary(table))


def summary(table: Sequence[Mapping[str, Any]]) -> str:
    """The table's essence as aligned text."""
    from tflite.tables import format_table

    names = ("emulated_cpu", "model", "delegate", "tiles", "max_difference", "share_equal", "flipped", "correct")
    return format_table(table, {name: lambda row, name=name: f"{row[name]}" for name in names})  # type: ignore[misc]


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    args = make_parser().parse_args(argv)
    return run_main(lambda: run(args), interrupted="CPUs finished before are in --out.")


if __name__ == "__main__":
    sys.exit(main())
