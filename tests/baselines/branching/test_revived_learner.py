"""Training on revived trajectories, and the agent that comes out."""

import copy

import numpy as np
import pytest
import torch
from revived_samples import graph, trajectory

from rewardloom.baselines.branching.agents import load_agent, save_agent
from rewardloom.baselines.branching.revived import learner as learning
from rewardloom.baselines.branching.revived.agent import RevivedAgent
from rewardloom.baselines.branching.revived.learner import compress, expand, td_loss, train
from rewardloom.baselines.branching.revived.network import RevivedNetwork
from rewardloom.baselines.branching.revived.recorder import Recorder
from rewardloom.baselines.branching.revived.replay import Replay
from rewardloom.baselines.branching.revived.settings import RevivedConfig
from rewardloom.envs.branching.world import MilpBranching
from rewardloom.errors import ConfigError

SMALL = {
    "world_kwargs": {"family": "micro", "horizon": 60},
    "decisions": 150,
    "warmup": 30,
    "exploration": 60,
    "stretch": 4,
    "target_every": 5,
    "width": 16,
    "heads": 2,
}


def play(agent, seed=0, decisions=40):
    """Let an agent branch; return its recorder's trajectory and its values at every decision."""
    env = MilpBranching(family="micro", observation="graph", horizon=decisions)
    env.reset(seed=seed)
    agent.begin()
    recorder, values, over = Recorder(), [], False
    while not over:
        decision = env.decision
        values.append(agent.values(decision))
        choice = int(values[-1].argmax())
        agent.take(choice)
        recorder.add(agent.graph, decision, choice)
        _, reward, terminated, truncated, _ = env.step(decision.candidates[choice])
        recorder.pay(reward)
        over = terminated or truncated
    env.close()
    return recorder.finish(), values


def test_the_agent_sees_what_the_memory_revives():
    agent = RevivedAgent(width=16, heads=2, path=3)
    kept, values = play(agent)
    assert kept.depth.max() > 3  # paths are cut
    replay = Replay(1000, history=3, n_steps=1)
    replay.add(kept)
    batch = replay.sample(np.random.default_rng(0), 1, len(kept))
    with torch.no_grad():
        encoded = agent.network.encode(batch.graphs)
        summary = agent.network.summarize(encoded, batch.chosen)
        context = agent.network.context(batch.heads.steps(summary, batch.depth))
        found = agent.network.values(encoded, batch.heads.asked, context)[batch.taken]
    np.testing.assert_allclose(found, [own.max() for own in values], atol=1e-4)


def test_a_new_search_forgets_the_last():
    agent = RevivedAgent(width=16, heads=2)
    _, first = play(agent, seed=3)
    _, other = play(agent, seed=4)
    _, again = play(agent, seed=3)
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, two)
    assert len(first[0]) != len(other[0]) or not np.allclose(first[0], other[0])


def test_a_saved_agent_gives_the_same_values(tmp_path):
    agent = RevivedAgent(width=16, heads=2, seed=5)
    with torch.no_grad():
        agent.network.value[-1].bias += 1.0
    save_agent(agent, tmp_path)
    loaded = load_agent(tmp_path)
    assert loaded.settings == agent.settings
    for one, two in zip(play(agent)[1], play(loaded)[1], strict=True):
        np.testing.assert_array_equal(one, two)


def test_compressed_values_keep_signs_and_come_back():
    values = torch.tensor([-1000.0, -1.0, 0.0, 3.0])
    assert compress(values)[1] == pytest.approx(-np.log(2))
    torch.testing.assert_close(expand(compress(values)), values)
    assert torch.isfinite(expand(torch.tensor([-1e9]))).all()


def chain(reward, n_steps):
    """Return a memory of one chain of decisions, each below the one before."""
    rng = np.random.default_rng(0)
    node = list(range(1, len(reward) + 1))
    replay = Replay(100, n_steps=n_steps)
    replay.add(
        trajectory(rng, node, [n - 1 for n in node], depth=[n - 1 for n in node], reward=reward)
    )
    return replay.sample(rng, 1, len(reward))


