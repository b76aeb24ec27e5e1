"""Where the outcome of a demo goes."""

from pathlib import Path

import pytest

from apps.common.errors import BatonError
from stack.cli.demo import Outputs


@pytest.mark.parametrize(
    ("outputs", "reason"),
    [
        (Outputs(Path("nowhere/report.html")), "got nowhere/report.html; make its folder"),
        (Outputs(Path("report.html"), json_file=Path("nowhere/figures.json")), "got nowhere/figures.json"),
        (Outputs(Path("report.html"), picture=Path("report.svg")), "--picture must end in .png; got report.svg"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused_before_the_demo_starts(outputs, reason):
    """Nobody learns after five minutes that the report had nowhere to go."""
    with pytest.raises(BatonError, match=reason):
        outputs.require_writable()
