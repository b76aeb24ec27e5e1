"""What the gateway tells of itself at /metrics."""

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator

from apps.common.exposition import Figure
from apps.gateway.answer_cache import AnswerCache
from apps.gateway.asking import Asking

BOUNDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  # seconds


class DoorCounts:
    """Requests by door and status, and how long they took."""

    def __init__(self) -> None:
        """None came yet."""
        self.requests: Counter[tuple[str, int]] = Counter()
        self._took: dict[str, list[int]] = {}
        self._seconds: Counter[str] = Counter()

    def note(self, door: str, status: int, seconds: float) -> None:
        """One request is over."""
        self.requests[door, status] += 1
        self._took.setdefault(door, [0] * (len(BOUNDS) + 1))[bisect_left(BOUNDS, seconds)] += 1
        self._seconds[door] += seconds  # type: ignore[assignment]

    def figures(self) -> Iterator[Figure]:
        """A counter by door and status, and a histogram by door."""
        for (door, status), count in self.requests.items():
            yield Figure("baton_gateway_requests_total", count, {"door": door, "code": str(status)})
        for door, counts in self._took.items():
            sums = [sum(counts[: number + 1]) for number in range(len(counts))]
            buckets = tuple(zip((*map(str, BOUNDS), "+Inf"), sums, strict=True))
            yield Figure("baton_gateway_seconds", self._seconds[door], {"door": door}, buckets)


def of_cache(cache: AnswerCache) -> Iterator[Figure]:
    """Rows that were looked up."""
    yield Figure("baton_gateway_cache_hits_total", cache.hits)
    for reason, count in cache.misses.items():
        yield Figure("baton_gateway_cache_misses_total", count, {"reason": reason})
    for reason, count in cache.unkept.items():
        yield Figure("baton_gateway_cache_unkept_total", count, {"reason": reason})


def figures(counts: DoorCounts, asking: Asking) -> list[Figure]:
    """All of it, as of now; called on the loop, where nothing changes meanwhile."""
    since = asking.progress.waiting_since()
    behind = 0.0 if since is None else max(0.0, time.time() - since / 1000)
    return [
        *counts.figures(),
        Figure("baton_gateway_rows_in_flight", asking.rows),
        Figure("baton_gateway_behind_seconds", behind),
        Figure("baton_gateway_remembered", len(asking.remembered)),
        Figure("baton_gateway_ready", 0 if asking.waits_for() else 1),
        *(of_cache(asking.caching.cache) if asking.caching else ()),
    ]
