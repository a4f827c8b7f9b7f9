"""States of driving worlds: quiet ones to change by hand, and random sequences."""

import numpy as np

from rewardloom.envs.carla.scoring.referee import Referee
from rewardloom.envs.carla.scoring.routes import Route
from rewardloom.envs.carla.scoring.state import (
    Actors,
    Collisions,
    Ego,
    Lane,
    Lights,
    StopSigns,
    WorldState,
)

PERIOD = 0.1


def straight_route(meters=100):
    """A route along the x axis with a point every meter."""
    return Route.through(np.stack([np.arange(meters + 1.0), np.zeros(meters + 1)], axis=1))


def full(shape, value):
    """An array of one value, whose dtype is the value's."""
    return np.full(shape, value)


def quiet_state(worlds=1, *, actors=1, lights=1, stops=1, collisions=1):
    """Egos that stand at the origin of a straight road along x, with nothing around."""
    w, zero = worlds, np.zeros(worlds)

    def nothing(columns):
        return np.zeros((w, columns), bool)

    def ids(columns):
        return np.ones((w, 1), int) * np.arange(1, columns + 1)

    return WorldState(
        time=zero.copy(),
        ego=Ego(
            position=np.zeros((w, 2)),
            yaw=zero.copy(),
            velocity=np.zeros((w, 2)),
            acceleration=np.zeros((w, 2)),
            extent=np.tile([2.5, 1.0], (w, 1)),
            speed_limit=full(w, 10.0),
            steer=zero.copy(),
        ),
        lane=Lane(
            distance=zero.copy(),
            width=full(w, 4.0),
            yaw=zero.copy(),
            junction=np.zeros(w, bool),
            road=np.ones(w, int),
            lane=np.ones(w, int),
            parking_distance=full(w, np.inf),
            parking_width=zero.copy(),
            off_road=zero.copy(),
        ),
        actors=Actors(
            kind=np.zeros((w, actors), int),
            position=np.full((w, actors, 2), 1000.0),
            yaw=np.zeros((w, actors)),
            velocity=np.zeros((w, actors, 2)),
            extent=np.full((w, actors, 2), 1.0),
            on_sidewalk=nothing(actors),
            mask=nothing(actors),
        ),
        lights=Lights(
            id=ids(lights),
            position=np.zeros((w, lights, 2)),
            yaw=np.zeros((w, lights)),
            width=np.full((w, lights), 4.0),
            state=np.zeros((w, lights), int),
            distance=np.full((w, lights), np.inf),
            mask=nothing(lights),
        ),
        stops=StopSigns(
            id=ids(stops),
            position=np.zeros((w, stops, 2)),
            yaw=np.zeros((w, stops)),
            extent=np.ones((w, stops, 2)),
            width=np.full((w, stops), 4.0),
            distance=np.full((w, stops), np.inf),
            mask=nothing(stops),
        ),
        collisions=Collisions(
            id=ids(collisions),
            kind=np.zeros((w, collisions), int),
            intensity=np.ones((w, collisions)),
            mask=nothing(collisions),
        ),
    )


def changed(state, **parts):
    """A state with other values: `changed(state, ego={"yaw": 1.0}, time=3.0)`.

    A value takes the shape of what it replaces: a number or a list goes to every row that fits.
    """
    new = {}
    for name, value in parts.items():
        old = getattr(state, name)
        if isinstance(value, dict):
            fields = {
                key: np.broadcast_to(
                    np.asarray(given, getattr(old, key).dtype), getattr(old, key).shape
                ).copy()
                for key, given in value.items()
            }
            new[name] = old._replace(**fields)
        else:
            new[name] = np.broadcast_to(np.asarray(value, old.dtype), old.shape).copy()
    return state._replace(**new)


def begun(reward="carl", *, first=None, route=None, **settings):
    """A referee of worlds that all begin in `first` (a quiet state) on a straight route."""
    first = quiet_state() if first is None else first
    worlds = len(first.time)
    referee = Referee(worlds, reward=reward, **settings)
    route = straight_route() if route is None else route
    referee.begin(np.ones(worlds, bool), first, [route] * worlds)
    return referee


def parts_of(referee, state, world=0):
    """Components that a step to `state` gives, by name."""
    values = referee.step(state).components[world]
    return dict(zip(referee.components, values.tolist(), strict=True))


def causes_of(referee, state, world=0):
    """Names of the causes that hold after a step to `state`, the reward's own left out."""
    held = referee.step(state).verdict.causes[world]
    return [name for name, holds in zip(referee.causes, held, strict=False) if holds]


def winding_route(rng, points=60):
    """A route with bends and points about 1 m apart."""
    yaws = np.cumsum(rng.normal(0, 0.05, points))
    steps = np.stack([np.cos(yaws), np.sin(yaws)], axis=1) * rng.uniform(0.8, 1.2, (points, 1))
    return Route.through(np.cumsum(steps, axis=0), yaws)


