"""`ParallelToVecEnv`: PettingZoo worlds as SB3 environments, one slot per agent."""

import numpy as np
import pytest
from gymnasium import spaces
from pettingzoo import ParallelEnv
from pettingzoo.sisl.pursuit.pursuit import parallel_env as pursuit
from sb3_contrib import MaskablePPO
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecCheckNan, VecMonitor

import rewardloom.wrappers.parallel
from rewardloom import reward_component_names
from rewardloom.baselines.plugs import DesignVecReward, ParallelToVecEnv, attach_relabel
from rewardloom.errors import ConfigError, RunError
from rewardloom.rewards import DESIGNS, DeferDesign, WeightDesign, make_design
from rewardloom.testing import COMPONENTS, ComponentWorld
from rewardloom.testing.parallel import ParallelComponentWorld


class Scripted(ParallelEnv):
    """Agents a, b, c leave after the given numbers of steps; the reward is 10 * seat + step."""

    metadata = {"name": "scripted_v0"}  # noqa: RUF012

    def __init__(self, lives=(1, 3, 2), truncates="c", masks=None, absent=()):
        self.possible_agents = ["a", "b", "c"]
        self.agents = []
        self.lives = dict(zip(self.possible_agents, lives, strict=True))
        self.truncates = truncates
        self.masks = masks
        self.absent = absent
        self.seeds = []
        self.options = []
        self.acted = []
        self.closed = 0

    def observation_space(self, agent):
        box = spaces.Box(-100, 100, (2,), np.float32)
        if self.masks == "obs":
            return spaces.Dict({"observation": box, "action_mask": spaces.MultiBinary(3)})
        return box

    def action_space(self, agent):
        return spaces.Discrete(3)

    def _obs(self, agent):
        seat = self.possible_agents.index(agent)
        obs = np.array([seat, self.clock], np.float32)
        if self.masks == "obs":
            return {"observation": obs, "action_mask": self._mask(agent)}
        return obs

    def _mask(self, agent):
        return np.eye(3, dtype=np.int8)[self.possible_agents.index(agent)]

    def _info(self, agent):
        info = {"clock": self.clock}
        return {**info, "action_mask": self._mask(agent)} if self.masks == "info" else info

    def reset(self, seed=None, options=None):
        self.seeds.append(seed)
        self.options.append(options)
        self.clock = 0
        self.agents = [a for a in self.possible_agents if a not in self.absent]
        present = list(self.agents)
        return {a: self._obs(a) for a in present}, {a: self._info(a) for a in present}

    def step(self, actions):
        assert sorted(actions) == sorted(self.agents)
        self.acted.append(dict(actions))
        self.clock += 1
        over = {a: self.clock >= self.lives[a] for a in actions}
        terminated = {a: over[a] and a not in self.truncates for a in actions}
        truncated = {a: over[a] and a in self.truncates for a in actions}
        obs = {a: self._obs(a) for a in actions}
        rewards = {a: 10.0 * self.possible_agents.index(a) + self.clock for a in actions}
        infos = {a: self._info(a) for a in actions}
        self.agents = [a for a in self.agents if not over[a]]
        if self.absent and self.clock == 1:
            for agent in self.absent:
                self.agents.append(agent)
                obs[agent], infos[agent] = self._obs(agent), self._info(agent)
        return obs, rewards, terminated, truncated, infos

    def close(self):
        self.closed += 1


def game_of_three_steps():
    venv = ParallelToVecEnv(Scripted())
    start = venv.reset()
    return venv, start, [venv.step(np.array([0, 1, 2])) for _ in range(3)]


def test_a_slot_idles_from_its_agents_end_to_the_games_end():
    _, start, steps = game_of_three_steps()
    assert start.tolist() == [[0, 0], [1, 0], [2, 0]]
    assert [r.tolist() for _, r, _, _ in steps] == [[1, 11, 21], [0, 12, 22], [0, 13, 0]]
    assert [d.tolist() for _, _, d, _ in steps] == [
        [True, False, False],
        [False, False, True],
        [False, True, False],
    ]
    idle = [[info.get("inactive", False) for info in infos] for _, _, _, infos in steps]
    assert idle == [[False, False, False], [True, False, False], [True, False, True]]
    waits = [[info.get("awaits_reset", False) for info in infos] for _, _, _, infos in steps]
    assert waits == [[True, False, False], [True, False, True], [False, False, False]]


