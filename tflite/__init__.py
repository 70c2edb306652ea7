"""The TensorFlow Lite side of crack_tf.

Two halves, told apart by what they import:

* device side (every module but the three below; `device` is its command line): numpy, Pillow and the LiteRT interpreter only.
  This is what is copied to a Raspberry Pi; `requirements-device.txt` is all it needs.
* host side (`qat`, `convert`, `compare`): TensorFlow and tfmot, on the workstation.

`tflite` never imports `crack_tf`; `crack_tf` imports `tflite`. So what holds for every command and every function that is called from
Python stands here: TensorFlow starts without telling about it.
"""

from tflite.quiet import quiet_tensorflow

quiet_tensorflow()
