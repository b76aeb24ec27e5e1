"""
Everything that the page knows, kept up to date by two threads: one asks the stack, one reads its topics.

A browser is sent all of it once, and from then on what has changed: an ``Increment`` remembers what was sent.
"""

import threading
import time
from collections import deque
from contextlib import suppress
from typing import Any, Protocol

from apps.common.settings import kafka_access
from stack.cli.page import state
from stack.cli.page.flow import Flow
from stack.cli.page.live_error import LiveError
from stack.cli.page.reader import TopicReader
from stack.cli.page.traffic import PageTraffic
from stack.cli.stack import Stack

LOOK_EVERY_S = 3.0
SHARE = 10  # a look that took a second is followed by a rest of so many
EVENTS_KEPT = 200


class Known(Protocol):
    """What a browser is told of; a test has one without a stack."""

    lock: threading.Lock
    state: dict[str, Any]
    state_change: int
    events: deque[dict[str, Any]]
    traffic: PageTraffic

    @property
    def flow(self) -> Flow:
        """The last hour of requests and answers."""

    @property
    def live(self) -> LiveError:
        """The error of each version."""

    @property
    def problem(self) -> str:
        """Why the topics cannot be read; empty when they can."""


class Watch:
    """What is known of one running stack."""

    def __init__(self, stack: Stack) -> None:
        """Raises BatonError when the stack does not run; nothing is asked after that until ``start``."""
        pipeline = stack.pipeline()
        self.stack = stack
        self.lock = threading.Lock()
        self.reader = TopicReader(kafka_access(pipeline.environment), pipeline.names, self.lock)
        self.traffic = PageTraffic()
        self.state = dict(state.NOTHING)
        self.state_change = 0
        self.events: deque[dict[str, Any]] = deque(maxlen=EVENTS_KEPT)
        self._told = 0
        self._ended, self._wanted = threading.Event(), threading.Event()

    @property
    def flow(self) -> Flow:
        """The last hour of requests and answers."""
        return self.reader.flow

    @property
    def live(self) -> LiveError:
        """The error of each version."""
        return self.reader.live

    @property
    def problem(self) -> str:
        """Why the topics cannot be read; empty when they can."""
        return self.reader.problem

    def start(self) -> None:
        """Look for the first time, and go on in threads."""
        self.look()
        self.reader.start()
        threading.Thread(target=self._run, daemon=True, name="page-state").start()

    def end(self) -> None:
        """Look no more, and end the traffic that the page started."""
        self._ended.set()
        self._wanted.set()
        self.reader.end()
        self.traffic.stop()

    def soon(self) -> None:
        """Look again at once: a button was pressed."""
        self._wanted.set()

    def look(self) -> None:
        """Ask the stack once."""
        now = state.look(self.stack)
        with self.lock:
            before, self.state = self.state, self.state | now  # what nobody could tell this time stays
            self.state_change += self.state != before
            for event in state.happened(before, self.state) if self.state_change > 1 else ():
                self._told += 1
                self.events.append({"number": self._told, "at": time.time(), **event})

    def _run(self) -> None:
        while not self._ended.is_set():
            began = time.monotonic()
            with suppress(Exception):  # a stack that is going down may fail in any way; it is asked again
                self.look()
            self._wanted.wait(max(LOOK_EVERY_S, SHARE * (time.monotonic() - began)))
            self._wanted.clear()


class Increment:
    """What one browser has been sent; ``next`` is what it lacks."""

    def __init__(self, known: Known) -> None:
        """Nothing was sent yet."""
        self._known = known
        self._flow: Flow | None = None
        self._changes: dict[str, int] = {}
        self._releases: list[list[Any]] = []

    def next(self, now: float) -> dict[str, Any]:
        """What has changed since the last time; ``fresh`` when what was sent before is void."""
        known = self._known
        with known.lock:
            if fresh := self._flow is not known.flow:
                self._flow, self._changes, self._releases = known.flow, {}, []
            told: dict[str, Any] = {"fresh": fresh, "now": known.flow.now(now), "traffic": known.traffic.told()}
            told["problem"] = known.problem
            told["seconds"] = self._new("flow", *known.flow.since(self._changes.get("flow", 0)))
            told["windows"] = self._new("live", *known.live.since(self._changes.get("live", 0)))
            seen = self._changes.get("events", 0)
            events = [event for event in known.events if event["number"] > seen]
            told["events"] = self._new("events", max((one["number"] for one in events), default=seen), events)
            releases = [
                [one.release, one.version, one.first_at, one.last_at] for _, one in sorted(known.flow.releases.items())
            ]
            if releases != self._releases:
                told["releases"] = self._releases = releases
            if self._changes.get("state") != known.state_change:
                told["state"] = self._new("state", known.state_change, known.state)
        return told

    def _new(self, name: str, change: int, told: Any) -> Any:
        self._changes[name] = change
        return told
