"""``python -m loadtest.prover``: the prover's command line."""

import sys

from loadtest.prover.cli import console

if __name__ == "__main__":
    sys.exit(console())
