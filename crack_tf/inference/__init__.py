"""Models that answer about photographs: `crack_tf.load()` and what its answers are."""