def test_observations_repeat_the_last_one_until_the_next_game():
    _, _, steps = game_of_three_steps()
    assert steps[0][0].tolist() == [[0, 1], [1, 1], [2, 1]]
    assert steps[1][0].tolist() == [[0, 1], [1, 2], [2, 2]]
    assert steps[2][0].tolist() == [[0, 0], [1, 0], [2, 0]]
    finals = [
        steps[t][3][slot]["terminal_observation"].tolist() for t, slot in [(0, 0), (2, 1), (1, 2)]
    ]
    assert finals == [[0, 1], [1, 3], [2, 2]]
    assert "terminal_observation" not in steps[1][3][0]


def test_only_a_limit_is_reported_as_one():
    _, _, steps = game_of_three_steps()
    assert steps[0][3][0]["TimeLimit.truncated"] is False
    assert steps[1][3][2]["TimeLimit.truncated"] is True
    assert steps[2][3][1]["TimeLimit.truncated"] is False


def test_only_playing_agents_act():
    venv, _, _ = game_of_three_steps()
    world = venv.get_attr("unwrapped")[0]
    assert world.acted == [{"a": 0, "b": 1, "c": 2}, {"b": 1, "c": 2}, {"b": 1}]


def test_seeds_and_options_reach_each_copy_once():
    worlds = [Scripted(), Scripted()]
    venv = ParallelToVecEnv([lambda: worlds[0], lambda: worlds[1]])
    venv.seed(5)
    venv.set_options({"level": 2})
    venv.reset()
    for _ in range(3):
        venv.step(np.zeros(6, int))
    assert [world.seeds for world in worlds] == [[5, None], [8, None]]
    assert worlds[1].options == [{"level": 2}, None]
    venv.set_options([{"level": i} for i in range(6)])
    with pytest.raises(ConfigError, match="agents of one game share its options"):
        venv.reset()


def test_reset_infos_are_those_of_the_running_game():
    venv, _, _ = game_of_three_steps()
    assert [info["clock"] for info in venv.reset_infos] == [0, 0, 0]


def test_an_agent_that_comes_later_begins_with_its_first_observation():
    venv = ParallelToVecEnv(Scripted(lives=(3, 3, 3), absent=("b",)))
    assert venv.reset().tolist() == [[0, 0], [0, 0], [2, 0]]
    obs, rewards, dones, infos = venv.step(np.zeros(3, int))
    assert obs[1].tolist() == [1, 1]
    assert rewards.tolist() == [1, 0, 21]
    assert not dones.any()
    assert infos[1] == {"inactive": True}
    assert venv.reset_infos[1] == {"clock": 1}
    assert venv.step(np.zeros(3, int))[1].tolist() == [2, 12, 22]


@pytest.mark.parametrize("masks", ["info", "obs"])
def test_masks_allow_idle_slots_everything_and_train_maskable_ppo(masks):
    venv = ParallelToVecEnv([lambda: Scripted(masks=masks)] * 2)
    venv.reset()
    venv.step(np.zeros(6, int))
    got = np.stack(venv.env_method("action_masks"))
    assert got[:3].astype(int).tolist() == [[1, 1, 1], [0, 1, 0], [0, 0, 1]]
    policy = "MultiInputPolicy" if masks == "obs" else "MlpPolicy"
    MaskablePPO(policy, venv, n_steps=8, batch_size=48, n_epochs=1, device="cpu").learn(48)
    acts = venv.get_attr("unwrapped")[0].acted[1:]
    assert acts
    assert all(action == "abc".index(agent) for act in acts for agent, action in act.items())


def test_worlds_without_masks_say_so():
    venv = ParallelToVecEnv(Scripted())
    venv.reset()
    assert not venv.has_attr("action_masks")
    with pytest.raises(AttributeError, match="no action masks"):
        venv.env_method("action_masks")


def test_attributes_and_methods_are_those_of_each_slots_world():
    venv = ParallelToVecEnv([Scripted, lambda: Scripted(truncates="a")])
    assert venv.get_attr("truncates", [0, 5]) == ["c", "a"]
    venv.set_attr("truncates", "b", indices=[4])
    assert venv.get_attr("truncates") == ["c"] * 3 + ["b"] * 3
    assert not venv.has_attr("nothing_of_the_kind")
    assert venv.env_method("action_space", "a", indices=[2]) == [spaces.Discrete(3)]
    assert venv.slots == [(k, agent) for k in (0, 1) for agent in "abc"]


