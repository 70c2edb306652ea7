"""Photographs put right against each other by what they show in common."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crack_tf.photo.faces import Face, Frame, spots_on
from crack_tf.survey.findings import PhotoRecord
from crack_tf.survey.formats.alignment import aligned
from crack_tf.survey.geometry.footprint import see
from crack_tf.survey.geometry.placing import on_face
from crack_tf.survey.geometry.views import Views, views_of
from crack_tf.survey.merge import small_size
from tests.crack_tf.survey.geometric_flight import before_wall, record, wall_face

ERROR_M = 0.03


def seen_points(face: Face, frame: Frame, views: Views, spots: np.ndarray) -> dict[str, np.ndarray]:
    """What `find_points` would find on each photograph, were every spot of the wall unlike all others."""
    descriptors = np.random.default_rng(1).integers(0, 255, (len(spots), 128), np.uint8)
    found = {}
    for photo, camera in views.faces[0][1]:
        seen = see(camera, spots_on(face, frame, *spots.T))
        scale = small_size(photo)[0] / photo.width
        places = (np.c_[seen.x, seen.y][seen.inside] * scale - 0.5).astype(np.float32)
        found[photo.name] = np.hstack([places.view(np.uint8), descriptors[seen.inside]])
    return found


def flight(noise: float) -> tuple[Face, list[PhotoRecord], list[PhotoRecord]]:
    """Photographs that overlap by half: with true positions, and with what a receiver says."""
    rng = np.random.default_rng(11)
    face = wall_face(0.0, 6.0, 3.0)
    true, told = [], []
    for number in range(8):
        pose = before_wall(0.0, 1.0 + 0.5 * number, 1.5, 2.0)
        right = replace(record(number, pose, rng, 0.0, 0.0, 0.0), distance_m=2.0, mm_per_pixel=0.25)
        off = rng.normal(0, noise, 3)
        wrong = record(number, replace(pose, place=pose.place + off * (1, 0, 1)), rng, 0.0, 0.0, 0.0)
        true.append(right)
        told.append(replace(right, latitude=wrong.latitude, longitude=wrong.longitude, altitude_m=wrong.altitude_m))
    return face, true, told


def test_what_overlaps_comes_to_lie_in_one_place() -> None:
    face, true, told = flight(0.02)
    right, wrong = (views_of(photos, (face,), ERROR_M) for photos in (true, told))
    assert right is not None
    assert wrong is not None
    spots = np.random.default_rng(2).uniform((0, 0), (6, 3), (4000, 2))
    points = seen_points(face, right.frame, right, spots)
    mended = aligned(wrong, points.get, ERROR_M)

    def middles(views: Views) -> np.ndarray:
        return np.concatenate([
            on_face(camera, face, views.frame, np.array([[2000.0, 1500.0]])) for _, camera in views.faces[0][1]
        ])  # fmt: skip

    truth, before, after = middles(right), middles(wrong), middles(mended)
    spread = [np.std(places - truth, axis=0).max() for places in (before, after)]
    assert spread[0] > 0.012
    assert spread[1] < 0.002
    # What all are off by together cannot be known.
    assert np.mean(after - truth, axis=0) == pytest.approx(np.mean(before - truth, axis=0), abs=0.003)


def test_photographs_that_do_not_know_each_other_stay() -> None:
    face, _, told = flight(0.02)
    views = views_of(told, (face,), ERROR_M)
    assert views is not None
    assert aligned(views, lambda name: None, ERROR_M).faces[0][1][0][1].place == pytest.approx(
        views.faces[0][1][0][1].place
    )
