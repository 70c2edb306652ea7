"""A trained run to .tflite files, each measured against the float model."""
