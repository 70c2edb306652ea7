"""Hyperparameter search with Keras Tuner: the most accurate crack model that meets a board's budget.

A search is a `tuning.tune_config.TuneConfig` given to `tuning.driver.tune`. A trial is a run: `crack_tf.training.loop.train` trains it,
`crack_tf.quantisation.export.export` quantises it, LiteRT times it. What a trial leaves behind can be given to every other command.
`tuning` imports `crack_tf` and `tflite`; of them only the thin `crack_tf.tune` and what notebooks read import it.
"""

# Here, where importing them costs nothing: the command line lists them in its help, the modules implement them.
ALGORITHMS = ("hyperband", "random", "bayesian", "grid")
FIDELITIES = ("epochs", "data", "size")
STUDIES = ("learning-rate", "batch", "positive-weight", "all", "unet")