def test_close_closes_each_copy_once():
    venv = ParallelToVecEnv([Scripted, Scripted])
    worlds = venv.get_attr("unwrapped")
    venv.close()
    venv.close()
    assert [world.closed for world in worlds] == [1] * 6


def test_wrapper_classes_are_found():
    wrapped = rewardloom.wrappers.parallel.DeferReward(ParallelComponentWorld(2))
    venv = ParallelToVecEnv([lambda: wrapped])
    assert venv.env_is_wrapped(rewardloom.wrappers.parallel.DesignReward) == [True, True]
    assert venv.env_is_wrapped(rewardloom.wrappers.parallel.RewardComponents) == [False, False]


class Unequal(Scripted):
    def action_space(self, agent):
        return spaces.Discrete(4 if agent == "b" else 3)


class Vanishing(Scripted):
    def step(self, actions):
        results = super().step(actions)
        self.agents = []
        return results


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (Unequal(), "one action_space, but 'a' has .*pad_action_space_v0"),
        ([], "list of functions"),
        (ComponentWorld(), "aec_to_parallel"),
        ([ComponentWorld], "made a ComponentWorld"),
        ([lambda world=Scripted(): world] * 2, "one world twice"),  # noqa: B008
    ],
)
def test_what_cannot_be_trained_is_refused(given, message):
    with pytest.raises(ConfigError, match=message):
        ParallelToVecEnv(given)


def test_an_agent_without_an_ending_is_an_error():
    venv = ParallelToVecEnv(Vanishing())
    venv.reset()
    with pytest.raises(RunError, match=r"'b' left .* without an ending"):
        venv.step(np.zeros(3, int))


def test_a_game_without_agents_is_an_error():
    with pytest.raises(RunError, match="brought none"):
        ParallelToVecEnv(Scripted(absent=("a", "b", "c"))).reset()


FORGETFUL = [
    name for name in DESIGNS if make_design(name, **DESIGNS[name].example).memory == "none"
]


@pytest.mark.parametrize("name", FORGETFUL)
def test_the_vec_env_plug_pays_what_the_parallel_plug_pays(name):
    """Same worlds, same actions; games begin again, agents leave one by one."""
    copies, agents, ticks = 2, 3, 40
    example = DESIGNS[name].example
    outside = DesignVecReward(
        ParallelToVecEnv([lambda: ParallelComponentWorld(agents)] * copies),
        make_design(name, **example),
        name=name,
    )
    shared = DESIGNS[name].wrapper
    inside = ParallelToVecEnv(
        [
            lambda: getattr(rewardloom.wrappers.parallel, shared)(
                ParallelComponentWorld(agents), **example
            )
        ]
        * copies
    )
    actions = np.random.default_rng(0).integers(0, 3, (ticks, copies * agents))
    for venv in (outside, inside):
        venv.seed(3)
        venv.reset()
    idle = 0
    for row in actions:
        _, left, left_dones, left_infos = outside.step(row)
        _, right, right_dones, right_infos = inside.step(row)
        np.testing.assert_allclose(left, right, rtol=1e-6, atol=1e-6)
        np.testing.assert_array_equal(left_dones, right_dones)
        for mine, theirs in zip(left_infos, right_infos, strict=True):
            idle += "inactive" in mine
            if "inactive" not in mine:
                assert mine["raw_reward"] == pytest.approx(theirs["raw_reward"], abs=1e-6)
                assert mine[name] == pytest.approx(theirs[name], abs=1e-6)
    assert idle > 10


def test_a_shared_memory_pays_in_one_copy_what_the_parallel_plug_pays():
    outside = DesignVecReward(
        ParallelToVecEnv(ParallelComponentWorld(3)), make_design("count"), name="count"
    )
    inside = ParallelToVecEnv(rewardloom.wrappers.parallel.CountReward(ParallelComponentWorld(3)))
    actions = np.random.default_rng(1).integers(0, 3, (40, 3))
    for venv in (outside, inside):
        venv.seed(3)
        venv.reset()
    for row in actions:
        np.testing.assert_allclose(outside.step(row)[1], inside.step(row)[1], rtol=1e-6, atol=1e-6)


