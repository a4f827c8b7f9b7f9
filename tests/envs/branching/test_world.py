"""The branching world: what episodes are made of, and that it is SCIP's own search."""

import dataclasses
import itertools
import threading

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import InvalidAction, ResetNeeded

from rewardloom.envs.branching.instances import generate
from rewardloom.envs.branching.optima import objective_limit
from rewardloom.envs.branching.session import evaluate
from rewardloom.envs.branching.settings import SearchSettings
from rewardloom.envs.branching.world import MilpBranching
from rewardloom.errors import ConfigError

COUNTS = ("nodes", "lp_iterations")


def micro(**arguments):
    return MilpBranching(family="micro", **arguments)


def play(env, seed=0, **options):
    """Play an episode with random legal actions; return its infos, reset first, and rewards."""
    _, info = env.reset(seed=seed, options=options)
    env.action_space.seed(seed)
    infos, rewards, over = [info], [], False
    while not over:
        _, reward, terminated, truncated, info = env.step(env.action_space.sample())
        infos.append(info)
        rewards.append(reward)
        over = terminated or truncated
    return infos, rewards


def sums(infos, name):
    return sum(info["reward_components"][name] for info in infos[1:])


def test_counts_sum_to_those_of_the_search():
    infos, _ = play(micro())
    first, last = infos[0], infos[-1]
    for name in COUNTS:
        assert sums(infos, name) == first[name] - last[name]
        assert first["reward_offset"][name] == -first[name]
        assert last["episode_metrics"][name] == last[name]
    ends = last["reward_components"]
    assert ends["tree_size"] == sums(infos, "nodes")
    assert ends["log_tree_size"] == pytest.approx(-np.log(last["nodes"]))
    assert ends["solved"] == 1.0 == sums(infos, "solved")


def test_the_integral_is_a_left_sum_of_gaps_over_nodes():
    env = micro(preset="gasse", size="train", max_resamples=500)
    infos, _ = play(env, seed=3)
    expected = 0.0
    for before, after in itertools.pairwise(infos):
        primal, dual = before["primal_bound"], before["dual_bound"]
        gap = 1.0
        if np.isfinite(primal) and primal * dual > 0:
            gap = abs(primal - dual) / max(abs(primal), abs(dual))
        expected -= gap * (after["nodes"] - before["nodes"])
    assert sums(infos, "primal_dual_integral") == pytest.approx(expected, abs=1e-9)
    assert expected < 0


@pytest.mark.parametrize("reward", ["nodes", "lp_iterations", "tree_size", "log_tree_size"])
def test_the_reward_is_the_component_that_was_named(reward):
    infos, rewards = play(micro(reward=reward))
    assert rewards == [info["reward_components"][reward] for info in infos[1:]]
    assert any(rewards)


def test_a_known_optimum_splits_the_integral():
    env = micro(optimum="solve", reward="dual_integral")
    assert env.reward_components[-2:] == ("dual_integral", "primal_integral")
    infos, _ = play(env)
    record = env.last_episode
    optimum = -record.result.primal_bound  # micro maximizes
    expected = 0.0
    for before, after in itertools.pairwise(infos):
        dual = before["dual_bound"]
        expected -= abs(optimum - dual) / abs(dual) * (after["nodes"] - before["nodes"])
    assert sums(infos, "dual_integral") == pytest.approx(expected, abs=1e-9)
    given = micro(optimum={infos[0]["instance"]: record.result.primal_bound})
    again, _ = play(given, instance_seed=infos[0]["instance_seed"], solver_seed=record.solver_seed)
    assert sums(again, "dual_integral") == pytest.approx(expected, abs=1e-9)


def test_the_solvers_clock_is_a_component_only_when_it_is_the_reward():
    assert "solver_time" not in micro().reward_components
    env = micro(reward="solver_time")
    infos, rewards = play(env)
    total = env.last_episode.result.solver_seconds
    assert -sum(rewards) == pytest.approx(total + infos[0]["reward_offset"]["solver_time"])
    assert 0 < -sum(rewards) < total


def test_a_limit_on_the_objective_leaves_the_proof_alone():
    free, limited = micro(optimum="solve"), micro(optimum="solve", objective_limit="optimal")
    seeds = {"instance_seed": 5, "solver_seed": 5}
    first, _ = play(free, **seeds)
    second, _ = play(limited, **seeds)
    assert np.isinf(first[0]["primal_bound"])
    assert np.isfinite(second[0]["primal_bound"])
    assert second[-1]["primal_bound"] == pytest.approx(first[-1]["primal_bound"])


def test_leaving_all_to_scip_is_scips_search():
    env = micro(default_action=True, size="train")
    _, info = env.reset(seed=1)
    assert env.action_space.n == 31
    assert info["action_mask"][-1]
    over = False
    while not over:
        *_, terminated, truncated, _ = env.step(30)
        over = terminated or truncated
    record = env.last_episode
    rng = np.random.default_rng(record.instance_seed)
    model = generate("micro", rng, size="train").to_model()
    settings = SearchSettings(preset="light", seed=record.solver_seed)
    settings.apply(model)
    model.optimize()
    assert (record.result.nodes, record.result.lp_iterations, record.result.primal_bound) == (
        model.getNNodes(),
        model.getNLPIterations(),
        model.getObjVal(),
    )
    assert record.metrics["scip_decisions"] == record.steps
    model.free()


