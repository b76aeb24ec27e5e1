"""The reading process without a broker."""

import pytest

from apps.common.errors import Unavailable
from loadtest.reader import AnswerReader
from stack.environment import inherited


def test_without_a_broker_the_start_fails_with_one_clear_error(tmp_path):
    """Nothing is measured against a broker that is not there, and no process stays behind."""
    reader = AnswerReader({**inherited(), "BATON_KAFKA": "127.0.0.1:1"}, tmp_path / "answers.jsonl")

    with pytest.raises(Unavailable, match=r"Kafka must answer at 127\.0\.0\.1:1 .* is the stack up\?"):
        reader.start()
    assert reader.answers() == []
