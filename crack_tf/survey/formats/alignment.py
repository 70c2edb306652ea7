"""Photographs before one face put right against each other: what two of them show in common has to lie in one place.

Positions are off by centimetres even with RTK, each photograph's by its own. Two photographs that are known again on each other
(`crack_tf.survey.merge.Registration`) say how far they disagree on the face; shifts along the face that settle all pairs, and are small
themselves, are found by least squares. What all positions are off by together stays: the more photographs, the less that is.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from crack_tf.photo.faces import Face, Frame, spots_on
from crack_tf.survey.findings import PhotoRecord
from crack_tf.survey.geometry.footprint import Camera
from crack_tf.survey.geometry.placing import on_face
from crack_tf.survey.geometry.views import Views
from crack_tf.survey.merge import Points, Registration, near_pairs, small_size

_PLACES = 7  # of a photograph in each direction, at which two are compared
_MATCH_M = 0.003  # what a comparison is off by: a pixel of the small copies
_FAR = 4.0  # position errors that two photographs may disagree by; more is a false match


def aligned(views: Views, points: Points, position_error_m: float) -> Views:
    """The same views with cameras shifted along their face.

    Args:
        views: by positions alone.
        points: gives what `crack_tf.survey.merge.find_points` found on a photograph by its name, or None.
        position_error_m: of a photograph's position.
    """
    register = Registration(points)
    return replace(
        views,
        faces=tuple(
            (face, _aligned(face, views.frame, looking, register, position_error_m)) for face, looking in views.faces
        ),
    )


def _aligned(
    face: Face,
    frame: Frame,
    looking: tuple[tuple[PhotoRecord, Camera], ...],
    register: Registration,
    position_error_m: float,
) -> tuple[tuple[PhotoRecord, Camera], ...]:
    numbers = {photo.name: number for number, (photo, _) in enumerate(looking)}
    pairs: list[tuple[int, int]] = []
    apart: list[np.ndarray] = []
    for one, other in near_pairs([photo for photo, _ in looking], position_error_m):
        found = _disagreement(face, frame, looking[numbers[one.name]], looking[numbers[other.name]], register)
        if found is not None and float(np.hypot(*found)) <= _FAR * position_error_m:
            pairs.append((numbers[one.name], numbers[other.name]))
            apart.append(found)
    if not pairs:
        return looking
    shifts = _shifts(pairs, np.array(apart), len(looking), position_error_m)
    return tuple(
        (photo, _shifted(camera, face, frame, shift)) for (photo, camera), shift in zip(looking, shifts, strict=True)
    )


def _shifts(pairs: list[tuple[int, int]], apart: np.ndarray, count: int, position_error_m: float) -> np.ndarray:
    """The smallest shifts that settle the pairs, since positions are right on average: float (count, 2)."""
    from scipy import sparse
    from scipy.sparse.linalg import lsqr

    ends = np.array(pairs)
    lines = np.arange(len(pairs))
    settle = sparse.csr_matrix(
        (np.r_[np.ones(len(pairs)), -np.ones(len(pairs))], (np.r_[lines, lines], np.r_[ends[:, 0], ends[:, 1]])),
        shape=(len(pairs), count),
    )
    system = sparse.vstack([settle / _MATCH_M, sparse.identity(count) / position_error_m])
    wanted = np.concatenate([apart / _MATCH_M, np.zeros((count, 2))])
    return np.stack([lsqr(system, wanted[:, axis], atol=1e-10, btol=1e-10)[0] for axis in (0, 1)], axis=1)


def _disagreement(
    face: Face,
    frame: Frame,
    one: tuple[PhotoRecord, Camera],
    other: tuple[PhotoRecord, Camera],
    register: Registration,
) -> np.ndarray | None:
    """How far to the right and up the second photograph shows what the first shows, metres; None where they do not know each other."""
    transform = register(one[0].name, other[0].name)
    if transform is None:
        return None
    width, height = small_size(one[0])
    grid = np.stack(np.meshgrid(*(np.linspace(0, side - 1, _PLACES) for side in (width, height))), axis=2).reshape(
        -1, 2
    )
    there = grid @ transform[:, :2].T + transform[:, 2]
    shared = ((there >= 0) & (there <= np.array(small_size(other[0])) - 1)).all(axis=1)
    if not shared.any():
        return None
    spots = [
        on_face(camera, face, frame, (places[shared] + 0.5) * (photo.width / small_size(photo)[0]) - 0.5)
        for (photo, camera), places in ((one, grid), (other, there))
    ]
    between = (spots[1] - spots[0])[np.isfinite(spots[0] + spots[1]).all(axis=1)]
    return np.median(between, axis=0) if len(between) else None


def _shifted(camera: Camera, face: Face, frame: Frame, shift: np.ndarray) -> Camera:
    """A camera moved to the right and up along its face."""
    middle = on_face(camera, face, frame, np.array([[(camera.width - 1) / 2, (camera.height - 1) / 2]]))
    if not np.isfinite(middle).all():
        return camera
    right = spots_on(face, frame, middle[:, 0], middle[:, 1]).right[0]
    return replace(camera, place=camera.place + shift[0] * right + np.array([0.0, 0.0, shift[1]]))
