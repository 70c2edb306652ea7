"""`crack-tf VERB ...` and `python -m crack_tf VERB ...`: one table of verbs, each a module with its own `main(argv)`.

The module is imported only when its verb is asked for, so that `--help` costs no TensorFlow.
"""

from __future__ import annotations

import difflib
import importlib
import sys

from crack_tf.verbs import VERBS
from tflite.cli import EXIT_USER_ERROR, run_main


def usage() -> str:
    """The help text."""
    width = max(map(len, VERBS))
    rows = "\n".join(f"  {name:<{width}}  {verb.help}" for name, verb in VERBS.items())
    return (
        "usage: crack-tf VERB [options]\n\n"
        "Finds cracks in concrete: data -> train -> tune -> export -> benchmark.\n\n"
        f"verbs:\n{rows}\n\n"
        "crack-tf VERB --help lists the options of a verb. --version prints the version.\n"
    )


def main(argv: list[str] | None = None) -> int:
    """Run one verb.

    Args:
        argv: the verb and its options; None takes them from the command line.

    Returns:
        The exit code: the verb's own, or 2 for an unknown verb.
    """
    arguments = sys.argv[1:] if argv is None else argv
    if not arguments:
        print(usage(), end="", file=sys.stderr)
        return EXIT_USER_ERROR
    name, *rest = arguments
    if name in ("-h", "--help"):
        print(usage(), end="")
        return 0
    if name == "--version":
        from crack_tf.common.version import __version__

        print(f"crack-tf {__version__}")
        return 0
    if name not in VERBS:
        close = difflib.get_close_matches(name, VERBS, n=1)
        hint = f"Did you mean {close[0]}? " if close else ""
        print(f"error: unknown verb {name!r}. {hint}Choose one of: {', '.join(VERBS)}.", file=sys.stderr)
        return EXIT_USER_ERROR
    return run_main(lambda: importlib.import_module(VERBS[name].module).main(rest))


if __name__ == "__main__":
    sys.exit(main())
