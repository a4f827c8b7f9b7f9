"""`RewardRewriter`: hands a finished search to a redistribution design."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from rewardloom.baselines.branching.revived.scores import SCORES, standardized_score
from rewardloom.baselines.branching.revived.trajectories import Trajectory
from rewardloom.envs.branching.records import SearchResult
from rewardloom.errors import ConfigError, unknown_name
from rewardloom.rewards import RedistributeDesign
from rewardloom.rewards.design import INFO_PREFIX, EpisodeBatch, episode_batch, extra_columns

__all__ = ["RewardRewriter"]


class RewardRewriter:
    """Rewrites the rewards of a search when it has ended; their sum stays.

    With "steps" targets these are the world's rewards. With "tree" targets they are the decisions'
    own costs, so that what is spread is minus the size of the tree, and the value of the root still
    that size; below it the share of a subtree is what the score says, no more its size.

    Learned modes read, as the observation, the means of the decision's columns with the features
    of its node, and as the action the features of the chosen column.

    Args:
        options: Arguments of `RedistributeDesign`. `score` is "info:<name>" with a name of
            `SCORES`. `on_truncation` is "settle" unless given: a search that a limit stopped is
            spread like any other.

    Raises:
        ConfigError: An argument that the design refuses, an unknown score, or a mode whose score is
            a running estimate of the return, which none of these is.
    """

    def __init__(self, options: Mapping[str, Any]):
        given = {"on_truncation": "settle", **options}
        if given.get("mode") in ("difference", "potential"):
            raise ConfigError(
                f"mode={given['mode']!r} reads a running estimate of the return; the scores of "
                f"decisions ({', '.join(SCORES)}) are weights. Use mode='softmax'."
            )
        try:
            self.design = RedistributeDesign(**given)
        except TypeError as error:
            raise ConfigError(f"redistribution: {error}.") from error
        self._scores = [
            column.removeprefix(INFO_PREFIX) for column in extra_columns(self.design.needs)
        ]
        names = {f"{INFO_PREFIX}{name}" for name in SCORES}
        for name in self.design.needs & {"scores", "components"}:
            raise ConfigError(f"redistribution cannot read {name}: give score= one of {names}.")
        for name in self._scores:
            if name not in SCORES:
                raise ConfigError(unknown_name("score", name, SCORES, where="in redistribution"))

    def rewrite(
        self, trajectory: Trajectory, result: SearchResult, *, truncated: bool
    ) -> Trajectory:
        """Return the trajectory with the rewards that the design pays for it."""
        reward = self.design.relabel(self._episode(trajectory, result, truncated))
        return dataclasses.replace(trajectory, reward=reward)

    def _episode(
        self, trajectory: Trajectory, result: SearchResult, truncated: bool
    ) -> EpisodeBatch:
        extra = {
            f"{INFO_PREFIX}{name}": standardized_score(name, trajectory, result)
            for name in self._scores
        }
        reads = bool(self.design.needs & {"obs", "action", "next_obs"})
        seen = _seen(trajectory) if reads else None
        return episode_batch(
            [trajectory.reward],
            terminated=not truncated,
            truncated=truncated,
            extra=extra,
            obs=seen,
            next_obs=None if seen is None else np.concatenate([seen[1:], np.zeros_like(seen[:1])]),
            action=_chosen(trajectory) if reads else None,
        )


def _seen(trajectory: Trajectory) -> npt.NDArray[np.float32]:
    """Return (L, 28) means of the columns and features of the node."""
    rows = [np.concatenate([graph.columns.mean(0), graph.node]) for graph in trajectory.graphs]
    return np.stack(rows)


def _chosen(trajectory: Trajectory) -> npt.NDArray[np.float32]:
    """Return (L, 20) features of the chosen columns."""
    pairs = zip(trajectory.graphs, trajectory.action.tolist(), strict=True)
    return np.stack([graph.columns[graph.candidates[action]] for graph, action in pairs])
