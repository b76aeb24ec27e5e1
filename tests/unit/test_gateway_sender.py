"""What the gateway's producer tells the loop of: a record that failed, and that no other will get through."""

import asyncio
import threading

import pytest
from confluent_kafka import KafkaError, KafkaException

from apps.common.errors import Unavailable
from apps.gateway import sender as module
from apps.gateway.outcomes import KnownOutcome
from apps.gateway.sender import RecordSender
from apps.gateway.turned_away import TurnedAway
from tests.unit.gateway_by_hand import NAMES

FATAL = KafkaError(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, "a record is lost", fatal=True)
CODE = KafkaError(KafkaError._FATAL)  # noqa: SLF001 - as produce raises it
PASSING = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)


class ProducerByHand:
    """Takes a record and tells ``error`` of it, or raises it at once."""

    def __init__(self, error, *, raises):
        """Nothing was produced yet."""
        self.error, self.raises = error, raises

    def poll(self, _seconds):
        """Nothing comes on its own."""
        threading.Event().wait()

    def produce(self, *_record, on_delivery, **_more):
        """As the client does."""
        if self.raises:
            raise KafkaException(self.error)
        on_delivery(self.error, None)


def told(monkeypatch, error, *, raises):
    """What the loop is told of a request and of an outcome: acknowledged, failed, broken."""
    acknowledged, failed, broken = [], [], []
    monkeypatch.setattr(module, "connect", lambda *_, **__: ProducerByHand(error, raises=raises))
    monkeypatch.setattr(module, "require_topics", lambda *_: None)

    async def send():
        sender = RecordSender(None, NAMES, asyncio.get_running_loop(), broken.append)
        sender.request("a", b"{}", b"1", failed.append, lambda: acknowledged.append("a"))
        await asyncio.sleep(0.01)
        before = len(broken)
        try:
            await sender.outcomes([KnownOutcome("a", 1)], 1)
        except TurnedAway as away:
            failed.append(str(away))
        await asyncio.sleep(0.01)
        assert 2 * before == len(broken)

    asyncio.run(send())
    return acknowledged, failed, broken


@pytest.mark.parametrize(("error", "raises"), [(FATAL, True), (FATAL, False), (CODE, True), (CODE, False)])
def test_an_error_for_good_is_told_once_for_each_record_that_it_fails(monkeypatch, error, raises):
    """
    Kafka answers all the while, so that nothing else would say it; requests and outcomes alike.
    """
    acknowledged, failed, broken = told(monkeypatch, error, raises=raises)

    assert ([], 2, 2) == (acknowledged, len(failed), len(broken))
    assert isinstance(broken[0], Unavailable)
    assert "Kafka must take records; got" in str(broken[0])


@pytest.mark.parametrize("raises", [True, False])
def test_an_error_of_one_record_fails_that_record_only(monkeypatch, raises):
    """
    The next may get through.
    """
    acknowledged, failed, broken = told(monkeypatch, PASSING, raises=raises)

    assert ([], 2, []) == (acknowledged, len(failed), broken)


def test_an_acknowledgement_is_told_at_once(monkeypatch):
    """
    On whichever thread it comes.
    """
    assert (["a"], [], []) == told(monkeypatch, None, raises=False)
