"""The properties of the key pool, checked over random calls, outcomes and times by a second opinion.

The machine keeps its own small books (when may a scope be asked again at the earliest, how many calls may it have under
way) from nothing but the outcomes that it hands in, and compares them with what the pool lets happen. It uses the
pool's public face only, so that a planted bug anywhere below can be seen from here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ollama_proxy.outcome import CANCELLED, OK, Allowance, Kind, Outcome, Scope, Span
from ollama_proxy.pool import KeyPool, KeyView, Lease, PoolRules, Rest, State, merge_facts
from ollama_proxy.types import KeyLimit
from tests.support.pool_world import START, secrets

MODELS = ("flash", "pro", "free")
GROUPS = {"free": "g"}
HINTS = (None, None, None, 0.01, 3.0, 40.0, 3600.0, 2e5, 3e6, 1e12, math.nan, -1.0, math.inf)
STEPS = (0.0, 0.01, 0.3, 1.0, 3.0, 16.0, 31.0, 61.0, 301.0, 3700.0, 90000.0)
DAY, MONTH = 26 * 3600.0, 32 * 86400.0
SOON = 1e-6
WALL = 1.7e9
#: Rests that nobody gave a time for are at least this long.
LEAST = {
    Kind.CREDENTIAL: 30.0,
    Kind.QUOTA: 3600.0,
    Kind.DAILY: 3600.0,
    Kind.RATE: 1.0,
    Kind.MODEL_ACCESS: 3600.0,
    Kind.MODEL_GONE: 86400.0,
    Kind.CAPACITY: 1.0,
}
STUMBLES = (Kind.TRANSIENT, Kind.JUNK)
#: What the operator says of limits; without a limit, mostly.
NO_LIMITS: tuple[KeyLimit, ...] = ()
LIMITS = (
    NO_LIMITS,
    NO_LIMITS,
    (KeyLimit("*", per_minute=2),),
    (KeyLimit("*", per_day=3),),
    (KeyLimit("f*", per_minute=1, per_day=4), KeyLimit("*", per_minute=3)),
)
#: Seconds from one moment of the machine's clock to the end of the provider's day; None: nobody knows.
CALENDARS = (None, 0.0, 5000.0)
#: A limit that the provider tells of, in whatever it says.
TOLD = (None, None, 1, 2, 4)
rnds = st.sampled_from((0.0, 0.37, 0.999))
kinds = st.sampled_from([*Kind, Kind.OK, Kind.OK, Kind.CANCELLED, Kind.TRANSIENT, Kind.CREDENTIAL, Kind.RATE])
troubles = st.sampled_from([*Kind] + [Kind.CREDENTIAL, Kind.RATE, Kind.CALLER] * 3)


@dataclass
class Watch:
    """What the second opinion knows of one scope."""

    not_before: float = -math.inf
    fallen: bool = False
    fell_after: int = 0
    allowed: float = math.inf

    def fall(self, seq: int, newest: int, not_before: float) -> None:
        if seq > self.fell_after or not self.fallen:
            self.fell_after = newest
        self.fallen, self.allowed = True, 1
        self.not_before = max(self.not_before, not_before)

    def succeed(self, seq: int, now: float) -> None:
        if seq <= self.fell_after or now < self.not_before:
            return
        self.allowed = 2 if self.fallen else self.allowed * 2
        self.fallen = False
        if self.allowed >= 16:
            self.allowed = math.inf


@dataclass
class Day:
    """A provider's day, as far as an account has called in it."""

    opened: float = -math.inf
    ends: float = -math.inf
    calls: int = 0


def told(kind: Kind, calls: int | None) -> Allowance | None:
    """What a provider says of its limit."""
    if calls is None or kind not in (Kind.OK, Kind.RATE, Kind.DAILY):
        return None
    return Allowance(calls, Span.DAY if kind is Kind.DAILY else Span.MINUTE, 0)


def believed(kind: Kind, hint: float | None) -> float | None:
    """The least wait that a hint asks for, or None where it is no hint."""
    if hint is None or not 0 < hint < math.inf:
        return None
    longest = MONTH if kind is Kind.DAILY and hint <= MONTH else DAY
    return min(max(hint, 0.25), longest)