class StartColumn(DeferDesign):
    """Pays the caption's length at the episode's start: wrong if begun at the wrong time."""

    needs = frozenset({"caption"})

    def begin(self, slots, extra=None):
        super().begin(slots, extra)
        self.starts = getattr(self, "starts", np.zeros(len(slots)))
        self.starts[slots] = [len(text) for text in extra["caption"][slots]]

    def step(self, batch):
        return np.where(batch.active, self.starts, 0.0)


def test_an_idle_slots_design_begins_with_the_next_games_info():
    venv = DesignVecReward(
        ParallelToVecEnv([lambda: ParallelComponentWorld(3)] * 2), StartColumn(), name="start"
    )
    venv.reset()
    starts = [len(info["caption"]) for info in venv.venv.reset_infos]
    changed = 0
    for _ in range(60):
        _, paid, _, infos = venv.step(np.zeros(6, int))
        want = [0.0 if "inactive" in info else n for info, n in zip(infos, starts, strict=True)]
        assert paid.tolist() == want
        newer = [len(info["caption"]) for info in venv.venv.reset_infos]
        changed += newer != starts
        starts = newer
    assert changed > 5


def test_a_monitor_counts_each_agents_episode_once():
    venv = VecMonitor(ParallelToVecEnv(Scripted()))
    venv.reset()
    returns = []
    for _ in range(6):
        for info in venv.step(np.zeros(3, int))[3]:
            if "episode" in info:
                returns.append(info["episode"]["r"])
    assert returns == [1, 43, 36] * 2


def test_components_are_found_through_the_bridge():
    assert reward_component_names(ParallelToVecEnv(ParallelComponentWorld(2))) == COMPONENTS


@pytest.mark.parametrize("dict_obs", [False, True])
def test_ppo_trains_a_shared_policy(dict_obs):
    venv = ParallelToVecEnv([lambda: ParallelComponentWorld(3, dict_obs=dict_obs)] * 2)
    policy = "MultiInputPolicy" if dict_obs else "MlpPolicy"
    venv = VecCheckNan(DesignVecReward(venv, WeightDesign({"a": 1.0}), name="weight"))
    model = PPO(policy, venv, n_steps=16, batch_size=48, n_epochs=1, device="cpu")
    assert model.learn(192).num_timesteps == 192


def test_relabelling_an_on_policy_buffer_leaves_idle_rows_at_zero():
    venv = ParallelToVecEnv([lambda: ParallelComponentWorld(3, truncation=0.0)] * 2)
    model = PPO("MlpPolicy", venv, n_steps=32, batch_size=64, n_epochs=1, seed=0, device="cpu")
    attach_relabel(model, WeightDesign({"outcome": 5.0}))
    model.learn(192)
    buffer = model.rollout_buffer
    ends = np.vstack([buffer.episode_starts[1:], model._last_episode_starts[None]]).astype(bool)
    np.testing.assert_array_equal(np.abs(buffer.rewards), np.where(ends, 5.0, 0.0))
    assert ends.sum() > 20


def test_a_real_pettingzoo_world_trains_with_a_design():
    world = rewardloom.wrappers.parallel.RewardComponents(
        pursuit(max_cycles=20, n_pursuers=3), catch="reward"
    )
    venv = DesignVecReward(ParallelToVecEnv(world), WeightDesign({"catch": 2.0}), name="weight")
    model = PPO("MlpPolicy", venv, n_steps=24, batch_size=24, n_epochs=1, device="cpu")
    model.learn(72)
    infos = venv.step(np.zeros(3, int))[3]
    assert all("raw_reward" in info and "weight" in info for info in infos)


def test_agents_of_one_copy_are_paid_like_worlds_of_their_own():
    """Until the first one leaves, three agents are three environments."""
    bridge = ParallelToVecEnv(ParallelComponentWorld(3))
    plain = DummyVecEnv([ComponentWorld] * 3)
    for venv in (bridge, plain):
        venv.seed(11)
    np.testing.assert_array_equal(bridge.reset(), plain.reset())
    for _ in range(8):
        mine, theirs = bridge.step(np.ones(3, int)), plain.step(np.ones(3, int))
        np.testing.assert_array_equal(mine[1], theirs[1])
        np.testing.assert_array_equal(mine[2], theirs[2])
        if mine[2].any():
            break
    assert mine[2].any()
