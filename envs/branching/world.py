"""The branching world: SCIP's search for a mixed-integer program, decision by decision.

- `MilpBranching`: the Gymnasium environment.
"""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Mapping
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from rewardloom.envs.branching.arguments import (
    check_choice,
    check_flag,
    checked_limit,
    checked_parameters,
    component_names,
)
from rewardloom.envs.branching.components import COMPONENTS, TERMINAL
from rewardloom.envs.branching.infos import (
    METRICS,
    candidate_index,
    ended_info,
    record_of,
    waiting_info,
)
from rewardloom.envs.branching.observations import OBSERVATIONS, build_observations
from rewardloom.envs.branching.opening import Opened, Opener
from rewardloom.envs.branching.optima import Optima
from rewardloom.envs.branching.records import Decision, EpisodeRecord, SearchResult
from rewardloom.envs.branching.session import BranchingSession
from rewardloom.envs.branching.settings import SearchSettings
from rewardloom.envs.branching.sizing import probe
from rewardloom.envs.branching.sources import make_source
from rewardloom.envs.branching.spaces import CandidateSpace
from rewardloom.envs.branching.tree import TreeTable
from rewardloom.errors import ConfigError, refuse_unknown
from rewardloom.rewards.numbers import check_integer

__all__ = ["MilpBranching"]


