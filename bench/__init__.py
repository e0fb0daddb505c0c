"""Measures the proxy side by side with others on one machine: `scripts/bench`. See README.md in this folder."""
