"""The stack that a benchmark measures: one of its own, for which nothing is made on the side meanwhile."""

from collections.abc import Iterator
from contextlib import contextmanager

from apps.common.errors import BatonError
from stack.cli.console import step
from stack.cli.demo import stack_of_its_own
from stack.cli.stack import Mode, Stack
from stack.embedded import class_archive


@contextmanager
def measured_stack(mode: Mode = Mode.EMBEDDED, **settings: str) -> Iterator[Stack]:
    """
    A fresh stack of used cars while the block runs.

    Its servers' archive of classes is there before, as on any stack that has run for a while: to make it takes a
    processor for a minute or two. A cluster's is in the image.
    """
    if mode is Mode.EMBEDDED:
        with step("the servers' archive of classes") as line:
            try:
                class_archive.make_now()
            except BatonError as error:
                line.update(f"none: {error}")  # it is measured without, as servers there start without
    with stack_of_its_own("bench", "used_cars", None, mode, **settings) as stack:
        yield stack