def random_states(rng, routes, steps):
    """A sequence of `steps` + 1 states of egos that drive, badly, along their routes."""
    w = len(routes)
    along, speed, yaw_error = np.zeros(w), rng.uniform(0, 12, w), np.zeros(w)
    aside, lane_side = np.zeros(w), np.ones(w, int)
    stop_at = np.array([route.points[len(route.points) // 3] for route in routes])
    light_at = np.array([route.points[len(route.points) // 2] for route in routes])
    states = []
    for step in range(steps + 1):
        speed = np.clip(speed + rng.normal(0, 2.0, w), 0, 14) * (rng.random(w) > 0.05)
        along = along + speed * PERIOD
        aside = np.where(rng.random(w) < 0.02, rng.normal(0, 25, w), 0.9 * aside)
        aside = aside + rng.normal(0, 0.4, w)
        yaw_error = 0.8 * yaw_error + rng.normal(0, 0.05, w)
        lane_side = np.where(rng.random(w) < 0.05, -lane_side, lane_side)
        place = np.array([_along(r, a) for r, a in zip(routes, along, strict=True)])
        yaw = place[:, 2] + yaw_error + np.where(rng.random(w) < 0.02, np.pi, 0.0)
        right = np.stack([-np.sin(place[:, 2]), np.cos(place[:, 2])], axis=1)
        position = place[:, :2] + aside[:, None] * right
        forward = np.stack([np.cos(yaw), np.sin(yaw)], axis=1)
        state = quiet_state(w, actors=5, lights=3, stops=2, collisions=2)
        states.append(
            state._replace(
                time=np.full(w, step * PERIOD),
                ego=_ego(rng, state.ego, position, yaw, forward * speed[:, None]),
                lane=_lane(rng, state.lane, place[:, 2], lane_side),
                actors=_actors(rng, state.actors, position, yaw),
                lights=_lights(rng, state.lights, light_at, place[:, 2], position),
                stops=_stops(rng, state.stops, stop_at, place[:, 2], position),
                collisions=_collisions(rng, state.collisions),
            )
        )
    return states


def _along(route, meters):
    at = np.clip(np.searchsorted(route.meters, meters), 0, len(route.meters) - 1)
    x, y = route.points[at]
    return x, y, route.yaws[at]


def _ego(rng, ego, position, yaw, velocity):
    w = len(yaw)
    limit = np.where(rng.random(w) < 0.2, np.nan, rng.choice([5.0, 8.0, 13.0], w))
    return ego._replace(
        position=position,
        yaw=yaw,
        velocity=velocity,
        acceleration=rng.normal(0, 6, (w, 2)),
        extent=rng.uniform([2.0, 0.8], [2.5, 1.1], (w, 2)),
        speed_limit=limit,
        steer=rng.choice([0.0, 0.005, 0.1, 0.5], w),
    )


def _lane(rng, lane, yaw, side):
    w = len(yaw)
    return lane._replace(
        distance=rng.gamma(1.0, 0.8, w) * (1 + 3 * (np.arange(w) % 2)),
        width=rng.uniform(2.5, 4.5, w),
        yaw=yaw + np.where(side > 0, 0.0, np.pi) + rng.normal(0, 0.3, w),
        junction=rng.random(w) < 0.15,
        road=rng.integers(0, 2, w),
        lane=side,
        parking_distance=np.where(rng.random(w) < 0.5, np.inf, rng.gamma(1.0, 2.0, w)),
        parking_width=rng.uniform(2.0, 3.0, w),
        off_road=rng.choice([0.0, 0.94, 0.96], w),
    )


def _actors(rng, actors, position, yaw):
    shape = actors.yaw.shape
    return actors._replace(
        kind=rng.integers(0, 3, shape),
        position=position[:, None] + rng.normal(0, 12, (*shape, 2)),
        yaw=yaw[:, None] + rng.uniform(-4, 4, shape),
        velocity=rng.normal(0, 4, (*shape, 2)),
        extent=rng.uniform(0.3, 3, (*shape, 2)),
        on_sidewalk=rng.random(shape) < 0.5,
        mask=rng.random(shape) < 0.3,
    )


def _lights(rng, lights, at, yaw, position):
    shape = lights.yaw.shape
    offset = at[:, None] + rng.normal(0, 2, (*shape, 2))
    away = np.hypot(*np.moveaxis(offset - position[:, None], -1, 0))
    return lights._replace(
        id=rng.integers(0, 3, shape),
        position=offset,
        yaw=yaw[:, None] + rng.normal(0, 0.5, shape),
        state=rng.integers(0, 4, shape),
        distance=np.where(rng.random(shape) < 0.5, away * rng.choice([-1, 1], shape), np.inf),
        mask=rng.random(shape) < 0.6,
    )


def _stops(rng, stops, at, yaw, position):
    shape = stops.yaw.shape
    offset = at[:, None] + np.array([0.0, 15.0])[None, :, None]
    away = np.hypot(*np.moveaxis(offset - position[:, None], -1, 0))
    return stops._replace(
        position=offset,
        yaw=yaw[:, None] + rng.normal(0, 0.3, shape),
        extent=rng.uniform(1, 3, (*shape, 2)),
        distance=np.where(rng.random(shape) < 0.7, away, np.inf),
        mask=rng.random(shape) < 0.9,
    )


def _collisions(rng, collisions):
    shape = collisions.id.shape
    return collisions._replace(
        id=rng.integers(0, 3, shape),
        kind=rng.integers(0, 3, shape),
        intensity=rng.exponential(100.0, shape),
        mask=rng.random(shape) < 0.1,
    )
