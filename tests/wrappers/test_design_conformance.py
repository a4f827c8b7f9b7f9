"""Every registered design through every plug and autoreset mode, against the plain reference.

A design is covered by being in `rewardloom.rewards.DESIGNS`.
"""

import copy
import functools
import json
import pickle

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

import rewardloom.wrappers
import rewardloom.wrappers.parallel
import rewardloom.wrappers.vector
from rewardloom.rewards import DESIGNS, RewardDesign, episode_batch, make_design
from rewardloom.rewards.design import COLUMNS
from rewardloom.testing import COMPONENTS, ComponentWorld, reference_rewards, reference_ticks
from rewardloom.testing.parallel import ParallelComponentWorld

N, TICKS, SEED = 4, 60, 7
WORLDS = {
    "plain": functools.partial(ComponentWorld, failure=0.1),
    "dict": functools.partial(ComponentWorld, dict_obs=True),
}
ACTIONS = np.random.default_rng(0).integers(0, 3, (TICKS, N))

designs = pytest.mark.parametrize("name", DESIGNS)
worlds = pytest.mark.parametrize("world", WORLDS)


def fresh(name, **kwargs):
    return make_design(name, **{**DESIGNS[name].example, **kwargs})


def wrapper(module, name):
    return functools.partial(getattr(module, DESIGNS[name].wrapper), **DESIGNS[name].example)


def ticks_of(name, world, slots=N, ticks=TICKS, **kwargs):
    """Return the ticks that a plug should hand to the design called `name`."""
    kwargs = {"seed": SEED, "flat": "flat" in fresh(name).needs, **kwargs}
    return reference_ticks(WORLDS[world], slots, ACTIONS[:ticks, :slots], **kwargs)


def expected(name, world, *, slots=N, idle=False):
    ticks = ticks_of(name, world, slots, idle_after_end=idle)
    return reference_rewards(fresh(name), ticks, COMPONENTS, slots)


def settled(name, world="plain"):
    """Return a design whose payments no longer change: one that learns has learned, and stops."""
    design = fresh(name)
    if design.memory == "model":
        reference_rewards(design, ticks_of(name, world, seed=SEED + 100), COMPONENTS, N)
        assert design.refits
        design.update_model = False
    return design


@designs
def test_keeps_the_protocol(name):
    design = fresh(name)
    assert isinstance(design, RewardDesign)
    assert design.depends in ("row", "step", "episode")
    assert design.memory in ("none", "statistics", "model")
    design.bind(COMPONENTS, 2)
    ticks = list(ticks_of(name, "plain", 2, 8))
    keys = set()
    design.begin(ticks[0].begun, ticks[0].start)
    for tick in ticks[1:]:
        paid = design.step(tick.batch)
        assert paid.shape == (2,)
        assert paid.dtype == np.float64
        keys.add(tuple(design.summary()))
        assert all(column.shape == (2,) for column in design.summary().values())
        design.begin(tick.begun, tick.start)
    assert len(keys) == 1


@designs
@worlds
def test_single_plug_pays_what_the_reference_pays(name, world):
    env = wrapper(rewardloom.wrappers, name)(WORLDS[world]())
    env.reset(seed=SEED)
    paid, raw, total = [], [], 0.0
    for action in ACTIONS[:, 0]:
        _, reward, terminated, truncated, info = env.step(action)
        paid.append(reward)
        raw.append(info["raw_reward"])
        total += info["raw_reward"]
        assert all(type(v) is float for v in info[env.design_name].values())
        if terminated or truncated:
            assert info["episode_raw_return"] == pytest.approx(total, abs=1e-9)
            total = 0.0
            env.reset()
    np.testing.assert_allclose(paid, expected(name, world, slots=1)[:, 0], rtol=0, atol=1e-9)
    base = [
        tick.batch.reward[0]
        for tick in reference_ticks(WORLDS[world], 1, ACTIONS[:, :1], seed=SEED)
        if tick.batch is not None
    ]
    assert raw == base


@designs
@worlds
@pytest.mark.parametrize("mode", list(AutoresetMode), ids=lambda m: m.name)
def test_sync_vector_plug_pays_what_the_reference_pays(name, world, mode):
    envs = SyncVectorEnv([WORLDS[world]] * N, autoreset_mode=mode)
    venv = wrapper(rewardloom.wrappers.vector, name)(envs)
    check_vector(venv, name, world, mode)


@designs
@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
@pytest.mark.parametrize("shared", [True, False])
def test_async_vector_plug_pays_what_the_reference_pays(name, mode, shared):
    envs = AsyncVectorEnv([WORLDS["plain"]] * N, autoreset_mode=mode, shared_memory=shared)
    venv = wrapper(rewardloom.wrappers.vector, name)(envs)
    try:
        check_vector(venv, name, "plain", mode)
    finally:
        venv.close()


