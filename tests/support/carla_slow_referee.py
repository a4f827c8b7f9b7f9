"""An independent referee: one world, plain Python, from the rules as they are written down.

It shares no code with `rewardloom.envs.carla.scoring`: boxes are compared by their corners and
edges, the filters are SciPy's, and every rule is a loop.
"""

import math

import numpy as np
from scipy.signal import savgol_filter

VEHICLE, WALKER, STATIC = 0, 1, 2
RED, YELLOW = 0, 1
LIMITS = {
    "carl": (-20, 10, 9, 30, 30, 1.0, 3.0),
    "strict_comfort": (-4.05, 2.40, 4.89, 8.37, 4.13, 0.95, 1.93),
}


def wrapped(angle):
    """Angle in -pi .. pi."""
    return math.atan2(math.sin(angle), math.cos(angle))


def corners(x, y, yaw, length, width):
    """Corners of a box, in order."""
    c, s = math.cos(yaw), math.sin(yaw)
    signs = ((1, 1), (1, -1), (-1, -1), (-1, 1))
    return [
        (x + a * length * c - b * width * s, y + a * length * s + b * width * c) for a, b in signs
    ]


def side(p, q, r):
    """On which side of the line p-q the point r is."""
    return (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])


def segments_meet(a, b, c, d):
    """Whether two segments share a point."""
    return side(a, b, c) * side(a, b, d) <= 0 and side(c, d, a) * side(c, d, b) <= 0


def inside(point, polygon):
    """Whether a convex polygon holds a point."""
    sides = [side(polygon[i], polygon[(i + 1) % 4], point) for i in range(4)]
    return all(s > 0 for s in sides) or all(s < 0 for s in sides)


def boxes_meet(one, two):
    """Whether two boxes, by their corners, overlap."""
    if any(inside(p, two) for p in one) or any(inside(p, one) for p in two):
        return True
    edges = [(i, (i + 1) % 4) for i in range(4)]
    return any(segments_meet(one[i], one[j], two[k], two[m]) for i, j in edges for k, m in edges)


