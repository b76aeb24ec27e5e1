"""What status says of a training or a release that failed."""

import pytest

from apps.common.exit_codes import Outcome
from apps.orchestrator.port import Failure
from stack.cli.retries import as_json, words

AT = 1_767_268_800.0  # 2026-01-01 12:00 UTC


def test_a_program_reads_outcome_reason_tries_and_when_it_is_tried_again():
    """Times are ISO 8601, and nothing is said where nothing failed."""
    told = as_json(Failure(Outcome.COULD_NOT, AT, "HDFS must answer", 3, 1))

    assert told == {
        "outcome": "could not",
        "reason": "HDFS must answer",
        "tries": 3,
        "crashes": 1,
        "failed_at": "2026-01-01T12:00:00+00:00",
        "retry_at": "2026-01-01T12:00:20+00:00",
    }
    assert as_json(None) == {}
    assert as_json(Failure(Outcome.REFUSED, AT))["retry_at"] is None


@pytest.mark.parametrize(
    ("failure", "later", "said"),
    [
        (None, 0, ""),
        (Failure(Outcome.COULD_NOT, AT, "no HDFS"), 1, "; could not (1 try), again in 4 s: no HDFS"),
        (
            Failure(Outcome.COULD_NOT, AT, "no HDFS", 4, 1),
            0,
            "; could not (4 tries, 1 crashed), again in 40 s: no HDFS",
        ),
        (Failure(Outcome.CRASHED, AT, "", 2, 2), 60, "; crashed (2 tries)"),
        (Failure(Outcome.CRASHED, AT, "SIGKILL", 3, 3), 1, "; crashed (3 tries), given up: SIGKILL"),
        (Failure(Outcome.REFUSED, AT, "no rows"), 1, "; refused (1 try), given up: no rows"),
    ],
)
def test_a_person_reads_the_same_in_a_few_words(failure, later, said):
    """Behind the state: the outcome, how often it was tried, when again, and why."""
    assert said == words(as_json(failure), AT + later)
