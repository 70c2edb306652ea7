"""Hyperparameter search with Keras Tuner: the most accurate crack model that meets a board's budget.

A trial is a run: `crack_tf.train` trains it, `crack_tf.export` quantises it, LiteRT times it. What a trial leaves behind can be
given to every other command. `tuning` imports `crack_tf` and `tflite`; of them only the thin `crack_tf.tune` imports it.
"""
