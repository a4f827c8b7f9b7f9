"""Routes on a lane graph: the shortest way through key points, and random drives.

- `Router`: plans `LanePath`s.
"""

from __future__ import annotations

import heapq
import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rewardloom.envs.carla.maps.graph import CHANGE_LEFT, CHANGE_RIGHT, LaneGraph
from rewardloom.envs.carla.maps.paths import LanePath, Stretch, dense_path
from rewardloom.errors import ConfigError

__all__ = ["Router"]

_OFF_ROAD = 4.0  # metres from the nearest lane centre at which a key point is no longer on the road
_AS_NEAR = 0.3  # metres that another lane may be farther and still be meant (lanes that fork)
_CHANGE_COST = 10.0  # metres of detour that a lane change is worth
_LATE_CHANGE_COST = 100.0  # the same where the lane allowed it only before the start
_ATTEMPTS = 200  # starts tried for a random drive


class _Place(NamedTuple):
    """A lane, a point on it counted from its first, and how far off a key point is."""

    lane: int
    at: int
    away: float


class _Node(NamedTuple):
    """A lane in a search; `fresh` where it was entered at its beginning, not beside the start."""

    lane: int
    fresh: bool


class _Leg(NamedTuple):
    """The cheapest way from one place to another."""

    cost: float
    stretches: tuple[Stretch, ...]


