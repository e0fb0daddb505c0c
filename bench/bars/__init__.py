"""The load that the proxy promises to bear, measured against the promise: `scripts/bars`."""
