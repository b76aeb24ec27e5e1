"""The prover's reading without a broker: what is kept of the records that arrive in the two topics."""

import io
import json

from loadtest.prover.history import read
from loadtest.prover.plan import ANSWERS
from loadtest.prover.recording import PairRecorder
from tests.unit.proof_histories import PLAN
from tests.unit.test_loadtest_recorder import ArrivedMessage


def arrived(key, offset=7):
    """A record of the answers topic without headers."""
    return ArrivedMessage(topic=PLAN.answers, key=key, value=b"42", headers=None, offset=offset, partition=1), 5.0


def test_records_with_other_keys_are_counted_and_the_last_key_is_kept(tmp_path):
    """It shows how the server names what it answers; no key at all is told from the word None."""
    answers = io.StringIO()
    recorder = PairRecorder(PLAN, io.StringIO(), answers)
    recorder.keep([arrived(b"another-1"), arrived(PLAN.request_id(3).encode()), arrived(b"k" * 500)])
    PLAN.write(tmp_path)

    for last in ("k" * 80, None):
        (tmp_path / ANSWERS).write_text(answers.getvalue())
        recorded = read(tmp_path)
        assert last == recorded.other_key
        recorder.keep([arrived(None)])
    assert [PLAN.request_id(3)] == [record.key for record in recorded.answers]
    assert 3 == recorded.others == json.loads(answers.getvalue().splitlines()[-2])["others"]