class Router:
    """Plans routes on the drivable lanes of a map.

    Args:
        graph: The map.
    """

    def __init__(self, graph: LaneGraph) -> None:
        self.graph = graph
        self._drivable = graph.lanes_of()
        self._lanes = np.flatnonzero(self._drivable)
        self._length = graph.lane_length.tolist()
        self._after: list[list[int]] = [[] for _ in self._length]
        for lane, after in graph.successors.tolist():
            if self._drivable[lane] and self._drivable[after]:
                self._after[lane].append(after)
        sides = self._sides()
        self._beside = [
            [(int(side[lane]), int(last[lane])) for side, last in sides if side[lane] >= 0]
            for lane in range(len(self._length))
        ]

    def through(self, key_points: npt.ArrayLike) -> LanePath:
        """Return the shortest way through key points, as points one metre apart.

        A key point stands for the nearest lane; where lanes fork, for the one that makes the
        whole route shorter. A lane change counts as ten metres more; as a hundred where the
        lane's marking allows it nowhere ahead, but did before (CARLA's planner looks at whole
        lanes, and its routes rely on it).

        Args:
            key_points: x, y in CARLA's frame, at least two, (K, 2).

        Raises:
            ConfigError: The shape is another, a point is off the road, no way leads from a point
                to the next one, or the route has no length.
        """
        points = np.asarray(key_points, dtype=np.float64)
        if points.ndim != 2 or points.shape[1] != 2 or len(points) < 2:
            raise ConfigError(f"key points must have the shape (K >= 2, 2), not {points.shape}.")
        layers = [self._places(points[row], row) for row in range(len(points))]
        best: list[_Leg] = [_Leg(place.away, ()) for place in layers[0]]
        for row in range(1, len(layers)):
            best = self._onward(layers[row - 1], best, layers[row])
            if not any(math.isfinite(leg.cost) for leg in best):
                raise ConfigError(
                    f"No way leads from key point {row - 1} at {points[row - 1].tolist()} to key "
                    f"point {row} at {points[row].tolist()}."
                )
        stretches = min(best, key=lambda leg: leg.cost).stretches
        if not any(stretch.end > stretch.start for stretch in stretches):
            raise ConfigError("The key points of a route must not all lie at one place.")
        return dense_path(self.graph, stretches)

    def random(self, rng: np.random.Generator, length: float) -> LanePath:
        """Return a random drive: a random start off junctions, then a random turn at each fork.

        Args:
            rng: Where the randomness comes from.
            length: Metres along the lanes; the path is at most one point spacing longer.

        Raises:
            ConfigError: `length` is not positive, or no drive of that length was found.
        """
        if not 0 < length < math.inf:
            raise ConfigError(f"The length of a route must be positive, not {length!r}.")
        graph = self.graph
        starts = np.flatnonzero((self._drivable & (graph.lane_junction < 0))[graph.lane])
        for start in rng.choice(starts, _ATTEMPTS) if starts.size else ():
            stretches = self._drive(rng, int(start), length)
            if stretches is not None:
                return dense_path(graph, stretches)
        raise ConfigError(f"No random drive of {length:g} m was found on this map.")

    def _drive(self, rng: np.random.Generator, start: int, length: float) -> list[Stretch] | None:
        graph, lane = self.graph, int(self.graph.lane[start])
        index = start - int(graph.lane_first[lane])
        left = length + float(graph.distance[start])
        stretches: list[Stretch] = []
        while left > self._length[lane]:
            stretches.append(Stretch((lane,), index, self._last(lane)))
            if not self._after[lane]:
                return None
            left -= self._length[lane]
            lane, index = self._after[lane][rng.integers(len(self._after[lane]))], 0
        first = graph.lane_first[lane]
        within = graph.distance[first : graph.lane_first[lane + 1]]
        stretches.append(Stretch((lane,), index, int(np.searchsorted(within, left - 1e-9))))
        return stretches

    def _last(self, lane: int) -> int:
        return int(self.graph.lane_first[lane + 1] - self.graph.lane_first[lane]) - 1

    def _sides(self) -> tuple[tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]], ...]:
        """Return, to either side, the lane beside and the last point to change at (or -1)."""
        graph = self.graph
        index = np.arange(graph.x.size) - graph.lane_first[graph.lane]
        sides: list[tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]] = []
        for beside, bit in ((graph.lane_left, CHANGE_LEFT), (graph.lane_right, CHANGE_RIGHT)):
            last = np.where(graph.lane_change & bit, index, -1)
            sides.append((beside, np.maximum.reduceat(last, graph.lane_first[:-1])))
        return tuple(sides)

    def _places(self, point: npt.NDArray[np.float64], row: int) -> list[_Place]:
        graph = self.graph
        away = np.hypot(graph.x - point[0], graph.y - point[1])
        nearest = np.minimum.reduceat(away, graph.lane_first[:-1])
        least = nearest[self._lanes].min()
        if not least <= _OFF_ROAD:
            raise ConfigError(
                f"Key point {row} at {point.tolist()} is off the road: the nearest lane centre is "
                f"{least:.1f} m away."
            )
        meant = self._lanes[nearest[self._lanes] <= least + _AS_NEAR]
        first = graph.lane_first
        return [
            _Place(
                int(lane),
                int(np.argmin(away[first[lane] : first[lane + 1]])),
                float(nearest[lane]),
            )
            for lane in meant
        ]

    def _onward(self, before: list[_Place], best: list[_Leg], layer: list[_Place]) -> list[_Leg]:
        """Return the cheapest route to each place of the next layer."""
        reached = [_Leg(math.inf, ())] * len(layer)
        for place, so_far in zip(before, best, strict=True):
            if not math.isfinite(so_far.cost):
                continue
            for number, leg in enumerate(self._legs(place, layer)):
                cost = so_far.cost + leg.cost + layer[number].away
                if cost < reached[number].cost:
                    reached[number] = _Leg(cost, so_far.stretches + leg.stretches)
        return reached

    def _legs(self, start: _Place, targets: list[_Place]) -> list[_Leg]:
        cost, origin = self._search(start)
        legs: list[_Leg] = []
        for target in targets:
            options = [
                (cost[node] + self._between(target, start.at if not node.fresh else 0), node)
                for node in (_Node(target.lane, True), _Node(target.lane, False))
                if node in cost and (node.fresh or target.at >= start.at)
            ]
            if options:
                total, node = min(options)
                legs.append(_Leg(total, self._trace(origin, node, start, target)))
            else:
                legs.append(_Leg(math.inf, ()))
        return legs

    def _between(self, target: _Place, start: int) -> float:
        first = self.graph.lane_first[target.lane]
        distance = self.graph.distance
        return float(distance[first + target.at] - distance[first + start])

    def _search(self, start: _Place) -> tuple[dict[_Node, float], dict[_Node, _Node]]:
        """Return the cost of entering every lane from a start, and where it is entered from."""
        root = _Node(start.lane, False)
        cost, origin, done = {root: 0.0}, {}, set[_Node]()
        queue = [(0.0, root)]
        while queue:
            so_far, node = heapq.heappop(queue)
            if node in done:
                continue
            done.add(node)
            lane, entered = node.lane, 0 if node.fresh else start.at
            rest = self._between(_Place(lane, self._last(lane), 0.0), entered)
            onward = [(_Node(after, True), so_far + rest) for after in self._after[lane]]
            onward += [
                (
                    _Node(beside, node.fresh),
                    so_far + (_CHANGE_COST if last >= entered else _LATE_CHANGE_COST),
                )
                for beside, last in self._beside[lane]
                if last >= 0
            ]
            for other, total in onward:
                if total < cost.get(other, math.inf):
                    cost[other], origin[other] = total, node
                    heapq.heappush(queue, (total, other))
        return cost, origin

    def _trace(
        self, origin: dict[_Node, _Node], node: _Node, start: _Place, target: _Place
    ) -> tuple[Stretch, ...]:
        nodes = [node]
        while nodes[-1] in origin:
            nodes.append(origin[nodes[-1]])
        runs: list[list[_Node]] = []
        for previous, current in zip([None, *nodes[:0:-1]], nodes[::-1], strict=True):
            if previous is not None and any(
                b == current.lane for b, _ in self._beside[previous.lane]
            ):
                runs[-1].append(current)
            else:
                runs.append([current])
        ends = [self._last(run[-1].lane) for run in runs[:-1]] + [target.at]
        return tuple(
            Stretch(tuple(n.lane for n in run), 0 if run[0].fresh else start.at, end)
            for run, end in zip(runs, ends, strict=True)
        )
