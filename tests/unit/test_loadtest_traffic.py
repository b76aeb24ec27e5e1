"""A ledger that is looked at while requests are sent and answered."""

import json
from dataclasses import asdict

import pytest

from apps.common.errors import DeadlineMissed
from apps.common.messages import Answer, Send
from loadtest.ledger import SendJournal
from loadtest.reader import AnswerReader
from loadtest.traffic import LiveLedger


class Run:
    """A bout of traffic without a broker: the test writes both journals."""

    def __init__(self, folder):
        """Nothing was sent yet."""
        self.ledger = LiveLedger({}, folder)
        self.sent, self.answered = folder / "sent-1.jsonl", folder / "answers.jsonl"
        self.sent.touch()
        self.answered.touch()
        reader = AnswerReader({}, self.answered)
        reader._lines = self.answered.open()  # noqa: SLF001 - as its start does
        self.ledger._reader = reader  # noqa: SLF001 - as a bout of traffic does
        self.ledger._journals.append(SendJournal(self.sent))  # noqa: SLF001

    def send(self, *numbers, acked_at=2.0):
        """Requests and their acknowledgements."""
        with self.sent.open("a") as journal:
            journal.writelines(f"{Send(f'r{n}', 0, n, 1.0, acked_at).to_json()}\n" for n in numbers)

    def answer(self, *numbers, model=None):
        """Their answers."""
        with self.answered.open("a") as journal:
            journal.writelines(
                json.dumps(asdict(Answer(f"r{n}", 0, n, "4", 1, 1.5, None, 3.0, model=model))) + "\n" for n in numbers
            )


@pytest.fixture
def run(tmp_path):
    """A fresh run."""
    return Run(tmp_path)


def test_progress_is_what_was_acknowledged_and_answered_so_far(run):
    """Each look takes in what is new, and what nobody acknowledged counts for neither."""
    run.send(0, 1, 2)
    run.answer(1)
    assert "3 acknowledged, 1 answered" == run.ledger.progress()

    run.send(3, acked_at=None)
    run.send(4)
    run.answer(0, 1, 4)
    assert "4 acknowledged, 3 answered" == run.ledger.progress()
    assert "4 acknowledged, 3 answered" == run.ledger.progress()
    assert {"r2"} == run.ledger.missing()


def test_the_whole_history_is_kept_for_the_verdict(run):
    """However often it was looked at meanwhile, each request and each answer is judged once."""
    for number in range(5):
        run.send(number)
        run.answer(number)
        run.ledger.progress()

    verdict = run.ledger.verdict([])

    assert (5, 5, 5, 0) == (verdict.sent, verdict.acked, verdict.answered, verdict.repeats)
    assert [f"r{n}" for n in range(5)] == [send.request_id for send in run.ledger.sends()]
    assert [f"r{n}" for n in range(5)] == [answer.request_id for answer in run.ledger.answers()]
    assert {"4"} == run.ledger.versions_seen()


def test_an_answer_from_before_is_not_waited_for(run):
    """After a fault it tells nothing that the version answered before it."""
    run.send(0)
    run.answer(0)

    assert ({"4"}, set()) == (run.ledger.versions_seen(since=3.0), run.ledger.versions_seen(since=3.1))
    with pytest.raises(DeadlineMissed, match=r"got answers of \[\]"):
        run.ledger.wait_until_answered_by("4", 0.1)


@pytest.mark.parametrize(
    ("environment", "wrong"),
    [
        ({"BATON_STACK": "cars", "BATON_DATASET": "used_cars"}, 1),
        ({"BATON_STACK": "cars", "BATON_DATASET": "homes"}, 2),
        ({"BATON_DATASET": "used_cars"}, 0),
    ],
    ids=str,
)
def test_answers_are_of_the_model_of_the_stack(run, environment, wrong):
    """Where the environment names stack and dataset; else any model may answer."""
    run.ledger.environment.update(environment)
    run.send(0, 1)
    run.answer(0, model="cars.used_cars")
    run.answer(1, model="cars.boston_housing")

    assert wrong == len(run.ledger.verdict([]).wrong)


def test_what_was_taken_in_is_not_read_again(run):
    """A run of an hour is looked at each second for what is new, and not for all of it."""
    run.send(0)
    run.answer(0)
    run.ledger.progress()
    length = run.sent.stat().st_size
    run.sent.write_text("?" * (length - 1) + "\n")
    run.send(1)

    assert "2 acknowledged, 1 answered" == run.ledger.progress()
