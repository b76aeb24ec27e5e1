"""One question by hand: the answer of the version that serves, and what was right or wrong with the question."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from apps import datasets
from apps.common.errors import BatonError
from stack.cli import replayed
from stack.cli.ask import ask, row_of
from stack.cli.watch import SightKind, sightings

WAIT_S = 30


@pytest.mark.once
def test_a_question_is_answered_and_explained(pipeline, first_version, capsys):
    """
    By the version that serves; the fields that were not given, and those that nobody knows, are named.
    """
    value = row_of(replayed.requests(pipeline), 17)
    fields, dataset = json.loads(value), datasets.get(pipeline.dataset)
    dropped, *_ = (name for name in fields if not dataset.column(name).required)
    fields = {name: cell for name, cell in fields.items() if name != dropped} | {"colour_of_the_dog": "brown"}

    assert 0 == ask(pipeline, json.dumps(fields).encode(), WAIT_S, as_json=True)

    told = json.loads(capsys.readouterr().out)
    assert (pipeline.served_version(), None) == (told["version"], told["rejection"])
    assert told["prediction"] > 0
    assert ["colour_of_the_dog"] == told["unknown"]
    assert dropped in told["not_given"]
    assert not set(told["not_given"]) & fields.keys()


@pytest.mark.once
def test_what_is_wrong_with_a_question_is_said(pipeline, first_version, capsys):
    """
    A rejection is an answer, and not the one that was asked for; a row that is not there is none.
    """
    assert 1 == ask(pipeline, b'{"year": "soon"}', WAIT_S, as_json=False)
    assert "rejected: " in (said := capsys.readouterr().err)
    assert "year must be a number" in said
    assert 1 == ask(pipeline, b"{broken", WAIT_S, as_json=False)
    with pytest.raises(BatonError, match="--row must be from 1 to"):
        row_of([b"{}"], 2)


@pytest.mark.once
def test_answers_are_watched_as_they_come(pipeline, first_version, ledger):
    """
    Each with fields of its request, and the version that serves.
    """
    watched = sightings(pipeline, ["year"])
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(next, watched)
        with ledger.traffic(20):
            one = first.result(WAIT_S)

    assert (pipeline.served_version(), SightKind.PREDICTION) == (one.version, one.kind)
    assert one.fields["year"].isdigit()
    assert one.request_id in {send.request_id for send in ledger.sends()}
