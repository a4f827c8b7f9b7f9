"""`RedistributeDesign`: spreads an episode's return over its steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rewardloom.rewards.design import Depends, EpisodeBatch, Memory, StepBatch
from rewardloom.rewards.numbers import check_integer, check_number
from rewardloom.rewards.open_steps import OpenSteps
from rewardloom.rewards.ragged import episode_sums
from rewardloom.rewards.redistribute.build import build_mode
from rewardloom.rewards.redistribute.scores import blend, evenly, settle
from rewardloom.rewards.redistribute.settings import (
    Learning,
    check_emit,
    check_options,
    check_preserve,
    check_truncation,
)
from rewardloom.typing import F64N, F64T, BoolN

__all__ = ["RedistributeDesign"]


class RedistributeDesign:
    r"""Pays r'_t = (1 - beta) r_t + beta u_t, where the u_t of an episode spread its return R.

    Known only at the end, so paid in a training buffer (u_t = w_t R, the weights w_t sum to 1):

    - "uniform": R / T.
    - "softmax": w_t = softmax_t(s_t / temperature), for a score s of the world's own.
    - "attention", "occlusion": w_t by how much a learned model of the return looks at step t, or
      by how much its prediction changes without step t (our formulations).
    - "ircr": every step of an episode gets (c - min) / (max - min), c its mean reward, over the
      latest episodes (Gangwani et al. 2020). Preserves nothing.

    Known at once:

    - "rrd": u_t = r^(s_t, a_t), learned so that means over random steps match R / T (Ren et al.
      2022, randomized return decomposition); what is left of R is spread evenly, or paid at the
      last step with emit="causal"; preserve="none" leaves it out.
    - "rudder": u_t = g_t - g_{t-1}, g being a learned sequence model's prediction of R; the last
      step pays what is left of R (after Arjona-Medina et al. 2019).
    - "difference": the same with a score of the world's own as g.
    - "potential": u_t = r_t + gamma Phi(s_{t+1}) - Phi(s_t), Phi a score of the world's own and 0
      after an ending (Ng et al. 1999). Preserves R up to -Phi(s_0), and the optimal policy.

    Except for "ircr" and "potential" the rewards of a settled episode sum to R. Learned modes pay
    the raw reward until their first refit. With emit="relabel" `step` passes the raw reward.

    Args:
        mode: One of the above.
        emit: "relabel", or "causal" for modes that are known at once; None takes the mode's first.
        beta: Share that is redistributed, in [0, 1].
        anneal_steps: Steps over which beta falls to 0 in a straight line; 0 keeps it. Steps count
            once they are paid, in `relabel` those of a call's ended episodes after it.
        preserve: "sum", or "none" for rrd without what is left; None takes the mode's own.
        on_truncation: What a truncated episode means. "raw" (default): R is unknown, so the
            episode stays as it is; what causal modes have paid stays too, and the learner
            bootstraps. "settle": the limit counts as an ending, and the plug clears the
            bootstrap. "bootstrap": what was earned until the limit is redistributed, and the
            learner bootstraps on top. Failed episodes stay raw and are never learned from.
        score: "info:<key>" or a component's name, for softmax, difference and potential; softmax
            reads `EpisodeBatch.scores` without it.
        temperature: Of softmax, above 0; 1 unless given.
        sign: Of softmax: "credit" (default), or "blame": where R is negative, low scores weigh
            more.
        gamma: Of potential: the learner's discount; 1 unless given.
        normalize: Of ircr: c is the "mean" (default) or "sum" of an episode's rewards.
        learning: `Learning` or a mapping of its fields, for learned modes.

    Attributes:
        update_model: False freezes the model and takes in no more episodes.

    Raises:
        ConfigError: an argument is unknown, out of range or does not fit the mode; at `bind`, a
            component does not exist; later, episodes come without what the mode reads.
        ComponentError: a score is not finite.
    """

    def __init__(
        self,
        mode: str,
        *,
        emit: str | None = None,
        beta: float = 1.0,
        anneal_steps: int = 0,
        preserve: str | None = None,
        on_truncation: str = "raw",
        score: str | None = None,
        temperature: float | None = None,
        sign: str | None = None,
        gamma: float | None = None,
        normalize: str | None = None,
        learning: Learning | Mapping[str, Any] | None = None,
    ):
        options = {
            "score": score,
            "temperature": temperature,
            "sign": sign,
            "gamma": gamma,
            "normalize": normalize,
            "learning": learning,
        }
        chosen = check_options(mode, options)
        self.mode = mode
        self.emit = check_emit(mode, emit)
        self.beta = check_number("beta", beta, least=0.0, most=1.0)
        self.anneal_steps = check_integer("anneal_steps", anneal_steps, least=0)
        self.preserve = check_preserve(mode, preserve)
        self.on_truncation = check_truncation(on_truncation)
        self._kind = chosen.kind
        self._payer, self._learner = build_mode(mode, options)
        self.needs = self._payer.needs
        self.memory: Memory = chosen.memory
        self.relabels = self.emit == "relabel"
        self.settles_truncation = on_truncation == "settle"
        self.depends: Depends = "step" if self.emit == "causal" else "episode"
        if self._kind == "rate" and self.preserve == "none":
            self.depends = "row"
        self.rewrites_truncated = on_truncation != "raw" or self.depends != "episode"
        # a potential belongs to the state at the limit, from which the learner bootstraps
        self._closes_truncation = on_truncation == "settle" or (
            on_truncation == "bootstrap" and self._kind != "potential"
        )
        self.update_model = True
        self._seen_steps = 0
        self.bind(() if score is None else (score,), 0)

    @property
    def refits(self) -> int:
        """How often the model was trained."""
        return 0 if self._learner is None else self._learner.refits

    @property
    def current_beta(self) -> float:
        """The share that is redistributed now."""
        if not self.anneal_steps:
            return self.beta
        return self.beta * max(0.0, 1.0 - self._seen_steps / self.anneal_steps)

    def bind(self, names: tuple[str, ...], num_slots: int) -> None:
        """See `RewardDesign.bind`."""
        self._payer.bind(names, num_slots)
        self._clear(num_slots)

    def begin(self, slots: BoolN, extra: Mapping[str, Any] | None = None) -> None:
        """See `RewardDesign.begin`."""
        if self.relabels:
            return
        self._left[slots] = 0.0
        self._payer.begin(slots, extra)
        if self._learner is not None:
            self._open.begin(slots, extra)

    def step(self, batch: StepBatch) -> F64N:
        """See `RewardDesign.step`."""
        active = batch.active
        seen = int(np.count_nonzero(active))
        raw = batch.reward.copy() if seen == len(active) else np.where(active, batch.reward, 0.0)
        if self.relabels:
            return raw
        ended = (batch.terminated | batch.truncated) & active
        some_ended = np.count_nonzero(ended) > 0
        closed = ended
        if some_ended:
            closed = ended & self._settled(batch.terminated, batch.truncated, batch.failed)
        paid = blend(raw, self._payer.online(batch, raw, closed), self.current_beta)
        settlement = self._zeros
        if self._settles_sum:
            self._left += raw
            self._left -= paid
            if some_ended:
                settlement = np.where(closed, self._left, 0.0)
                paid = paid + settlement
        self._shown = {"change": paid - raw, "settlement": settlement}
        self._seen_steps += seen
        self._learn(batch, ended)
        if some_ended:
            self.begin(ended)
        return paid

    def relabel(self, episodes: EpisodeBatch) -> F64T:
        """See `RewardDesign.relabel`; a learned mode takes in the episodes that ended."""
        if self._learner is not None and self.update_model:
            self._learner.take_in(episodes)
        ended = episodes.terminated | episodes.truncated
        offsets, beta = episodes.offsets, self.current_beta
        closed = ended & self._settled(episodes.terminated, episodes.truncated, episodes.failed)
        spread = self._payer.offline(episodes, closed)
        if self._settles_sum and self._kind == "rate" and self.relabels:  # leaves nothing to settle
            spread = spread + evenly(episode_sums(episodes.reward - spread, offsets), offsets)
        paid = blend(episodes.reward, spread, beta)
        if self._settles_sum:
            paid = settle(paid, episodes.reward, offsets, closed)
        raw = ~closed if self.depends == "episode" else ended & ~closed & self.relabels
        if raw.any():
            paid = np.where(np.repeat(raw, np.diff(offsets)), episodes.reward, paid)
        if self._learner is None or self.update_model:
            self._seen_steps += int(np.diff(offsets)[ended].sum())
        return paid

    def summary(self) -> dict[str, F64N]:
        """Return `change`, paid minus raw reward, and `settlement`, what a last step settled."""
        return self._shown

    def diagnostics(self) -> dict[str, float]:
        """See `LearnedDesign.diagnostics`; for ircr the range of the returns.

        Else `loss`, `explained_variance` and `residual_share` of the returns (out of sample: of
        the latest episodes before the model was trained on them), stored `episodes` and `steps`.
        """
        return {} if self._learner is None else self._learner.diagnostics()

    def state_dict(self) -> dict[str, Any]:
        """Return the steps seen, and the model with the episodes it is trained on."""
        learner = None if self._learner is None else self._learner.state_dict()
        return {"seen_steps": self._seen_steps, "learner": learner}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self._seen_steps = state["seen_steps"]
        if self._learner is not None:
            self._learner.load_state_dict(state["learner"])
        self._payer.forget()

    @property
    def settles_at_end(self) -> bool:
        """See `RewardDesign`."""
        return self._settles_sum and not self.relabels

    @property
    def _settles_sum(self) -> bool:
        return self.preserve == "sum" and self._kind in ("rate", "estimate")

    def _clear(self, num_slots: int) -> None:
        self._left = np.zeros(num_slots)  # of each open episode: raw minus paid so far
        self._zeros = np.zeros(num_slots)
        self._zeros.flags.writeable = False
        self._shown: dict[str, F64N] = {"change": self._zeros, "settlement": self._zeros}
        self._open = OpenSteps(num_slots)

    def _settled(self, terminated: BoolN, truncated: BoolN, failed: BoolN) -> BoolN:
        if self._closes_truncation:
            return (terminated | truncated) & ~failed
        return terminated & ~failed

    def _learn(self, batch: StepBatch, ended: BoolN) -> None:
        """Keep a tick, and take in the episodes that ended with it."""
        if self._learner is None:
            return
        self._open.add(batch)
        if ended.any():
            episodes = self._open.take(ended)
            if self.update_model:
                self._learner.take_in(episodes)
