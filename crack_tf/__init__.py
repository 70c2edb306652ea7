"""crack_tf: finds cracks in concrete with Keras and TensorFlow Lite, from training tiles to a Raspberry Pi or a Coral stick."""

__version__ = "0.1.0"
