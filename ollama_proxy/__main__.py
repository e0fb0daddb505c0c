"""`python -m ollama_proxy`: hands over to the command line."""

from __future__ import annotations

import sys

from ollama_proxy.cli import main

if __name__ == "__main__":
    sys.exit(main())
