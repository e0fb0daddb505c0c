"""One package per client protocol: parse a request into a Call, render what comes back. Nobody here does I/O."""
