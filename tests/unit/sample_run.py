"""A run of 600 requests in 6 s with a hand-over in it, for the tests of what is shown of a run."""

from apps.common.messages import Answer, Expected, Send
from loadtest.ledger import Verdict, check

BEGAN = 1_000_000.0


def run(*, lost: int = 0, altered: int = 0, slow: int = -1, second: str = "5") -> Verdict:
    """600 requests in 6 s; release 2 (version ``second``) answers from the 400th on."""
    sends = [Send(f"r{n}", n % 2, n // 2, BEGAN + n / 100, BEGAN + n / 100) for n in range(600)]
    answers = [
        Answer(
            request_id=send.request_id,
            in_partition=n % 2,
            in_offset=n // 2,
            model_version="4" if n < 400 else second,
            release=1 if n < 400 else 2,
            prediction=100.0 + (n < altered),
            rejection=None,
            seen_at=send.sent_at + (0.8 if n == slow else 0.002),
            process="one" if n < 400 else "two",
        )
        for n, send in enumerate(sends)
    ]
    expected = [
        Expected(version, n % 2, n // 2, 100.0, None, second_opinion=again)
        for version in ("4", second)
        for n in range(600)
        for again in (False, True)
    ]
    return check(sends, answers[: 600 - lost], expected)
