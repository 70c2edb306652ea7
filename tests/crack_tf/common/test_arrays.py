"""Arrays are written whole, and a full disk is told as one."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from crack_tf.common.arrays import write_npy

# A file may not grow beyond 64 KiB here, which ends a write as a full disk does.
PROGRAM = """
import resource, signal, sys
import numpy as np
from crack_tf.common.arrays import write_npy
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
try:
    write_npy(sys.argv[1], np.zeros(100_000))
except OSError as error:
    sys.exit(error.errno)
"""


@pytest.mark.parametrize("array", [np.zeros((0, 3)), np.arange(6, dtype=np.float32).reshape(2, 3), np.array(True)])
def test_what_is_written_is_read_back(array: np.ndarray, tmp_path: Path) -> None:
    write_npy(tmp_path / "deep" / "a.npy", array)
    found = np.load(tmp_path / "deep" / "a.npy")
    assert (found.dtype, found.tolist()) == (array.dtype, array.tolist())


def test_a_write_that_ends_early_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(tmp_path / "a.npy")], capture_output=True)
    assert done.returncode == errno.EFBIG, done.stderr.decode()
    assert not list(tmp_path.iterdir())
