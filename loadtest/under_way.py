"""Which requests of a load wait for an answer, and since when; plain numbers, so that any clock will do."""


class UnderWay:
    """
    Requests by their keys, in the order in which they were due.

    Each leaves once: with its first answer, or overdue. So an answer that is a repeat, late or to somebody else's
    request counts for nothing, and what is kept is never more than what is due within a deadline.
    """

    def __init__(self) -> None:
        """None yet."""
        self._due: dict[bytes, float] = {}

    def __len__(self) -> int:
        """How many wait."""
        return len(self._due)

    def add(self, key: bytes, due: float) -> None:
        """A request that was due at the moment ``due``, no earlier than those before it."""
        self._due[key] = due

    def answered(self, key: bytes | None, now: float) -> float | None:
        """The seconds that the request with this key has waited; None when none waits under it."""
        due = self._due.pop(key or b"", None)
        return None if due is None else now - due

    def overdue(self, now: float, deadline: float) -> list[float]:
        """Take out what has waited for ``deadline`` seconds: the seconds that each did."""
        late = []
        for key, due in self._due.items():
            if now - due < deadline:
                break
            late.append(key)
        return [now - self._due.pop(key) for key in late]
