"""Half an hour of everything at once, and what is left behind by it: `scripts/soak`."""
