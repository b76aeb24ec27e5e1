"""Puts requests and outcomes into Kafka as Baton's own sender does; what becomes of a request the log tells."""

import asyncio
import json
import threading
from collections.abc import Callable, Sequence

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from apps.common.errors import Unavailable
from apps.common.kafka_access import KafkaAccess
from apps.common.messages import CachedAnswer
from apps.common.names import StackNames
from apps.common.request_sender import connect, require_topics
from apps.gateway.outcomes import KnownOutcome
from apps.gateway.remembered import ANEW, ROWS
from apps.gateway.turned_away import TurnedAway

POLL_S = 1.0


class RecordSender:
    """
    One producer; a thread hears what became of each record, and tells the loop of a failure only.

    ``broken`` is called on the loop after an error for good: Kafka answers, and this producer sends nothing any more.
    """

    def __init__(
        self,
        access: KafkaAccess,
        names: StackNames,
        loop: asyncio.AbstractEventLoop,
        broken: Callable[[Exception], None],
    ) -> None:
        """Raises Unavailable when Kafka is not there, or lacks a topic."""
        self._access = access
        self._names = names
        self._loop = loop
        self._broken = broken
        self._producer: Producer = connect(access, linger_ms=0)
        require_topics(self._producer, access, (*names.pair, names.outcomes), "is the stack up?")
        threading.Thread(target=self._hear, name="delivery", daemon=True).start()

    def _hear(self) -> None:
        while True:
            self._producer.poll(POLL_S)

    def partitions(self) -> int:
        """How many the requests have now; raises KafkaException where Kafka does not answer within a second or two."""
        topic = self._producer.list_topics(self._names.requests, 2.0).topics[self._names.requests]
        return len(topic.partitions)

    def request(
        self,
        request_id: str,
        value: bytes,
        rows: bytes,
        failed: Callable[[str], None],
        acknowledged: Callable[[], None],
        *,
        anew: bool = False,
    ) -> None:
        """Hand a request over; ``failed`` is called on the loop when it cannot get into the log."""
        headers: dict[str, str | bytes | None] = {ROWS: rows, ANEW: b"1"} if anew else {ROWS: rows}
        self._hand_over(self._names.requests, request_id, value, headers, failed, acknowledged)

    def cached(self, answer: CachedAnswer, failed: Callable[[str], None], acknowledged: Callable[[], None]) -> None:
        """The same of an answer that no server has to give."""
        headers: dict[str, str | bytes | None] = dict(answer.headers())
        self._hand_over(self._names.answers, answer.request_id, answer.value(), headers, failed, acknowledged)

    def _hand_over(
        self,
        topic: str,
        request_id: str,
        value: bytes,
        headers: dict[str, str | bytes | None],
        failed: Callable[[str], None],
        acknowledged: Callable[[], None],
    ) -> None:
        def delivered(error: KafkaError | None, _message: Message) -> None:
            if error:
                self._loop.call_soon_threadsafe(failed, str(error))
                self._look_at(error)
            else:
                acknowledged()

        try:
            self._producer.produce(topic, value, request_id.encode(), headers=headers, on_delivery=delivered)
        except (KafkaException, BufferError) as error:
            self._loop.call_soon(failed, str(error))
            self._look_at(error.args[0])

    def _look_at(self, error: object) -> None:
        """Tell of an error after which each further record fails; on any thread."""
        if isinstance(error, KafkaError) and (error.fatal() or error.code() == KafkaError._FATAL):  # noqa: SLF001 - so it is called
            rule = f"Kafka must take records; got {error.str()}, for good"
            self._loop.call_soon_threadsafe(self._broken, Unavailable(f"{rule}; the gateway begins anew"))

    async def outcomes(self, outcomes: Sequence[KnownOutcome], timeout_s: float) -> None:
        """Put outcomes into their topic, and return when Kafka has them; raises TurnedAway."""
        future: asyncio.Future[str] = self._loop.create_future()
        left, problem = len(outcomes), ""

        def tell() -> None:
            if not future.done():
                future.set_result(problem)

        def delivered(error: KafkaError | None, _message: Message) -> None:
            nonlocal left, problem
            left, problem = left - 1, problem or str(error or "")
            self._look_at(error)
            if not left:
                self._loop.call_soon_threadsafe(tell)

        for one in outcomes:
            value = json.dumps({"request_id": one.request_id, "outcome": one.outcome}).encode()
            try:
                self._producer.produce(self._names.outcomes, value, one.request_id.encode(), on_delivery=delivered)
            except (KafkaException, BufferError) as error:
                self._look_at(error.args[0])
                raise TurnedAway(503, f"Kafka must take the outcomes; got {error}") from error
        try:
            problem = await asyncio.wait_for(future, timeout_s)
        except TimeoutError as error:
            late = f"Kafka must take the outcomes within {timeout_s:g} s; it did not; send them again: the first counts"
            raise TurnedAway(504, late) from error
        if problem:
            raise TurnedAway(503, f"Kafka must take the outcomes; got {problem}; send them again")
