"""ICM, NGU and E3B: numbers by hand, episodic memories, learned embeddings."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rewardloom.rewards import E3BDesign, ICMDesign, NGUDesign, StepBatch
from rewardloom.rewards.novelty import NoveltyLearning
from rewardloom.rewards.novelty.dynamics import Curiosity, InverseDynamics, categorical_sizes
from rewardloom.rewards.novelty.episodic import EllipticalMemory, NearestMemory

SMALL = {"hidden": [8], "features": 4, "train_every": 16, "batch_size": 8, "warmup_steps": 0}


def step_batch(obs, action, next_obs, *, terminated=None, truncated=None):
    n = len(next_obs)
    never = np.zeros(n, bool)
    return StepBatch(
        np.zeros(n),
        np.zeros((n, 0)),
        never if terminated is None else np.asarray(terminated),
        never if truncated is None else np.asarray(truncated),
        ~never,
        never,
        obs=np.asarray(obs, np.float32),
        action=np.asarray(action, np.float32),
        next_obs=np.asarray(next_obs, np.float32),
    )


def moves(ticks, slots, encode, count, seed=0, noise=0.1):
    """Return ticks in which the action moves the state, beside a coordinate that is noise."""
    rng = np.random.default_rng(seed)
    states = rng.normal(size=(slots, 3))
    batches = []
    for _ in range(ticks):
        choice = rng.integers(0, count, slots)
        angle = 2 * np.pi * choice / count
        after = states + noise * rng.normal(size=states.shape)
        after[:, :2] += np.stack([np.cos(angle), np.sin(angle)], 1)
        after[:, 2] = rng.normal(size=slots)
        after *= 0.9
        batches.append(step_batch(states, encode(choice, angle, count), after))
        states = after
    return batches


def discrete(choice, angle, count):
    return np.eye(count)[choice]


def multi_discrete(choice, angle, count):
    return np.hstack([np.eye(2)[choice // 3], np.eye(3)[choice % 3]])


def box(choice, angle, count):
    return np.stack([np.cos(angle), np.sin(angle)], 1)


def network(kind, widths, **settings):
    return kind(widths, NoveltyLearning(**{**SMALL, **settings}))


# --- actions


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.integers(0, 99))
def test_choices_are_found_in_flat_actions(sizes, seed):
    if sum(sizes) < 2:
        return
    rng = np.random.default_rng(seed)
    rows = [np.hstack([np.eye(n)[rng.integers(n)] for n in sizes]) for _ in range(200)]
    assert categorical_sizes(torch.tensor(np.array(rows))) == tuple(sizes)


@pytest.mark.parametrize(
    ("rows", "sizes"),
    [
        ([[0.5, 0.5], [1, 0]], ()),  # continuous
        ([[1, 0, 1], [1, 0, 0]], ()),  # MultiBinary: not always as many ones
        ([[1, 1, 0], [0, 1, 1]], ()),  # as many, but not one in each choice
        ([[0, 0], [0, 0]], ()),
        ([[1], [1]], ()),  # one column tells nothing
        ([[1, 0, 0], [0, 1, 0]], (3,)),  # an action that was not used yet
        ([[1, 0, 0, 1], [0, 1, 0, 1]], (3, 1)),  # counts to the choice before it
    ],
)
def test_choices_by_hand(rows, sizes):
    assert categorical_sizes(torch.tensor(rows, dtype=torch.float32)) == sizes


@pytest.mark.parametrize(
    ("sizes", "loss"),
    [
        ((), lambda told, action: ((told - action) ** 2).sum(1).mean()),
        ((4,), lambda told, action: torch.nn.functional.cross_entropy(told, action)),
        (
            (1, 3),
            lambda told, action: torch.nn.functional.cross_entropy(told[:, 1:], action[:, 1:]),
        ),
        (
            (2, 2),
            lambda told, action: (
                torch.nn.functional.cross_entropy(told[:, :2], action[:, :2])
                + torch.nn.functional.cross_entropy(told[:, 2:], action[:, 2:])
            ),
        ),
    ],
)
def test_the_loss_of_telling_actions(sizes, loss):
    net = network(InverseDynamics, {"obs": 3, "action": 4, "next_obs": 3})
    net.set_extra_state(sizes)
    before, after = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(0))
    action = torch.eye(4)[[0, 1, 2, 3, 1, 2]]
    with torch.inference_mode():
        told = net.head(torch.cat([before, after], 1))
        expected = float(loss(told, action))
        assert float(net.action_loss(before, after, action)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("encode", "sizes"), [(discrete, (6,)), (multi_discrete, (2, 3)), (box, ())]
)
@pytest.mark.parametrize("design", [ICMDesign, NGUDesign, E3BDesign])
def test_embeddings_learn_to_tell_actions_of_every_kind(design, encode, sizes):
    learner = design(
        learning={
            "train_every": 64,
            "batch_size": 32,
            "epochs": 4,
            "warmup_steps": 64,
            "learning_rate": 3e-3,
        }
    )
    learner.bind((), 16)
    batches = moves(120, 16, encode, 6)
    losses = []
    for batch in batches:
        learner.step(batch)
        losses.append(learner.diagnostics().get("loss", np.nan))
    assert losses[-1] < 0.6 * losses[8]
    state = learner.state_dict()["learner"]["network"]
    assert [v for key, v in state.items() if key.endswith("_extra_state")] == [sizes]
    net = learner._learner._network  # the embedding itself is no part of the interface
    inverse = net if isinstance(net, InverseDynamics) else net.inverse
    parts = learner._learner._tensors(
        {
            part: np.concatenate([getattr(batch, part) for batch in batches[-20:]])
            for part in ("obs", "action", "next_obs")
        }
    )
    with torch.inference_mode():
        told = inverse.head(
            torch.cat([inverse.encoder(parts["obs"]), inverse.encoder(parts["next_obs"])], 1)
        )
    if sizes:
        firsts = sizes[0]
        right = told[:, :firsts].argmax(1) == parts["action"][:, :firsts].argmax(1)
        assert float(right.float().mean()) > 0.8
    else:
        assert float((told - parts["action"]).square().mean()) < 0.1  # 0.5 untrained


# --- ICM


def test_the_bonus_of_icm_is_half_the_squared_error_times_eta():
    one, other = (ICMDesign(eta=eta, normalize=False, learning=SMALL) for eta in (1.0, 3.0))
    batch = moves(1, 5, discrete, 4)[0]
    for design in (one, other):
        design.bind((), 5)
    paid = one.step(batch)
    assert other.step(batch) == pytest.approx(3.0 * paid)
    net = one._learner._network
    parts = one._learner._tensors({p: getattr(batch, p) for p in ("obs", "action", "next_obs")})
    with torch.inference_mode():
        before, after = (net.inverse.encoder(parts[p]) for p in ("obs", "next_obs"))
        told = net.forward_model(torch.cat([before, parts["action"]], 1))
    assert paid == pytest.approx(0.5 * ((told - after) ** 2).sum(1).numpy(), rel=1e-5)


@pytest.mark.parametrize("beta", [0.0, 0.2, 1.0])
def test_beta_weighs_the_losses_of_icm(beta):
    widths = {"obs": 3, "action": 4, "next_obs": 3}
    net = Curiosity(widths, NoveltyLearning(**SMALL), beta)
    batch = moves(1, 8, discrete, 4)[0]
    parts = {p: torch.from_numpy(getattr(batch, p)) for p in widths}
    net.prepare(parts)
    with torch.inference_mode():
        inverse, forward = float(net.inverse.loss(parts)), float(net.measure(parts).mean())
        assert float(net.loss(parts)) == pytest.approx(
            (1 - beta) * inverse + beta * forward, rel=1e-5
        )


def test_icm_pays_less_for_what_it_has_learned_to_predict():
    design = ICMDesign(
        learning={"train_every": 64, "batch_size": 32, "warmup_steps": 64, "learning_rate": 3e-3}
    )
    design.bind((), 16)
    raw = []
    for batch in moves(150, 16, discrete, 4, noise=0.0):
        design.step(batch)
        raw.append(design.summary()["raw"].mean())
    assert np.mean(raw[-20:]) < 0.5 * np.mean(raw[5:20])
    design.update_model = False
    known = moves(1, 16, discrete, 4, seed=1, noise=0.0)[0]
    strange = known._replace(next_obs=known.next_obs + np.float32([3, -3, 0]))
    pays = []
    for batch in (known, strange):
        design.step(batch)
        pays.append(design.summary()["raw"].mean())
    assert pays[1] > 2 * pays[0]


# --- NGU


class Told(NGUDesign):
    """Finds embeddings and errors as it is told."""

    embeddings: np.ndarray
    errors: np.ndarray

    def tell(self, embeddings, errors, origin=(0.0, 0.0, 0.0, 0.0)):
        rows = np.hstack([embeddings, np.reshape(errors, (-1, 1))])
        start = np.tile([*origin, 0.0], (len(rows), 1))
        self._learner.ask = lambda asked: np.vstack([rows, start])[: len(asked["next_obs"])]


def test_the_episodic_part_of_ngu_by_hand():
    """A neighbor alone counts twice; d_m^2 is the mean of 4 and later of the mean of 1 and 5."""
    design = Told(
        neighbors=2,
        kernel_epsilon=0.1,
        cluster_distance=0.2,
        normalize=False,
        pseudo_count=0.01,
        learning=SMALL,
    )
    design.bind((), 1)
    batch = step_batch(np.zeros((1, 1)), np.ones((1, 1)), np.zeros((1, 1)))
    design.tell([[2.0, 0, 0, 0]], [0.0])
    design.step(batch)  # one neighbor, the state at reset, at 4: d_m^2 = 4
    kernel = 0.1 / (1.0 - 0.2 + 0.1)
    assert design.summary()["episodic"][0] == pytest.approx(1 / (np.sqrt(2 * kernel) + 0.01))
    design.tell([[0.0, 1.0, 0, 0]], [0.0])
    design.step(batch)  # neighbors at 1 and 5
    old, new = 0.0001 * 0.9999**2, 1 - 0.9999**2
    middle = (old * 4.0 + new * 3.0) / (old + new)
    near, far = (0.1 / (max(d / middle - 0.2, 0.0) + 0.1) for d in (1.0, 5.0))
    assert near < 1.0  # beyond the cluster
    expected = 1 / (np.sqrt(near + far) + 0.01)
    assert design.summary()["episodic"][0] == pytest.approx(expected, rel=1e-6)


def test_similar_states_count_as_equal_and_above_the_maximum_nothing_is_paid():
    batch = step_batch(np.zeros((1, 1)), np.ones((1, 1)), np.zeros((1, 1)))
    for maximum, expected in ((8.0, 1 / (np.sqrt(10.0) + 1e-3)), (3.0, 0.0)):
        design = Told(max_similarity=maximum, normalize=False, learning=SMALL)
        design.bind((), 1)
        for _ in range(3):
            design.tell([[0.0, 0, 0, 0]], [0.0])
            design.step(batch)
        assert design.summary()["episodic"][0] == pytest.approx(expected)


def test_the_life_long_part_of_ngu_by_hand():
    """alpha = 1 + (g - mean) / deviation of all errors so far, between 1 and L."""
    design = Told(max_lifelong=1.5, normalize=False, learning=SMALL)
    design.bind((), 4)
    four = np.zeros((4, 1))
    batch = step_batch(four, np.ones((4, 1)), four)
    errors = np.array([1.0, 3.0, 3.0, 5.0])
    design.tell(np.zeros((4, 4)), errors)
    design.step(batch)
    order = np.argsort(design.summary()["lifelong"])  # slots are asked in an order of their own
    alpha = 1 + (errors - 3.0) / np.std(errors)
    assert design.summary()["lifelong"][order] == pytest.approx(np.clip(alpha, 1.0, 1.5))
    assert design.summary()["lifelong"].max() == 1.5
    raw, episodic, lifelong = (design.summary()[k] for k in ("raw", "episodic", "lifelong"))
    assert raw == pytest.approx(episodic * lifelong)


def test_the_life_long_part_still_tells_new_states_when_errors_have_fallen():
    """Against the plain mean of all errors, 21, nothing of today would ever be new."""
    design = Told(learning={**SMALL, "warmup_steps": 10**9})
    slots = 400
    design.bind((), slots)
    rows = np.zeros((slots, 1))
    batch = step_batch(rows, np.ones((slots, 1)), rows, terminated=np.ones(slots, bool))
    for level, ticks in ((100.0, 25), (1.0, 100)):
        for _ in range(ticks):
            design.tell(np.zeros((slots, 4)), level * np.tile([0.9, 1.1], slots // 2))
            design.step(batch)
    design.tell(np.zeros((slots, 4)), np.full(slots, 12.0))
    design.update_model = False
    design.step(batch)
    assert (design.summary()["lifelong"] > 1.3).all()


def test_the_life_long_part_works():
    """Known implementations clip it at 1 after scaling errors to [0, 1]: it changed nothing."""
    learning = {"train_every": 64, "batch_size": 32, "warmup_steps": 64}
    full, without = (
        NGUDesign(max_lifelong=limit, normalize=False, learning=learning) for limit in (5.0, 1.0)
    )
    rng = np.random.default_rng(0)

    def ticks(count, center):
        for _ in range(count):
            before, after = rng.normal(center, 0.3, (2, 8, 3))
            yield step_batch(before, np.eye(2)[rng.integers(0, 2, 8)], after)

    here, there = list(ticks(300, 1.0)), list(ticks(20, -1.0))
    for design in (full, without):
        design.bind((), 8)
        for batch in here:
            design.step(batch)
        design.update_model = False
    factors, paid = {}, {}
    for place, batches in (("here", here[-20:]), ("there", there)):
        paid[place] = [np.mean([d.step(b) for b in batches]) for d in (full, without)]
        factors[place] = np.mean([(full.step(b), full.summary()["lifelong"])[1] for b in batches])
    assert factors["here"] < 1.2
    assert factors["there"] > 1.5
    assert paid["there"][0] > 1.5 * paid["there"][1]


# --- episodes


@pytest.mark.parametrize("design", [NGUDesign, E3BDesign])
def test_a_state_is_less_new_the_second_time_in_an_episode_and_new_in_the_next(design):
    """Also when a limit ends it, and when the plug restarts the slot."""
    learned = design(normalize=False, learning={**SMALL, "warmup_steps": 10})
    learned.bind((), 2)
    for batch in moves(40, 2, discrete, 4):
        learned.step(batch)
    learned.update_model = False
    learned.begin(np.ones(2, bool))
    rng = np.random.default_rng(5)
    states = rng.normal(size=(6, 2, 3))
    action = np.eye(4)[[0, 1]]

    def walked(**ends):
        paid = []
        for t in range(5):
            flags = ends if t == 4 else {}
            paid.append(learned.step(step_batch(states[t], action, states[t + 1], **flags)))
        return np.array(paid)

    first = walked(terminated=[True, False], truncated=[False, True])
    again = walked()
    assert again == pytest.approx(first, rel=1e-6)
    assert (walked() < 0.9 * first).all()  # the episode went on
    learned.begin(np.array([True, False]))
    third = walked()
    assert third[:, 0] == pytest.approx(first[:, 0], rel=1e-6)
    assert (third[:, 1] < 0.9 * first[:, 1]).all()


def test_the_elliptical_bonus_is_that_of_the_direct_inverse():
    """300 steps of 3 slots of which one restarts and one idles now and then."""
    rng = np.random.default_rng(0)
    memory = EllipticalMemory(3, 8, 0.1)
    sums = np.tile(0.1 * np.eye(8), (3, 1, 1))
    for t in range(300):
        slots = np.array([0, 1, 2] if t % 7 else [2, 0])
        phi = rng.normal(size=(len(slots), 8)) * rng.uniform(0.1, 3.0)
        expected = [p @ np.linalg.inv(sums[s]) @ p for s, p in zip(slots, phi, strict=True)]
        assert memory.add(slots, phi) == pytest.approx(expected, rel=1e-8)
        for s, p in zip(slots, phi, strict=True):
            sums[s] += np.outer(p, p)
        if t % 50 == 49:
            memory.clear(np.array([False, True, False]))
            sums[1] = 0.1 * np.eye(8)
            assert memory.empty.tolist() == [False, True, False]


def test_the_first_elliptical_bonus_by_hand():
    """|phi|^2 / ridge; then phi^2 / (phi^2 + ridge) for the same phi."""
    memory = EllipticalMemory(1, 2, 0.5)
    slot = np.array([0])
    assert memory.add(slot, np.array([[3.0, 4.0]])).tolist() == pytest.approx([50.0])
    assert memory.add(slot, np.array([[3.0, 4.0]])).tolist() == pytest.approx([25.0 / 25.5])


def test_the_state_at_reset_is_part_of_the_episode():
    """A step that stays where the episode began is not new, though it is the first."""
    for design in (
        E3BDesign(normalize=False, learning=SMALL),
        NGUDesign(normalize=False, learning=SMALL),
    ):
        design.bind((), 2)
        obs = np.array([[1.0, 2.0], [-1.0, 0.5]])
        stays = np.stack([obs[0], obs[1] + [3.0, -2.0]])
        paid = design.step(step_batch(obs, np.eye(2), stays))
        assert paid[0] < 0.5 * paid[1]


@pytest.mark.parametrize("size", [20, 500])
def test_nearest_embeddings_are_those_of_a_plain_search(size):
    """Through growth, a full memory that drops its oldest, restarts, and a far common offset."""
    rng = np.random.default_rng(0)
    memory = NearestMemory(3, 5, size)
    held = [[], [], []]
    for t in range(200):
        slots = np.array([0, 1, 2] if t % 5 else [1, 2])
        rows = 1e3 + rng.normal(size=(len(slots), 5))
        if all(held[s] for s in slots):
            found = np.sort(memory.nearest(slots, rows, 4), 1)
            for s, row, squares in zip(slots, rows, found, strict=True):
                plain = np.sort(((np.array(held[s][-size:]) - row) ** 2).sum(1))[:4]
                plain = np.concatenate([plain, np.full(4 - len(plain), np.inf)])
                assert squares == pytest.approx(plain, rel=1e-4, abs=1e-4)
        memory.add(slots, rows)
        for s, row in zip(slots, rows, strict=True):
            held[s].append(row)
        if t % 90 == 89:
            memory.clear(np.array([False, False, True]))
            held[2] = []
        assert memory.counts.tolist() == [min(len(h), size) for h in held]


def test_memory_stays_bounded():
    design = NGUDesign(neighbors=3, memory_size=20, learning=SMALL)
    design.bind((), 2)
    for batch in moves(60, 2, discrete, 4):
        design.step(batch)
    assert design._memory.counts.tolist() == [20, 20]
    assert design._memory._rows.shape == (2, 20, 4)
