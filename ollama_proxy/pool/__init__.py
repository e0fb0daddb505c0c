"""Who may be called now: the keys of one provider, their rests, and the provider's retry budget. Pure.

Time and chance arrive as arguments, and nothing here waits: the outer shell does what it is told.
"""

from __future__ import annotations

from ollama_proxy.pool.budget import RetryBudget
from ollama_proxy.pool.cell import State
from ollama_proxy.pool.facts import Fact, merge_facts
from ollama_proxy.pool.keys import KeyPool
from ollama_proxy.pool.rules import PoolRules
from ollama_proxy.pool.slot import Lease, Rest
from ollama_proxy.pool.views import KeyView, LimitView, ProviderView, RestView

__all__ = [
    "Fact",
    "KeyPool",
    "KeyView",
    "Lease",
    "LimitView",
    "PoolRules",
    "ProviderView",
    "Rest",
    "RestView",
    "RetryBudget",
    "State",
    "merge_facts",
]
