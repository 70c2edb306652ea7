"""Skeletons become graphs: branches, rings, junctions; lengths along them are metric."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crack_tf.photo.skeleton import normals, path_length, prune_spurs, resample, skeleton_graph, smooth


def pixels(text: str) -> np.ndarray:
    return np.array([[c == "#" for c in line] for line in text.strip().splitlines()])


def test_a_line_is_one_branch_and_a_cross_has_four() -> None:
    line = skeleton_graph(pixels("######\n......"))
    assert len(line.branches) == 1
    assert len(line.free_ends()) == 2
    cross = skeleton_graph(pixels("..#..\n..#..\n#####\n..#..\n..#.."))
    assert len(cross.branches) == 4
    assert cross.junctions(np.zeros((5, 5))) == [(2.0, 2.0)]


def test_a_ring_is_one_closed_branch_and_a_square_of_four_is_none() -> None:
    ring = skeleton_graph(pixels(".###.\n#...#\n#...#\n.###."))
    assert len(ring.branches) == 1
    assert ring.branches[0].start == ring.branches[0].end
    assert ring.free_ends() == set()
    square = skeleton_graph(pixels("##..\n##..\n..##\n...."))
    assert all(branch.start != branch.end for branch in square.branches)
    assert len(square.branches) == len(square.nodes) - 1  # a tree


def test_a_single_pixel_has_no_branch() -> None:
    graph = skeleton_graph(pixels("...\n.#.\n..."))
    assert graph.branches == []
    assert list(graph.nodes.values()) == [(1, 1)]


def test_a_lollipop_keeps_its_ring() -> None:
    graph = skeleton_graph(pixels(".###....\n#...####\n#...#...\n.###...."))
    assert len(graph.branches) == 2
    prune_spurs(graph, np.ones((4, 8)), 10.0)
    assert len(graph.branches) == 1
    assert graph.branches[0].start == graph.branches[0].end


def test_spurs_go_and_the_line_they_left_is_whole_again() -> None:
    graph = skeleton_graph(pixels(".....#.....\n###########\n..........."))
    assert len(graph.branches) == 3
    prune_spurs(graph, np.full((3, 11), 1.0), 1.0)
    assert len(graph.branches) == 1
    assert graph.branches[0].length == 10
    assert len(graph.nodes) == 2


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000))
def test_every_pixel_of_a_skeleton_is_on_a_branch_or_alone(seed: int) -> None:
    from skimage.morphology import skeletonize

    skeleton = skeletonize(np.random.default_rng(seed).random((20, 24)) < 0.5)
    graph = skeleton_graph(skeleton)
    covered = {tuple(map(int, point)) for branch in graph.branches for point in branch.points}
    covered |= set(graph.nodes.values())
    assert covered == set(map(tuple, np.argwhere(skeleton).tolist()))
    for branch in graph.branches:
        assert np.abs(np.diff(branch.points, axis=0)).max() == 1
        assert tuple(branch.points[0]) == graph.nodes[branch.start]
        assert tuple(branch.points[-1]) == graph.nodes[branch.end]


@given(angle=st.floats(0, 180), length=st.integers(40, 150))
def test_a_smoothed_digital_line_has_the_length_of_the_line(angle: float, length: int) -> None:
    radians = np.radians(angle)
    # One pixel per step along the faster axis, as a skeleton has.
    step = max(abs(np.cos(radians)), abs(np.sin(radians)))
    s = np.arange(length) / step
    path = np.round(np.stack([np.sin(radians) * s, np.cos(radians) * s], axis=1))
    ends = float(np.hypot(*(path[-1] - path[0])))
    assert path_length(smooth(path, 3.0)) == pytest.approx(ends, rel=0.012)
    np.testing.assert_array_equal(smooth(path, 3.0)[[0, -1]], path[[0, -1]])


def test_smoothing_keeps_a_circles_length() -> None:
    angles = np.linspace(0, 2 * np.pi, 400)
    circle = 15 * np.stack([np.sin(angles), np.cos(angles)], axis=1)[::3]
    circle = np.concatenate([circle, circle[:1]])
    assert path_length(smooth(circle, 3.0, closed=True)) == pytest.approx(2 * np.pi * 15, rel=0.01)


def test_resampled_points_are_equally_far_apart_and_normals_stand_across() -> None:
    path = np.array([[0.0, 0.0], [0.0, 3.0], [4.0, 3.0]])
    places = resample(path, 0.5)
    np.testing.assert_allclose(np.hypot(*np.diff(places, axis=0).T), 0.5, atol=0.01)
    np.testing.assert_allclose(np.abs(normals(places)[2]), [1, 0], atol=1e-9)
    assert len(resample(path[:2] * 0, 1.0)) == 2
