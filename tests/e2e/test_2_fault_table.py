"""
The fault table, line by line: whatever is done to a stack under traffic, no acknowledged request stays unanswered.

What every answer is worth is judged at the end, of all lines at once: what each version predicts is computed only once.
"""

import time

import pytest

from apps.common.waiting import pause
from loadtest.ledger import problems
from stack.cli.stack import Mode
from tests.e2e.faults.scenarios import SCENARIOS, Ground
from tests.e2e.faults.table import PlayedFault

RATE = {Mode.EMBEDDED: 200, Mode.CLUSTER: 50}  # requests a second
CALM_S = 5  # before a fault and after it
SETTLE_S = 180


def pytest_generate_tests(metafunc):
    """The lines that the mode can show; those that are not usual are played with ``--faults``."""
    if "scenario" in metafunc.fixturenames:
        mode = Mode(metafunc.config.getoption("--mode"))
        lines = [
            pytest.param(one, id=one.name, marks=[] if mode in one.usual else [pytest.mark.faults])
            for one in SCENARIOS
            if one.in_cluster or mode is Mode.EMBEDDED
        ]
        metafunc.parametrize("scenario", lines)


@pytest.fixture(scope="module")
def played(pipeline, two_versions):
    """The row and the ledger of each line that was played; afterwards the newest version serves again."""
    yield (lines := [])
    if lines:
        newest = pipeline.versions()[-1].version
        pipeline.move_champion(newest)
        pipeline.wait_until_served(newest)


@pytest.mark.table
def test_no_request_is_lost_when(scenario, stack, mode, faults, pipeline, ledger, played, tmp_path):
    """
    What the line says is done; afterwards all is well, nothing is owed, and nobody waited for longer than it allows.
    """
    with ledger.traffic(RATE[mode], settle=SETTLE_S):
        pause(CALM_S)
        began = time.time()
        scenario.play(Ground(stack, faults, pipeline, ledger, tmp_path))
        pause(CALM_S)

    verdict = ledger.verdict([])
    played.append((PlayedFault.of(scenario.name, began, verdict), ledger))
    assert [] == problems(verdict, broker_stops=scenario.broker_stops)
    assert verdict.longest_silence_ms <= scenario.within_s * 1000


@pytest.mark.table
def test_every_answer_of_the_table_is_right(pipeline, played, table):
    """
    Each has the value that the version which it names predicts, computed afresh.
    """
    assert played
    versions = sorted({version for _, ledger in played for version in ledger.versions_seen()})
    expected = pipeline.expected(versions)
    found = []
    for row, ledger in played:
        verdict = ledger.verdict(expected)
        row.wrong = len(verdict.wrong)
        table.rows.append(row)
        found += [f"{row.what}: {one}" for one in problems(verdict, must_compare=True, broker_stops=True)]
    assert [] == found
