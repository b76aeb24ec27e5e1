"""
Docker on this machine: what is wrong with it, and, for root on Debian, installing and starting it.

Where no init system runs (a sandbox, a CI container) dockerd is started by hand, with its own pid file and log, and
with the runtime wrapper as its default runtime where this machine withholds capabilities.
"""

import json
import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

import psutil

from apps.common.errors import Unavailable
from apps.common.waiting import wait_until
from stack.kind_from_source import cache, capabilities, command
from stack.kind_from_source.steps import Note

PACKAGES = {"dockerd": "docker.io", "debootstrap": "debootstrap", "jq": "jq", "gcc": "gcc", "iptables": "iptables"}
EXTRA = ("ca-certificates", "libc6-dev")
RUNTIME = "fit"
START_S = 60


def folder() -> Path:
    """Where dockerd's pid file, its log and its runtime wrapper are, when it was started from here."""
    return cache.root() / "docker"


def pid_file() -> Path:
    """The pid file of the dockerd that was started from here."""
    return folder() / "dockerd.pid"


def log_file() -> Path:
    """The log of the dockerd that was started from here."""
    return folder() / "dockerd.log"


def absent() -> list[str]:
    """The Debian packages that are needed and not there."""
    return sorted(package for program, package in PACKAGES.items() if not shutil.which(program, path=_path()))


def problems() -> list[str]:
    """Why a cluster cannot run on this machine's Docker now; empty when it can."""
    told = command.answer(["docker", "info", "--format", "{{json .}}"])
    info = json.loads(told) if told else {}
    if not info.get("ServerVersion"):
        return ["Docker must answer on this machine; got no daemon; start it; ./baton airgap does, as root on Debian"]
    found = []
    withheld = capabilities.missing()
    if withheld and info.get("DefaultRuntime") != RUNTIME:
        found.append(
            f"Docker's default runtime must be {RUNTIME!r} on a machine without {', '.join(withheld)}; got "
            f"{info.get('DefaultRuntime')!r}; stop this dockerd, then run ./baton airgap"
        )
    if "containerd.snapshotter" in json.dumps(info.get("DriverStatus", "")):
        found.append(
            "Docker's image store must be its own (kind load fails with containerd's); got containerd's; set "
            '"features": {"containerd-snapshotter": false} in /etc/docker/daemon.json and restart Docker'
        )
    return found


def ready() -> bool:
    """Whether Docker and all that is needed beside it are there."""
    return not absent() and not problems()


def ensure(note: Note) -> None:
    """Install and start what is not there; raise Unavailable that says what to do where that cannot be done here."""
    packages = absent()
    if packages:
        _only_root_on_debian(f"install {', '.join(packages)}")
        note(f"installing {', '.join(packages)}")
        install(packages)
    if not command.answer(["docker", "info", "--format", "{{.ServerVersion}}"]):
        _only_root_on_debian("start dockerd")
        note("starting dockerd")
        start()
    if left := problems():
        raise Unavailable("\n".join(left))


def stop() -> bool:
    """End the dockerd that was started from here, and its containers; False when there is none."""
    try:
        daemon = psutil.Process(int(pid_file().read_text()))
    except (OSError, ValueError, psutil.NoSuchProcess):
        return False
    if daemon.name() != "dockerd":
        return False
    daemon.terminate()
    with suppress(psutil.NoSuchProcess):
        daemon.wait(START_S)
    return True


def cgroup_version() -> str:
    """Which control groups Docker uses: "1" or "2"; empty when it does not answer."""
    return command.answer(["docker", "info", "--format", "{{.CgroupVersion}}"]) or ""


def registry_answers(image: str) -> bool:
    """Whether Docker can have ``image`` from a registry, asked for half a minute at most."""
    return command.answer(["timeout", "30", "docker", "pull", "--quiet", image]) is not None


def install(packages: list[str]) -> None:
    """Install Debian packages without a question and without starting a service."""
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    command.run("apt-update", ["apt-get", "update", "-q"], variables=quiet)
    wanted = ["apt-get", "install", "-q", "-y", "--no-install-recommends", *packages, *EXTRA]
    command.run("apt-install", wanted, variables=quiet)


def start() -> None:
    """Start dockerd in the background, at the usual priority whatever ours is, and wait until it answers."""
    folder().mkdir(parents=True, exist_ok=True)
    usual = ["nice", "-n", str(-os.nice(0))]
    daemon = ["dockerd", "--pidfile", str(pid_file()), *_runtime()]
    with log_file().open("ab") as log:
        process = subprocess.Popen(
            [*usual, *daemon], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )

    def answers() -> bool:
        if process.poll() is not None:
            message = f"dockerd must stay up; it ended with {process.returncode}; read {log_file()}"
            raise Unavailable(message)
        return command.answer(["docker", "info", "--format", "{{.ServerVersion}}"]) is not None

    wait_until(answers, START_S, f"dockerd does not answer; read {log_file()}")


def _runtime() -> list[str]:
    if not capabilities.missing():
        return []
    wrapper = folder() / capabilities.WRAPPER.name
    fresh = wrapper.with_suffix(".new")
    shutil.copy(capabilities.WRAPPER, fresh)
    fresh.chmod(0o755)
    fresh.rename(wrapper)
    return ["--add-runtime", f"{RUNTIME}={wrapper}", "--default-runtime", RUNTIME]


def _path() -> str:
    return os.pathsep.join([*os.get_exec_path(), "/usr/sbin", "/sbin"])


def _only_root_on_debian(what: str) -> None:
    if os.geteuid() != 0 or not Path("/etc/debian_version").exists():
        message = f"Docker must be running; got none and no way to {what} (that needs root on Debian); {what} yourself"
        raise Unavailable(message)
