"""The properties of whole requests: random providers, keys and clients, in virtual time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from hypothesis import strategies as st

from ollama_proxy.consequences import CONSEQUENCES, Blame
from ollama_proxy.outcome import OK, Kind, Outcome, Scope
from ollama_proxy.plan import Reason
from ollama_proxy.pool import PoolRules
from tests.support.pool_world import START, Answer, Place, Upstream, World, by_key, make_pool

SMALL = 1e-6
#: The least hint among the outcomes below.
SHORTEST_REST = 0.5
KEY_FAULTS = (Kind.CREDENTIAL, Kind.QUOTA, Kind.DAILY, Kind.RATE, Kind.MODEL_ACCESS)
kinds = st.sampled_from([kind for kind in Kind if kind is not Kind.CANCELLED] + [Kind.OK, Kind.TRANSIENT] * 3)
outcomes = st.builds(Outcome, kind=kinds, wait_s=st.sampled_from((None, None, None, 0.5, 4.0, 30.0, 7200.0))).map(
    lambda outcome: outcome if outcome.kind is not Kind.OK else OK
)
LABELS = [f"p#{i}" for i in range(1, 11)]


@dataclass
class Client:
    """One request of a script."""

    gap_s: float
    patience_s: float
    sdk_retry: bool
    commits: bool


@dataclass
class Script:
    """Two providers with their keys, how each answers its calls in turn, a chain over them, and who comes."""

    keys: tuple[int, int]
    turns: tuple[list[Outcome], list[Outcome]]
    bad_keys: dict[str, Outcome]
    chain: list[tuple[int, str]]
    clients: list[Client]
    seconds: float
    seed: int


clients = st.builds(
    Client,
    gap_s=st.sampled_from((0.0, 0.0, 0.05, 1.0, 20.0)),
    patience_s=st.sampled_from((600.0, 600.0, 0.5, 2.0, 4.0)),
    sdk_retry=st.sampled_from((False, False, True)),
    commits=st.sampled_from((False, False, False, True)),
)
scripts = st.builds(
    Script,
    keys=st.tuples(st.sampled_from((1, 2, 4, 10)), st.integers(1, 3)),
    turns=st.tuples(st.lists(outcomes, min_size=1, max_size=4), st.lists(outcomes, min_size=1, max_size=3)),
    bad_keys=st.one_of(
        st.just({}),
        st.dictionaries(st.sampled_from(LABELS), outcomes, max_size=10),
        outcomes.map(lambda outcome: dict.fromkeys(LABELS, outcome)),
    ),
    chain=st.lists(st.tuples(st.integers(0, 1), st.sampled_from(("m", "n"))), min_size=1, max_size=3, unique=True),
    clients=st.lists(clients, min_size=1, max_size=6).map(lambda few: few * 12),
    seconds=st.sampled_from((0.0, 0.1, 1.5)),
    seed=st.integers(0, 3),
)


def round_and_round(turns: Sequence[Outcome], bad_keys: dict[str, Outcome], seconds: float) -> Upstream:
    """A provider that answers its calls in turn for ever, but for some keys always the same."""
    calls = [0]

    def upstream(key: str, model: str, now: float) -> tuple[Outcome, float]:
        calls[0] += 1
        return bad_keys.get(key) or turns[calls[0] % len(turns)], seconds

    return upstream


def check_script(script: Script) -> None:
    """Plays a script and checks what must hold for each request and for each provider's budget."""
    rules = PoolRules(rate_scope=Scope.KEY_MODEL, daily_scope=Scope.KEY_MODEL)
    names = ("p", "q")
    pools = [make_pool(count, rules, name) for count, name in zip(script.keys, names, strict=True)]
    ups = [round_and_round(turns, script.bad_keys, script.seconds) for turns in script.turns]
    chain = [Place(pools[i], ups[i], model, name=names[i]) for i, model in script.chain]
    world = World(seed=script.seed)
    at = START
    for client in script.clients:
        at += client.gap_s
        world.ask(*chain, at=at, patience_s=client.patience_s, sdk_retry=client.sdk_retry, commits=client.commits)
    world.run()
    assert len(world.answers) == len(script.clients)
    for answer in world.answers:
        check_answer(answer, script.clients[answer.request - 1], len(chain))
    for name in names:
        check_budget(world, name)
    assert all(view.in_flight == 0 for pool in pools for view in pool.snapshot(world.now))