class MilpBranching(gym.Env[Any, np.int64]):
    """Choose the variables that SCIP branches on while it solves a mixed-integer program.

    ## Description
    SCIP solves a mixed-integer linear program by branch and bound. Whenever a node's LP solution is
    fractional it stops and asks: the agent names the variable to branch on, SCIP does the rest
    until the next question. The instance is generated anew for every episode, or read from files.
    A step takes what SCIP needs to get to the next question, milliseconds for small instances.

    ## Action Space
    `Discrete(max_variables)`: the position of a column in the LP. Legal are the candidates, the
    columns that must be integer and are not; they change from step to step. `action_masks()` and
    `info["action_mask"]` give them, (max_variables,) bool. Any other action raises `InvalidAction`
    and the decision still waits; with `illegal_action="default"` SCIP's own rule decides instead.
    `action_space.sample()` without a mask draws a legal action. With `default_action=True` there is
    one more action, the last: SCIP's own rule decides, which may ask at the same node again.

    ## Observation Space
    `docs/worlds/branching_features.md` defines each feature. All arrays are fresh.

    - "candidates" (for SB3): a `Dict` of `candidates` (max_variables, 23) float32, a row for each
      LP column, zeros where it is no candidate; `mask` (max_variables,) int8; `node` (8,) float32.
      With `candidate_features="khalil"` the rows have 68 features instead.
    - "bipartite" (for SB3): the whole LP, padded: `columns` (max_variables, 20) and `rows`
      (max_rows, 5) float32, `edges` (2, max_edges) int32 (row, column), `edge_values`
      (max_edges,) float32, `sizes` (3,) int32 (columns, rows, edges), `mask` and `node`.
    - "graph": the LP as a `Graph`, not padded; see `GraphObservations`.

    After the last step it is empty, all zeros; at a truncation by `horizon` it is the true one.

    ## Rewards
    The component that `reward` names. Sums run over the steps of an episode; N is the number of
    processed nodes, and costs are negative.

    | component | range | when |
    |---|---|---|
    | `nodes` | 0, -1, -2, ... | nodes processed since the last step; sums to -(N - N at reset) |
    | `lp_iterations` | 0, -1, -2, ... | LP iterations since the last step |
    | `primal_dual_integral` | <= 0 | -(relative gap before the step) * (nodes processed) |
    | `tree_size` | <= 0 | last step: -(N - N at reset) |
    | `log_tree_size` | <= 0 | last step: -log N |
    | `solved` | 0 or 1 | last step: the search ran to its end |

    Worlds that know the optimum also have `dual_integral` and `primal_integral`, with the gap
    between one bound and the optimum. `reward="solver_time"` adds that component, minus the seconds
    that SCIP worked; no other setting puts a clock into info. What was spent before the first
    decision is `info["reward_offset"]`.

    ## Information
    | key | in | type | meaning |
    |---|---|---|---|
    | `action_mask` | every | (n,) bool | the legal actions |
    | `node_id` | every | int | number of the waiting node; 0 after the end |
    | `parent_id` | every | int | number of its parent; 0 for the root |
    | `depth` | every | int | branchings above the node |
    | `side` | every | int | -1 in a child with a lowered upper bound, +1 in the other, else 0 |
    | `num_candidates` | every | int | legal variables |
    | `nodes` | every | int | nodes processed |
    | `lp_iterations` | every | int | LP iterations |
    | `dual_bound` | every | float | bound on the objective, as minimization |
    | `primal_bound` | every | float | best objective, as minimization; inf without one |
    | `instance` | reset | str | name of the instance or its file |
    | `instance_seed` | reset | int | seed of the generator or number of the file |
    | `solver_seed` | reset | int | SCIP's seed |
    | `resampled` | reset | int | draws before this one that SCIP solved without a decision |
    | `reward_offset` | reset | dict[str, float] | what counts before the first decision |
    | `reward_components` | step | dict[str, float] | the table above |
    | `is_success` | last step | bool | the search ran to its end |
    | `status` | last step | str | SCIP's status, or the limit that stopped it |
    | `episode_metrics` | last step | dict[str, float] | the final numbers below |

    `episode_metrics`: nodes, lp_iterations, decisions, scip_decisions (those that were left to
    SCIP's own rule), gap (SCIP's relative gap, cut to 1).

    The search tree is at `env.get_wrapper_attr("last_episode").result.tree`, while a search goes
    on at `env.unwrapped.session.tree`.

    ## Starting State
    The first decision of an instance drawn from `self.np_random`, as is SCIP's seed. Instances
    that SCIP solves without a decision are drawn again, up to `max_resamples` times. The reset
    options `instance` (a file or a `MilpInstance`), `instance_seed` and `solver_seed` fix them.

    ## Episode End
    ### Termination
    SCIP has finished: optimal, no better solution, or within `gap_limit`.

    ### Truncation
    At `horizon` decisions, `node_limit` nodes, `time_limit` seconds of SCIP's work, or when SCIP
    works longer than `watchdog` seconds between two decisions. Prefer `horizon` to the
    `max_episode_steps` of `gym.make`, whose wrapper the world cannot see: such an ending lacks
    `status`, `is_success` and `episode_metrics`.

    ## Arguments
    - `family` (default "set_cover"): what is generated: "set_cover", "combinatorial_auction",
      "facility_location", "independent_set", "multiple_knapsack" or "micro".
    - `size` (default "tiny"): "tiny", "train" or "transfer".
    - `generator` (default None): arguments of the family's generator, over those of the size.
    - `instances` (default None): a file or folder (.mps, .lp, .cip, also .gz) to draw from
      instead of a family.
    - `observation` (default "candidates"): "candidates", "bipartite" or "graph".
    - `candidate_features` (default "gasse"): those of "candidates": "gasse" or "khalil".
    - `reward` (default "nodes"): the component that is the reward.
    - `preset` (default "light"): how SCIP searches: "gasse", "light", "pure" or "default"; see
      `SearchSettings`.
    - `node_selection` (default "estimate"): SCIP's rule for the next node, such as "dfs", "bfs".
    - `parameters` (default None): more SCIP parameters by name; they win over the preset.
    - `horizon` (default None): decisions until truncation; None for no limit.
    - `node_limit` (default None): nodes until truncation; None for no limit.
    - `time_limit` (default inf): seconds of SCIP's work until truncation; the agent's do not count.
    - `watchdog` (default inf): seconds that SCIP may work from one decision to the next.
    - `gap_limit` (default 0.0): relative gap at which the search counts as solved.
    - `optimum` (default None): "solve": SCIP solves every instance first; or a mapping from
      instance names to objectives.
    - `objective_limit` (default None): "optimal": only solutions as good as the optimum count,
      so that the search only has to prove it; or a number.
    - `default_action` (default False): add the action that lets SCIP's own rule decide.
    - `illegal_action` (default "error"): "default": SCIP's own rule decides; for algorithms that
      know no masks, and for environment checkers.
    - `scores` (default None): "strong_branching": add `scores` (max_variables,), two LPs for every
      candidate; the search may differ from one without them.
    - `max_variables` (default None): size of the action space; None for what the instances need.
    - `max_rows` (default None): rows of "bipartite"; None for what a few instances need (with
      cuts: searched to their first decision) and some room. An LP that needs more is an error.
    - `max_edges` (default None): as `max_rows`, for coefficients.
    - `max_resamples` (default 100): draws that may end without a decision before it is an error.
    - `render_mode` (default None): "rgb_array": the search tree as (480, 720, 3) uint8; "ansi": as
      text.

    ## Differences from the paper
    The preset "gasse" has the settings of Gasse et al. (2019); "light", the default, also turns
    heuristics, root cuts and presolving off, so that a reset takes a tenth of the time. Column and
    row features have the meaning of Gasse et al.; the pseudocost and node features are ours.

    ## References
    Gasse et al. (2019), Exact Combinatorial Optimization with Graph Convolutional Neural Networks,
    arXiv:1906.01629. Scavuzzo et al. (2022), Learning to Branch with Tree MDPs, arXiv:2205.11107.
    Bestuzheva et al. (2023), Enabling Research through the SCIP Optimization Suite 8.0.

    ## Version History
    * v0: first version, on SCIP 10 (pyscipopt 6.3).
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "ansi"], "render_fps": 10}  # noqa: RUF012
    reward_components: tuple[str, ...] = COMPONENTS
    terminal_components: ClassVar[tuple[str, ...]] = TERMINAL
    episode_metrics: ClassVar[tuple[str, ...]] = METRICS

    def __init__(
        self,
        *,
        family: str = "set_cover",
        size: str = "tiny",
        generator: Mapping[str, Any] | None = None,
        instances: str | os.PathLike[str] | None = None,
        observation: str = "candidates",
        candidate_features: str = "gasse",
        reward: str = "nodes",
        preset: str = "light",
        node_selection: str = "estimate",
        parameters: Mapping[str, bool | int | float | str] | None = None,
        horizon: int | None = None,
        node_limit: int | None = None,
        time_limit: float = math.inf,
        watchdog: float = math.inf,
        gap_limit: float = 0.0,
        optimum: str | Mapping[str, float] | None = None,
        objective_limit: str | float | None = None,
        default_action: bool = False,
        illegal_action: str = "error",
        scores: str | None = None,
        max_variables: int | None = None,
        max_rows: int | None = None,
        max_edges: int | None = None,
        max_resamples: int = 100,
        render_mode: str | None = None,
        **unknown: Any,
    ):
        names = [name for name in inspect.signature(MilpBranching).parameters if name != "unknown"]
        refuse_unknown(unknown, names, kind="argument", where="of MilpBranching")
        check_choice("observation", observation, OBSERVATIONS)
        check_choice("candidate_features", candidate_features, ("gasse", "khalil"))
        if candidate_features == "khalil":
            if observation != "candidates":
                raise ConfigError("candidate_features='khalil' needs observation='candidates'.")
            observation = "khalil"
        check_choice("illegal_action", illegal_action, ("error", "default"))
        check_flag("default_action", default_action)
        check_choice("scores", scores, (None, "strong_branching"))
        check_choice("render_mode", render_mode, (None, *self.metadata["render_modes"]))
        settings = SearchSettings(
            preset=preset,
            node_selection=node_selection,
            node_limit=node_limit,
            time_limit=time_limit,
            watchdog=watchdog,
            gap_limit=gap_limit,
            parameters=checked_parameters(parameters),
        )
        self.horizon = None if horizon is None else check_integer("horizon", horizon)
        self.render_mode = render_mode
        source = make_source(family, size, generator, instances)
        self._observations = build_observations(
            observation,
            source,
            scores is not None,
            grown=None if preset in ("light", "pure") else lambda: probe(source, settings),
            sizes={"max_variables": max_variables, "max_rows": max_rows, "max_edges": max_edges},
        )
        self.observation_space = self._observations.space
        optima = None if optimum is None else Optima(optimum)
        self.reward = reward
        self.reward_components = component_names(reward, optima is not None)
        variables = self._observations.max_variables
        self._opener = Opener(
            source,
            settings,
            optima=optima,
            objective_limit=checked_limit(objective_limit, optima),
            components=self.reward_components,
            observation=observation,
            scores=scores is not None,
            max_variables=variables,
            max_resamples=check_integer("max_resamples", max_resamples, least=0),
        )
        self._default = variables if default_action else None
        self._lenient = illegal_action == "default"
        self._actions = CandidateSpace(variables + bool(default_action))
        self.action_space = self._actions
        self.last_episode: EpisodeRecord | None = None
        self._opened: Opened | None = None
        self._decision: Decision | None = None
        self._steps = self._left_to_scip = 0

    @property
    def session(self) -> BranchingSession | None:
        """The search that goes on, None between episodes."""
        return None if self._opened is None else self._opened.session

    @property
    def decision(self) -> Decision | None:
        """The decision that waits for an action, with SCIP's own numbers; None after the end."""
        return self._decision

    @property
    def tree(self) -> TreeTable | None:
        """The search tree so far, or that of the last episode; None before the first reset."""
        if self._opened is not None:
            return self._opened.session.tree
        return None if self.last_episode is None else self.last_episode.result.tree

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Draw an instance and search it up to the first decision.

        Args:
            seed: Seeds this and all later episodes; None goes on with the generator.
            options: `instance`, `instance_seed` and `solver_seed`, all optional.

        Raises:
            ConfigError: An unknown option, an instance that cannot be branched on, or
                `max_resamples` draws that SCIP solved without a decision.
        """
        super().reset(seed=seed)
        self._give_up()
        self._opened = opened = self._opener.open(options or {}, self.np_random)
        self._decision = opened.decision
        self._steps = self._left_to_scip = 0
        info = {
            **self._info(opened.decision),
            "instance": opened.drawn.name,
            "instance_seed": opened.drawn.seed,
            "solver_seed": opened.solver_seed,
            "resampled": opened.resampled,
            "reward_offset": opened.costs.offset,
        }
        return self._observe(opened.decision), info

    def step(self, action: int | np.int64) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Branch on the candidate that `action` names and search on to the next decision.

        Args:
            action: LP position of a candidate, or the last action where `default_action` is on.

        Raises:
            ResetNeeded: No decision is waiting.
            InvalidAction: `action` is not a candidate; the decision still waits.
        """
        opened, choice = self._opened, self._choice(action)
        assert opened is not None
        session, costs = opened.session, opened.costs
        self._decision = self._actions.legal = None
        decision = session.default() if choice is None else session.branch(choice)
        self._steps += 1
        self._left_to_scip += choice is None
        self._decision = decision
        if decision is None:
            return self._finish(opened)
        truncated = self._steps == self.horizon
        components = costs.update(decision, over=truncated, solved=False)
        observation = self._observe(decision)
        info = {**self._info(decision), "reward_components": components}
        if truncated:
            info |= self._close_episode(opened, session.abort(), "horizon")
        return observation, components[self.reward], False, truncated, info

    def check_action(self, action: int | np.int64) -> None:
        """Raise what `step` would raise for an action; nothing moves."""
        self._choice(action)

    def action_masks(self) -> npt.NDArray[np.bool_]:
        """Return the legal actions of the waiting decision, (n,) bool; none after the end."""
        return self._mask(self._decision)

    def render(self) -> Any:
        """Return the search tree: (480, 720, 3) uint8, or text; None without a render mode.

        Raises:
            ResetNeeded: There is no search to show.
        """
        if self.render_mode is None:
            return None
        from rewardloom.envs.branching.drawing import draw_tree, tree_text

        tree = self.tree
        if tree is None:
            raise gym.error.ResetNeeded("There is no search to render; call reset() first.")
        show = tree_text if self.render_mode == "ansi" else draw_tree
        if self._opened is not None:
            heading = self._opened.drawn.name
        else:
            heading = "" if self.last_episode is None else self.last_episode.instance
        return show(tree, current=self._decision, heading=heading)

    def close(self) -> None:
        """End the search and free SCIP's model; more than once is fine."""
        self._opener.close()
        self._give_up()
        super().close()

    def __repr__(self) -> str:
        """Name the world, where its instances come from and how SCIP searches."""
        return f"<MilpBranching on {self._opener}>"

    def __getstate__(self) -> dict[str, Any]:
        """Refuse to copy a running search; SCIP's cannot be copied."""
        if self._opened is not None:
            raise gym.error.Error(
                "A search in progress cannot be pickled or copied; do it before the first reset() "
                "or after close()."
            )
        return self.__dict__.copy()

    # Within a search.

    def _choice(self, action: Any) -> int | None:
        if self._decision is None:
            raise gym.error.ResetNeeded("No decision is waiting; call reset() first.")
        return candidate_index(action, self._decision, default=self._default, lenient=self._lenient)

    def _observe(self, decision: Decision) -> Any:
        """Build the observation; a search whose LP does not fit into it is ended."""
        try:
            return self._observations.build(decision)
        except ConfigError:
            self._give_up()
            raise

    def _mask(self, decision: Decision | None) -> npt.NDArray[np.bool_]:
        mask = np.zeros(self._actions.n, dtype=np.bool_)
        if decision is not None:
            mask[decision.candidates] = True
            if self._default is not None:
                mask[self._default] = True
        return mask

    def _info(self, decision: Decision) -> dict[str, Any]:
        mask = self._mask(decision)
        self._actions.legal = mask.copy()
        return waiting_info(decision, mask)

    # Ending a search.

    def _finish(self, opened: Opened) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        result = opened.session.result
        assert result is not None
        components = opened.costs.update(result, over=True, solved=result.solved)
        info = {
            **ended_info(result, self._mask(None)),
            "reward_components": components,
            **self._close_episode(opened, result, result.status),
        }
        over = result.solved
        return self._observations.empty(), components[self.reward], over, not over, info

    def _close_episode(self, opened: Opened, result: SearchResult, status: str) -> dict[str, Any]:
        """Put the episode into `last_episode` and return what its last info tells."""
        steps, by_scip = self._steps, self._left_to_scip
        self.last_episode = record_of(opened, result, status, steps=steps, by_scip=by_scip)
        metrics = self.last_episode.metrics
        self._opened = self._decision = self._actions.legal = None
        return {"is_success": result.solved, "status": status, "episode_metrics": dict(metrics)}

    def _give_up(self) -> None:
        """End a search that goes on, as the last episode unless an exception broke it."""
        opened, waiting = self._opened, self._decision is not None
        self._opened = self._decision = self._actions.legal = None
        if opened is None:
            return
        if waiting:
            self._close_episode(opened, opened.session.abort(), "cut_off")
        opened.session.close()
