"""How long to wait before a service that crashed is started again."""

from dataclasses import dataclass

FIRST_S = 0.5
LONGEST_S = 10.0
HEALTHY_S = 30.0  # a service that lived this long after it was ready has recovered


@dataclass
class Backoff:
    """Doubles with each crash, up to a limit, and starts anew after a healthy stretch."""

    delay: float = 0.0

    def after_crash(self, healthy: float) -> float:
        """The seconds to wait; ``healthy`` is how long the service had been ready."""
        fresh = self.delay == 0 or healthy >= HEALTHY_S
        self.delay = FIRST_S if fresh else min(2 * self.delay, LONGEST_S)
        return self.delay
