"""What holds for every test: how long properties look for a counterexample."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# A busy machine is no counterexample, so there is no deadline; `--hypothesis-profile=long` looks much longer.
settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("long", parent=settings.get_profile("default"), max_examples=5000)
settings.load_profile("default")
