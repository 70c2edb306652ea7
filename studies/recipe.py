"""What a recipe is made of: commands of `crack_tf`, each with the file that shows that it is done. Stopped, a recipe goes on."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

# Without these glibc hands large blocks back to the system after every step and takes them again for the next: on two cores a third of
# the training time went into that.
MALLOC = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "20000000000",
    "MALLOC_TOP_PAD_": "268435456",
    "MALLOC_ARENA_MAX": "1",
}


@dataclass(frozen=True)
class Step:
    """One command.

    Attributes:
        done: file that is there once the command has ended well.
        words: after `crack-tf`.
        resume: file of an interrupted run; where it exists, `--resume` is added. None for commands that start again.
    """

    done: Path
    words: Sequence[str | Path] = field(default_factory=tuple)
    resume: Path | None = None

    @property
    def command(self) -> list[str]:
        more = ["--resume"] if self.resume is not None and self.resume.exists() else []
        return [sys.executable, "-m", "crack_tf", *map(str, self.words), *more]


def words(text: str, *more: str | Path) -> list[str | Path]:
    """A command line as words; what may hold spaces, such as paths, follows as it is."""
    return [*shlex.split(text), *more]


def follow(steps: Sequence[Step]) -> int:
    """Run what is not done yet, in order.

    Returns:
        The exit code of the first command that failed, or 0.
    """
    for number, step in enumerate(steps, 1):
        head = f"[{number}/{len(steps)}] crack-tf {shlex.join(map(str, step.words))}"
        if step.done.exists():
            print(f"{head}\n    done before: {step.done}", flush=True)
            continue
        print(head, flush=True)
        code = subprocess.run(step.command, env={**MALLOC, **os.environ}, check=False).returncode
        if code or not step.done.exists():
            print(f"stopped at {step.done}. Run the recipe again to go on.", file=sys.stderr)
            return code or 1
    return 0


def train_step(run: Path, words: Sequence[str | Path]) -> Step:
    """A training into a run folder; it goes on where it was stopped."""
    return Step(run / "model.keras", ["train", *words, "--patience", "0", "--out", run], resume=run / "config.json")
