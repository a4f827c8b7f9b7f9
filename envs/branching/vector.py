"""Several branching worlds in one process whose searches run at the same time.

- `MilpBranchingVector`: the Gymnasium vector environment.
"""

from __future__ import annotations

import contextlib
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.vector.utils import iterate

from rewardloom.envs.branching.world import MilpBranching
from rewardloom.rewards.numbers import check_integer

__all__ = ["MilpBranchingVector"]

_Step = tuple[Any, Any, bool, bool, dict[str, Any]]
_Reset = tuple[Any, dict[str, Any]]


class MilpBranchingVector(SyncVectorEnv):
    """`num_envs` branching worlds that step at the same time, each in a thread of its own.

    SCIP works without Python's lock, so that the searches of one step share the processor's cores;
    what happens in each world is what would happen in it alone. Infos, masks and autoreset are
    those of `SyncVectorEnv`: `infos["action_mask"]` is (num_envs, n) bool.

    An action that is not legal is refused before any world has moved: all decisions still wait.
    The batched action space knows nothing of masks; draw with them, or with
    `[env.action_space.sample() for env in vector.envs]`. Ctrl-C during a step ends all searches;
    `reset` begins new ones.

    Args:
        num_envs: Number of worlds.
        autoreset_mode: `AutoresetMode.NEXT_STEP` (Gymnasium's default), `SAME_STEP` (what SB3
            needs) or `DISABLED`; also by its value.
        max_episode_steps: Decisions until truncation, as `horizon`; the smaller of the two counts.
        **arguments: Of `MilpBranching`.

    Raises:
        ConfigError: A number below 1, or an argument that `MilpBranching` refuses.

    Example:
        >>> import gymnasium as gym
        >>> import numpy as np
        >>> vector = MilpBranchingVector(2, family="micro")
        >>> _, infos = vector.reset(seed=0)
        >>> actions = np.array([np.flatnonzero(mask)[0] for mask in infos["action_mask"]])
        >>> _, rewards, *_ = vector.step(actions)
        >>> rewards.shape
        (2,)
        >>> vector.close()
    """

    envs: list[_Ahead]

    def __init__(
        self,
        num_envs: int = 1,
        *,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        max_episode_steps: int | None = None,
        **arguments: Any,
    ):
        check_integer("num_envs", num_envs)
        mode = AutoresetMode(autoreset_mode)
        if max_episode_steps is not None:
            most = check_integer("max_episode_steps", max_episode_steps)
            arguments["horizon"] = min(most, arguments.get("horizon") or most)
        super().__init__(
            [lambda: _Ahead(MilpBranching(**arguments), mode) for _ in range(num_envs)],
            autoreset_mode=mode,
        )
        self._pool = ThreadPoolExecutor(num_envs, thread_name_prefix="rewardloom-vector")

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Branch in every world, all at the same time.

        Args:
            actions: (num_envs,) integers, each legal in its world; those of worlds that are reset
                by this step are not looked at.

        Raises:
            InvalidAction: One of them is not legal; no world has moved.
            ResetNeeded: A world has no decision that waits.
        """
        given = self._given(actions)
        for index, (env, action) in enumerate(given):
            try:
                env.check(action)
            except gym.error.InvalidAction as error:
                raise gym.error.InvalidAction(f"Environment {index}: {error}") from None
        try:
            for env, action in given:
                env.begin(self._pool, action)
            return super().step(actions)
        except BaseException:
            for env in self.envs:
                with contextlib.suppress(Exception):  # the first error is the one to tell
                    env.give_up()
            raise

    def _given(self, actions: Any) -> list[tuple[_Ahead, Any]]:
        array = np.asarray(actions)
        if array.shape != (self.num_envs,) or not np.issubdtype(array.dtype, np.integer):
            raise gym.error.InvalidAction(
                f"actions must be {self.num_envs} integers, not {array.dtype} of shape "
                f"{array.shape}."
            )
        return list(zip(self.envs, iterate(self.action_space, array), strict=True))

    def action_masks(self) -> np.ndarray:
        """Return the legal actions of the waiting decisions, (num_envs, n) bool."""
        return np.stack(self.call("action_masks"))

    def close_extras(self, **kwargs: Any) -> None:
        """End all searches and the threads."""
        super().close_extras(**kwargs)
        if hasattr(self, "_pool"):
            self._pool.shutdown(wait=not any(env.is_busy for env in self.envs))


class _Ahead(gym.Wrapper[Any, Any, Any, Any]):
    """A world whose step, and the reset after an episode's end, run before they are asked for."""

    def __init__(self, env: MilpBranching, mode: AutoresetMode):
        super().__init__(env)
        self.metadata = dict(env.metadata)  # the vector writes into it
        self._world = env
        self._mode = mode
        self._over = self._given_up = False
        self._running: Future[tuple[_Step | None, _Reset | None]] | None = None
        self._restarted: _Reset | None = None
        self._abandoned: Future[Any] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a step that was given up has not ended: its LP heeds no interrupt."""
        return self._abandoned is not None and not self._abandoned.done()

    def check(self, action: Any) -> None:
        """Refuse an action that the world would refuse, unless this step resets."""
        if not self._resets_next():
            self._world.check_action(action)

    def begin(self, pool: ThreadPoolExecutor, action: Any) -> None:
        """Start what the vector's step will ask for."""
        self._given_up = False
        self._running = pool.submit(self._advance, action)

    def step(self, action: Any) -> _Step:
        """Return the outcome of the step that was begun."""
        outcome, self._restarted = self._collect()
        assert outcome is not None
        self._over = outcome[2] or outcome[3]
        return outcome

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Return the outcome of the reset that was begun, or reset now."""
        if self._abandoned is not None:
            wait([self._abandoned])
            self._abandoned = None
        if self._running is not None:
            _, self._restarted = self._collect()
        outcome, self._restarted, self._over = self._restarted, None, False
        return self._world.reset(seed=seed, options=options) if outcome is None else outcome

    def give_up(self) -> None:
        """End the search, wherever it is, and forget what was begun."""
        self._given_up = True
        self._world.close()
        self._abandoned, self._running, self._restarted = self._running, None, None
        self._over = False

    def _resets_next(self) -> bool:
        return self._over and self._mode is AutoresetMode.NEXT_STEP

    def _collect(self) -> tuple[_Step | None, _Reset | None]:
        assert self._running is not None
        outcome = self._running.result()
        self._running = None
        return outcome

    def _advance(self, action: Any) -> tuple[_Step | None, _Reset | None]:
        if self._resets_next():
            return None, self._reset()
        outcome = self._world.step(action)
        again = (outcome[2] or outcome[3]) and self._mode is AutoresetMode.SAME_STEP
        return outcome, self._reset() if again else None

    def _reset(self) -> _Reset | None:
        """Reset, unless the vector has given this step up meanwhile."""
        if self._given_up:
            return None
        begun = self._world.reset()
        if self._given_up:
            self._world.close()
        return begun