def check_vector(venv, name, world, mode):
    idle = mode is AutoresetMode.NEXT_STEP
    ticks = reference_ticks(WORLDS[world], N, ACTIONS, seed=SEED, idle_after_end=idle)
    batches = [tick.batch for tick in ticks if tick.batch is not None]
    want = expected(name, world, idle=idle)
    totals = np.zeros(N)
    venv.reset(seed=SEED)
    for t, (actions, batch) in enumerate(zip(ACTIONS, batches, strict=True)):
        _, rewards, _, truncated, infos = venv.step(actions)
        np.testing.assert_allclose(rewards, want[t], rtol=0, atol=1e-9, err_msg=f"tick {t}")
        np.testing.assert_array_equal(infos["raw_reward"], batch.reward)
        np.testing.assert_array_equal(infos["_raw_reward"], batch.active)
        assert set(infos[venv.design_name]) == {
            key for k in venv.design.summary() for key in (k, f"_{k}")
        }
        totals += batch.reward
        ended = batch.terminated | batch.truncated
        if ended.any():
            np.testing.assert_array_equal(infos["_episode_raw_return"], ended)
            np.testing.assert_allclose(infos["episode_raw_return"][ended], totals[ended], atol=1e-9)
            totals[ended] = 0.0
            if mode is AutoresetMode.DISABLED:
                venv.reset(options={"reset_mask": ended})
        np.testing.assert_array_equal(truncated, batch.truncated)


@designs
@pytest.mark.parametrize("subproc", [False, True])
def test_sb3_plug_pays_what_the_reference_pays(name, subproc):
    from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv

    from rewardloom.baselines.plugs import DesignVecReward

    inner = (SubprocVecEnv if subproc else DummyVecEnv)([WORLDS["plain"]] * N)
    venv = DesignVecReward(inner, fresh(name), name=name)
    try:
        venv.seed(SEED)
        venv.reset()
        want = expected(name, "plain")
        for t, actions in enumerate(ACTIONS):
            rewards = venv.step(actions)[1]
            np.testing.assert_allclose(rewards, want[t], rtol=1e-6, atol=1e-6)
    finally:
        venv.close()


@designs
def test_parallel_plug_pays_what_the_reference_pays(name):
    """One game: agents leave one by one, and a design sees the rest go on."""
    for game in range(5):
        env = wrapper(rewardloom.wrappers.parallel, name)(ParallelComponentWorld(N))
        env.reset(seed=SEED + 10 * game)
        design = fresh(name)
        ticks = reference_ticks(
            ComponentWorld,
            N,
            ACTIONS,
            seed=SEED + 10 * game,
            idle_after_end=True,
            flat="flat" in design.needs,
        )
        design.bind(COMPONENTS, N)
        first = next(ticks)
        design.begin(first.begun, first.start)
        alive = np.ones(N, bool)
        for t, tick in enumerate(ticks):
            if not env.agents:
                break
            batch = tick.batch._replace(active=alive.copy())
            want = design.step(batch)
            _, rewards, _, _, infos = env.step(
                {agent: ACTIONS[t, i] for i, agent in enumerate(env.possible_agents) if alive[i]}
            )
            for i, agent in enumerate(env.possible_agents):
                assert (agent in rewards) == alive[i]
                if alive[i]:
                    assert rewards[agent] == pytest.approx(want[i], abs=1e-9)
                    assert infos[agent]["raw_reward"] == batch.reward[i]
            alive &= ~(batch.terminated | batch.truncated)


def finished_episodes(name, world, ticks):
    """Return the ticks of one slot, cut into finished episodes, with each one's start."""
    episodes, rows, start = [], [], None
    for tick in ticks_of(name, world, 1, ticks):
        if tick.batch is not None:
            rows.append(tick.batch)
            if tick.batch.terminated[0] or tick.batch.truncated[0]:
                episodes.append((rows, start))
                rows = []
        if tick.begun[0]:
            start = tick.start
    return episodes


def as_episode_batch(episodes, space):
    rows = [row for rows, _ in episodes for row in rows]

    def join(values):
        if isinstance(values[0], dict):
            return {key: np.concatenate([v[key] for v in values]) for key in values[0]}
        return np.concatenate(values)

    return episode_batch(
        [[row.reward[0] for row in rows] for rows, _ in episodes],
        [[row.components[0] for row in rows] for rows, _ in episodes],
        terminated=[rows[-1].terminated[0] for rows, _ in episodes],
        truncated=[rows[-1].truncated[0] for rows, _ in episodes],
        failed=[rows[-1].failed[0] for rows, _ in episodes],
        obs=join([row.obs for row in rows]),
        action=join([row.action for row in rows]),
        next_obs=join([row.next_obs for row in rows]),
        extra={c: np.concatenate([row.extra[c] for row in rows]) for c in COLUMNS},
        start={c: np.concatenate([start[c] for _, start in episodes]) for c in COLUMNS},
    )


