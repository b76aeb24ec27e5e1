"""
When a standby answers, decided from how far the two topics reach: when somebody asked and nobody answers.

Whether the server was killed, is frozen, or runs and cannot write makes no difference: nobody answers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

Ends = Mapping[int, int]  # partition -> the offset behind the last record
RETURNS_S = 10  # a server whose broker was away needs this long to answer again


@dataclass
class StandbyRules:
    """What was seen so far; times are in seconds, monotonic."""

    takeover_s: float
    _requests: dict[int, int] = field(default_factory=dict)
    _answers: dict[int, int] = field(default_factory=dict)
    _since: dict[int, float] = field(default_factory=dict)  # partition -> when a request came, and no answer since
    _not_before: float = 0

    def broker_away(self, at: float) -> None:
        """Nobody answers while the broker does not."""
        self._since.clear()
        self._not_before = at + RETURNS_S

    def suspicious(self, at: float, requests: Ends, answers: Ends) -> bool:
        """Whether a request came ``takeover_s`` ago, and no answer since; the first look only remembers."""
        for partition, end in requests.items():
            asked = self._requests.get(partition, end) != end
            answered = self._answers.get(partition) != answers[partition]
            if asked and (answered or partition not in self._since):
                self._since[partition] = at
            elif answered:
                self._since.pop(partition, None)
        self._requests, self._answers = dict(requests), dict(answers)
        return at >= self._not_before and any(at - since >= self.takeover_s for since in self._since.values())

    def unfounded(self) -> None:
        """Everything was answered all the same, before or in the moment in which the last request was seen."""
        self._since.clear()
