"""`python -m crack_tf` is `crack-tf`."""

from __future__ import annotations

import sys

from crack_tf.cli import main

if __name__ == "__main__":
    sys.exit(main())
