"""TensorBoard's HParams view of a search: `tensorboard --logdir OUT/tensorboard`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tuning.objective import Outcome

_METRICS = (
    "score",
    "recall",
    "specificity",
    "f1",
    "iou",
    "auc",
    "left_out_auc",
    "latency_ms",
    "speedup",
    "kilobytes",
    "macs",
)


def write_hparams(outcome: Outcome, folder: Path) -> None:
    """Write one trial's hyperparameters and results, once; a finished trial that is looked at again adds nothing."""
    if folder.exists():
        return
    import tensorflow as tf
    from tensorboard.plugins.hparams import api

    writer = tf.summary.create_file_writer(str(folder))
    with writer.as_default():
        api.hparams({name: _plain(value) for name, value in outcome.values.items()}, trial_id=outcome.trial)
        for name in _METRICS:
            value = getattr(outcome, name)
            if value is not None:
                tf.summary.scalar(name, float(value), step=outcome.epochs)
    writer.close()


def _plain(value: Any) -> bool | int | float | str:
    return value if isinstance(value, (bool, int, float, str)) else str(value)
