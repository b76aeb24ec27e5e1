"""Ending processes in order: apps before what they need, each asked first and killed when it does not answer."""

import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import psutil

from apps.common.waiting import pause
from stack.embedded.process import Child, marked
from stack.embedded.services.spec import ProcessSpec
from stack.services import ServiceKind, StackSpec

GRACE_S = 2  # of an app: it may be killed anywhere
LOOK_EVERY_S = 0.05


def end_services(stack: StackSpec, children: Mapping[str, list[Child]], specs: Mapping[str, ProcessSpec]) -> None:
    """End every service; ``children`` may hold several of one name."""
    apps = [name for name in children if stack.service(name).kind is not ServiceKind.PLATFORM]
    platform = [name for name in children if name not in apps]
    waves = [
        apps,
        *([service.name for service in wave if service.name in platform] for wave in reversed(stack.waves(platform))),
    ]
    for wave in waves:
        _end_together([(child, specs.get(name)) for name in wave for child in children[name]])


def _end_together(wave: list[tuple[Child, ProcessSpec | None]]) -> None:
    began = time.monotonic()
    default = ProcessSpec(command=list, grace_s=GRACE_S)
    left = [(child, spec or default) for child, spec in wave]
    for child, spec in left:
        child.send(spec.stop_signal)
    while left:
        waited = time.monotonic() - began
        for child, spec in list(left):
            if not child.alive() or waited > spec.grace_s:
                child.kill()
                left.remove((child, spec))
        if left:
            pause(LOOK_EVERY_S)


def end_strays(state: Path, known: Iterable[Child] = (), *, by_hand: bool = True) -> None:
    """Kill what carries the mark of this stack and belongs to no known child: its supervisor died unawares."""
    spared = {process.pid for child in known for process in child.members()}
    for process in marked(state, by_hand=by_hand):
        if process.pid not in spared:
            with suppress(psutil.Error):
                process.kill()