def check_answer(answer: Answer, client: Client, targets: int) -> None:
    """I11, I13, I14, I17 and P4 for one request."""
    deadline = answer.began + client.patience_s
    for target in range(targets):
        here = [a for a in answer.attempts if a.target == target]
        assert len(here) <= 8
        faults = [a for a in here if CONSEQUENCES[a.kind].blames is Blame.PROVIDER]
        assert len(faults) <= (1 if client.sdk_retry else 4)
    assert len(answer.attempts) <= 10
    assert all(until <= deadline - 1 for _, until in answer.waits)
    assert all(attempt.at <= deadline - 1 for attempt in answer.attempts)
    if client.commits:
        assert len(answer.attempts) <= 1
    check_keys(answer, targets)
    check_fail(answer, client)


def check_keys(answer: Answer, targets: int) -> None:
    """No key twice after a fault of its own; but one that was merely too fast once more, at the last target only."""
    for target, key in {(a.target, a.key) for a in answer.attempts}:
        mine = [a for a in answer.attempts if (a.target, a.key) == (target, key)]
        assert sum(CONSEQUENCES[a.kind].blames is Blame.KEY for a in mine) <= 2
        for before, after in pairwise(mine):
            if CONSEQUENCES[before.kind].blames is Blame.KEY:
                assert before.kind is Kind.RATE
                assert target == targets - 1
                assert after.at >= before.at + SHORTEST_REST


def check_fail(answer: Answer, client: Client) -> None:
    """What a client is told is honest."""
    fail = answer.fail
    if fail is None:
        return
    if fail.reason in (Reason.RESTING, Reason.ILL):
        assert fail.retry_after_s is not None
        assert fail.retry_after_s >= 1
        assert fail.hopeless is (fail.retry_after_s > 62) or 60 < fail.retry_after_s <= 63
    if fail.reason is Reason.REFUSED:
        assert fail.hopeless
        assert fail.retry_after_s is None
    if fail.reason is Reason.TOO_LATE:
        assert answer.ended > answer.began + client.patience_s - 1
    if fail.outcome is not None and fail.outcome.kind is Kind.CALLER and not client.commits:
        assert answer.attempts[-1].kind is Kind.CALLER


def check_budget(world: World, provider: str) -> None:
    """I12, P3: what the budget promises about all requests together."""
    attempts = [a for a in world.attempts if a.provider == provider]
    if not attempts:
        return
    requests = len(world.answers)
    seconds = world.now - START
    tokens = 10 + 0.2 * requests + 0.1 * seconds + SMALL
    repeats = 0
    for answer in world.answers:
        mine = [a for a in answer.attempts if a.provider == provider]
        repeats += sum(CONSEQUENCES[a.kind].blames is Blame.PROVIDER for a in mine[:-1])
    assert repeats * 1.0 <= tokens
    further = len(attempts) - len({a.request for a in attempts})
    assert further * 0.2 <= tokens


def check_one_good_key(count: int, good: int, faults: Sequence[Outcome], requests: int, seed: int) -> None:
    """P1, I11: with one good key among at most eight, request after request is served."""
    pool, world = make_pool(count, PoolRules(rate_scope=Scope.KEY_MODEL)), World(seed=seed)
    labels = [f"p#{i + 1}" for i in range(count)]
    bad = {label: faults[i % len(faults)] for i, label in enumerate(labels) if i != good % count}
    place = Place(pool, by_key(bad, seconds=0.1))
    for _ in range(requests):
        assert world.one(place).served


def check_honest_wait(hints: Sequence[float], seed: int) -> None:
    """I17: Retry-After is at least 1 and at least the true soonest, and little more; who obeys it is served."""
    pool, world = make_pool(len(hints)), World(seed=seed)
    limits = {f"p#{i + 1}": Outcome(Kind.RATE, wait_s=hint) for i, hint in enumerate(hints)}
    answer = world.one(Place(pool, by_key(limits, seconds=0.0)))
    assert answer.fail is not None
    assert answer.fail.retry_after_s is not None
    assert answer.honest_s is not None
    assert max(1, answer.honest_s) <= answer.fail.retry_after_s <= max(1, answer.honest_s + 3)
    assert answer.fail.hopeless is (answer.honest_s > 60)
    world.now += answer.fail.retry_after_s
    assert world.one(Place(pool, by_key({}))).served
