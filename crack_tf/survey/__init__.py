"""From a flight's photographs to findings an engineer can act on. `crack-tf survey` is its command line."""

from __future__ import annotations

import os
from types import ModuleType
from typing import TYPE_CHECKING, Any

from crack_tf.common.called_module import make_callable

if TYPE_CHECKING:
    from pathlib import Path

    from crack_tf.survey.config import SurveyConfig
    from crack_tf.survey.surveying import SurveyResult


class SurveyPackage(ModuleType):
    """This package as `crack_tf.survey("DCIM", out="found")`, as `crack_tf.train.TrainVerb` is."""

    def __call__(
        self,
        source: str | os.PathLike[str],
        out: str | os.PathLike[str],
        config: SurveyConfig | None = None,
        *,
        overwrite: bool = False,
        one_file: bool = False,
        truth: Path | None = None,
        **settings: Any,
    ) -> SurveyResult:
        """Search a flight's photographs for cracks and write the report. See `crack_tf.survey.surveying.survey`."""
        from crack_tf.survey.surveying import survey

        return survey(source, out, config, overwrite=overwrite, one_file=one_file, truth=truth, **settings)


make_callable(__name__, SurveyPackage)
