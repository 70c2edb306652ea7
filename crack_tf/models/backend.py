"""Which framework Keras computes with."""

from __future__ import annotations

import os
import sys

from tflite.errors import CrackError
from tflite.extras import require


def use_tensorflow() -> None:
    """Make Keras run on TensorFlow, which conversion needs, whatever backend training used.

    Raises:
        CrackError: if TensorFlow is missing, or this process has loaded Keras with another backend.
    """
    require(("keras", "tensorflow"))
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras
    import tensorflow as tf

    if keras.backend.backend() != "tensorflow":
        raise CrackError(
            f"export needs Keras on TensorFlow; this process uses {keras.backend.backend()}. Start a new one."
        )
    # TensorFlow Lite warns through absl that the conversion path taken here is the older one; tflite.convert says why it is.
    from absl import logging

    logging.set_verbosity(logging.ERROR)
    tf.get_logger().setLevel("ERROR")
