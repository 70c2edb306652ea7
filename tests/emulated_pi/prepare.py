"""What `make emulated-pi` needs before its tests: the arm64 user-space, and a bundle unpacked as on a Pi.

    python -m tests.emulated_pi.prepare --out runs/emulated-pi [--bundle crack_tf-bundle.zip]

Without --bundle a small one is made, and made again when the code has changed. Both are kept: the user-space in the user's cache,
for all checkouts, the rest in --out.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tests.emulated_pi.measure import unpack_bundle, userland_cache
from tests.emulated_pi.userland import REQUIREMENTS, ROOT, WORKSTATION, fetch, key
from tflite.cli import run_main
from tflite.errors import CrackError
from tflite.files import sha256_bytes


def prepare(out: Path, bundle: Path | None) -> None:
    """Lay out everything in `out`: "userland", a link into the cache, and the folder "bundle".

    Args:
        out: made or completed.
        bundle: a zip of `crack-tf bundle`, or None for a small one made here.

    Raises:
        CrackError: if a download or the making of the bundle fails, or `bundle` cannot be read.
    """
    out.mkdir(parents=True, exist_ok=True)
    cache = userland_cache()
    if not (cache / f"userland-{key()}").exists():
        print("downloading Debian packages and Python wheels for arm64, about 130 MB", flush=True)
    started = time.monotonic()
    link = out / "userland"
    link.unlink(missing_ok=True)
    link.symlink_to(fetch(cache).folder.absolute())
    print(f"arm64 user-space: {time.monotonic() - started:.0f} s")
    if bundle is None:
        started = time.monotonic()
        bundle = small_bundle(out)
        print(f"small bundle: {time.monotonic() - started:.0f} s")
    shutil.rmtree(out / "bundle", ignore_errors=True)
    unpack_bundle(bundle, out / "bundle")


def small_bundle(out: Path) -> Path:
    """A bundle of small models made from this very code, in `out`; the one from last time when nothing has changed.

    Raises:
        CrackError: if it cannot be made.
    """
    path = out / f"small-{code_hash()}.zip"
    if path.exists():
        return path
    print("making a bundle of small models: two minutes on two slow cores", flush=True)
    for stale in out.glob("small-*.zip"):
        stale.unlink()
    log = out / "small-bundle.log"
    with log.open("w", encoding="utf-8") as stream:
        done = subprocess.run(
            [sys.executable, "-m", "tests.emulated_pi.small_bundle", "--out", str(path)],
            cwd=ROOT,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
            check=False,
        )
    if done.returncode:
        last = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:])
        raise CrackError(f"the small bundle could not be made, see {log}.\n{last}")
    return path


def code_hash() -> str:
    """Names what the small bundle is made from: the code of both packages, the requirements and its own recipe."""
    sources = [WORKSTATION, REQUIREMENTS, Path(__file__).with_name("small_bundle.py")]
    sources += [path for package in ("crack_tf", "tflite") for path in (ROOT / package).rglob("*.py")]
    parts = [f"{path.relative_to(ROOT)}\0{path.read_text(encoding='utf-8')}" for path in sorted(sources)]
    return sha256_bytes("\0".join(parts).encode())[:16]


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.emulated_pi.prepare", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--out", type=Path, default=Path("runs/emulated-pi"), metavar="DIR")
    parser.add_argument("--bundle", type=Path, metavar="FILE.zip", help="of crack-tf bundle (default: a small one)")
    args = parser.parse_args(argv)
    return run_main(lambda: prepare(args.out, args.bundle), interrupted="What was complete is kept.")


if __name__ == "__main__":
    sys.exit(main())