def test_an_episode_is_the_search_of_the_callback():
    env = micro()
    _, info = env.reset(seed=4)
    over, actions = False, []
    while not over:
        actions.append(int(np.flatnonzero(info["action_mask"])[0]))
        *_, terminated, _, info = env.step(actions[-1])
        over = terminated
    record = env.last_episode
    model = generate("micro", np.random.default_rng(record.instance_seed), size="tiny").to_model()
    settings = SearchSettings(preset="light", seed=record.solver_seed)
    result = evaluate(lambda decision: int(decision.candidates.argmin()), model, settings)
    assert record.result.nodes == result.nodes
    assert record.result.lp_iterations == result.lp_iterations
    np.testing.assert_array_equal(record.result.tree.node, result.tree.node)


def test_masks_name_the_candidates_and_nothing_else_is_taken():
    env = micro()
    _, info = env.reset(seed=0)
    mask = info["action_mask"]
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask, env.action_masks())
    np.testing.assert_array_equal(np.flatnonzero(mask), np.sort(env.decision.candidates))
    waiting = env.decision
    for wrong in (int(np.flatnonzero(~mask)[0]), -1, env.action_space.n, 0.5, None, "x"):
        with pytest.raises(InvalidAction, match="not a candidate of node 1"):
            env.step(wrong)
        assert env.decision is waiting
    env.step(int(np.flatnonzero(mask)[0]))
    assert env.decision.node != waiting.node


def test_unmasked_samples_are_legal():
    env = micro()
    env.reset(seed=0)
    env.action_space.seed(0)
    drawn = {int(env.action_space.sample()) for _ in range(200)}
    assert drawn == set(env.decision.candidates.tolist())


def test_an_illegal_action_may_be_left_to_scip():
    env = micro(illegal_action="default")
    _, info = env.reset(seed=0)
    env.step(int(np.flatnonzero(~info["action_mask"])[0]))
    env.step(env.action_space.sample())
    env.reset()
    assert env.last_episode.metrics["scip_decisions"] == 1.0
    assert env.last_episode.steps == 2


def test_the_horizon_truncates_with_the_true_last_observation():
    env = micro(horizon=3)
    env.reset(seed=0)
    for step in range(3):
        obs, _, terminated, truncated, info = env.step(env.action_space.sample())
        assert not terminated
        assert truncated == (step == 2)
    assert obs["mask"].sum() == info["num_candidates"] > 0
    assert info["status"] == "horizon"
    assert not info["is_success"]
    assert info["reward_components"]["tree_size"] == 1 - info["nodes"]
    assert info["reward_components"]["solved"] == 0.0
    assert env.decision is env.session is None
    assert not env.action_masks().any()
    with pytest.raises(ResetNeeded):
        env.step(0)


def test_a_limit_of_nodes_truncates_with_an_empty_observation():
    env = micro(node_limit=5, size="train")
    infos, _ = play(env)
    assert infos[-1]["status"] == "nodelimit"
    assert infos[-1]["nodes"] == 5
    assert not infos[-1]["action_mask"].any()


