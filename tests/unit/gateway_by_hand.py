"""A gateway whose log is a list in this process: what it sends stands there, and is answered when a test wants it."""

import asyncio
from dataclasses import replace

from apps import datasets
from apps.common import read_columns
from apps.common.messages import Answer
from apps.common.names import StackNames
from apps.common.settings import load
from apps.gateway.asking import Asking, Caching, SeenAnswer, SeenCached, SeenRequest
from apps.gateway.doors import Doors
from apps.gateway.remembered import digest
from apps.gateway.settings import GatewaySettings

NAMES = StackNames("baton", "boston_housing")
REQUESTS = (NAMES.requests, 0)
INFER = f"/v2/models/{NAMES.model}/infer"
DECLARED = datasets.get(NAMES.dataset).column_names
READS = read_columns.told(("rm", "age"), DECLARED)
NOW_MS = 4_000_000_000_000  # nothing of this time is too old, nor waits


def settings(tmp_path, **more):
    """What the gateway is told."""
    told = {"dataset": NAMES.dataset, "ready_file": tmp_path / "ready.json", "timeout_s": 5, **more}
    return load(GatewaySettings, **told)


def answer(request_id, offset, prediction=5.5, rejection=None, *, stamp=NOW_MS, version="3", release=7, partition=0):
    """An answer as a reader decodes it."""
    told = {"in_timestamp": stamp, "model": NAMES.model, "reads": READS}
    return Answer(request_id, partition, offset, version, release, prediction, rejection, 0.0, **told)


def told_of(request_id, value, offset, rows=b"1", stamp=NOW_MS):
    """A request as a reader sees it."""
    return SeenRequest(request_id, digest(value, rows), (0, offset), stamp)


class LogByHand:
    """One partition; ``answering`` says whether what is sent is answered at once: rejected where it says "bad"."""

    def __init__(self, settings, cache=None):
        """Nothing was asked; version 3 answered a request of another time. ``cache`` is an AnswerCache."""
        self.sent, self.outcomes_sent, self.answering, self.refusal = [], [], True, ""
        self.silent, self.handed = False, []  # whether Kafka acknowledges nothing, and what it was handed then
        self.version, self.release = "3", 7
        self.given, self.anew, self.slow = [], [], False  # what came out of the cache, and whether that takes a while
        caching = Caching(cache, self.give) if cache else None
        self.asking = Asking(settings, self.send, set(), caching)
        self.asking.take([SeenAnswer(answer("before", -1), NOW_MS)], [])

    def give(self, cached, failed, acknowledged):  # noqa: ARG002 - as the port has it
        """As a producer of the answers."""
        self.given.append(cached)
        if not self.slow:
            asyncio.get_running_loop().call_soon(self.asking.take, [SeenCached(cached, NOW_MS)], [])

    def send(self, request_id, value, rows, failed, acknowledged, *, anew=False):
        """As a producer: what becomes of it is known later."""
        self.anew += [request_id] if anew else []
        loop = asyncio.get_running_loop()
        if self.silent:
            self.handed.append(acknowledged)
            return
        if self.refusal:
            loop.call_soon(failed, self.refusal)
            return
        self.sent.append((request_id, value))
        loop.call_soon(self.stands, request_id, value, rows, len(self.sent) - 1, anew)

    def stands(self, request_id, value, rows, offset, anew=False):
        """The reader sees it."""
        self.asking.take([replace(told_of(request_id, value, offset, rows), anew=anew)], [])
        if self.answering:
            self.answers(request_id, value, offset)

    def answers(self, request_id, value, offset):
        """A server answers it."""
        reason = "bad is no number" if b"bad" in value else None
        one = answer(request_id, offset, None if reason else 5.5, reason, version=self.version, release=self.release)
        self.asking.take([SeenAnswer(one, NOW_MS)], [])

    def answer_all(self):
        """A server comes back."""
        for offset, (request_id, value) in enumerate(self.sent):
            self.answers(request_id, value, offset)

    async def outcomes(self, outcomes, timeout_s):  # noqa: ARG002 - as the port has it
        """As if Kafka had them."""
        self.outcomes_sent += outcomes

    def doors(self, settings):
        """The doors before it."""
        return Doors(settings, NAMES, datasets.get(NAMES.dataset), self.asking, self)