def idle(views: dict[str, KeyView]) -> dict[str, KeyView]:
    """What is known of the keys, whatever is under way; a limit that was told may be tested again by the next call."""
    return {
        name: replace(view, in_flight=0, limits=tuple(limit for limit in view.limits if limit.by == "operator"))
        for name, view in views.items()
    }


def check_limits(view: KeyView, restored: KeyView) -> None:
    """What was counted under the operator's limits is known after a restart: no call fits earlier than before it."""
    again = {(limit.scope, limit.name, limit.span, limit.calls): limit for limit in restored.limits}
    for limit in view.limits:
        if limit.by == "operator":
            same = again.get((limit.scope, limit.name, limit.span, limit.calls))
            assert same is not None
            # Two keys made one account's may have called more than it may: how much more, is of no use.
            assert min(same.used, limit.calls) == min(limit.used, limit.calls)
            assert (same.until_s or 0) >= (limit.until_s or 0) - SOON


class PoolMachine(RuleBasedStateMachine):
    """One pool and its second opinion."""

    make: Callable[..., KeyPool] = KeyPool

    # --- the start ----------------------------------------------------------------------------------------------------

    @initialize(
        count=st.integers(1, 5),
        shared=st.booleans(),
        rate_scope=st.sampled_from((Scope.KEY, Scope.KEY_MODEL, Scope.KEY_GROUP)),
        daily_scope=st.sampled_from((Scope.KEY, Scope.KEY_MODEL, Scope.KEY_GROUP)),
        limit=st.sampled_from((None, None, None, 2)),
        limits=st.sampled_from(LIMITS),
        calendar=st.sampled_from(CALENDARS),
    )
    def begin(
        self,
        count: int,
        shared: bool,
        rate_scope: Scope,
        daily_scope: Scope,
        limit: int | None,
        limits: tuple[KeyLimit, ...],
        calendar: float | None,
    ) -> None:
        self.now = START
        self.limits = limits
        self.calendar = calendar
        self.minutes: dict[tuple[str, ...], list[tuple[float, int]]] = {}
        self.days: dict[tuple[str, ...], Day] = {}
        self.keys = secrets(count)
        self.next_key = count + 1
        self.accounts = {"p#1": "acc", "p#2": "acc"} if shared else {}
        self.rules_ = PoolRules(rate_scope=rate_scope, daily_scope=daily_scope, max_in_flight=limit)
        self.pool = self.fresh_pool()
        self.first_keys = list(self.keys)
        self.open: list[Lease] = []
        self.newest = 0
        self.watches: dict[tuple[str, ...], Watch] = {}
        self.failures = 0
        self.proven: set[str] = set()
        self.log: list[tuple[str, tuple[Any, ...], object]] = []
        self.old_facts = merge_facts()
        self.untils: dict[tuple[str, str, str], float] = {}
        self.somebody_looks_at_the_calendar()

    def fresh_pool(self) -> KeyPool:
        return self.make("p", list(self.keys), self.rules_, accounts=self.accounts, limits=self.limits)

    def scopes(self, lease: Lease) -> dict[Scope | None, tuple[str, ...]]:
        label, model, group = lease.key.label, lease.model, lease.group
        account = self.accounts.get(label, label)
        found: dict[Scope | None, tuple[str, ...]] = {
            None: ("credential", label),
            Scope.PROVIDER: ("p",),
            Scope.PROVIDER_MODEL: ("pm", model),
            Scope.KEY: ("k", account),
            Scope.KEY_MODEL: ("km", account, model),
        }
        found[Scope.KEY_GROUP] = ("kg", account, group) if group else found[Scope.KEY]
        return found

    # --- limits: the machine's own books ------------------------------------------------------------------------------

    def fitting(self, model: str) -> KeyLimit:
        found = (limit for limit in self.limits if limit.pattern in (model, "*", model[0] + "*"))
        return next(found, KeyLimit())

    def count(self, lease: Lease) -> None:
        """Never beyond the operator's limit within any minute, and within the provider's day."""
        scopes, limit = self.scopes(lease), self.fitting(lease.model)
        recent = self.minutes.setdefault(scopes[self.rules_.rate_scope], [])
        day = self.days.setdefault(scopes[self.rules_.daily_scope], Day())
        if self.now >= day.ends:
            day.opened, day.ends, day.calls = self.now, self.end_of_day(), 0
        in_a_minute = sum(at > self.now - 60 for at, _ in recent)
        assert limit.per_minute is None or in_a_minute < limit.per_minute, "too many calls in a minute"
        assert limit.per_day is None or day.calls < limit.per_day, "too many calls in a day"
        recent.append((self.now, lease.seq))
        day.calls += 1

    def end_of_day(self) -> float:
        if self.calendar is None:
            return self.now + 86400
        return START + self.calendar + 5 + 86400 * (1 + (self.now - START - self.calendar - 5) // 86400)

    def uncount(self, lease: Lease) -> None:
        """A call that was refused or failed is no call."""
        scopes = self.scopes(lease)
        recent = self.minutes[scopes[self.rules_.rate_scope]]
        for at, seq in [call for call in recent if call[1] == lease.seq]:
            recent.remove((at, seq))
            day = self.days[scopes[self.rules_.daily_scope]]
            day.calls -= at >= day.opened

    @rule()
    def somebody_looks_at_the_calendar(self) -> None:
        ends_in = None if self.calendar is None else 86400 - (self.now - START - self.calendar) % 86400
        self.pool.tick(self.now, ends_in)
        self.note("tick", (self.now, ends_in), None)

    def watch(self, name: tuple[str, ...]) -> Watch:
        return self.watches.setdefault(name, Watch())

    def views(self) -> dict[str, KeyView]:
        return {view.label: view for view in self.pool.snapshot(self.now)}

    # --- time ---------------------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from(STEPS))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: any(w.not_before > self.now for w in self.watches.values()))
    @rule(data=st.data(), share=st.sampled_from((0.5, 0.95, 0.999, 1.0, 1.1)))
    def time_passes_to_the_edge_of_a_rest(self, data: st.DataObject, share: float) -> None:
        edges = sorted({w.not_before for w in self.watches.values() if w.not_before > self.now})
        self.now += share * (data.draw(st.sampled_from(edges[:4])) - self.now)

    # --- calls --------------------------------------------------------------------------------------------------------

    @rule(model=st.sampled_from(MODELS), rnd=rnds, spared=st.sampled_from(((), (), (), ("p#1",), ("p#1", "p#2"))))
    def somebody_asks(self, model: str, rnd: float, spared: Collection[str]) -> None:
        self.acquire(model, rnd, spared)

    def acquire(self, model: str, rnd: float, spared: Collection[str] = ()) -> Lease | Rest:
        group = GROUPS.get(model)
        before = self.views()
        eligible = self.pool.eligible(model, group, self.now, spared)
        answer = self.pool.acquire(model, group, self.now, rnd, spared)
        self.note("acquire", (model, group, self.now, rnd, tuple(spared)), answer)
        if isinstance(answer, Rest):
            assert not eligible
            self.check_rest(answer, before, spared)
        else:
            self.newest = max(self.newest, answer.seq)
            self.check_choice(answer, before, eligible, spared)
            self.open.append(answer)
            self.count(answer)
        return answer

    def check_rest(self, answer: Rest, before: dict[str, KeyView], spared: Collection[str]) -> None:
        all_dead = all(view.state is State.DEAD for view in before.values())
        assert (answer.soonest is None) == all_dead  # I15: some key lives, so there is a moment
        assert answer.until is None or answer.until > self.now
        assert answer.soonest is None or answer.soonest >= self.now
        assert answer.soonest is None or answer.soonest <= self.now + MONTH + 1  # I5
        if not spared and answer.soonest is not None:
            assert answer.until is not None
            assert answer.soonest >= answer.until

    def check_choice(
        self, lease: Lease, before: dict[str, KeyView], eligible: list[str], spared: Collection[str]
    ) -> None:
        label = lease.key.label
        assert label in eligible
        assert label not in spared
        assert before[label].state is not State.DEAD  # I1
        assert before[label].in_flight == min(before[other].in_flight for other in eligible)  # I9
        for name in set(self.scopes(lease).values()):
            watch = self.watch(name)
            assert self.now >= watch.not_before - SOON, f"{name} was asked too early"  # I3, I4
            under_way = [o for o in (*self.open, lease) if name in self.scopes(o).values() and o.seq > watch.fell_after]
            assert len(under_way) <= watch.allowed, f"{name} has too many calls"  # I6 and the ramp

    def asked(self, question: str, model: str) -> Any:
        """What the pool answers; it shows the limits of what it was asked for, so the question is part of the story."""
        arguments = (model, GROUPS.get(model), self.now)
        answer = getattr(self.pool, question)(*arguments)
        self.note(question, arguments, answer)
        return answer

    def note(self, name: str, arguments: tuple[Any, ...], result: object) -> None:
        self.log.append((name, arguments, str(result)))

    @precondition(lambda self: self.open)
    @rule(data=st.data(), kind=kinds, hint=st.sampled_from(HINTS), calls=st.sampled_from(TOLD), rnd=rnds)
    def finish(self, data: st.DataObject, kind: Kind, hint: float | None, calls: int | None, rnd: float) -> None:
        # Mostly a call that was begun lately: those are the probes.
        place = data.draw(st.integers(0, len(self.open) - 1))
        hinted = None if kind is Kind.OK and hint != 3.0 else hint
        self.release(self.open[-1 - place], Outcome(kind, wait_s=hinted, allowance=told(kind, calls)), rnd)

    def release(self, lease: Lease, outcome: Outcome, rnd: float) -> None:
        before, whole = self.views(), self.pool.overview(self.now)
        confirmed = lease.confirmed
        self.open.remove(lease)
        self.pool.release(lease, outcome, self.now, rnd)
        self.note("release", (lease.seq, outcome, self.now, rnd), None)
        after = self.views()
        self.check_books(lease, outcome, before, after, whole)
        self.keep_books(lease, outcome, before, confirmed)
        self.note_pardons(before, after)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), rnd=rnds)
    def confirm(self, data: st.DataObject, rnd: float) -> None:
        lease = data.draw(st.sampled_from(self.open))
        before, confirmed = self.views(), lease.confirmed
        self.pool.confirm(lease, self.now, rnd)
        self.note("confirm", (lease.seq, self.now, rnd), None)
        if not confirmed:
            self.succeed(lease)
            self.proven.add(lease.key.label)
        self.note_pardons(before, self.views())

    # --- stories that chance alone would seldom tell ------------------------------------------------------------------

    @rule(
        model=st.sampled_from(MODELS),
        ends=st.lists(st.tuples(troubles, st.sampled_from(HINTS)), min_size=2, max_size=6),
        alike=st.booleans(),
        rnd=rnds,
    )
    def several_are_under_way_and_end_together(
        self, model: str, ends: list[tuple[Kind, float | None]], alike: bool, rnd: float
    ) -> None:
        leases = [lease for _ in ends if isinstance(lease := self.acquire(model, rnd), Lease)]
        for lease, (kind, hint) in zip(leases, ends, strict=False):
            kind = ends[0][0] if alike else kind
            self.release(lease, Outcome(kind, wait_s=None if kind is Kind.OK else hint), rnd)
            self.now += 1.1 if alike else 0.0
        self.acquire(model, rnd)

    @rule(
        model=st.sampled_from(MODELS),
        kind=st.sampled_from((Kind.CREDENTIAL, Kind.CREDENTIAL, Kind.TRANSIENT, Kind.RATE)),
        times=st.integers(2, 25),
        rnd=rnds,
    )
    def the_same_trouble_comes_back_each_time_somebody_asks(
        self, model: str, kind: Kind, times: int, rnd: float
    ) -> None:
        for _ in range(times):
            soonest = self.asked("outlook", model).soonest
            if soonest is None or soonest > self.now + 2000:
                break
            self.now = max(self.now, soonest)
            lease = self.acquire(model, rnd)
            if isinstance(lease, Lease):
                self.release(lease, Outcome(kind), rnd)
        self.acquire(model, rnd)

    @rule(model=st.sampled_from(MODELS), rnd=rnds)
    def one_succeeds_and_many_follow(self, model: str, rnd: float) -> None:
        soonest = self.asked("outlook", model).soonest
        if soonest is None:
            return
        self.now = max(self.now, soonest)
        lease = self.acquire(model, rnd)
        if isinstance(lease, Lease):
            self.release(lease, OK, rnd)
            for _ in range(4):
                self.acquire(model, rnd)

    # --- the second opinion -------------------------------------------------------------------------------------------

    def check_books(
        self, lease: Lease, outcome: Outcome, before: dict[str, KeyView], after: dict[str, KeyView], whole: object
    ) -> None:
        label, kind = lease.key.label, outcome.kind
        if kind is Kind.CANCELLED:  # I7
            assert idle(before) == idle(after)
            assert whole == self.pool.overview(self.now)
        if label not in before:
            return
        struck = after[label].strikes - before[label].strikes
        if kind is Kind.CALLER:  # I8
            assert struck <= 0
            assert {(r.scope, r.name) for r in after[label].rests} <= {(r.scope, r.name) for r in before[label].rests}
            assert (after[label].until_s or 0) <= (before[label].until_s or 0)
        fresh = lease.seq > self.watch(("credential", label)).fell_after
        assert struck <= (kind is Kind.CREDENTIAL and fresh), "one burst of refusals is one strike"

    def keep_books(self, lease: Lease, outcome: Outcome, before: dict[str, KeyView], confirmed: bool) -> None:
        kind, label = outcome.kind, lease.key.label
        wait = believed(kind, outcome.wait_s)
        if kind is Kind.CANCELLED:
            return
        if kind not in (Kind.OK, Kind.CALLER) and not confirmed:
            self.uncount(lease)
        if kind in STUMBLES:
            self.stumble(lease)
            if wait is not None:
                self.fall(lease, Scope.PROVIDER_MODEL, wait)
            return
        self.failures = 0
        if kind in (Kind.OK, Kind.CALLER):
            if not confirmed:
                self.succeed(lease)
            if kind is Kind.OK:
                self.proven.add(label)
                if wait is not None:
                    self.fall(lease, self.rules_.rate_scope, wait)
            return
        self.watch(("p",)).succeed(lease.seq, self.now)
        if kind is not Kind.CREDENTIAL or (label in before and before[label].state is not State.DEAD):
            self.fall(lease, self.scope_of(kind), wait if wait is not None else LEAST[kind])

    def scope_of(self, kind: Kind) -> Scope | None:
        return {
            Kind.CREDENTIAL: None,
            Kind.QUOTA: Scope.KEY,
            Kind.DAILY: self.rules_.daily_scope,
            Kind.RATE: self.rules_.rate_scope,
            Kind.MODEL_ACCESS: Scope.KEY_MODEL,
        }.get(kind, Scope.PROVIDER_MODEL)

    def fall(self, lease: Lease, scope: Scope | None, wait: float) -> None:
        self.watch(self.scopes(lease)[scope]).fall(lease.seq, self.newest, self.now + wait)

    def succeed(self, lease: Lease) -> None:
        self.failures = 0
        for name in set(self.scopes(lease).values()):
            self.watch(name).succeed(lease.seq, self.now)

    def stumble(self, lease: Lease) -> None:
        watch = self.watch(("p",))
        self.failures = 0 if watch.fallen else self.failures + 1
        if self.failures == 5 or (watch.fallen and lease.seq > watch.fell_after):
            self.failures = 0
            watch.fall(lease.seq, self.newest, self.now + 0.5)

    def note_pardons(self, before: dict[str, KeyView], after: dict[str, KeyView]) -> None:
        for label, view in after.items():
            if label in before and before[label].state is State.DEAD and view.state is not State.DEAD:
                self.watch(("credential", label)).fall(0, self.newest, self.now + 30)

    # --- larger moves -------------------------------------------------------------------------------------------------

    @rule(model=st.sampled_from(MODELS), rnd=rnds)
    def everybody_leaves_and_one_comes_back_when_told(self, model: str, rnd: float) -> None:
        """I15: at the soonest moment, with no call under way, somebody may be called."""
        for lease in list(self.open):
            self.release(lease, CANCELLED, rnd)
        soonest = self.asked("outlook", model).soonest
        if soonest is not None:
            self.now = max(self.now, soonest)
            assert isinstance(self.acquire(model, rnd), Lease)

    @rule(model=st.sampled_from(MODELS), rnd=rnds)
    def as_many_come_as_there_is_room(self, model: str, rnd: float) -> None:
        room = self.asked("room", model)
        if room <= 8:
            came = 0
            while isinstance(self.acquire(model, rnd), Lease):
                came += 1
            assert came == room

    @rule(data=st.data(), drop=st.booleans(), add=st.booleans())
    def the_settings_are_read_again(self, data: st.DataObject, drop: bool, add: bool) -> None:
        """I21: what is known of unchanged keys stays."""
        before = self.views()
        keys = list(data.draw(st.permutations(self.keys)))
        if drop and len(keys) > 1:
            keys.pop()
        if add and len(keys) < 5:
            keys += secrets(1, first=self.next_key)
            self.next_key += 1
        self.keys = keys
        self.pool.replace_keys(keys, self.now, self.accounts, self.limits)
        self.note("replace_keys", (tuple(keys), self.now, dict(self.accounts), self.limits), None)
        after = self.views()
        assert list(after) == [key.label for key in keys]
        for label, view in after.items():
            if label not in before:
                assert (view.state, view.in_flight) == (State.HEALTHY, 0) or label in self.accounts
            elif (before[label].state is State.DEAD) == (view.state is State.DEAD):
                assert view == before[label]
        self.note_pardons(before, after)
        self.untils.clear()

    @rule()
    def another_process_starts_from_our_facts(self) -> None:
        """I18, I21: rests of hours and deaths survive a restart; reports merge in any order."""
        facts = self.pool.facts(self.now, WALL + self.now)
        assert merge_facts(facts, facts) == facts
        assert merge_facts(facts, self.old_facts) == merge_facts(self.old_facts, facts)
        self.old_facts = merge_facts(self.old_facts, facts)
        later = 500.0  # the new process has another monotonic clock
        other = self.fresh_pool()
        other.restore([list(fact) for fact in facts], later, WALL + self.now)
        other.restore(facts, later, WALL + self.now)
        for model in MODELS:
            other.outlook(model, GROUPS.get(model), later)  # what was never asked for shows no limits
        restored = {view.label: view for view in other.snapshot(later)}
        for label, view in self.views().items():
            if view.state is not State.DEAD:  # nobody asks what a dead key may still call
                check_limits(view, restored[label])
            assert (view.state is State.DEAD) == (restored[label].state is State.DEAD)
            if view.state is State.EXHAUSTED:
                assert restored[label].state is State.EXHAUSTED
                assert (restored[label].until_s or 0) >= (view.until_s or 0) - SOON
            for rest in view.rests:
                if rest.state is State.EXHAUSTED:
                    [same] = [r for r in restored[label].rests if (r.scope, r.name) == (rest.scope, rest.name)]
                    assert rest.until_s - SOON <= same.until_s <= rest.until_s + 1

    # --- what holds at every moment -----------------------------------------------------------------------------------

    @invariant()
    def calls_under_way_are_counted(self) -> None:
        """I2."""
        views = self.views()
        assert all(view.in_flight >= 0 for view in views.values())
        for label, view in views.items():
            assert view.in_flight == sum(lease.key.label == label for lease in self.open)

    @invariant()
    def not_everybody_dies_of_refusals(self) -> None:
        """I16."""
        views = self.views()
        if self.proven & set(views):
            assert any(views[label].state is not State.DEAD for label in self.proven & set(views))

    @invariant()
    def rests_are_bounded_and_never_shortened(self) -> None:
        """I4, I5."""
        untils = {}
        for label, view in self.views().items():
            assert (view.until_s or 0) <= MONTH + 1
            for rest in view.rests:
                assert rest.until_s <= (MONTH if rest.cause == "daily" else DAY) + 1
                untils[label, rest.scope, rest.name] = self.now + rest.until_s
        for name, until in self.untils.items():
            assert until <= self.now + SOON or untils[name] >= until - SOON
        self.untils = untils

    def teardown(self) -> None:
        """I20: the same calls with the same numbers give the same decisions."""
        if not hasattr(self, "log"):
            return
        pool = self.make("p", self.first_keys, self.rules_, accounts=self.accounts, limits=self.limits)
        leases: dict[int, Lease] = {}
        for name, arguments, result in self.log:
            if name in ("release", "confirm"):
                arguments = (leases[arguments[0]], *arguments[1:])
            answer = getattr(pool, name)(*arguments)
            assert str(answer) == result
            if isinstance(answer, Lease):
                leases[answer.seq] = answer
        assert pool.snapshot(self.now) == self.pool.snapshot(self.now)
        assert "canary" not in repr(self.pool) + str(self.pool.snapshot(self.now)) + str(
            self.pool.facts(self.now, WALL)
        )
