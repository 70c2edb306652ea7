"""All notebooks on made-up tiles, as HTML pages.

What it makes: runs/reports.
Cost: minutes on two cores.
Expected: a page for each notebook of notebooks/.
Command: make reports
"""

from __future__ import annotations

import sys
from pathlib import Path

from studies.recipe import Step, follow

NOTEBOOKS = Path("notebooks")


def steps() -> list[Step]:
    """The recipe."""
    return [
        Step(None, ["report", "--notebook", path.stem, "--overwrite"]) for path in sorted(NOTEBOOKS.glob("*.ipynb"))
    ]


if __name__ == "__main__":
    sys.exit(follow(steps()))