def test_targets_are_double_q_over_candidates_by_hand():
    torch.manual_seed(0)
    network, target = RevivedNetwork(width=16, heads=2), RevivedNetwork(width=16, heads=2)
    batch = chain([-1.0, -2.0, -4.0, -8.0], n_steps=2)

    def values(net, window):
        encoded = net.encode(batch.graphs)
        steps = window.steps(net.summarize(encoded, batch.chosen), batch.depth)
        return net.values(encoded, window.asked, net.context(steps)).detach()

    ranked = values(network, batch.successors).reshape(2, 3)  # three candidates each
    judged = values(target, batch.successors).reshape(2, 3)
    future = [float(expand(judged[k, ranked[k].argmax()])) for k in range(2)]
    wanted = compress(torch.tensor([-3 + 0.5 * future[0], -6 + 0.5 * future[1], -12.0, -8.0]))
    expected = torch.nn.functional.smooth_l1_loss(values(network, batch.heads)[batch.taken], wanted)
    torch.testing.assert_close(td_loss(network, target, batch, 0.5).detach(), expected)


def test_targets_add_the_values_of_both_children_by_hand():
    """The root's children 2 and 3 were decisions; 2 has the child 4, which was one as well."""
    torch.manual_seed(0)
    network, target = RevivedNetwork(width=16, heads=2), RevivedNetwork(width=16, heads=2)
    rng = np.random.default_rng(0)
    replay = Replay(100)
    node, parent, reward = [1, 2, 3, 4], [0, 1, 1, 2], [-1.0, -2.0, -3.0, -3.0]
    replay.add(trajectory(rng, node, parent, depth=[0, 1, 1, 2], reward=reward))
    batch = replay.sample(rng, 1, 4)
    assert batch.followed.tolist() == [0, 0, 1]

    def values(net, window):
        encoded = net.encode(batch.graphs)
        steps = window.steps(net.summarize(encoded, batch.chosen), batch.depth)
        return net.values(encoded, window.asked, net.context(steps)).detach()

    ranked = values(network, batch.heads).reshape(4, 3).argmax(1)
    judged = values(target, batch.heads).reshape(4, 3)
    future = [float(expand(judged[k, ranked[k]])) for k in range(4)]
    wanted = compress(torch.tensor([-1 + future[1] + future[2], -2 + future[3], -3.0, -3.0]))
    taken = values(network, batch.heads)[batch.taken]
    expected = torch.nn.functional.smooth_l1_loss(taken, wanted)
    torch.testing.assert_close(td_loss(network, target, batch, 1.0).detach(), expected)


def test_a_sample_of_last_decisions_has_no_successors():
    torch.manual_seed(0)
    network = RevivedNetwork(width=16, heads=2)
    batch = chain([-1.0, -2.0], n_steps=5)
    assert not len(batch.followed)
    assert torch.isfinite(td_loss(network, network, batch, 1.0))


def test_gradients_flow_into_the_path():
    torch.manual_seed(0)
    network = RevivedNetwork(width=16, heads=2)
    td_loss(network, copy.deepcopy(network), chain([-1.0, -2.0, -4.0], 1), 1.0).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def logged(**changes):
    numbers = []
    agent = train(RevivedConfig(**{**SMALL, **changes}), numbers.append)
    return agent, numbers


def same(first, second):
    pairs = zip(first.network.parameters(), second.network.parameters(), strict=True)
    return all(torch.equal(one, two) for one, two in pairs)


def test_training_is_deterministic_for_a_seed():
    redistribution = {"mode": "softmax", "score": "info:dual_gain", "sign": "blame"}
    first, numbers = logged(redistribution=redistribution)
    second, again = logged(redistribution=redistribution)
    other, _ = logged(redistribution=redistribution, seed=1)
    np.testing.assert_equal(numbers, again)
    assert same(first, second)
    assert not same(first, other)
    assert numbers[-1]["gradient_steps"] > 5
    assert numbers[-1]["decisions"] >= 150


