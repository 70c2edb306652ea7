"""`python -m tflite.device VERB`: `check` a bundle on this board, `run` the classifier on camera frames."""

from __future__ import annotations

import importlib
import sys

from tflite.cli import EXIT_USER_ERROR, run_main

VERBS = {
    "check": "verify every file of a bundle, and that the models answer here as they did on the workstation",
    "run": "classify frames from a folder, video or camera; journal every crack with time and place",
}
USAGE = "usage: python -m tflite.device VERB [options]\n\nverbs:\n" + "".join(
    f"  {name:<6} {help}\n" for name, help in VERBS.items()
)


def main(argv: list[str] | None = None) -> int:
    """Run one verb; returns its exit code, or 2 for an unknown verb."""
    arguments = sys.argv[1:] if argv is None else argv
    if not arguments or arguments[0] not in (*VERBS, "-h", "--help"):
        print(USAGE if not arguments else f"error: unknown verb {arguments[0]!r}.\n{USAGE}", end="", file=sys.stderr)
        return EXIT_USER_ERROR
    name, *rest = arguments
    if name not in VERBS:
        print(USAGE, end="")
        return 0
    return run_main(lambda: importlib.import_module(f"tflite.device.{name}").main(rest))


if __name__ == "__main__":
    sys.exit(main())
