"""
What the apps that live tell of themselves at ``/metrics``, in Prometheus' words: one table of all of it, and the door.

The door must never hurt the work behind it. It is asked in threads of its own, and an app hands it a function that
reads what the app keeps anyway. A port that is taken is tried again for as long as it is: during a hand-over it is the
server before that answers there.
"""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field
from structlog.stdlib import BoundLogger

from apps.common.settings import SetBy, Settings, Unit
from apps.common.waiting import pause

AGAIN_S = 1  # a port that was taken is tried again


@dataclass(frozen=True)
class Family:
    """A metric as it is declared to Prometheus; a counter only grows for as long as a process lives."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    meaning: str
    labels: tuple[str, ...] = ()


FAMILIES = {
    one.name: one
    for one in (
        Family(
            "baton_server_info",
            "gauge",
            "1, with what a server or a standby is at: waiting, starting, standby or serving.",
            ("state", "release", "model", "version"),
        ),
        Family(
            "baton_server_answered_total",
            "counter",
            "Requests, by partition, up to the highest that this process answered, from the one it began at.",
            ("partition",),
        ),
        Family(
            "baton_server_answers_seen_total",
            "counter",
            "Own answers that the watch read in the topic: prediction or rejection. It reads at most 64 of a partition "
            "and second, so beyond that they are a sample.",
            ("kind",),
        ),
        Family(
            "baton_server_lag_requests",
            "gauge",
            "Requests of a partition behind the highest that anybody answered, at the last look.",
            ("partition",),
        ),
        Family(
            "baton_server_progress_age_seconds",
            "gauge",
            "Seconds since its answers last moved on, or since the last look at which no request waited.",
        ),
        Family(
            "baton_watcher_ticks_total",
            "counter",
            "Ticks that came to their end: done, or failed where something was missing.",
            ("outcome",),
        ),
        Family(
            "baton_watcher_tick_age_seconds",
            "gauge",
            "Seconds since the last tick that was done; before the first one, since the start.",
        ),
        Family(
            "baton_data_watcher_batches",
            "gauge",
            "Batches in a folder: landing, used or refused.",
            ("folder",),
        ),
        Family(
            "baton_data_watcher_waiting_batches",
            "gauge",
            "Batches that were left alone, by what they wait for: their files, another try, or a person.",
            ("waits_for",),
        ),
        Family("baton_data_watcher_trainings", "gauge", "Trainings that are known, by their state.", ("state",)),
        Family(
            "baton_model_watcher_info",
            "gauge",
            "1, with the champion's version, the one that serves, and the state of the newest release.",
            ("champion", "serving", "release_state"),
        ),
        Family("baton_model_watcher_behind", "gauge", "1 while the champion is not what serves, else 0."),
        Family(
            "baton_champion_metric",
            "gauge",
            "A metric of the training of the champion: its errors on its test rows, and how many rows were bad.",
            ("version", "metric"),
        ),
        Family(
            "baton_live_figure",
            "gauge",
            "A live figure of a version, over the last hour that had answers, of drift over its newest window.",
            ("version", "figure"),
        ),
        Family(
            "baton_live_outcomes_total",
            "counter",
            "Outcomes that were read since the topics were made, in words that are a number or not.",
            ("readable",),
        ),
        Family("baton_live_rows_total", "counter", "Answers and outcomes that this process has taken in."),
        Family("baton_live_batch_seconds", "gauge", "How long the last batch of answers and outcomes took."),
        Family(
            "baton_gateway_requests_total",
            "counter",
            "Requests by HTTP that are over, by their door and the status of the response.",
            ("door", "code"),
        ),
        Family("baton_gateway_seconds", "histogram", "How long requests by HTTP took, by their door.", ("door",)),
        Family("baton_gateway_rows_in_flight", "gauge", "Rows for whose answers a client waits now."),
        Family(
            "baton_gateway_behind_seconds",
            "gauge",
            "Seconds since the oldest request was sent, by anybody, that waits for its answer; 0 when none waits.",
        ),
        Family("baton_gateway_remembered", "gauge", "Requests whose ids and answers are remembered."),
        Family("baton_gateway_ready", "gauge", "1 while an infer that is sent now would be answered, else 0."),
        Family("baton_gateway_cache_hits_total", "counter", "Rows that were answered out of the cache."),
        Family(
            "baton_gateway_cache_misses_total",
            "counter",
            "Rows looked up in vain: absent, or the cache was away, slow, broken or wrong, or the row was no plain "
            "one (unusual), or what the version reads is not known (columns), or a new release came (overtaken).",
            ("reason",),
        ),
        Family(
            "baton_gateway_cache_unkept_total",
            "counter",
            "Answers that were not put into the cache: it was away, behind, or refused them.",
            ("reason",),
        ),
    )
}


class ExpositionSettings(Settings):
    """Where an app tells its figures."""

    metrics_port: Annotated[
        int, Unit("none"), SetBy("the ports in stack/stack.yaml, or scrape.ports of charts/pipeline")
    ] = Field(default=0, ge=0, le=65535, description="The port of /metrics; 0 tells nothing.")
    metrics_host: Annotated[str, SetBy("charts/pipeline")] = Field(
        default="127.0.0.1", description="The address of /metrics: loopback, and in a cluster the pod's own."
    )


@dataclass(frozen=True)
class Figure:
    """
    One number of a family, with a text for each of its labels.

    Of a histogram it is the sum, and ``buckets`` are how many were at most each bound, the last of which is +Inf.
    """

    family: str
    value: float
    labels: dict[str, str] = field(default_factory=dict)
    buckets: tuple[tuple[str, int], ...] = ()


NOTHING: tuple[Figure, ...] = ()  # to tell yet


@dataclass
class Exposition:
    """What an app tells; ``told`` is asked at each scrape, in a thread of its own, and may be replaced."""

    told: Callable[[], Iterable[Figure]]

    def start(self, settings: ExpositionSettings, log: BoundLogger) -> "Exposition":
        """Open the door where the settings name a port; nobody waits for it."""
        if settings.metrics_port:
            threading.Thread(target=self._open, args=(settings, log), name="exposition", daemon=True).start()
        return self

    def _now(self) -> Iterable[Figure]:
        return self.told()

    def _open(self, settings: ExpositionSettings, log: BoundLogger) -> None:
        from apps.common.exposition_door import open_door  # noqa: PLC0415 - 0.2 s, for which no start has to wait

        address, said = f"http://{settings.metrics_host}:{settings.metrics_port}/metrics", ""
        while True:
            try:
                open_door(settings.metrics_host, settings.metrics_port, self._now)
            except OSError as error:
                if str(error) != said:
                    said = str(error)
                    log.info("figures are not told yet; trying again", address=address, reason=said)
                pause(AGAIN_S)
            except Exception:
                log.exception("figures are not told")
                return
            else:
                log.info("telling figures", address=address)
                return
