"""What a study is: a search over named experiments, and how its outcome is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tflite.errors import CrackError
from tuning.objective import Outcome
from tuning.space import Question


@dataclass(frozen=True)
class Study:
    """A study as a search over named experiments.

    Attributes:
        models: it is about.
        question: of one dimension, "experiment".
        rows: results of one model beside the published ones, from (model, outcomes, folder of the trials).
        table: the rows as text.
        heading: says what the table's figures are.
        published: how the published runs were made.
    """

    models: tuple[str, ...]
    question: Question
    rows: Callable[[str, Sequence[Outcome], Path], list[dict[str, Any]]]
    table: Callable[[Sequence[dict[str, Any]]], str]
    heading: str
    published: str

    def check_fixed(self, fixed: Mapping[str, Any]) -> None:
        """Refuse to hold what every experiment sets itself, or at the value that one of them changes it to.

        Args:
            fixed: settings by name.

        Raises:
            CrackError: naming the setting.
        """
        for name, value in fixed.items():
            if all(name in change for change in self.question.experiments.values()):
                raise CrackError(
                    f"--fix {name}: the study's experiments set it. Fix something else, or search without --study."
                )
            same = [
                key for key, change in self.question.experiments.items() if name in change and change[name] == value
            ]
            if same:
                raise CrackError(
                    f"--fix {name}={value}: experiment {same[0]} changes it to that, and would change nothing. Fix another value."
                )
