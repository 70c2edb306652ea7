"""Runs surveys one after the other, each in a process forked from this one, which has imported everything: they start at once.

For every line on stdin, the command line as a JSON list, two on stdout: the process's id, and its exit code when it ended.
"""

from __future__ import annotations

import importlib
import json
import os
import sys

from PIL import Image

from crack_tf.survey.__main__ import main

# What a survey imports as it goes.
for name in (
    "ai_edge_litert.interpreter",
    "crack_tf.survey.report.page",
    "crack_tf.survey.pipeline",
    "crack_tf.survey.truth",
    "cv2",
    "scipy.ndimage",
    "scipy.optimize",
    "scipy.spatial",
    "skimage.measure._find_contours",
    "skimage.measure._polygon",
    "skimage.morphology._skeletonize",
):
    importlib.import_module(name)
Image.init()

for line in sys.stdin:
    process = os.fork()
    if process == 0:
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        os._exit(main(json.loads(line)))
    print(process, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)
