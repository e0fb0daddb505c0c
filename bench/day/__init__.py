"""One day in a minute: what a provider's limits, an outage and a revoked key do to those who rotate keys."""
