"""What the plugs of every API share: checks at construction and the wording of errors.

- `row_readers`: how observations and actions reach a design.
- `require_names`: the component names a design is bound to.
- `design_names`, `design_reductions`: the designs of a stack.
- `refuse_equal_names`: two designs of one stack never share a name.
- `component_error`: the error for a component that is missing, unexpected or not finite.
- `read_components`: one step's components from an info dict, checked.
- `warn_if_only_relabels`: a design that pays in a training buffer only pays nothing on a plug.
- `column_error`: the error for an info column that a design needs and a step lacks.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from rewardloom.components import (
    COMPONENT_NAME,
    inner_layer,
    reward_component_names,
    sub_env_attributes,
    terminal_component_names,
)
from rewardloom.errors import ComponentError, ConfigError
from rewardloom.rewards.design import (
    COLUMNS,
    INFO_PREFIX,
    Reduction,
    RewardDesign,
    check_needs,
    reductions,
)
from rewardloom.typing import ComponentNames
from rewardloom.wrappers.batching import RowReader

__all__ = [
    "check_name",
    "column_error",
    "component_error",
    "design_names",
    "design_reductions",
    "raise_component_error",
    "read_components",
    "refuse_equal_names",
    "require_names",
    "row_readers",
    "warn_if_only_relabels",
]


_RESERVED = COLUMNS | {
    "reward_components",
    "raw_reward",
    "episode_raw_return",
    "episode_metrics",
    "episode",
    "final_info",
    "final_obs",
    "terminal_observation",
    "infra_failure",
    "action_mask",
    "inactive",
    "awaits_reset",
}


def require_names(design: RewardDesign, env: Any) -> ComponentNames:
    """Return the components a design reads on `env`; empty if it reads none.

    Raises:
        ConfigError: the design reads components and the world declares none, or reads scores.
    """
    if not isinstance(design, RewardDesign):
        raise ConfigError(
            f"Expected a reward design such as rewardloom.rewards.DeferDesign(), got {design!r}."
        )
    check_needs(design)
    if "scores" in design.needs:
        raise ConfigError(
            f"{type(design).__name__} reads scores that only recorded episodes carry. Name what "
            'the world gives: score="info:<key>" for a number in info, or a component.'
        )
    if "components" not in design.needs:
        return ComponentNames(())
    names = reward_component_names(env)
    if not names:
        raise ConfigError(
            f"{type(design).__name__} reads reward components, but the world declares none. Wrap "
            "each environment in rewardloom.wrappers.RewardComponents first (make_vec_env: "
            "wrapper_class=; command line: --component NAME=SOURCE)."
        )
    return ComponentNames(names, terminal_component_names(env))


def row_readers(
    design: RewardDesign, observation_space: Any, action_space: Any
) -> tuple[RowReader, RowReader]:
    """Return the readers of observations and actions for a design.

    Raises:
        ConfigError: the design needs flat rows of a space that has none.
    """
    needs = design.needs
    return (
        RowReader(observation_space, flat="flat" in needs and bool(needs & {"obs", "next_obs"})),
        RowReader(action_space, flat="flat" in needs and "action" in needs),
    )


def warn_if_only_relabels(design: RewardDesign) -> None:
    """Warn where a plug would pass the raw reward for ever."""
    if design.relabels:
        warnings.warn(
            f"{type(design).__name__} as configured pays in a training buffer only: here the raw "
            "reward passes unchanged. Give the design to rewardloom.baselines.plugs.attach_relabel "
            "instead, or choose another emit= where it has one.",
            stacklevel=4,
        )


def check_name(name: str) -> None:
    """Raise `ConfigError` unless `name` can be a design's key in `info`."""
    if not isinstance(name, str) or not COMPONENT_NAME.fullmatch(name):
        raise ConfigError(f"A design's name matches [a-z][a-z0-9_]*, got {name!r}.")
    if name in _RESERVED:
        raise ConfigError(
            f"info[{name!r}] has a meaning of its own; give the design another name=."
        )


def design_reductions(env: Any) -> dict[str, Mapping[str, Reduction]]:
    """Return name -> `reductions` of each design of a stack, those of sub-environments last."""
    found: dict[str, Mapping[str, Reduction]] = {}
    layer = env
    while layer is not None:
        name = getattr(layer, "design_name", None)
        if name is not None:
            found.setdefault(name, reductions(layer.design))
        base, layer = layer, inner_layer(layer)
        if layer is None:
            held = sub_env_attributes(base, "design_reductions") or [{}]
            found |= {name: how for name, how in held[0].items() if name not in found}
    return found


def design_names(env: Any) -> tuple[str, ...]:
    """Return the names of the designs in a stack."""
    return tuple(design_reductions(env))


def refuse_equal_names(name: str, env: Any) -> None:
    """Raise `ConfigError` if a design below already writes its info under `name`."""
    check_name(name)
    if name in design_names(env):
        raise ConfigError(
            f"Two reward designs of one stack are called {name!r} and would overwrite each "
            f"other's info. Give one of them another name=."
        )


def component_error(
    names: tuple[str, ...], values: Mapping[str, Any] | None, where: str
) -> ComponentError | None:
    """Return the error that says which component is wrong, where, and what to do, if one is."""
    if values is None:
        return ComponentError(
            f"info['reward_components'] is missing at {where}; the world declares {names}. Every "
            "step's info, the last one included, must carry it."
        )
    for name in names:
        if name not in values:
            return ComponentError(
                f"Reward component {name!r} is missing at {where}. Give it at every step "
                "(0.0 where it has no value), or take it out of reward_components."
            )
        if not _is_finite(values[name]):
            return ComponentError(
                f"Reward component {name!r} is {values[name]} at {where}. Components must be "
                "finite numbers; mend the world or map the value before it reaches info."
            )
    for name in values:
        if name not in names:
            return ComponentError(
                f"Unexpected reward component {name!r} at {where}. Declare it in "
                f"reward_components, which are {names}."
            )
    return None


def _is_finite(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except TypeError:
        return False


def raise_component_error(
    names: tuple[str, ...], values: Mapping[str, Any] | None, where: str
) -> None:
    """Raise what `component_error` finds, if anything."""
    error = component_error(names, values, where)
    if error is not None:
        raise error from None


def read_components(
    info: Mapping[str, Any],
    names: tuple[str, ...],
    getter: Callable[[Any], Any],
    where: Callable[[], str],
) -> Any:
    """Return the values of `names` from one info dict.

    Args:
        info: A step's info.
        names: The declared names.
        getter: `operator.itemgetter(*names)`.
        where: Gives the place for an error message.
    """
    values: Any = info.get("reward_components")
    try:
        row = getter(values)
        sound = len(values) == len(names) and math.isfinite(sum(row) if len(names) > 1 else row)
    except (KeyError, TypeError):
        row, sound = None, False
    if not sound:
        raise_component_error(names, values, where())
    return row


def column_error(column: str, design: RewardDesign, where: str) -> ConfigError:
    """Return the error for an info column that a design needs and a step lacks."""
    key = column.removeprefix(INFO_PREFIX)
    if column == "caption":
        cure = (
            "a wrapper of rewardloom.wrappers.captions gives captions to any environment, or pass "
            "caption_fn= to IntrinsicReward, columns= to other plugs."
        )
    else:
        cure = f"or pass a function (obs, info) -> {key} as columns= of the plug."
    return ConfigError(
        f"{type(design).__name__} needs info[{key!r}], which is missing at {where}. Let the world "
        f"give it {'' if key != column else 'at reset and '}at every step; {cure}"
    )
