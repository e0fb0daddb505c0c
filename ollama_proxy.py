"""`python ollama_proxy.py`: hands over to the package beside this file."""

import sys

from ollama_proxy.cli import main

if __name__ == "__main__":
    sys.exit(main())
