"""When each request of a load is due, by a rate that may change; and how many were due, and how many could be sent."""

from collections import deque
from dataclasses import dataclass

GRACE_S = 1.0


@dataclass
class LoadTally:
    """How many requests were due so far, and how many of them were sent."""

    due: int = 0
    sent: int = 0


class LoadSchedule:
    """
    What is due waits in order until it is taken, however late: the clock counts, not the sender.

    What is still behind by more than GRACE_S when the rate has become 0 is never taken; it stays due.
    """

    def __init__(self, now: float) -> None:
        """Nothing is due yet; moments are in seconds, of any clock."""
        self.tally = LoadTally()
        self._next = now
        self._behind: deque[float] = deque()

    def take(self, now: float, rate: float) -> float | None:
        """The moment at which the request that is to be sent now was due; None when there is none."""
        if rate:
            while self._next <= now:
                self._behind.append(self._next)
                self.tally.due += 1
                self._next += 1 / rate
        else:
            self._next = now
            if self._behind and now - self._behind[0] > GRACE_S:
                self._behind.clear()
        if not self._behind:
            return None
        self.tally.sent += 1
        return self._behind.popleft()

    def pause(self, now: float, longest: float) -> float:
        """The seconds until something is due, at most ``longest``."""
        return 0.0 if self._behind else min(max(0.0, self._next - now) or longest, longest)
