"""
Docker made ready for a cluster: for root on Debian it is installed and started.

Where no init system runs (a sandbox, a CI container) dockerd is started by hand, with its own pid file and log, and
with the runtime wrapper as its default runtime where this machine withholds capabilities.
"""

import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

import psutil

from apps.common.errors import Unavailable
from apps.common.waiting import wait_until
from stack import cache
from stack.cluster import capabilities
from stack.cluster.docker import FITTING_RUNTIME, info, problems
from stack.kind_from_source import command
from stack.kind_from_source.steps import Note

PACKAGES = {"dockerd": "docker.io", "debootstrap": "debootstrap", "jq": "jq", "gcc": "gcc", "iptables": "iptables"}
EXTRA = ("ca-certificates", "libc6-dev")
WRAPPER = Path(__file__).with_name("runc-fit")  # the runtime that asks for no more than there is
START_S = 60
APT_S = 300
LOCKED = "Could not get lock"


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


def ready() -> bool:
    """Whether Docker and all that is needed beside it are there."""
    return not absent() and not problems(info())


def ensure(note: Note) -> None:
    """Install and start what is not there; raise Unavailable that says what to do where that cannot be done here."""
    packages = absent()
    if packages:
        _only_root_on_debian(f"install {', '.join(packages)}")
        install(packages, note)
    if not command.answer(["docker", "info", "--format", "{{.ServerVersion}}"]):
        _only_root_on_debian("start dockerd")
        note("starting dockerd")
        start()
    if left := problems(info()):
        raise Unavailable("Docker must be able to run a cluster; got: " + "; ".join(left))


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


def registry_answers(image: str) -> bool:
    """Whether Docker can have ``image`` from a registry, asked for half a minute at most."""
    return command.answer(["timeout", "30", "docker", "pull", "--quiet", image]) is not None


def install(packages: list[str], note: Note) -> None:
    """Install Debian packages without a question."""
    note(f"installing {', '.join(packages)}")
    _apt("update", note)
    _apt("install", note, "-y", "--no-install-recommends", *packages, *EXTRA)


def _apt(verb: str, note: Note, *arguments: str) -> None:
    """Run apt-get; while another one works, wait for it: by itself it waits for one of its three locks only."""
    quiet = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    apt = ["apt-get", "-q", "-o", f"DPkg::Lock::Timeout={APT_S}", verb, *arguments]

    def done() -> bool:
        try:
            command.run(f"apt-{verb}", apt, variables=quiet)
        except Unavailable as error:
            if LOCKED not in str(error):
                raise
            note("waiting for another apt")
            return False
        return True

    wait_until(done, APT_S, f"another apt must end within {APT_S} s; it works still; try again later", every=2)


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
    wrapper = folder() / WRAPPER.name
    fresh = wrapper.with_suffix(".new")
    shutil.copy(WRAPPER, fresh)
    fresh.chmod(0o755)
    fresh.rename(wrapper)
    return ["--add-runtime", f"{FITTING_RUNTIME}={wrapper}", "--default-runtime", FITTING_RUNTIME]


def _path() -> str:
    return os.pathsep.join([*os.get_exec_path(), "/usr/sbin", "/sbin"])


def _only_root_on_debian(what: str) -> None:
    if os.geteuid() != 0 or not Path("/etc/debian_version").exists():
        message = f"Docker must be running; got none and no way to {what} (that needs root on Debian); {what} yourself"
        raise Unavailable(message)
