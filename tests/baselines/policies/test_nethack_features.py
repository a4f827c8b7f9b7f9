"""The NetHack features extractor: it tells states apart and every part of it learns."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.preprocessing import preprocess_obs

from rewardloom.baselines.policies.nethack import NetHackFeatures
from rewardloom.envs.nethack import NetHackScore
from rewardloom.envs.nethack.observations import PRESETS
from rewardloom.errors import ConfigError

every_preset = pytest.mark.parametrize("preset", PRESETS)


def states(preset, count=12):
    """Return the space and a batch of observations of random play, as SB3 would give them."""
    seen = []
    with NetHackScore(observations=preset) as env:
        actions = np.random.default_rng(0)
        for seed in range(count):
            obs, _ = env.reset(seed=seed)
            for _ in range(3 * seed):
                obs = env.step(int(actions.integers(23)))[0]
            seen.append(obs)
        batch = {key: torch.as_tensor(np.stack([obs[key] for obs in seen])) for key in seen[0]}
        return env.observation_space, preprocess_obs(batch, env.observation_space)


@every_preset
def test_different_states_have_clearly_different_features(preset):
    torch.manual_seed(0)
    space, batch = states(preset)
    features = NetHackFeatures(space)(batch)
    assert features.shape == (12, 256)
    assert torch.isfinite(features).all()
    distance = torch.cdist(features, features) / features.norm(dim=1).mean()
    assert distance[~torch.eye(12, dtype=torch.bool)].min() > 0.05


@every_preset
def test_the_gradient_reaches_every_part(preset):
    torch.manual_seed(0)
    space, batch = states(preset)
    net = NetHackFeatures(space)
    net(batch).square().sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def changed(batch, key, change):
    copy = {name: value.clone() for name, value in batch.items()}
    change(copy[key])
    return copy


@pytest.mark.parametrize(
    ("preset", "key", "index"),
    [
        ("compact", "glyph_crop", (0, 4, 5)),
        ("compact", "glyph_crop", (0, 10, 10)),
        ("compact", "blstats", (0, 10)),
        ("compact", "blstats", (0, 20)),
        ("compact", "blstats", (0, 12)),
        ("compact", "blstats", (0, 25)),
        ("compact", "message", (0, 2)),
        ("full", "inv_glyphs", (0, 0)),
        ("full", "misc", (0, 0)),
    ],
)
def test_each_thing_an_agent_sees_changes_its_features(preset, key, index):
    torch.manual_seed(0)
    space, batch = states(preset, 2)
    net = NetHackFeatures(space)

    def bump(values):
        values[index] += 1

    difference = (net(batch) - net(changed(batch, key, bump))).abs().max(dim=1).values
    assert difference[0] > 1e-4
    assert difference[1] < 1e-6  # the other state's features stay


def test_the_order_of_a_message_matters():
    torch.manual_seed(0)
    space, batch = states("compact", 2)
    net = NetHackFeatures(space)
    texts = []
    for text in (b"You hit the newt.", b"The newt hit you."):
        padded = np.zeros(256, np.uint8)
        padded[: len(text)] = np.frombuffer(text, np.uint8)
        row = batch | {"message": torch.as_tensor(padded).float().expand(2, -1)}
        texts.append(net(row))
    assert (texts[0] - texts[1]).abs().max() > 1e-2


def test_the_window_of_the_whole_map_is_the_crop_of_the_compact_preset():
    torch.manual_seed(0)
    _, compact = states("compact")
    space, whole = states("oni")
    net = NetHackFeatures(space)
    window = net._window(whole["glyphs"], whole["blstats"])
    torch.testing.assert_close(window, compact["glyph_crop"].float())


def test_features_do_not_depend_on_the_rest_of_the_batch():
    torch.manual_seed(0)
    space, batch = states("compact")
    net = NetHackFeatures(space)
    together = net(batch)
    alone = torch.cat([net({k: v[i : i + 1] for k, v in batch.items()}) for i in range(12)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_extreme_numbers_stay_finite():
    space, batch = states("compact", 2)
    blstats = space["blstats"]
    extremes = torch.as_tensor(np.stack([blstats.low, blstats.high])).float()
    features = NetHackFeatures(space)(batch | {"blstats": extremes})
    assert torch.isfinite(features).all()


@pytest.mark.parametrize(
    "space",
    [
        spaces.Dict({"a": spaces.Box(0, 1, (2,))}),
        spaces.Dict({"blstats": spaces.Box(0, 1, (27,)), "message": spaces.Box(0, 1, (256,))}),
        spaces.Box(0, 1, (3,)),
    ],
)
def test_another_space_is_one_clear_error(space):
    with pytest.raises(ConfigError, match="a NetHack world"):
        NetHackFeatures(space)


@every_preset
def test_ppo_learns_a_little_and_its_values_differ(preset):
    env = gym.make("rewardloom/NetHackScore-v0", observations=preset, horizon=30)
    model = PPO(
        "MultiInputPolicy",
        env,
        n_steps=32,
        batch_size=16,
        n_epochs=1,
        seed=0,
        device="cpu",
        policy_kwargs={"features_extractor_class": NetHackFeatures, "net_arch": []},
    )
    before = [p.clone() for p in model.policy.parameters()]
    model.learn(32)
    assert any((a != b).any() for a, b in zip(before, model.policy.parameters(), strict=True))
    _, batch = states(preset)
    with torch.no_grad():
        assert model.policy.predict_values(batch).std() > 1e-3
    model.env.close()


def test_a_recurrent_policy_takes_it():
    from sb3_contrib import RecurrentPPO

    env = gym.make("rewardloom/NetHackScore-v0", horizon=30)
    model = RecurrentPPO(
        "MultiInputLstmPolicy",
        env,
        n_steps=16,
        batch_size=16,
        n_epochs=1,
        device="cpu",
        policy_kwargs={"features_extractor_class": NetHackFeatures, "lstm_hidden_size": 16},
    )
    model.learn(16)
    model.env.close()
