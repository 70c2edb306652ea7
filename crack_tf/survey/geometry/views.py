"""Which photographs look at which face of a structure, and from where: what coverage, elevation sheets and placed cracks begin with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Annotated, Any

from crack_tf.photo.faces import Face, Frame
from crack_tf.survey.findings import PhotoRecord, Survey
from crack_tf.survey.geometry.footprint import Camera, before, camera_of
from crack_tf.survey.geometry.walls import find_faces
from tflite.checked import Between, CheckError, checked
from tflite.errors import CrackError

NEEDED_MM = 0.3  # the width of crack that many structures are inspected for, see `crack_tf.photo.gsd`
POSITION_ERROR_M = 3.0  # of cameras, where nobody says better


@dataclass(frozen=True)
class Asked:
    """What a survey's settings ask of its photographs.

    Attributes:
        faces: declared by a person; none takes the walls that the flight looked at.
        needs_mm: width of crack that must be measurable.
        position_error_m: of the cameras.
    """

    faces: tuple[Face, ...] = ()
    needs_mm: Annotated[float, Between(1e-3, 1e3)] = NEEDED_MM
    position_error_m: Annotated[float, Between(0, 1e6)] = POSITION_ERROR_M


@dataclass(frozen=True)
class Views:
    """Faces and the cameras before them.

    Attributes:
        frame: of all places.
        faces: each with its photographs and their cameras, put before it by their range.
    """

    frame: Frame
    faces: tuple[tuple[Face, tuple[tuple[PhotoRecord, Camera], ...]], ...]


_ASKED = tuple(entry.name for entry in fields(Asked))


def faces_of(settings: Mapping[str, Any]) -> tuple[Face, ...]:
    """The faces that a survey's settings declare.

    Raises:
        CrackError: if they are damaged.
    """
    return _asked(settings).faces


def asked_of(survey: Survey) -> Asked:
    """What a survey's settings ask.

    Raises:
        CrackError: if its settings are damaged.
    """
    return _asked(survey.settings)


def _asked(settings: Mapping[str, Any]) -> Asked:
    try:
        asked: Asked = checked(Asked, {name: settings[name] for name in _ASKED if name in settings})
        return asked
    except CheckError as error:
        raise CrackError(f"the survey's settings are damaged: {error}. Make the survey again.") from None


def views_of(photos: Sequence[PhotoRecord], faces: Sequence[Face], position_error_m: float) -> Views | None:
    """The faces and who looks at them.

    Args:
        photos: of a survey.
        faces: declared; none takes the walls that the flight looked at.
        position_error_m: of the cameras.

    Returns:
        None where neither faces are declared nor any photograph has a position.
    """
    frame = _frame(photos, faces)
    if frame is None:
        return None
    everything = list(photos)
    found = []
    for face, candidates in [(face, everything) for face in faces] or find_faces(photos, frame, position_error_m):
        looking = []
        for photo in candidates:
            camera = camera_of(photo, frame)
            there = None if camera is None else before(camera, face, frame, position_error_m)
            if there is not None:
                looking.append((photo, there))
        found.append((face, tuple(looking)))
    return Views(frame, tuple(found))


def _frame(photos: Sequence[PhotoRecord], faces: Sequence[Face]) -> Frame | None:
    if faces:
        return Frame(faces[0].latitude, faces[0].longitude)
    for photo in photos:
        if photo.latitude is not None and photo.longitude is not None:
            return Frame(photo.latitude, photo.longitude)
    return None