@designs
@worlds
def test_relabelling_episodes_equals_stepping_through_them(name, world):
    episodes = finished_episodes(name, world, TICKS)
    assert len(episodes) > 5
    design = settled(name, world)
    design.bind(COMPONENTS, 1)
    relabelled = design.relabel(as_episode_batch(episodes, None))
    stepped = reference_rewards(settled(name, world), ticks_of(name, world, 1), COMPONENTS, 1)
    stepped = stepped[: len(relabelled), 0]
    np.testing.assert_allclose(relabelled, stepped, rtol=0, atol=1e-9)


@designs
@worlds
def test_relabelling_an_open_episode_pays_what_stepping_has_paid_so_far(name, world):
    """Or leaves it as it is, where a payment depends on the whole episode."""
    episodes = finished_episodes(name, world, TICKS)
    last = max(k for k, (rows, _) in enumerate(episodes) if len(rows) > 2)
    rows, start = episodes[last]
    episodes = [*episodes[:last], (rows[:-1], start)]
    design = settled(name, world)
    design.bind(COMPONENTS, 1)
    relabelled = design.relabel(as_episode_batch(episodes, None))
    stepped = reference_rewards(settled(name, world), ticks_of(name, world, 1), COMPONENTS, 1)
    want = stepped[: len(relabelled), 0]
    if design.depends == "episode":
        want[1 - len(rows) :] = [row.reward[0] for row in rows[:-1]]
    np.testing.assert_allclose(relabelled, want, rtol=0, atol=1e-9)
    assert sum(len(rows) for rows, _ in episodes) == len(relabelled)


@designs
def test_state_survives_a_pickle_and_changes_what_is_paid_next(name):
    ticks = list(ticks_of(name, "plain", 2))
    trained, loaded = fresh(name), fresh(name)
    reference_rewards(trained, ticks, COMPONENTS, 2)
    loaded.load_state_dict(pickle.loads(pickle.dumps(trained.state_dict())))
    again = reference_rewards(trained, ticks, COMPONENTS, 2)
    np.testing.assert_array_equal(reference_rewards(loaded, ticks, COMPONENTS, 2), again)


@designs
def test_an_inactive_slot_is_paid_nothing_and_changes_nothing(name):
    ticks = list(ticks_of(name, "plain", 2, 20, idle_after_end=True))
    rewards = reference_rewards(fresh(name), ticks, COMPONENTS, 2)
    idle = np.array([~tick.batch.active for tick in ticks if tick.batch is not None])
    assert idle.any()
    assert (rewards[idle] == 0).all()


@designs
def test_permuting_the_slots_permutes_the_rewards(name):
    """With memory too: a tick's slots are counted together."""
    ticks = list(ticks_of(name, "plain"))
    order = np.array([2, 0, 3, 1])

    def permuted(tick):
        def rows(value):
            return value if value is None else value[order]

        batch = tick.batch
        if batch is not None:
            batch = batch._replace(
                **{f: rows(getattr(batch, f)) for f in batch._fields if f != "extra"},
                extra={c: rows(v) for c, v in batch.extra.items()},
            )
        start = {c: rows(v) for c, v in tick.start.items()}
        return tick._replace(batch=batch, begun=rows(tick.begun), start=start)

    straight = reference_rewards(settled(name), ticks, COMPONENTS, N)
    shuffled = reference_rewards(settled(name), [permuted(t) for t in ticks], COMPONENTS, N)
    np.testing.assert_allclose(shuffled, straight[:, order], rtol=0, atol=1e-12)


@designs
def test_the_plug_rebuilds_from_its_spec_even_through_json(name, registered_world):
    env = wrapper(rewardloom.wrappers, name)(gym.make(registered_world, disable_env_checker=True))
    text = env.spec.to_json()
    assert json.loads(text)
    again = gym.make(gym.envs.registration.EnvSpec.from_json(text))
    env.reset(seed=3)
    again.reset(seed=3)
    assert env.step(1)[1] == again.step(1)[1]


@pytest.fixture
def registered_world():
    spec = "TestComponentWorld-v0"
    gym.register(spec, entry_point="rewardloom.testing:ComponentWorld")
    yield spec
    del gym.registry[spec]


@designs
def test_an_unstarted_plug_pickles_and_copies(name):
    env = wrapper(rewardloom.wrappers, name)(ComponentWorld())
    copies = [pickle.loads(pickle.dumps(env)), copy.deepcopy(env), env]
    for each in copies:
        each.reset(seed=1)
    for action in (0, 1):
        steps = [each.step(action) for each in copies]
        assert steps[0][1] == steps[1][1] == steps[2][1]
