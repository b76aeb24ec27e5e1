"""Questions to services that may hang: all at once, each answered or given up after the same few seconds."""

import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from apps.common.errors import BatonError, Unavailable


def ask_all(questions: Mapping[str, Callable[[], Any]], seconds: float) -> tuple[dict[str, Any], dict[str, str]]:
    """
    The answers by name, and in words why a question has none; after ``seconds`` in any case.

    A question that hangs is left behind in a daemon thread, which ends with this process.
    """
    done: queue.SimpleQueue[tuple[str, Any, str]] = queue.SimpleQueue()

    def ask(name: str, question: Callable[[], Any]) -> None:
        try:
            done.put((name, question(), ""))
        except Exception as error:  # noqa: BLE001 - whatever it is, this question has no answer
            done.put((name, None, str(error) if isinstance(error, BatonError) else repr(error)))

    for name, question in questions.items():
        threading.Thread(target=ask, args=(name, question), daemon=True).start()
    answers: dict[str, Any] = {}
    failures: dict[str, str] = {}
    end = time.monotonic() + seconds
    while len(answers) + len(failures) < len(questions):
        try:
            name, answer, failure = done.get(timeout=max(0.0, end - time.monotonic()))
        except queue.Empty:
            break
        if failure:
            failures[name] = failure
        else:
            answers[name] = answer
    silent = set(questions) - set(answers) - set(failures)
    return answers, failures | dict.fromkeys(sorted(silent), f"no answer within {seconds:g} s")


def ask(question: Callable[[], Any], seconds: float) -> Any:
    """One answer; raises Unavailable when there is none."""
    answers, failures = ask_all({"": question}, seconds)
    if failures:
        raise Unavailable(failures[""])
    return answers[""]
