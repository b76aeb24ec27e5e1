"""./baton prove on a stack of ours: a hand-over in the middle of its traffic, judged by all that our headers say."""

import json
import threading

import pytest

from apps.common.waiting import wait_until
from loadtest.prover.plan import VERDICT
from stack.cli import prove

BEGIN_S = 120
COMMAND = "touch {0}/begun; until [ -e {0}/done ]; do sleep 0.2; done; [ ! -s {0}/done ]"


@pytest.mark.faults
def test_a_stack_proves_its_own_hand_over(stack, pipeline, first_version, tmp_path):
    """
    Nothing lost, nothing wrong, two versions seen: ten invariants but for the poisons, which nobody asked for.
    """
    begun, done = tmp_path / "begun", tmp_path / "done"

    def hand_over():
        failure = "the hand-over did not end"
        try:
            wait_until(begun.exists, BEGIN_S, "the command does not run")
            pipeline.wait_until_served(pipeline.wait_for_version_trained_on(pipeline.drop_batch()))
            failure = ""
        finally:
            done.write_text(failure)

    thread = threading.Thread(target=hand_over)
    thread.start()
    bounds = ["--max-silence", "20", "--max-latency", "20", "--min-versions", "2"]
    try:
        code = prove.run(
            ["--folder", str(tmp_path / "proof"), *bounds, "--during", COMMAND.format(tmp_path)], stack, None
        )
    finally:
        thread.join()

    verdict = json.loads((tmp_path / "proof" / VERDICT).read_text())
    assert (0, "passed") == (code, verdict["verdict"]), verdict
    assert [7] == [one["number"] for one in verdict["invariants"] if one["outcome"] == "not asked"]
    assert verdict["ledger"]["compared"] == verdict["ledger"]["answered"] + verdict["ledger"]["repeats"]
    assert 1 <= len(verdict["ledger"]["handovers"])
