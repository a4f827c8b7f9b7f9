"""`MiniGridCaptions`: what happens in a MiniGrid or BabyAI world, in one sentence a step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import gymnasium as gym

from rewardloom.errors import ConfigError, MissingDependency
from rewardloom.wrappers.captions.base import ActType, CaptionWrapper, ObsType
from rewardloom.wrappers.captions.rooms import rooms
from rewardloom.wrappers.sources import Transition

if TYPE_CHECKING:
    from minigrid.core.world_object import WorldObj
    from minigrid.minigrid_env import MiniGridEnv

__all__ = ["MiniGridCaptions"]

_FORWARD, _TOGGLE, _DONE = 2, 5, 6
_COMPASS = ("east", "south", "west", "north")
_WITHOUT_COLOR = ("wall", "goal", "lava")


class _Before(NamedTuple):
    """What a step can change, as it was before the step.

    Attributes:
        pos: Where the agent stood.
        direction: Where it looked, 0 to 3.
        carried: What it carried.
        ahead: The place before it.
        cell: What was there.
        door: State of the door there, "" where there is none.
    """

    pos: tuple[int, int]
    direction: int
    carried: WorldObj | None
    ahead: tuple[int, int]
    cell: WorldObj | None
    door: str


class MiniGridCaptions(CaptionWrapper[ObsType, ActType]):
    """Writes `info["caption"]` from what changed in the grid; changes nothing else.

    At most one sentence a step: a deed of the agent, else what it looks at, else "". The reset
    says the mission. Captions name kinds of things, never step counts and places only if asked to,
    so a world has some tens of them; none says whether a deed was right or what it was paid.

    | what happened | caption |
    |---|---|
    | an object changed hands | You pick up the yellow key. / You drop the yellow key. |
    | a door changed | You unlock and open (open, close) the yellow door. |
    | a locked door was tried | The yellow door is locked. |
    | a box was opened | You open the red box and find the blue key. / ... and find nothing. |
    | a step onto it | You reach the goal. / You step into the lava. |
    | past a door | You enter a new room, number 2. / You return to a room you know. |
    | a step forward failed | You bump into the wall (the blue ball, the closed red door). |
    | the action done | You say that you are done. |
    | none of these, something is right ahead | You stand before the locked yellow door. |
    | none of these, something is in line and in view | You see the yellow key ahead. |

    A room is what walls and doors enclose; the number counts the rooms of this episode in the
    order they were entered, the first one included. The caption is made from the world itself
    (`env.unwrapped`), so observations may be of any form. Put it inside frame skips and inside
    wrappers that change actions; in a vector, around each sub-environment.

    >>> import gymnasium as gym, minigrid
    >>> from rewardloom.wrappers.captions import MiniGridCaptions
    >>> env = MiniGridCaptions(gym.make("MiniGrid-Empty-5x5-v0"))
    >>> obs, info = env.reset(seed=0)
    >>> info["caption"]
    'Mission: get to the green goal square'
    >>> [env.step(action)[4]["caption"] for action in (0, 2)]
    ['', 'You bump into the wall.']

    Args:
        env: A MiniGrid or BabyAI world, wrapped or not.
        sights: Whether the captions "You stand before ..." and "You see ..." are given; without
            them a step without a deed says "".
        places: Whether a step of which nothing else is said tells where it led ("You walk east to
            column 3, row 5."): chatter, four captions for every place, to try a reward among
            captions that mostly do not matter.

    Raises:
        ConfigError: another world, or a vector.
        MissingDependency: minigrid is not installed.
    """

    def __init__(
        self,
        env: gym.Env[ObsType, ActType],
        *,
        sights: bool = True,
        places: bool = False,
    ):
        gym.utils.RecordConstructorArgs.__init__(self, sights=sights, places=places)
        super().__init__(env)
        self._world = _minigrid(env)
        self._sights = sights
        self._places = places
        self._rooms: dict[tuple[int, int], int] = {}
        self._room = -1
        self._entered: set[int] = set()
        self._before: _Before | None = None

    def first_caption(self, obs: ObsType, info: dict[str, Any]) -> str:
        """Return the mission."""
        self._rooms = rooms(self._world.grid)
        self._room = self._rooms.get(_point(self._world.agent_pos), -1)
        self._entered = {self._room} - {-1}
        self._before = _look(self._world)
        return f"Mission: {self._world.mission}"

    def next_caption(self, step: Transition) -> str:
        """Return the deed, else the sight, else nothing."""
        before, now = self._before, _look(self._world)
        if before is None:
            raise gym.error.ResetNeeded("Call reset() before the first step().")
        self._before = now
        entered = self._entered_room(now.pos)
        caption = _handled(before, now, self._world) or _walked(before, now, self._world)
        caption = caption or entered or _tried(before, now, self._world, int(step.action))
        caption = caption or (_sight(self._world) if self._sights else "")
        return caption or (_place(before, now) if self._places else "")

    def _entered_room(self, pos: tuple[int, int]) -> str:
        room = self._rooms.get(pos, -1)
        if room in (-1, self._room):  # in a doorway, or where it was
            return ""
        self._room = room
        if room in self._entered:
            return "You return to a room you know."
        self._entered.add(room)
        return f"You enter a new room, number {len(self._entered)}."


def _minigrid(env: gym.Env[Any, Any]) -> MiniGridEnv:
    try:
        from minigrid.minigrid_env import MiniGridEnv
    except ImportError:
        raise MissingDependency(
            "MiniGridCaptions needs minigrid: pip install 'rewardloom[minigrid]'."
        ) from None
    world = env.unwrapped
    if not isinstance(world, MiniGridEnv):
        raise ConfigError(
            f"MiniGridCaptions reads MiniGrid and BabyAI worlds, got {env}. For other worlds give "
            "EventCaptions a function of the step."
        )
    return world


def _look(world: MiniGridEnv) -> _Before:
    ahead = _point(world.front_pos)
    cell = world.grid.get(*ahead)
    pos, direction = _point(world.agent_pos), int(world.agent_dir)
    return _Before(pos, direction, world.carrying, ahead, cell, _door_state(cell))


def _handled(before: _Before, now: _Before, world: MiniGridEnv) -> str:
    """Say what was picked up, dropped or opened."""
    if now.carried is not before.carried:
        if now.carried is not None:
            return f"You pick up {_name(now.carried)}."
        return f"You drop {_name(before.carried)}."
    door = _door_state(before.cell)
    if door != before.door:
        verb = {"open": "open", "closed": "close", "locked": "lock"}[door]
        verb = f"unlock and {verb}" if before.door == "locked" else verb
        return f"You {verb} {_name(before.cell)}."
    if before.cell is not None and before.cell.type == "box":
        inside = world.grid.get(*before.ahead)
        if inside is not before.cell:
            found = "nothing" if inside is None else _name(inside)
            return f"You open {_name(before.cell)} and find {found}."
    return ""


def _walked(before: _Before, now: _Before, world: MiniGridEnv) -> str:
    """Say what was stepped onto, where that matters."""
    if now.pos == before.pos:
        return ""
    cell = world.grid.get(*now.pos)
    kind = None if cell is None else cell.type
    return {"goal": "You reach the goal.", "lava": "You step into the lava."}.get(kind or "", "")


def _tried(before: _Before, now: _Before, world: MiniGridEnv, action: int) -> str:
    """Say which action changed nothing."""
    if action == _DONE:
        return "You say that you are done."
    if action == _TOGGLE and before.door == "locked":
        return f"{_name(before.cell).capitalize()} is locked."
    if action == _FORWARD and (now.pos, now.direction) == (before.pos, before.direction):
        obstacle = world.grid.get(*before.ahead)
        return "" if obstacle is None else f"You bump into {_state_name(obstacle)}."
    return ""


def _place(before: _Before, now: _Before) -> str:
    """Say where a step led."""
    if now.pos == before.pos:
        return ""
    column, row = now.pos
    return f"You walk {_COMPASS[now.direction]} to column {column}, row {row}."


def _sight(world: MiniGridEnv) -> str:
    """Say what is in line before the agent and within its view."""
    x, y = _point(world.agent_pos)
    dx, dy = (int(step) for step in world.dir_vec)
    for distance in range(1, world.agent_view_size):
        cell = world.grid.get(x + distance * dx, y + distance * dy)
        if cell is None or cell.type == "floor":
            continue
        if cell.type == "wall":
            return ""
        if distance == 1:
            return f"You stand before {_state_name(cell)}."
        return f"You see {_state_name(cell)} ahead."
    return ""


def _name(thing: WorldObj | None) -> str:
    if thing is None:
        return "nothing"
    return (
        f"the {thing.type}" if thing.type in _WITHOUT_COLOR else f"the {thing.color} {thing.type}"
    )


def _state_name(thing: WorldObj) -> str:
    state = _door_state(thing)
    return f"the {state} {thing.color} {thing.type}" if state else _name(thing)


def _door_state(thing: Any) -> str:
    if thing is None or thing.type != "door":
        return ""
    return "open" if thing.is_open else "locked" if thing.is_locked else "closed"


def _point(pos: Any) -> tuple[int, int]:
    return int(pos[0]), int(pos[1])
