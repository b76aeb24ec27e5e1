"""
The fault table at random: one fault after the other under traffic without a pause, as long as one likes.

The same seed plays the same faults in the same order after the same pauses; how long each takes is the machine's.
"""

import random
import time
from dataclasses import replace

from apps.common.waiting import pause
from loadtest.ledger import problems
from stack.cli.stack import Mode
from tests.e2e.faults.scenarios import SCENARIOS, Ground
from tests.e2e.faults.table import PlayedFault
from tests.e2e.test_2_fault_table import RATE, SETTLE_S

CALM_S = (5, 20)  # between two faults


def test_no_request_is_lost_in_a_soak(request, stack, mode, faults, pipeline, two_versions, ledger, table, tmp_path):
    """
    Whatever meets whatever is left of the fault before: nothing is lost, and every answer is right.
    """
    minutes, seed = request.config.getoption("--soak"), request.config.getoption("--seed")
    terminal = request.config.pluginmanager.get_plugin("terminalreporter")
    drawn = random.Random(seed)
    lines = [one for one in SCENARIOS if one.in_cluster or mode is Mode.EMBEDDED]
    ground, ends, spans = Ground(stack, faults, pipeline, ledger, tmp_path), time.time() + minutes * 60, []
    with ledger.traffic(RATE[mode], settle=SETTLE_S):
        while time.time() < ends:
            one, calm_s = drawn.choice(lines), drawn.uniform(*CALM_S)
            pause(calm_s)
            began = time.time()
            terminal.write_line(f"{time.strftime('%H:%M:%S')} {one.name}")
            spans.append((one, began))
            one.play(ground)
        pause(CALM_S[0])

    verdict = ledger.verdict(pipeline.expected(sorted(ledger.versions_seen())))
    slow = []
    for (one, began), (_, until) in zip(spans, [*spans[1:], (None, float("inf"))], strict=True):
        waits = [wait for wait in verdict.waits if began - CALM_S[0] <= wait.sent_at < until - CALM_S[0]]
        row = PlayedFault.of_waits(one.name, began, waits)
        table.rows.append(row)
        slow += [f"{one.name}: {row.silence_s:.1f} s"] if row.silence_s > one.within_s else []
    table.rows.append(replace(PlayedFault.of(f"all of seed {seed}", spans[0][1], verdict), wrong=len(verdict.wrong)))
    assert [] == problems(verdict, must_compare=True, broker_stops=True)
    assert [] == slow
