"""Which framework Keras computes with."""

from __future__ import annotations

import os
import sys

from tflite.errors import CrackError


def use_tensorflow() -> None:
    """Make Keras run on TensorFlow, which conversion needs, whatever backend training used.

    Raises:
        CrackError: if TensorFlow is missing, or this process has loaded Keras with another backend.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = "tensorflow"
    try:
        import keras
        import tensorflow as tf
    except ImportError as error:
        raise CrackError(f"export needs TensorFlow ({error}). Run: pip install -r requirements.txt") from None
    if keras.backend.backend() != "tensorflow":
        raise CrackError(
            f"export needs Keras on TensorFlow; this process uses {keras.backend.backend()}. Start a new one."
        )
    # TensorFlow Lite warns through absl that the conversion path taken here is the older one; tflite.convert says why it is.
    from absl import logging

    logging.set_verbosity(logging.ERROR)
    tf.get_logger().setLevel("ERROR")