@pytest.mark.parametrize(
    "changes", [{"history": False}, {"redistribution": {"mode": "uniform"}}, {"targets": "steps"}]
)
def test_ablations_train_another_agent(changes):
    agent, numbers = logged(**changes)
    assert not same(agent, logged()[0]) if "history" not in changes else not agent.network.history
    assert np.isfinite(numbers[-1]["loss"])


def test_what_is_logged_is_the_raw_return():
    _, numbers = logged(redistribution={"mode": "uniform"})
    for episode in numbers:
        assert episode["episode_return"] == 1 - episode["episode_nodes"]


def stored_rewards(**changes):
    """Return the rewards that the memory holds of one search, and its nodes."""
    learner = learning._Learner(RevivedConfig(**{**SMALL, "n_steps": 1, **changes}))
    env = MilpBranching(family="micro", observation="graph", reward="tree_size")
    learner.play(env, 0)
    nodes = env.last_episode.result.nodes
    env.close()
    assert learner.replay.trajectories == 1
    return learner.replay.sample(learner.rng, 1, 1000).reward.double(), nodes


@pytest.mark.parametrize(("targets", "root"), [("tree", 0), ("steps", 1)])
def test_rewards_are_stored_as_they_were_paid(targets, root):
    raw, nodes = stored_rewards(targets=targets)
    spread, _ = stored_rewards(targets=targets, redistribution={"mode": "uniform"})
    torch.testing.assert_close(spread, torch.full_like(raw, float(raw.mean())))
    assert float(raw.sum()) == root - nodes
    if targets == "tree":
        assert (raw <= -1).all()
    else:
        assert (raw[:-1] == 0).all()


@pytest.mark.parametrize("targets", ["tree", "steps"])
def test_it_learns_which_candidate_is_better(targets):
    """The column that has the feature 0 costs 1, the others cost 50; the network shall find it."""
    rng = np.random.default_rng(0)
    quick = {"targets": targets, "n_steps": 1, "learning_rate": 3e-3, "target_every": 10}
    learner = learning._Learner(RevivedConfig(**{**SMALL, **quick}))
    structure = graph(rng).structure
    for _ in range(30):
        graphs = []
        for _ in range(4):
            own = graph(rng, structure=structure)
            own.columns[:, 0] = -1.0
            own.columns[own.candidates[rng.integers(3)], 0] = 1.0
            graphs.append(own)
        action = rng.integers(3, size=4)
        good = [g.columns[g.candidates[a], 0] > 0 for g, a in zip(graphs, action, strict=True)]
        reward = np.where(good, -1.0, -50.0)
        node = [1, 2, 3, 4]
        learner.replay.add(
            trajectory(rng, node, [0, 1, 2, 3], reward=reward, graphs=graphs, action=action)
        )
    for _ in range(150):
        learner.learn()
    batch = learner.replay.sample(rng, 30, 4)
    window = batch.successors
    with torch.no_grad():
        encoded = learner.network.encode(batch.graphs)
        steps = window.steps(learner.network.summarize(encoded, batch.chosen), batch.depth)
        values = learner.network.values(encoded, window.asked, learner.network.context(steps))
    chosen = batch.graphs.positions[window.asked.candidates]
    good = batch.graphs.columns[chosen, 0].reshape(-1, 3).argmax(1)
    found = values.reshape(-1, 3).argmax(1)
    assert (good == found).float().mean() > 0.9


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"decisions": 0}, "decisions"),
        ({"gamma": 1.5}, "gamma"),
        ({"targets": "trees"}, "tree"),
        ({"epsilon": (2.0, 0.1)}, "epsilon"),
        ({"width": 10, "heads": 4}, "heads"),
        ({"world_kwargs": {"observation": "graph"}}, "observation"),
        ({"world_kwargs": {"reward": "nodes"}}, "reward"),
        ({"device": "abacus"}, "abacus"),
        ({"minutes": 0.0}, "minutes"),
    ],
)
def test_bad_numbers_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        RevivedConfig(**arguments)


def test_exploration_falls_in_a_straight_line():
    config = RevivedConfig(exploration=100, epsilon=(1.0, 0.2))
    assert [config.explores(n) for n in (0, 50, 100, 1000)] == pytest.approx([1, 0.6, 0.2, 0.2])
