"""Data sets: fetch, audit, split into a manifest, and feed to training. `python -m crack_tf.data --help`."""
