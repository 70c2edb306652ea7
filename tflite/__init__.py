"""The TensorFlow Lite side of crack_tf.

Two halves, told apart by what they import:

* device side (every module but the four below; `device` is its command line): numpy, Pillow and the LiteRT interpreter only.
  This is what is copied to a Raspberry Pi; `requirements-device.txt` is all it needs.
* host side (`qat`, `convert`, `compare`, `plots`): TensorFlow, tfmot and matplotlib, on the workstation.

`tflite` never imports `crack_tf`; `crack_tf` imports `tflite`.
"""
