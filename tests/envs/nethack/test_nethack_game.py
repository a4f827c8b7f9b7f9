"""What happens in the game: seeding, deaths, descents, the Oracle, prompts, captions."""

import gymnasium as gym
import numpy as np
import pytest
from nle import nethack

from rewardloom.envs.nethack import (
    EXT28,
    TASK23,
    NetHackOracle,
    NetHackScore,
    NetHackStaircase,
    Stat,
)
from rewardloom.envs.nethack.engine import Engine
from rewardloom.envs.nethack.oracle import oracle_glyph
from rewardloom.envs.nethack.prompts import answer
from rewardloom.envs.nethack.stats import HALLUCINATING

DOWN = TASK23.index(ord(">"))
MAP_LEVEL = 0x06  # ^F of the debug mode
TELEPORT_TO_LEVEL = 0x16  # ^V of the debug mode
ENTER = 0x0D


def play(env, seed, steps):
    """Yield what every random step returns, over several games."""
    actions = np.random.default_rng(seed)
    env.reset(seed=seed)
    for _ in range(steps):
        step = env.step(int(actions.integers(env.action_space.n)))
        yield step
        if step[2] or step[3]:
            env.reset()


class Wizard:
    """A world whose game is in debug mode, played with raw keys."""

    def __init__(self, env):
        self.env = env
        real = env._ready_engine

        def ready():
            if env._engine is None:
                real()
                env._drop_engine()
                env._engine = Engine((), character=env.character, wizard=True)
                env._close_engine = env._engine.close
            return env._engine

        env._ready_engine = ready

    def type(self, *keys):
        for key in keys:
            self.env._engine.press(key if isinstance(key, int) else ord(key))
        self.env._engine.settle()

    def go_to_level(self, level):
        """Play one step of the world whose key is the debug mode's level teleport."""
        self.env._play = lambda engine, key: self.type(TELEPORT_TO_LEVEL, *str(level), ENTER)
        return self.env.step(0)


def stairs(env):
    """Return whether the hero stands on stairs down."""
    return bool(env._engine.buffers["internal"][4])


def descend_by_stairs(env):
    """Map the level in debug mode, travel to the stairs down, and descend by a step of `env`."""
    wizard = Wizard(env)
    for seed in range(20):
        env.reset(seed=seed)
        wizard.type(MAP_LEVEL)
        for _ in range(20):
            wizard.type("_", ">", ".")
            if stairs(env):
                return env.step(DOWN)
    raise AssertionError("the stairs were not reached in 20 games")


@pytest.mark.parametrize("observations", ["compact", "oni"])
def test_one_game_equals_stock_nle_key_by_key(observations):
    from nle.env import tasks

    keys = ("glyphs", "blstats", "message")
    for seed in range(3):
        ours = NetHackScore(observations=observations, caption="stock", horizon=None)
        ours.reset(seed=seed)
        stock = tasks.NetHackScore(
            observation_keys=keys, max_episode_steps=10**6, fix_moon_phase=True, render_mode="ansi"
        )
        core, disp = np.random.default_rng(seed).integers(0, 2**63 - 1, size=2).tolist()
        stock.nethack.set_initial_seeds(core, disp, False, None)
        stock.reset()
        actions = np.random.default_rng(seed)
        for _ in range(800):
            action = int(actions.integers(23))
            obs, reward, terminated, _, _ = ours.step(action)
            stock_obs, stock_reward, stock_terminated, _, _ = stock.step(action)
            assert terminated == stock_terminated
            np.testing.assert_array_equal(obs["blstats"], stock_obs["blstats"])
            np.testing.assert_array_equal(obs["message"], stock_obs["message"])
            if terminated:
                break
            assert reward == pytest.approx(stock_reward, abs=1e-12)
        ours.close()
        stock.close()


def test_the_reward_is_the_documented_function_of_the_components():
    worlds = [
        (NetHackScore(reward_scale=2.0), lambda c: 2.0 * (c["score"] - 0.01 * c["idle"])),
        (NetHackStaircase(level=2), lambda c: 50.0 * c["success"]),
        (NetHackOracle(reward_scale=3.0), lambda c: 3.0 * c["success"]),
    ]
    for env, formula in worlds:
        paid = 0
        for _, reward, _, _, info in play(env, 1, 1500):
            assert reward == pytest.approx(formula(info["reward_components"]), abs=1e-9)
            paid += reward != 0
        assert paid or not isinstance(env, NetHackScore)
        env.close()