def test_options_fix_instance_and_seed():
    env = micro()
    _, info = env.reset(seed=0, options={"instance_seed": 7, "solver_seed": 11})
    assert (info["instance_seed"], info["solver_seed"]) == (7, 11)
    assert info["instance"] == "micro-tiny-7"
    program = generate("micro", np.random.default_rng(7), size="tiny")
    obs, other = env.reset(seed=5, options={"instance": program, "solver_seed": 11})
    assert other["dual_bound"] == info["dual_bound"]
    assert obs["mask"].sum() == info["num_candidates"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"instance_sed": 3}, "Did you mean 'instance_seed'"),
        ({"instance_seed": -1}, "instance_seed"),
        ({"solver_seed": 0.5}, "solver_seed"),
        ({"instance": 3}, "instance_seed"),
        ({"instance": "nowhere.mps"}, r"nowhere\.mps"),
        ({"instance": "a.mps", "instance_seed": 1}, "either"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        micro().reset(options=options)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"family": "set_covr"}, "Did you mean 'set_cover'"),
        ({"size": "tin"}, "Did you mean 'tiny'"),
        ({"reward": "node"}, "Did you mean 'nodes'"),
        ({"reward": "dual_integral"}, "needs optimum"),
        ({"observation": "graf"}, "Did you mean 'graph'"),
        ({"observation": "graph", "scores": "strong_branching"}, "candidates"),
        ({"objective_limit": "optimal"}, "needs optimum"),
        ({"objective_limit": float("nan")}, "objective_limit"),
        ({"optimum": "solv"}, "optimum"),
        ({"optimum": {"a": float("inf")}}, "'a'"),
        ({"horizon": 0}, "horizon"),
        ({"node_limit": 0}, "node_limit"),
        ({"max_variables": 0}, "max_variables"),
        ({"parameters": {"reading/dynamiccols": True}}, "dynamiccols"),
        ({"generator": {"num_row": 3}}, "Did you mean 'num_rows'"),
        ({"render_mode": "human"}, "render_mode"),
        ({"illegal_action": "ignore"}, "illegal_action"),
        ({"default_action": "no"}, "default_action"),
        ({"objective_limit": True}, "objective_limit"),
        ({"family": ["micro"]}, "family"),
        ({"instances": 5}, "instances"),
        ({"parameters": [1]}, "parameters"),
        ({"candidate_features": "khalil", "observation": "graph"}, "khalil"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        MilpBranching(**{"family": "micro", **arguments})


def test_instances_that_scip_solves_alone_are_drawn_again_and_counted():
    arguments = {"generator": {"num_variables": 4, "num_rows": 1}}
    env = micro(**arguments)
    draws = [env.reset(seed=seed)[1]["resampled"] for seed in range(20)]
    assert min(draws) == 0
    assert max(draws) >= 1
    seed = int(np.argmax(draws))
    with pytest.raises(ConfigError, match="without a decision"):
        micro(**arguments, max_resamples=0).reset(seed=seed)


def test_too_small_an_action_space_names_the_size_that_is_needed():
    with pytest.raises(ConfigError, match="max_variables=15 or more"):
        micro(max_variables=14).reset(seed=0)
    with pytest.raises(ConfigError, match="max_edges=75 or more"):
        micro(observation="bipartite", max_edges=10).reset(seed=0)


def test_an_lp_that_does_not_fit_leaves_no_search_behind():
    env = micro(observation="bipartite", max_rows=1)
    threads = threading.active_count()
    with pytest.raises(ConfigError, match="max_rows=5 or more"):
        env.reset(seed=0)
    assert env.session is env.decision is None
    assert threading.active_count() == threads


def test_closing_ends_a_reset_that_another_thread_waits_for():
    env = MilpBranching(family="set_cover", size="transfer", preset="default")
    timer = threading.Timer(0.3, env.close)
    timer.start()
    with pytest.raises(ResetNeeded, match="closed while"):
        env.reset(seed=0)
    assert env.session is None
    timer.join()


def test_closing_ends_the_search_for_an_optimum_too():
    env = MilpBranching(family="set_cover", size="transfer", optimum="solve")
    timer = threading.Timer(0.5, env.close)
    timer.start()
    with pytest.raises(ResetNeeded, match="closed while"):
        env.reset(seed=0)
    timer.join()


def test_a_limit_at_the_optimum_leaves_room_for_a_millionth():
    assert objective_limit(50_000, "minimize") == pytest.approx(50_000.05)
    assert objective_limit(-50_000, "maximize") == pytest.approx(-50_000.05)
    assert objective_limit(0, "minimize") == 1e-5


def test_arguments_of_a_family_beside_files_are_refused(tmp_path):
    program = generate("micro", np.random.default_rng(0), size="tiny").to_model()
    file = tmp_path / "micro.lp"
    program.writeProblem(str(file), verbose=False)
    program.free()
    env = MilpBranching(instances=file)
    assert env.reset(seed=0)[1]["instance"] == "micro.lp"
    for given in ({"family": "micro"}, {"size": "train"}, {"generator": {"num_rows": 3}}):
        with pytest.raises(ConfigError, match="Leave one of the two out"):
            MilpBranching(instances=file, **given)


def test_programs_that_nothing_can_branch_on_are_named():
    program = generate("micro", np.random.default_rng(0), size="tiny")
    relaxed = dataclasses.replace(program, is_integer=np.zeros(15, bool))
    with pytest.raises(ConfigError, match="pure linear program"):
        micro().reset(options={"instance": relaxed})
    with pytest.raises(ConfigError, match="1e\\+20 is infinite"):
        dataclasses.replace(program, objective=np.full(15, 1e25))
    with pytest.raises(ConfigError, match="looser objective_limit"):
        micro(objective_limit=1e9, max_resamples=0).reset(seed=0)


def test_reset_in_the_middle_closes_the_search_and_keeps_its_record():
    env = micro()
    env.reset(seed=0)
    session = env.session
    env.step(env.action_space.sample())
    env.reset()
    assert session.result.status == "userinterrupt"
    assert env.last_episode.status == "cut_off"
    assert env.last_episode.steps == 1
    env.close()
    env.close()


def test_padding_is_registered_names_and_reward_agree():
    with gym.make("rewardloom:rewardloom/MilpBranchingMicro-v0") as env:
        _, info = env.reset(seed=0)
        assert info["instance"].startswith("micro-tiny-")
        assert env.get_wrapper_attr("action_masks")().shape == (15,)
