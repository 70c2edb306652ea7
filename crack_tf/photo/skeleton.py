"""The skeleton of a mask as a graph: branches between junctions and ends, without the spurs that rough edges cause.

All points are (y, x) with pixel centres at whole numbers.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

_PIXEL_NOISE = 3.0  # pixels; edges of masks are not better than that


@dataclass(eq=False)
class Branch:
    """A line of skeleton pixels between two nodes; a ring that meets no other branch starts and ends at one node.

    Attributes:
        start, end: node numbers.
        points: float64 (n, 2), y and x, from start to end, both included.
    """

    start: int
    end: int
    points: np.ndarray

    @property
    def length(self) -> float:
        """Along the pixels; good enough to compare branches with, too long to report (see `smooth`)."""
        return path_length(self.points)


@dataclass
class SkeletonGraph:
    """Nodes are places where not exactly two branches meet, and one place on every ring.

    Attributes:
        nodes: (y, x) by node number.
        branches: in no particular order.
    """

    nodes: dict[int, tuple[int, int]]
    branches: list[Branch] = field(default_factory=list)

    def degrees(self) -> dict[int, int]:
        """Branch ends at each node; a ring counts twice at its own."""
        degrees = dict.fromkeys(self.nodes, 0)
        for branch in self.branches:
            degrees[branch.start] += 1
            degrees[branch.end] += 1
        return degrees

    def free_ends(self) -> set[int]:
        """Nodes where a branch ends alone."""
        return {node for node, degree in self.degrees().items() if degree == 1}

    def junctions(self, radius: np.ndarray) -> list[tuple[float, float]]:
        """Places where branches meet. Nodes nearer to each other than two widths of the crack are one place.

        Where two cracks cross, thinning leaves two forks side by side; a person sees one crossing.

        Args:
            radius: (height, width), of the largest disc inside the mask at each pixel.

        Returns:
            (y, x) of each, sorted.
        """
        forks = {node for node, degree in self.degrees().items() if degree > 2}
        group = {node: node for node in forks}

        def root(node: int) -> int:
            while group[node] != node:
                node = group[node]
            return node

        for branch in self.branches:
            if branch.start in forks and branch.end in forks:
                width = radius[self.nodes[branch.start]] + radius[self.nodes[branch.end]]
                if branch.length <= 2 * width:
                    group[root(branch.start)] = root(branch.end)
        members = defaultdict(list)
        for node in forks:
            members[root(node)].append(self.nodes[node])
        return sorted((float(y), float(x)) for y, x in (np.mean(places, axis=0) for places in members.values()))


def skeleton_graph(skeleton: np.ndarray) -> SkeletonGraph:
    """Trace a one-pixel-wide skeleton.

    Args:
        skeleton: bool (height, width), 8-connected lines.
    """
    points = np.argwhere(skeleton)
    neighbours = _neighbours(skeleton, points)
    degree = [len(around) for around in neighbours]
    graph = SkeletonGraph({k: (int(points[k][0]), int(points[k][1])) for k, d in enumerate(degree) if d != 2})
    seen = np.zeros(len(points), bool)

    def walk(start: int, step: int) -> list[int]:
        path = [start, step]
        while path[-1] not in graph.nodes:
            a, b = neighbours[path[-1]]
            path.append(b if a == path[-2] else a)
        return path

    def add(path: list[int]) -> None:
        seen[path] = True
        graph.branches.append(Branch(path[0], path[-1], points[path].astype(float)))

    for node in list(graph.nodes):
        seen[node] = True
        for step in neighbours[node]:
            path = walk(node, step)
            # Every branch is walked from both its ends; the second walk is the first one backwards.
            if (path[0], path[1]) <= (path[-1], path[-2]):
                add(path)
    for start in range(len(points)):
        if not seen[start]:
            graph.nodes[start] = (int(points[start][0]), int(points[start][1]))
            add(walk(start, neighbours[start][0]))
    return graph


def _neighbours(skeleton: np.ndarray, points: np.ndarray) -> list[list[int]]:
    """Neighbours of each skeleton pixel. Diagonal ones count only where no straight step leads there: no small triangles."""
    number = np.full(np.add(skeleton.shape, 2), -1, np.int64)
    number[1:-1, 1:-1][skeleton] = np.arange(len(points))
    y, x = points.T + 1
    here = np.arange(len(points))
    pairs = []
    for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1)):
        there = number[y + dy, x + dx]
        joined = there >= 0
        if dy and dx:
            joined &= (number[y + dy, x] < 0) & (number[y, x + dx] < 0)
        elif dx:
            # Thinning may leave squares of four pixels. Without its upper side a square is no ring.
            joined &= (number[y + 1, x] < 0) | (number[y + 1, x + 1] < 0)
        pairs.append(np.stack([here[joined], there[joined]], axis=1))
    neighbours: list[list[int]] = [[] for _ in points]
    for a, b in np.concatenate(pairs).tolist():
        neighbours[a].append(b)
        neighbours[b].append(a)
    return neighbours


def prune_spurs(graph: SkeletonGraph, radius: np.ndarray, ratio: float) -> None:
    """Remove branches that are bumps of the mask's edge, in place.

    A branch from a junction to a free end is a real branch of the crack only if it stands out of the junction: if it
    reaches beyond the largest disc that fits into the mask there by at least `ratio` times that disc's diameter, and by
    three pixels. But for those the rule has no unit, so that a crack keeps its branches when it is photographed from nearer.

    Branches that join what remains to one another are never removed. At a junction all of whose branches are bumps (a
    blot) the two longest stay.

    Args:
        graph: is changed.
        radius: (height, width), of the largest disc inside the mask at each pixel.
        ratio: 0 keeps what stands out by three pixels.
    """
    while True:
        degrees = graph.degrees()
        bumps = defaultdict(list)
        for branch in graph.branches:
            for inner, tip in ((branch.start, branch.end), (branch.end, branch.start)):
                if degrees[inner] > 2 and degrees[tip] == 1:
                    r = float(radius[graph.nodes[inner]])
                    if branch.length + float(radius[graph.nodes[tip]]) - r < max(_PIXEL_NOISE, ratio * 2 * r):
                        bumps[inner].append(branch)
        removed: set[int] = set()
        for node, branches in bumps.items():
            branches.sort(key=lambda branch: branch.length)
            keep = 2 if len(branches) == degrees[node] else 0
            removed |= {id(branch) for branch in branches[: len(branches) - keep]}
        if not removed:
            return
        graph.branches = [branch for branch in graph.branches if id(branch) not in removed]
        _join(graph)


def _join(graph: SkeletonGraph) -> None:
    """Make one branch of the two that meet at a node of degree 2; drop nodes with none."""
    at = defaultdict(list)
    for branch in graph.branches:
        at[branch.start].append(branch)
        at[branch.end].append(branch)
    for node in list(graph.nodes):
        if len(at[node]) == 2 and at[node][0] is not at[node][1]:
            first, second = at[node]
            head = first.points if first.end == node else first.points[::-1]
            tail = second.points if second.start == node else second.points[::-1]
            start = first.start if first.end == node else first.end
            end = second.end if second.start == node else second.start
            joined = Branch(start, end, np.concatenate([head, tail[1:]]))
            graph.branches = [b for b in graph.branches if b is not first and b is not second] + [joined]
            for outer, old in ((start, first), (end, second)):
                at[outer].remove(old)
                at[outer].append(joined)
            at[node] = []
        if not at[node]:
            del graph.nodes[node]


def path_length(points: np.ndarray) -> float:
    """Length of a polyline of shape (n, 2)."""
    return float(np.hypot(*np.diff(points, axis=0).T).sum())


def smooth(points: np.ndarray, sigma: float, closed: bool = False) -> np.ndarray:
    """A path along pixels without its stairs, whose length is that of the line it follows.

    Along pixels a line at 22.5 degrees is 8 % too long, and one along an axis is right. After a Gaussian over the
    positions both are right to some tenths of a per cent. The ends stay where they are.

    Args:
        points: (n, 2).
        sigma: of the Gaussian, in points.
        closed: whether the last point is the first one again.
    """
    if closed:
        return np.concatenate([ring := _smoothed_twice(points[:-1], sigma, "wrap"), ring[:1]])
    count = len(points)
    reach = min(count - 1, math.ceil(8 * sigma))
    if reach < 1:
        return points
    # Reflected through the end point, so that a straight line stays one up to its end.
    before = 2 * points[0] - points[reach:0:-1]
    after = 2 * points[-1] - points[-2 : -reach - 2 : -1]
    result = _smoothed_twice(np.concatenate([before, points, after]), sigma, "nearest")[reach:-reach]
    result[0], result[-1] = points[0], points[-1]
    return result


def _smoothed_twice(points: np.ndarray, sigma: float, mode: str) -> np.ndarray:
    """Smooth, and give back what smoothing took from bends: a single Gaussian cuts corners and shortens curves."""
    from scipy.ndimage import gaussian_filter1d

    first = gaussian_filter1d(points, sigma, axis=0, mode=mode)
    return np.asarray(first + gaussian_filter1d(points - first, sigma, axis=0, mode=mode))


def resample(points: np.ndarray, spacing: float) -> np.ndarray:
    """Points along a polyline at equal distances of about `spacing`, both ends included; at least two."""
    steps = np.hypot(*np.diff(points, axis=0).T)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    wanted = np.linspace(0, along[-1], max(2, round(along[-1] / spacing) + 1))
    return np.stack([np.interp(wanted, along, points[:, axis]) for axis in (0, 1)], axis=1)


def runs(keys: Sequence[object]) -> list[slice]:
    """Where equal keys follow each other."""
    cuts = [number for number in range(1, len(keys)) if keys[number] != keys[number - 1]]
    edges = [0, *cuts, len(keys)] if keys else [0]
    return [slice(start, end) for start, end in itertools.pairwise(edges)]


def directions(points: np.ndarray) -> np.ndarray:
    """A line's directions at its points, float (n, 2); to the right where there is one only."""
    if len(points) < 2:
        return np.array([[1.0, 0.0]] * len(points)).reshape(-1, 2)
    found = np.gradient(points, axis=0)
    still = ~found.any(axis=1)
    found[still] = (1.0, 0.0)
    return np.asarray(found)


def normals(points: np.ndarray) -> np.ndarray:
    """Unit vectors across a polyline at its points, (n, 2); the tangent is that between the two neighbours."""
    tangents = np.gradient(points, axis=0)
    lengths = np.hypot(*tangents.T)[:, np.newaxis]
    tangents = np.divide(tangents, lengths, out=np.zeros_like(tangents), where=lengths > 0)
    return np.stack([-tangents[:, 1], tangents[:, 0]], axis=1)