def test_components_add_up_to_the_final_numbers_also_through_death():
    with NetHackScore(horizon=None) as env:
        deaths = 0
        totals = dict.fromkeys(env.reward_components, 0.0)
        for _, _, terminated, truncated, info in play(env, 0, 9000):
            for name, value in info["reward_components"].items():
                totals[name] += value
            if not (terminated or truncated):
                continue
            metrics = info["episode_metrics"]
            assert terminated
            assert metrics["died"] == 1.0
            assert info["end_status"] in ("died", "starving", "poisoning", "choking")
            assert metrics["turns"] > 1
            assert metrics["experience_level"] >= 1
            assert metrics["max_depth"] == 1 + totals["depth"]
            assert metrics["score"] == totals["score"]
            assert metrics["gold"] == totals["gold"]
            assert metrics["scout"] == totals["scout"]
            assert "You die" in info["caption"] or "starv" in info["caption"].lower()
            deaths += 1
            totals = dict.fromkeys(totals, 0.0)
        assert deaths >= 3


@pytest.mark.parametrize("seed", [0, 1, 3])
def test_scout_counts_newly_known_cells_by_brute_force(seed):
    with NetHackScore(observations="full", horizon=None) as env:
        obs, _ = env.reset(seed=seed)
        best = {tuple(obs["blstats"][23:25]): (obs["glyphs"] != nethack.GLYPH_CMAP_OFF).sum()}
        actions = np.random.default_rng(seed)
        found = 0.0
        for _ in range(600):
            obs, _, terminated, _, info = env.step(int(actions.integers(23)))
            if terminated:
                break
            level = tuple(obs["blstats"][23:25])
            known = (obs["glyphs"] != nethack.GLYPH_CMAP_OFF).sum()
            expected = max(0, known - best.get(level, 0))
            best[level] = max(known, best.get(level, 0))
            assert info["reward_components"]["scout"] == expected
            found += expected
        assert found > 0


def test_the_stairs_give_depth_success_and_their_text():
    with NetHackStaircase(level=2) as env:
        obs, reward, terminated, truncated, info = descend_by_stairs(env)
        assert (reward, terminated, truncated) == (50.0, True, False)
        assert info["reward_components"]["depth"] == 1.0
        assert info["reward_components"]["success"] == 1.0
        assert info["is_success"] is True
        assert info["end_status"] == "success"
        assert info["episode_metrics"]["max_depth"] == 2.0
        assert info["caption"].startswith("You descend the stairs.")
        assert bytes(obs["message"]).startswith(b"You descend the stairs.")
        assert env.last_episode.end_status == "success"
        with pytest.raises(gym.error.ResetNeeded, match="reset"):
            env.step(0)


def test_stock_captions_lose_what_more_cleared():
    with NetHackStaircase(level=2, caption="stock") as env:
        obs, _, terminated, _, info = descend_by_stairs(env)
        assert terminated
        assert "descend" not in info["caption"]
        assert b"descend" not in bytes(obs["message"])


def test_success_is_paid_once_and_a_continual_world_goes_on():
    with NetHackStaircase(level=2, continual=True, horizon=30) as env:
        _, reward, terminated, truncated, info = descend_by_stairs(env)
        assert (reward, terminated, truncated) == (50.0, False, False)
        assert "is_success" not in info
        rewards = []
        while not (terminated or truncated):
            _, reward, terminated, truncated, info = env.step(TASK23.index(ord("s")))
            rewards.append(reward)
        assert set(rewards) == {0.0}
        assert info["is_success"] is True
        assert info["episode_metrics"]["died"] == float(terminated)


def test_a_level_reached_without_stairs_counts_unless_strict():
    for strict in (False, True):
        env = NetHackStaircase(level=3, strict_message=strict)
        wizard = Wizard(env)
        env.reset(seed=0)
        _, reward, terminated, _, info = wizard.go_to_level(3)
        assert info["reward_components"]["depth"] == 2.0
        assert terminated is not strict
        assert reward == (0.0 if strict else 50.0)
        env.close()


def test_the_strict_rule_takes_the_ordinary_descent():
    with NetHackStaircase(level=2, strict_message=True) as env:
        _, reward, terminated, _, _ = descend_by_stairs(env)
        assert (reward, terminated) == (50.0, True)


def around_the_hero(env, glyph, condition=0):
    """Put a glyph beside the hero and a condition into what the world reads."""
    engine = env._engine
    engine.stats[Stat.CONDITION] = condition
    x, y = engine.stats[Stat.X], engine.stats[Stat.Y]
    engine.buffers["glyphs"][y + 1, x + 1] = glyph


@pytest.mark.parametrize(
    ("sober", "condition", "success"),
    [
        (False, 0, True),
        (False, HALLUCINATING, True),
        (True, 0, True),
        (True, HALLUCINATING, False),
        (True, HALLUCINATING | nethack.BL_MASK_CONF, False),  # one bit among others
    ],
)
def test_the_oracle_beside_the_hero_is_success_if_sober(sober, condition, success):
    with NetHackOracle(sober=sober) as env:
        env.reset(seed=0)
        env._play = lambda engine, key: around_the_hero(env, oracle_glyph(), condition)
        _, reward, terminated, _, _ = env.step(0)
        assert terminated is success
        assert reward == (50.0 if success else 0.0)


