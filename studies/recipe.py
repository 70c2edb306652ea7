"""What a recipe is made of: commands of the project and copies of what they wrote. Stopped, a recipe goes on where it was."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tflite.cli import EXIT_GAPS

# Without these glibc hands large blocks back to the system after every step and takes them again for the next: on two cores a third of
# the training time went into that.
MALLOC = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "20000000000",
    "MALLOC_TOP_PAD_": "268435456",
    "MALLOC_ARENA_MAX": "1",
}


@dataclass(frozen=True)
class Files:
    """Files of one folder, in the order of their names, that are there when a step begins."""

    folder: Path
    pattern: str

    def paths(self) -> list[Path]:
        return sorted(self.folder.glob(self.pattern))

    def __str__(self) -> str:
        return str(self.folder / self.pattern)


Word = str | Path | Files


@dataclass(frozen=True)
class Step:
    """One command.

    Attributes:
        done: file that is there once the command has ended well, and then it is not run again; None for one that is run every time,
            since it goes on by itself or is quick.
        words: after `crack-tf`, or after `python -m module`.
        resume: file of an interrupted run; where it exists, `--resume` is added. None for commands that start again.
        module: what runs.
        gaps: whether it may end with gaps, exit code 1: they are told, and the recipe goes on.
    """

    done: Path | None
    words: Sequence[Word] = field(default_factory=tuple)
    resume: Path | None = None
    module: str = "crack_tf"
    gaps: bool = False

    @property
    def command(self) -> list[str]:
        """What is run now."""
        given = [text for word in self.words for text in (word.paths() if isinstance(word, Files) else [word])]
        more = ["--resume"] if self.resume is not None and self.resume.exists() else []
        return [sys.executable, "-m", self.module, *map(str, given), *more]

    def __str__(self) -> str:
        program = "crack-tf" if self.module == "crack_tf" else f"python -m {self.module}"
        return f"{program} {shlex.join(map(str, self.words))}"


@dataclass(frozen=True)
class Copy:
    """Results copied to where they are kept: into a folder, or to a name if there is one file."""

    sources: Sequence[Path | Files]
    to: Path

    def make(self) -> None:
        """Copy, replacing what is there.

        Raises:
            OSError: if a file is missing or cannot be written.
        """
        for source in self.sources:
            for path in source.paths() if isinstance(source, Files) else [source]:
                target = self.to if self.to.suffix else self.to / path.name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)

    def __str__(self) -> str:
        return f"cp {shlex.join(map(str, self.sources))} {self.to}"


def words(text: str, *more: Word) -> list[Word]:
    """A command line as words; what may hold spaces, such as paths, follows as it is."""
    return [*shlex.split(text), *more]


def follow(steps: Sequence[Step | Copy]) -> int:
    """Run what is not done yet, in order.

    Returns:
        The exit code of the first command that failed, or 0.
    """
    for number, step in enumerate(steps, 1):
        head = f"[{number}/{len(steps)}] {step}"
        if isinstance(step, Step) and step.done is not None and step.done.exists():
            print(f"{head}\n    done before: {step.done}", flush=True)
            continue
        print(head, flush=True)
        if isinstance(step, Copy):
            step.make()
            continue
        code = subprocess.run(step.command, env={**MALLOC, **os.environ}, check=False).returncode
        if code == EXIT_GAPS and step.gaps:
            code = 0
        if code or (step.done is not None and not step.done.exists()):
            print(f"stopped at {step.done or step}. Run the recipe again to go on.", file=sys.stderr)
            return code or 1
    return 0


def train_step(run: Path, words: Sequence[Word]) -> Step:
    """A training into a run folder; it goes on where it was stopped."""
    return Step(run / "model.keras", ["train", *words, "--patience", "0", "--out", run], resume=run / "config.json")


def weights() -> str:
    """$WEIGHTS: the file of ImageNet weights to start from, where Keras cannot download them; else "imagenet"."""
    return os.environ.get("WEIGHTS", "imagenet")
