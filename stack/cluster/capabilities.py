"""
Which of the kernel's capabilities this machine withholds, even from root.

A sandboxed machine may drop one from its bounding set; then no container can be privileged in full, and runc refuses
to try, unless a runtime that asks for less stands before it.
"""

import re
from pathlib import Path

STATUS = Path("/proc/self/status")
NAMES = (  # in the order of their bits, from linux/capability.h
    *("CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID"),
    *("SETUID", "SETPCAP", "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW"),
    *("IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT"),
    *("SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD"),
    *("LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG"),
    *("WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE"),
)


def missing(status: str | None = None) -> tuple[str, ...]:
    """The capabilities absent from the bounding set that ``status`` (a /proc/PID/status) shows."""
    if status is None:
        status = STATUS.read_text() if STATUS.exists() else ""
    bounding = re.search(r"^CapBnd:\s*([0-9a-f]+)$", status, re.MULTILINE)
    if not bounding:
        return ()
    held = int(bounding.group(1), 16)
    return tuple(f"CAP_{name}" for bit, name in enumerate(NAMES) if not held >> bit & 1)
