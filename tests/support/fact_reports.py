"""Reports of facts by several processes, and what must hold when they are merged."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from ollama_proxy.pool import Fact, merge_facts

rests = st.builds(
    Fact,
    provider=st.just("p"),
    fingerprint=st.sampled_from(("", "f1", "f2")),
    scope=st.sampled_from(("key", "key+model", "provider+model")),
    name=st.sampled_from(("flash", "pro")),
    moment=st.sampled_from((1e9, 1e9 + 60, 1e9 + 3600)),
    level=st.integers(0, 3),
    state=st.sampled_from(("cooling", "exhausted")),
    cause=st.sampled_from(("rate", "daily")),
)
lives = st.builds(
    Fact,
    provider=st.just("p"),
    fingerprint=st.sampled_from(("f1", "f2")),
    scope=st.just("life"),
    name=st.just(""),
    moment=st.sampled_from((1e9, 1e9 + 60)),
    level=st.just(0),
    state=st.sampled_from(("dead", "revived")),
    cause=st.just(""),
)
reports = st.lists(st.one_of(rests, lives), max_size=8)


def check_merge(a: Sequence[Fact], b: Sequence[Fact], c: Sequence[Fact]) -> None:
    """I18: commutative, associative, idempotent; and nothing is ever made shorter."""
    both = merge_facts(a, b)
    assert both == merge_facts(b, a)
    assert merge_facts(both, c) == merge_facts(a, merge_facts(b, c)) == merge_facts(c, b, a)
    assert merge_facts(both, both) == both == merge_facts(both, a)
    moments = {fact[:4]: fact.moment for fact in both}
    assert len(moments) == len(both)
    assert all(moments[fact[:4]] >= fact.moment for fact in [*a, *b])
