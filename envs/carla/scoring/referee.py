"""The parts put together: what a step of W worlds is worth, what it ended, how a route scored.

- `Referee`: judges W worlds.
- `Judgement`: of one step.
- `REWARDS`: names of the rewards.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rewardloom.envs.carla.scoring.carl import CARL, STRICT_COMFORT, CarlReward
from rewardloom.envs.carla.scoring.driving_score import (
    InfractionCounter,
    RouteScores,
    check_version,
    score,
)
from rewardloom.envs.carla.scoring.payment import DrivingReward
from rewardloom.envs.carla.scoring.roach import RoachReward
from rewardloom.envs.carla.scoring.route_progress import Progress, RouteProgress
from rewardloom.envs.carla.scoring.routes import Route, RouteBank
from rewardloom.envs.carla.scoring.state import F64, I64, Bool, WorldState
from rewardloom.envs.carla.scoring.terminations import CAUSES, Terminations, Verdict
from rewardloom.errors import ConfigError, unknown_name

__all__ = ["REWARDS", "Judgement", "Referee"]

REWARDS = ("carl", "strict_comfort", "roach")


class Judgement(NamedTuple):
    """What a step of W worlds came to.

    Attributes:
        reward: (W,).
        components: (W, K), in the order of `Referee.components`.
        terminated: (W,) bool.
        cause: (W,) int, index into `Referee.causes` of the first cause that holds, or -1.
        progress: How far the egos are.
        verdict: What the rules found, before endings of the reward's own.
    """

    reward: F64
    components: F64
    terminated: Bool
    cause: I64
    progress: Progress
    verdict: Verdict


class Referee:
    """Judges W worlds: rewards, endings and scores.

    Every row is judged alone: W worlds at once give the bits that W referees of one world give.

    Args:
        worlds: W.
        reward: One of `REWARDS`.
        period: Seconds between steps.
        terminal_hint: What CaRL's rewards take for a collision or a red light.
        driving_score: Version of the leaderboard's score, "2.0" or "2.1".

    Attributes:
        components: Names of the reward's components.
        terminal_components: Those that mean something at the last step only.
        causes: Names of what ends an episode.

    Raises:
        ConfigError: A name is not known, or a number does not fit.
    """

    def __init__(
        self,
        worlds: int,
        *,
        reward: str = "carl",
        period: float = 0.1,
        terminal_hint: float = 1.0,
        driving_score: str = "2.0",
    ) -> None:
        check_version(driving_score)
        if not period > 0:
            raise ConfigError(f"period is {period!r}; it must be above 0 seconds.")
        self._version = driving_score
        self.routes = RouteBank(worlds)
        self._progress = RouteProgress(self.routes)
        self._terminations = Terminations(self.routes)
        self._counter = InfractionCounter(self.routes)
        self.reward = _make_reward(reward, self.routes, period, terminal_hint)
        self.components = self.reward.components
        self.terminal_components = self.reward.terminal_components
        self.causes = (*CAUSES, *self.reward.causes)

    def begin(self, mask: Bool, state: WorldState, routes: Sequence[Route]) -> None:
        """Start episodes.

        Args:
            mask: (W,) bool, the worlds that start.
            state: Their first states; other rows are not read.
            routes: Their routes, one for each world of `mask`, in order.
        """
        self.routes.replace(mask, routes)
        self._progress.memory.reset(mask)
        self._terminations.begin(mask, state)
        self._counter.begin(mask)
        self.reward.begin(mask, state)

    def step(self, state: WorldState) -> Judgement:
        """Judge the step that led to `state`."""
        progress = self._progress.update(state.ego.position)
        verdict = self._terminations.step(state, progress)
        payment = self.reward.step(state, progress, verdict)
        causes = np.concatenate([verdict.causes, payment.causes], axis=1)
        ended = np.any(causes, axis=1)
        self._counter.update(state, progress, verdict, ended)
        return Judgement(
            payment.reward,
            payment.components,
            ended,
            np.where(ended, causes.argmax(axis=1), -1),
            progress,
            verdict,
        )

    def scores(self) -> RouteScores:
        """Return the scores of the W routes as far as they are driven."""
        completion = self._progress.memory.percent.copy()
        return score(completion, self._counter.infractions, self._version)


def _make_reward(
    name: str, routes: RouteBank, period: float, terminal_hint: float
) -> DrivingReward:
    worlds = len(routes.length)
    if name == "roach":
        return RoachReward(routes)
    variants = {"carl": CARL, "strict_comfort": STRICT_COMFORT}
    if name not in variants:
        raise ConfigError(unknown_name("reward", name, REWARDS))
    return CarlReward(worlds, variants[name], period=period, terminal_hint=terminal_hint)
