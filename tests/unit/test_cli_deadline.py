"""Questions that hang, fail or are answered."""

import threading
import time

import pytest

from apps.common.errors import Unavailable
from stack.cli.deadline import ask, ask_all


def hang():
    """Never answer."""
    threading.Event().wait()


def fail():
    """Answer by an error."""
    raise Unavailable("Kafka must answer")


def test_every_question_is_answered_or_given_up_in_time():
    """One that hangs keeps no other from its answer, and is given up after the deadline."""
    began = time.monotonic()
    answers, failures = ask_all({"good": lambda: 7, "bad": fail, "slow": hang, "none": lambda: None}, 0.5)

    assert {"good": 7, "none": None} == answers
    assert {"bad": "Kafka must answer", "slow": "no answer within 0.5 s"} == failures
    assert time.monotonic() - began < 5


def test_one_question_raises_what_became_of_it():
    """``ask`` gives the answer, or the reason as an error of Baton's."""
    assert 7 == ask(lambda: 7, 5)
    with pytest.raises(Unavailable, match="Kafka must answer"):
        ask(fail, 5)
