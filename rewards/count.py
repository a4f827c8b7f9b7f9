"""`CountDesign`: a bonus for states that were seldom visited."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rewardloom.errors import ConfigError, unknown_name
from rewardloom.rewards.design import Depends, EpisodeBatch, Memory, Reduction, StepBatch
from rewardloom.rewards.numbers import at_least_zero, is_number
from rewardloom.rewards.visits import Visits
from rewardloom.typing import F64N, F64T, BoolN

__all__ = ["CountDesign"]

_DIGEST_SIZE = 16  # bytes
_HASH_ABOVE = 64  # bytes; longer keys are stored as digests


class CountDesign:
    r"""Pays extrinsic_coef * r_t + coef * n(s_{t+1})^{-exponent}, n counting all visits so far.

    With exponent 1/2 this is the bonus of MBIE-EB (Strehl and Littman 2008, section 3.2) on
    states instead of state-action pairs, as in Bellemare et al. 2016, section 4. The count
    includes the present visit. Slots of one tick are counted together before any is paid, so the
    order of slots does not matter. Memory: the counts of all slots, shared; set `update_counts` to
    False to freeze them.

    Args:
        coef: Weight of the bonus, at least 0.
        extrinsic_coef: Weight of the reward below, at least 0; 0 trains on the bonus alone.
        exponent: At least 0; 1/2 is MBIE-EB's.
        resolution: Width of the bins that observations fall into; None counts exact values.
        obs_keys: For Dict observations, the entries that make a state; None takes all.

    Raises:
        ConfigError: an argument is out of range, or an observation has no entry `obs_keys` names.
    """

    needs = frozenset({"next_obs"})
    depends: Depends = "step"
    memory: Memory = "statistics"
    relabels = False
    settles_truncation = False
    reductions: Mapping[str, Reduction] = {"visits": "mean"}

    def __init__(
        self,
        coef: float = 0.1,
        *,
        extrinsic_coef: float = 1.0,
        exponent: float = 0.5,
        resolution: float | None = None,
        obs_keys: Sequence[str] | None = None,
    ):
        self.coef = at_least_zero("coef", coef)
        self.extrinsic_coef = at_least_zero("extrinsic_coef", extrinsic_coef)
        self.exponent = at_least_zero("exponent", exponent)
        if resolution is not None and not (is_number(resolution) and 0 < resolution < np.inf):
            raise ConfigError(f"resolution must be None or a number > 0, got {resolution!r}.")
        if isinstance(obs_keys, str):
            raise ConfigError(f"obs_keys must be a list of names, got the string {obs_keys!r}.")
        self.resolution = resolution
        self.obs_keys = None if obs_keys is None else tuple(obs_keys)
        self._seen = Visits()
        self.update_counts = True
        self._bonus = np.zeros(0)
        self._visits = np.zeros(0)

    def bind(self, names: tuple[str, ...], num_slots: int) -> None:
        """See `RewardDesign.bind`; the counts stay."""
        self._bonus = np.zeros(num_slots)
        self._visits = np.zeros(num_slots)

    def begin(self, slots: BoolN, extra: Mapping[str, Any] | None = None) -> None:
        """See `RewardDesign.begin`; nothing is open between steps."""

    def step(self, batch: StepBatch) -> F64N:
        """See `RewardDesign.step`."""
        keys, active = self._keys(batch.next_obs), batch.active
        if np.count_nonzero(active) == len(active):
            self._visits = self._visit(keys)
            self._bonus = self._pay(self._visits)
            if self.extrinsic_coef == 1.0:  # the usual case saves a pass over the slots
                return batch.reward + self._bonus
            return self.extrinsic_coef * batch.reward + self._bonus
        self._visits, self._bonus = np.zeros(len(active)), np.zeros(len(active))
        self._visits[active] = self._visit([keys[i] for i in np.flatnonzero(active)])
        self._bonus[active] = self._pay(self._visits[active])
        return self.extrinsic_coef * np.where(active, batch.reward, 0.0) + self._bonus

    def relabel(self, episodes: EpisodeBatch) -> F64T:
        """See `RewardDesign.relabel`; rows are visited in order and counted."""
        keys = self._keys(episodes.next_obs)
        visits = self._visit(keys, in_order=True)
        return self.extrinsic_coef * episodes.reward + self._pay(visits)

    def summary(self) -> dict[str, F64N]:
        """Return `bonus`, what was added, and `visits`, the count of the state reached."""
        return {"bonus": self._bonus, "visits": self._visits}

    def state_dict(self) -> dict[str, Any]:
        """Return the visited keys and their counts."""
        return {"keys": self._seen.keys, "counts": self._seen.counts}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the counts."""
        self._seen = Visits(state["keys"], state["counts"])

    def _pay(self, visits: F64N) -> F64N:
        """Return the bonus of visit counts; numpy's square root is several times its power."""
        if self.exponent == 0.5:
            return self.coef / np.sqrt(visits)
        return self.coef * visits**-self.exponent

    def _visit(self, keys: list[bytes], *, in_order: bool = False) -> F64N:
        """Count keys, all before any is read, or in their order; return each one's count, >= 1."""
        if not self.update_counts:
            return np.maximum(self._seen.look(keys), 1.0)
        visit = self._seen.visit_in_order if in_order else self._seen.visit
        return visit(keys).astype(np.float64)

    def _keys(self, obs: Any) -> list[bytes]:
        """Return one key per row of a batch of observations."""
        rows = _rows(obs if self.obs_keys is None else self._select(obs), self.resolution)
        keys = rows.view(f"V{rows.shape[1]}").ravel().tolist()
        return [_digest(key) for key in keys] if rows.shape[1] > _HASH_ABOVE else keys

    def _select(self, obs: Any) -> Any:
        assert self.obs_keys is not None
        if not isinstance(obs, Mapping):
            raise ConfigError(f"obs_keys={self.obs_keys} needs a Dict observation space.")
        for key in self.obs_keys:
            if key not in obs:
                raise ConfigError(unknown_name("observation key", key, obs, where="in obs_keys"))
        return {key: obs[key] for key in self.obs_keys}


def _digest(key: bytes) -> bytes:
    return hashlib.blake2b(key, digest_size=_DIGEST_SIZE).digest()


def _rows(obs: Any, resolution: float | None) -> np.ndarray:
    """Return a batch of observations as (N, bytes) uint8, Dict and Tuple entries side by side."""
    if isinstance(obs, dict):
        return np.hstack([_rows(obs[key], resolution) for key in obs])
    if isinstance(obs, tuple):
        return np.hstack([_rows(part, resolution) for part in obs])
    array = np.asarray(obs)
    if array.dtype == object or array.dtype.kind in "US":
        digests = [_digest(str(value).encode()) for value in array.ravel()]
        array = np.frombuffer(b"".join(digests), np.uint8)
        array = array.reshape(*np.shape(obs), _DIGEST_SIZE)
    elif array.dtype.kind == "f":
        # + 0.0 turns -0.0 into 0.0, which is the same state
        array = (np.floor(array / resolution) if resolution else array) + 0.0
    elif resolution:
        array = np.floor_divide(array, resolution) + 0.0
    flat = np.ascontiguousarray(array.reshape(len(array), -1))
    return flat.view(np.uint8)
