"""Where the wall time of a training run goes, measured with two clock readings per part.

- `Clock`: adds up seconds by part.
- `TimedVecEnv`: times the steps of the VecEnv it wraps.
- `time_method`: times the calls of one method of an object.
- `TimingCallback`: times action selection and learning.
"""

from __future__ import annotations

from time import perf_counter
from typing import Any

import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper

__all__ = ["Clock", "TimedVecEnv", "TimingCallback", "time_method"]


class Clock:
    """Seconds spent in each part since training started.

    Attributes:
        seconds: part -> seconds. "design" includes "env", on which it stands.
        steps: Environment steps taken meanwhile.
    """

    def __init__(self) -> None:
        self.seconds = {"env": 0.0, "policy": 0.0, "learning": 0.0, "design": 0.0}
        self.steps = 0
        self._started = perf_counter()

    def start(self) -> None:
        """Begin counting; what was set up before is left out."""
        self.seconds = dict.fromkeys(self.seconds, 0.0)
        self._started = perf_counter()

    def report(self) -> dict[str, Any]:
        """Return seconds, steps per second and the share of each part, which add up to 1.

        "env" is the worlds with SB3's DummyVecEnv, "policy" the forward passes that choose actions,
        "learning" the gradient steps, "design" the reward designs; "other" is everything else:
        rollout buffers, logging, checkpoints and bootstrapping.
        """
        wall = max(perf_counter() - self._started, 1e-9)
        parts = dict(self.seconds)
        parts["design"] = max(parts["design"] - parts["env"], 0.0)
        parts["other"] = max(wall - sum(parts.values()), 0.0)
        return {
            "wall_seconds": wall,
            "steps": self.steps,
            "steps_per_second": self.steps / wall,
            "share": {part: seconds / wall for part, seconds in parts.items()},
        }


class TimedVecEnv(VecEnvWrapper):
    """Adds the time of every step to a clock; changes nothing.

    Args:
        venv: What to time.
        clock: Receives the seconds.
        part: Under this name.
    """

    def __init__(self, venv: VecEnv, clock: Clock, part: str):
        super().__init__(venv)
        self._clock = clock
        self._part = part

    def reset(self) -> Any:
        """Reset what is wrapped; resets between episodes are part of a step."""
        return self.venv.reset()

    def step_wait(self) -> Any:
        """Step what is wrapped."""
        started = perf_counter()
        result = self.venv.step_wait()
        self._clock.seconds[self._part] += perf_counter() - started
        return result


def time_method(owner: Any, method: str, clock: Clock, part: str) -> None:
    """Add the time of every call of `owner.method` to a part of a clock."""
    plain = getattr(owner, method)

    def timed(*args: Any, **kwargs: Any) -> Any:
        started = perf_counter()
        try:
            return plain(*args, **kwargs)
        finally:
            clock.seconds[part] += perf_counter() - started

    setattr(owner, method, timed)


class TimingCallback(BaseCallback):
    """Times the policy's forward passes and the learning phases.

    Args:
        clock: Receives the seconds.
    """

    def __init__(self, clock: Clock):
        super().__init__()
        self._clock = clock
        self._mark = 0.0
        self._learning = False
        self._hooks: list[Any] = []

    def _on_training_start(self) -> None:
        self._clock.start()
        policy = self.model.policy
        on_gpu = self.model.device.type == "cuda"

        def before(*_: Any) -> None:
            self._mark = perf_counter()

        def after(*_: Any) -> None:
            if on_gpu:
                torch.cuda.synchronize()
            self._clock.seconds["policy"] += perf_counter() - self._mark

        self._hooks = [
            policy.register_forward_pre_hook(before),
            policy.register_forward_hook(after),
        ]

    def _on_rollout_start(self) -> None:
        self._end_learning()

    def _on_step(self) -> bool:
        self._clock.steps += self.training_env.num_envs
        return True

    def _on_rollout_end(self) -> None:
        self._learning = True
        self._mark = perf_counter()

    def _on_training_end(self) -> None:
        self._end_learning()
        for hook in self._hooks:
            hook.remove()

    def _end_learning(self) -> None:
        if self._learning:
            self._clock.seconds["learning"] += perf_counter() - self._mark
            self._learning = False