def test_another_monster_beside_the_hero_is_no_success():
    with NetHackOracle() as env:
        env.reset(seed=0)
        env._play = lambda engine, key: around_the_hero(env, oracle_glyph() + 1)
        assert env.step(0)[2] is False


def test_the_oracle_glyph_and_the_mask_are_those_of_nle():
    assert nethack.permonst(nethack.glyph_to_mon(oracle_glyph())).mname == "Oracle"
    assert HALLUCINATING == 512


def test_the_time_limit_truncates_and_does_not_terminate():
    with NetHackScore(horizon=7) as env:
        env.reset(seed=0)
        flags = [env.step(0)[2:4] for _ in range(7)]
        assert flags == [(False, False)] * 6 + [(False, True)]
        assert env.last_episode.steps == 7
        assert env.last_episode.end_status == "truncated"


def test_max_episode_steps_of_make_truncates_too():
    with gym.make("rewardloom/NetHackScore-v0", max_episode_steps=5) as env:
        env.reset(seed=0)
        assert [env.step(0)[3] for _ in range(5)] == [False] * 4 + [True]
        env.reset()
        assert env.get_wrapper_attr("last_episode").end_status == "cut_off"
        assert env.get_wrapper_attr("last_episode").metrics["died"] == 0.0


def test_the_extended_set_eats_what_is_offered_first():
    with NetHackScore(actions="ext28", character="arc-hum-neu-mal") as env:
        env.reset(seed=0)
        step = env.step(EXT28.index(ord("e")))
        assert "What do you want to eat?" in step[4]["caption"]
        letter = answer(env._engine.question, ord("y"))
        inventory = env._engine.question.decode()
        assert chr(letter) in inventory.partition("[")[2]
        _, _, _, _, info = env.step(EXT28.index(ord("y")))
        assert info["reward_components"]["idle"] == 0.0
        env.step(EXT28.index(ord("e")))
        _, _, _, _, info = env.step(EXT28.index(ord("j")))
        assert "Never mind." in info["caption"]


def test_the_extended_set_casts_the_first_spell():
    with NetHackScore(actions="ext28", character="wiz-hum-neu-mal") as env:
        env.reset(seed=0)
        caption = env.step(EXT28.index(ord("Z")))[4]["caption"]
        assert "In what direction?" in caption


@pytest.mark.parametrize(
    ("question", "key", "expected"),
    [
        (b"What do you want to eat? [fgh or ?*]", "y", "f"),
        (b"What do you want to eat? [fgh or ?*]", "j", " "),
        (b"What do you want to drink? [or ?*]", "y", "y"),
        (b"There is a newt corpse here; eat it? [ynq] (n)", "y", "y"),
        (b"There is a newt corpse here; eat it? [ynq] (n)", "k", " "),
        (b"In what direction?", "k", "k"),
        (b"Itemized billing? [ynq] (q)", "y", "y"),
        (b"Dagger for 5 zorkmids.  Pay? [yn] (n)", "y", "y"),
    ],
)
def test_answers_of_the_extended_set(question, key, expected):
    assert chr(answer(question, ord(key))) == expected


def test_joined_captions_hold_the_stock_message_and_more():
    joined = NetHackScore(horizon=None)
    stock = NetHackScore(horizon=None, caption="stock")
    longer = 0
    for one, other in zip(play(joined, 2, 3000), play(stock, 2, 3000), strict=True):
        full, last = one[4]["caption"], other[4]["caption"]
        assert full.endswith(last)
        assert bytes(one[0]["message"]).rstrip(b"\0") == full.encode("latin-1")[:256]
        longer += len(full) > len(last)
    assert longer > 100
    joined.close()
    stock.close()


def test_a_failed_start_is_repeated_from_the_same_stream_and_counted():
    envs = [NetHackScore(), NetHackScore()]
    for env in envs:
        engine = env._ready_engine()
        start, failures = engine.start, iter([True, True])

        def failing(*seeds, start=start, failures=failures):
            started = start(*seeds)
            return started and not next(failures, False)

        engine.start = failing
    observations = []
    for env in envs:
        obs, info = env.reset(seed=4)
        assert info["reset_retries"] == 2
        observations.append(obs)
        env.reset()
        env.close()
    assert all((observations[0][k] == observations[1][k]).all() for k in observations[0])


def test_lgen_fixes_the_levels_but_not_the_game():
    maps, stats = [], []
    for seed in (1, 2):
        with NetHackScore(observations="full", lgen=7) as env:
            env.reset(seed=seed)
            stats.append(env._seeds)
            maps.append(env._engine.buffers["blstats"][:2].copy())
    with NetHackScore(observations="full", lgen=8) as env:
        env.reset(seed=1)
        other = env._engine.buffers["blstats"][:2].copy()
    np.testing.assert_array_equal(maps[0], maps[1])
    assert stats[0] != stats[1]
    assert not np.array_equal(maps[0], other)
