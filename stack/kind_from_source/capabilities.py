"""
Which of the kernel's capabilities this machine withholds, even from root.

A sandboxed machine may drop one from its bounding set; then no container can be privileged in full, and runc refuses
to try. What is missing decides whether the runtime wrapper and the user-namespace mode of the kubelet are used.
"""

import re
from pathlib import Path

STATUS = Path("/proc/self/status")
WRAPPER = Path(__file__).with_name("runc-fit")


def names() -> tuple[str, ...]:
    """The capabilities in the order of their bits; the runtime wrapper, which must stand alone, has the list."""
    listed = re.search(r'^names="([^"]+)"', WRAPPER.read_text(), re.MULTILINE)
    return tuple(f"CAP_{name}" for name in listed.group(1).split()) if listed else ()


def missing(status: str | None = None) -> tuple[str, ...]:
    """The capabilities absent from the bounding set that ``status`` (a /proc/PID/status) shows."""
    found = re.search(r"^CapBnd:\s*([0-9a-f]+)$", STATUS.read_text() if status is None else status, re.MULTILINE)
    if not found:
        return ()
    held = int(found.group(1), 16)
    return tuple(name for bit, name in enumerate(names()) if not held >> bit & 1)