class SlowReferee:
    """Judges one world."""

    def __init__(self, route, first, reward="carl"):
        self.points = [tuple(map(float, p)) for p in route.points]
        self.yaws = [float(y) for y in route.yaws]
        self.way = [0.0]
        for p, q in zip(self.points, self.points[1:], strict=False):
            self.way.append(self.way[-1] + math.dist(p, q))
        self.reward = reward
        self.index, self.rc, self.arrived = 0, 0.0, False
        self.near_index, self.far_meters, self.safe = 0, 0.0, True
        self.wrong = False
        self.last_lane = self._lane(first)
        self.places, self.hit_id, self.hit_time = [], None, None
        self.light = None
        self.sign, self.stood, self.passed = None, False, None
        self.moved = float(first.time[0])
        self.ttc = 0
        self.comfort = [0] * 6
        self.samples = []
        self.positions = [tuple(map(float, first.ego.position[0]))]
        self.off_center = 0
        self.steer = float(first.ego.steer[0])
        self.lateral, self.speeds, self.stuck = 0.0, [], 0
        self.counts = dict.fromkeys(("walker", "vehicle", "static", "red_light", "stop_sign"), 0)
        self.driven = self.outside_meters = 0.0

    def step(self, state):
        """Return the reward, its components by name and the causes by name."""
        e = state.ego
        self.x, self.y = map(float, e.position[0])
        self.yaw, self.v = float(e.yaw[0]), math.hypot(*map(float, e.velocity[0]))
        self.length, self.width = map(float, e.extent[0])
        before, meters_before = self.rc, self.way[self.index]
        self._advance()
        causes = self._causes(state)
        outside = self._outside(state)
        gained_meters = self.way[self.index] - meters_before
        self.driven += gained_meters
        self.outside_meters += gained_meters if outside else 0.0
        if self.reward == "roach":
            parts = self._roach(state, causes)
            return sum(parts.values()), parts, causes
        parts = {
            "progress": self.rc - before,
            "out": 0.0 if outside else 1.0,
            "speed": self._speed(float(e.speed_limit[0])),
            "ttc": self._ttc(state),
            "comfort": self._comfort(state),
            "lane": self._lane_factor(state),
            "terminal": -1.0 if causes["collision"] or causes["red_light"] else 0.0,
        }
        product = math.prod(value for name, value in parts.items() if name != "terminal")
        return product + parts["terminal"], parts, causes

    def _advance(self):
        for i in range(self.index, min(self.index + 3, len(self.points))):
            px, py = self.points[i]
            if (self.x - px) * math.cos(self.yaws[i]) + (self.y - py) * math.sin(self.yaws[i]) > 0:
                self.index = i
        rc = round(self.way[self.index] / self.way[-1] * 100, 2)
        if rc > 99 and math.dist((self.x, self.y), self.points[-1]) < 10:
            self.arrived = True
        self.rc = 100.0 if self.arrived else rc

    def _causes(self, state):
        time = float(state.time[0])
        if self.v >= 0.1:
            self.moved = time
        found = {
            "collision": self._collision(state.collisions, time),
            "red_light": self._red(state.lights),
            "stop_sign": self._stop(state.stops),
            "off_road": float(state.lane.off_road[0]) > 0.95,
            "route_deviation": self._deviated(),
            "blocked": time - self.moved > 90,
            "timeout": time > 1200,
            "finished": len(self.points) - self.index < 2,
        }
        self.counts["red_light"] += found["red_light"]
        self.counts["stop_sign"] += found["stop_sign"]
        return found

    def _collision(self, events, time):
        here, hit = (self.x, self.y), False
        for i in range(events.id.shape[1]):
            if not events.mask[0, i] or events.id[0, i] == self.hit_id:
                continue
            if any(math.dist(here, place) <= 3 for place in self.places):
                continue
            hit = True
            self.places.append(here)
            self.hit_time = time
            if events.id[0, i] != 0:
                self.hit_id = int(events.id[0, i])
            self.counts[("vehicle", "walker", "static")[int(events.kind[0, i])]] += 1
        self.places = [place for place in self.places if math.dist(here, place) <= 5]
        if self.hit_time is not None and time - self.hit_time > 5:
            self.hit_id = None
        return hit

    def _axis(self, rear, front):
        c, s = math.cos(self.yaw), math.sin(self.yaw)
        return (self.x + rear * c, self.y + rear * s), (self.x + front * c, self.y + front * s)

    def _red(self, lights):
        last, run = self.light, False
        for i in range(lights.id.shape[1]):
            at = tuple(map(float, lights.position[0, i]))
            yaw, half = float(lights.yaw[0, i]), 0.6 * float(lights.width[0, i])
            a = (at[0] - half * math.sin(yaw), at[1] + half * math.cos(yaw))
            b = (at[0] + half * math.sin(yaw), at[1] - half * math.cos(yaw))
            if (
                lights.mask[0, i]
                and lights.state[0, i] == RED
                and lights.id[0, i] != last
                and math.dist(at, (self.x, self.y)) <= 30
                and math.cos(self.yaw - yaw) > 0
                and self.v > 0.001
                and segments_meet(*self._axis(-self.length, self.length), a, b)
            ):
                run, self.light = True, int(lights.id[0, i])
        return run

    def _stop(self, stops):
        columns = {int(stops.id[0, i]): i for i in range(stops.id.shape[1]) if stops.mask[0, i]}
        ahead = {
            sign: float(stops.distance[0, i])
            for sign, i in columns.items()
            if -1.2 * stops.extent[0, i, 0] <= stops.distance[0, i]
            and stops.distance[0, i] <= 20 + 1.2 * stops.extent[0, i, 0]
        }
        if self.passed not in ahead:
            self.passed = None
        if self.sign is not None and (
            self.sign not in columns
            or math.dist(stops.position[0, columns[self.sign]], (self.x, self.y)) > 30
        ):
            self.sign, self.stood = None, False
        if self.sign is None:
            free = [sign for sign in ahead if sign != self.passed]
            self.sign = min(free, key=ahead.get) if free else None
        if self.sign is None:
            return False
        i = columns[self.sign]
        px, py = map(float, stops.position[0, i])
        yaw, half = float(stops.yaw[0, i]), 5 * float(stops.width[0, i])
        box = corners(px, py, yaw, 1.2 * stops.extent[0, i, 0], 1.2 * stops.extent[0, i, 1])
        if self.v < 0.1 and boxes_meet(self._box(), box):
            self.stood = True
        a = (px - half * math.sin(yaw), py + half * math.cos(yaw))
        b = (px + half * math.sin(yaw), py - half * math.cos(yaw))
        over = math.cos(self.yaw - yaw) > 0 and segments_meet(*self._axis(-self.length, 0), a, b)
        if not over:
            return False
        run = not self.stood
        self.passed, self.sign, self.stood = self.sign, None, False
        return run

    def _deviated(self):
        best, nearest = math.inf, self.near_index
        for i in range(self.near_index, min(self.near_index + 6, len(self.points))):
            if math.dist(self.points[i], (self.x, self.y)) <= best:
                best, nearest = math.dist(self.points[i], (self.x, self.y)), i
        off = best >= 30
        if not off:
            self.safe = best < 15
        if nearest != self.near_index:
            if not self.safe:
                self.far_meters += self.way[nearest] - self.way[self.near_index]
                off = off or 100 * self.far_meters / self.way[-1] > 30
            self.near_index = nearest
        return off

    def _lane(self, state):
        lane = state.lane
        names = ("road", "lane", "yaw", "junction", "distance", "width")
        return {name: getattr(lane, name)[0].item() for name in names}

    def _outside(self, state):
        now, last = self._lane(state), self.last_lane
        distance, width = now["distance"], now["width"]
        if state.lane.parking_distance[0] <= distance:
            distance, width = state.lane.parking_distance[0], state.lane.parking_width[0]
        if now["junction"]:
            self.wrong = False
        elif (now["road"], now["lane"]) != (last["road"], last["lane"]):
            if last["junction"]:
                self.wrong = math.degrees(abs(wrapped(now["yaw"] - self.yaw))) > 120
            elif 150 < math.degrees(last["yaw"] - now["yaw"]) % 360 < 210:
                self.wrong = not self.wrong
        self.last_lane = now
        return bool(distance > width / 2 + 0.5) or self.wrong

    def _speed(self, limit):
        limit = 6.0 if math.isnan(limit) else limit
        return max(0.0, 1 - (self.v - limit) / 2.23) if self.v > limit else 1.0

    def _box(self, ahead=0.0):
        c, s = math.cos(self.yaw), math.sin(self.yaw)
        return corners(self.x + ahead * c, self.y + ahead * s, self.yaw, self.length, self.width)

    def _ttc(self, state):
        self.ttc = max(self.ttc - 1, 0)
        a = state.actors
        present = [i for i in range(a.kind.shape[1]) if a.mask[0, i]]
        if self.v >= 0.1 and any(a.kind[0, i] in (VEHICLE, WALKER) for i in present):
            for i in present:
                speed = math.hypot(*map(float, a.velocity[0, i]))
                yaw = float(a.yaw[0, i])
                for t in (0.1, 0.3, 0.5, 0.7, 0.9):
                    x = float(a.position[0, i, 0]) + speed * t * math.cos(yaw)
                    y = float(a.position[0, i, 1]) + speed * t * math.sin(yaw)
                    if boxes_meet(self._box(self.v * t), corners(x, y, yaw, *a.extent[0, i])):
                        self.ttc = 500
        return 0.5 if self.ttc > 0 else 1.0

    def _comfort(self, state):
        ax, ay = map(float, state.ego.acceleration[0])
        if self.reward == "strict_comfort":
            self.positions.append((self.x, self.y))
            if len(self.positions) < 3:
                ax = ay = 0.0
            else:
                p, q, r = self.positions[-3:]
                ax, ay = ((r[k] - 2 * q[k] + p[k]) / 0.01 for k in (0, 1))
        c, s = math.cos(self.yaw), math.sin(self.yaw)
        self.samples.append((ax * c + ay * s, ay * c - ax * s, math.hypot(ax, ay), self.yaw))
        self.samples = self.samples[-15:]
        n = len(self.samples)
        self.comfort = [max(timer - 1, 0) for timer in self.comfort]
        if n >= 8:
            ahead, aside, size, yaw = (
                np.array(column) for column in zip(*self.samples, strict=True)
            )
            smooth = [savgol_filter(signal, 8, 2) for signal in (ahead, aside, size)]
            jerk = {"window_length": min(15, n), "polyorder": 2, "deriv": 1, "delta": 0.1}
            values = (
                smooth[0][-1],
                smooth[1][-1],
                savgol_filter(smooth[2], **jerk)[-1],
                savgol_filter(smooth[0], **jerk)[-1],
                savgol_filter(np.unwrap(yaw), 5, 2, deriv=1, delta=0.1)[-1],
                savgol_filter(np.unwrap(yaw), 5, 3, deriv=2, delta=0.1)[-1],
            )
            low, high, *others = LIMITS[self.reward]
            violated = [not low <= values[0] <= high]
            violated += [abs(v) > bound for v, bound in zip(values[1:], others, strict=True)]
            self.comfort = [500 if v else t for v, t in zip(violated, self.comfort, strict=True)]
        return 1 - 0.5 * sum(timer > 0 for timer in self.comfort) / 6

    def _lane_factor(self, state):
        now = self._lane(state)
        if self.reward == "strict_comfort":
            off = now["distance"] > 0.5 and not now["junction"]
            self.off_center = max(self.off_center + (1 if off else -1), 0)
            return 0.5 if self.off_center > 30 else 1.0
        return 1.0 if now["junction"] else 1 - min(now["distance"] / (now["width"] / 2), 1.0)

    def _roach(self, state, causes):
        wanted = self._wanted(state)
        px, py = self.points[self.index]
        yaw = self.yaws[self.index]
        lateral = abs((self.y - py) * math.cos(yaw) - (self.x - px) * math.sin(yaw))
        limit = lateral + 0.5 if lateral - self.lateral > 0.8 else max(3.5, self.lateral)
        causes["lateral_distance"] = lateral > limit
        self.lateral = lateral
        self.speeds = [*self.speeds, self.v][-10:]
        slow = len(self.speeds) == 10 and sum(self.speeds) / 10 < 1
        self.stuck = self.stuck + 1 if slow and wanted == 6.0 else 0
        causes["stuck"] = self.stuck >= 100
        a = state.actors
        causes["walker_overlap"] = any(
            a.mask[0, i]
            and a.kind[0, i] == WALKER
            and boxes_meet(
                self._box(), corners(*a.position[0, i], float(a.yaw[0, i]), *a.extent[0, i])
            )
            for i in range(a.kind.shape[1])
        )
        grave = causes["collision"] or causes["red_light"] or causes["stop_sign"]
        steer = float(state.ego.steer[0])
        parts = {
            "speed": 1 - abs(self.v - wanted) / 6,
            "position": -0.5 * lateral,
            "rotation": -abs(wrapped(self.yaw - yaw)),
            "action": -0.1 if abs(steer - self.steer) > 0.01 else 0.0,
            "terminal": (-1.0 if any(causes.values()) else 0.0) - (self.v if grave else 0.0),
        }
        self.steer = steer
        return parts

    def _wanted(self, state):
        a, lights, stops, here = state.actors, state.lights, state.stops, (self.x, self.y)
        speeds = [6.0]

        def near(distance, offset, ramp=5.0):
            speeds.append(6 * min(max(distance - offset, 0), ramp) / ramp)

        for i in range(a.kind.shape[1]):
            x, y = map(float, a.position[0, i])
            d = math.dist((x, y), here)
            angle = math.degrees(abs(wrapped(math.atan2(y - self.y, x - self.x) - self.yaw)))
            if not a.mask[0, i] or d > 9.5:
                continue
            turn = math.degrees(abs(wrapped(float(a.yaw[0, i]) - self.yaw)))
            if a.kind[0, i] == VEHICLE and angle <= 45 and turn <= 150:
                near(d, 8.0)
            cone = 162 / (min(max(d, 1.5), 10.5) + 0.3)
            if a.kind[0, i] == WALKER and not a.on_sidewalk[0, i] and angle <= cone:
                near(d, 6.0)
        for i in range(lights.id.shape[1]):
            behind = lights.distance[0, i] + 0.8 * self.length
            if lights.mask[0, i] and lights.state[0, i] in (RED, YELLOW) and 0 <= behind <= 18:
                near(math.dist(lights.position[0, i], here), 5.0)
        for i in range(stops.id.shape[1]):
            if stops.mask[0, i] and stops.id[0, i] == self.sign and not self.stood:
                near(math.dist(stops.position[0, i], here), 5.0)
        return min(speeds)

    def driving_score(self):
        """Leaderboard 2.0, without the factors of speed."""
        factors = {
            "walker": 0.5,
            "vehicle": 0.6,
            "static": 0.65,
            "red_light": 0.7,
            "stop_sign": 0.8,
        }
        penalty = math.prod(factors[name] ** count for name, count in self.counts.items())
        if self.driven > 0:
            penalty *= 1 - self.outside_meters / self.driven
        return self.rc * penalty
