"""The one exception a user is meant to read."""

import re

_IN_PYTHON = "In Python, options are arguments: --mm-per-pixel is mm_per_pixel, --overwrite is overwrite=True."


class CrackError(Exception):
    """A problem the user can mend.

    The message names the argument, the value received and what to do about it. Command lines print it
    without a traceback and exit with code 2 (see `tflite.cli`). Where it names options, the traceback that Python shows says below it
    what they are there.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        if any(re.search(r"(?<![\w-])--[a-z]", str(arg)) for arg in args):
            self.add_note(_IN_PYTHON)


class ImageError(CrackError):
    """An image that cannot be read. A survey records it as a gap, never as crack-free."""


class DamageError(ValueError):
    """What is wrong with an image file, in words that fit into brackets. `tflite.images` makes an `ImageError` of it."""


class ModelFileError(CrackError):
    """A model file that is missing, altered, or not what its sidecar says."""


def first_line(error: Exception, limit: int = 300) -> str:
    """The first line of another library's error, at most `limit` characters; its type's name when it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:limit]
