"""
The prover as it is installed alone: this becomes the package ``baton_prove``, with what the prover needs below it.

The modules keep the names that they have in Baton. In the prover's own process its folder comes first, so that no
package of somebody else that is called ``apps`` is in the way, and none is put in anybody's.
"""

import sys
from pathlib import Path


def main() -> int:
    """Run the prover; return its exit code."""
    sys.path.insert(0, str(Path(__file__).parent))
    from loadtest.prover.cli import console  # noqa: PLC0415 - found only now

    return console()
