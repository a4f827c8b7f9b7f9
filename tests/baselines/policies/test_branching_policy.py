"""One network scores all candidates: order, padding and illegal columns change nothing."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from sb3_contrib import MaskablePPO

from rewardloom.baselines.branching.agents import load_agent, save_agent
from rewardloom.baselines.branching.test_sets import read_test_set
from rewardloom.baselines.policies.branching import BranchingPolicy, PpoAgent
from rewardloom.baselines.training import TrainConfig, train
from rewardloom.baselines.training.algorithms import defaults_for
from rewardloom.envs.branching.observations import CandidateObservations, observer
from rewardloom.envs.branching.session import evaluate
from rewardloom.envs.branching.settings import SearchSettings
from rewardloom.errors import ConfigError

COLUMNS = 9


def make_policy(columns=COLUMNS, *, default_action=False, **kwargs):
    torch.manual_seed(0)
    return BranchingPolicy(
        CandidateObservations(columns).space,
        spaces.Discrete(columns + default_action),
        lambda _: 1e-3,
        **kwargs,
    )


def batch(columns=COLUMNS, count=3):
    """Return decisions whose first five columns hold three candidates of mixed magnitudes."""
    rng = np.random.default_rng(0)
    mask = np.zeros((count, columns), np.int8)
    mask[:, [0, 2, 4]] = 1
    sizes = 10.0 ** rng.integers(-3, 4, (count, 3, 23))
    rows = np.zeros((count, columns, 23), np.float32)
    rows[:, [0, 2, 4]] = rng.normal(size=(count, 3, 23)) * sizes
    node = rng.normal(size=(count, 8)).astype(np.float32)
    arrays = {"candidates": rows, "mask": mask, "node": node}
    return {name: torch.as_tensor(array) for name, array in arrays.items()}


def logits(policy, obs):
    return policy.mlp_extractor.forward_actor(policy.extract_features(obs))


def test_scores_and_value_follow_columns_that_change_places():
    policy, obs = make_policy(), batch()
    order = torch.randperm(COLUMNS, generator=torch.Generator().manual_seed(1))
    moved = obs | {name: obs[name][:, order] for name in ("candidates", "mask")}
    torch.testing.assert_close(logits(policy, moved), logits(policy, obs)[:, order])
    torch.testing.assert_close(policy.predict_values(moved), policy.predict_values(obs))
    assert logits(policy, obs)[0, [0, 2, 4]].std() > 1e-5


def test_padding_and_what_lies_under_the_mask_change_nothing():
    policy, obs = make_policy(), batch()
    longer = batch(3 * COLUMNS)
    longer["candidates"][longer["mask"] == 0] = 7.0
    found = logits(policy, longer)
    torch.testing.assert_close(found[:, :COLUMNS], logits(policy, obs))
    assert (found[:, COLUMNS:] == -1e8).all()
    torch.testing.assert_close(policy.predict_values(longer), policy.predict_values(obs))


def test_a_decision_does_not_depend_on_the_others_of_a_batch():
    policy, obs = make_policy(), batch()
    one = {name: part[1:2] for name, part in obs.items()}
    torch.testing.assert_close(logits(policy, obs)[1:2], logits(policy, one))


@pytest.mark.parametrize("masked", [True, False])
def test_illegal_columns_have_no_probability(masked):
    policy, obs = make_policy(), batch()
    masks = obs["mask"].bool().numpy() if masked else None
    probabilities = policy.get_distribution(obs, masks).distribution.probs
    assert (probabilities[obs["mask"] == 0] == 0).all()
    torch.testing.assert_close(probabilities.sum(1), torch.ones(3))


def test_a_search_that_has_ended_has_a_finite_value():
    policy = make_policy()
    obs = batch()
    obs["mask"] = torch.zeros_like(obs["mask"])
    assert torch.isfinite(policy.predict_values(obs)).all()


def test_every_path_agrees_and_the_gradient_reaches_every_part():
    policy, obs = make_policy(default_action=True, return_unit=50.0), batch()
    masks = np.hstack([obs["mask"].bool().numpy(), np.ones((3, 1), bool)])
    actions, values, log_prob = policy.forward(obs, action_masks=masks)
    again, log_again, entropy = policy.evaluate_actions(obs, actions, masks)
    torch.testing.assert_close(values, again)
    torch.testing.assert_close(log_prob, log_again)
    torch.testing.assert_close(policy.predict_values(obs), values)
    best = policy.get_distribution(obs, masks).mode().numpy()
    arrays = {name: part.numpy() for name, part in obs.items()}
    found, _ = policy.predict(arrays, deterministic=True, action_masks=masks)
    np.testing.assert_array_equal(found, best)
    (again.sum() + log_again.sum() + entropy.sum()).backward()
    for name, parameter in policy.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_the_value_is_in_units_of_the_return():
    obs = batch()
    one, hundred = make_policy(), make_policy(return_unit=100.0)
    torch.testing.assert_close(hundred.predict_values(obs), 100 * one.predict_values(obs))


def test_a_saved_policy_is_the_same_function(tmp_path):
    policy, obs = make_policy(width=16, return_unit=3.0, default_action=True), batch()
    policy.save(str(tmp_path / "policy.zip"))
    again = BranchingPolicy.load(str(tmp_path / "policy.zip"))
    torch.testing.assert_close(logits(again, obs), logits(policy, obs))
    torch.testing.assert_close(again.predict_values(obs), policy.predict_values(obs))


def test_other_spaces_and_numbers_are_refused():
    space = CandidateObservations(COLUMNS).space
    with pytest.raises(ConfigError, match="observation='candidates'"):
        BranchingPolicy(spaces.Dict({"mask": space["mask"]}), spaces.Discrete(9), lambda _: 1e-3)
    with pytest.raises(ConfigError, match=r"Discrete\(9\)"):
        BranchingPolicy(space, spaces.Discrete(11), lambda _: 1e-3)
    with pytest.raises(ConfigError, match="return_unit"):
        make_policy(return_unit=0.0)


@pytest.mark.parametrize("default_action", [False, True])
def test_a_run_learns_and_its_agent_branches_as_its_policy_does(tmp_path, default_action):
    world = "rewardloom:rewardloom/MilpBranchingMicro-v0"
    kwargs = {"default_action": default_action}
    config = TrainConfig(
        world=world,
        world_kwargs=kwargs,
        steps=256,
        num_envs=2,
        algo_kwargs={"n_steps": 32, "n_epochs": 1},
        device="cpu",
        eval_episodes=2,
    )
    train(config, tmp_path / "run", progress=False)
    policy = MaskablePPO.load(tmp_path / "run" / "model.zip", device="cpu").policy
    assert isinstance(policy, BranchingPolicy)
    assert policy.return_unit == 100.0
    save_agent(PpoAgent.load(tmp_path / "run"), tmp_path / "agent")
    agents = [load_agent(tmp_path / "run"), load_agent(tmp_path / "agent")]
    env = gym.make(world, **kwargs)
    obs, _ = env.reset(seed=3)
    for _ in range(10):
        decision = env.unwrapped.decision
        action, _ = policy.predict(
            obs, deterministic=True, action_masks=env.unwrapped.action_masks()
        )
        for agent in agents:
            chosen = agent.choose(decision)
            column = len(obs["mask"]) if chosen is None else decision.candidates[chosen]
            assert column == action
        obs, _, terminated, truncated, _ = env.step(int(action))
        if terminated or truncated:
            obs, _ = env.reset()
    env.close()


def test_a_run_on_khalils_features_branches_by_them(tmp_path):
    config = TrainConfig(
        world="rewardloom:rewardloom/MilpBranchingMicro-v0",
        world_kwargs={"candidate_features": "khalil"},
        steps=128,
        num_envs=2,
        algo_kwargs={"n_steps": 32, "n_epochs": 1},
        device="cpu",
        eval_episodes=1,
    )
    train(config, tmp_path / "run", progress=False)
    save_agent(load_agent(tmp_path / "run"), tmp_path / "agent")
    agent = load_agent(tmp_path / "agent")
    assert agent.observation == "khalil"
    model = read_test_set("micro:tiny:1")[0].build()
    observe = observer(agent.observation, model)
    result = evaluate(agent.choose, model, SearchSettings(preset="light", seed=0), observe=observe)
    assert result.solved
    assert result.decisions > 0
    with pytest.raises(ConfigError, match="Did you mean 'khalil'"):
        PpoAgent(candidate_features="kahlil")


def test_branching_learns_with_undiscounted_returns_in_large_units():
    found = defaults_for("rewardloom:rewardloom/MilpBranchingMicro-v0")["algo_kwargs"]
    assert found["gamma"] == 1.0
    assert found["vf_coef"] * found["policy_kwargs"]["return_unit"] ** 2 == pytest.approx(0.5)


def test_plain_ppo_plays_without_masks_because_the_policy_reads_them(tmp_path):
    config = TrainConfig(
        world="rewardloom:rewardloom/MilpBranchingMicro-v0",
        algo="ppo",
        steps=128,
        num_envs=2,
        device="cpu",
        algo_kwargs={"n_steps": 32, "n_epochs": 1},
        eval_episodes=2,
    )
    assert train(config, tmp_path / "run", progress=False).state == "finished"
    assert PpoAgent.load(tmp_path / "run")
