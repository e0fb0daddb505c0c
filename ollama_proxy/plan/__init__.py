"""What one request does next: the retry policy over a chain of targets. Pure."""

from __future__ import annotations

from ollama_proxy.plan.policy import Progress, next_step
from ollama_proxy.plan.shapes import Ended, Fail, Limits, NextTarget, Purse, Reason, Resting, Stage, Step, Try, Wait

__all__ = [
    "Ended",
    "Fail",
    "Limits",
    "NextTarget",
    "Progress",
    "Purse",
    "Reason",
    "Resting",
    "Stage",
    "Step",
    "Try",
    "Wait",
    "next_step",
]
