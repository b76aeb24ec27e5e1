"""
The environment of every process that Baton starts, and of its own.

A shell may be set up for another Spark, Kafka, Postgres or Python, or for a company's proxy. So nothing of it goes on
but what is named here, and a stack starts the same from every shell.
"""

import os
import sys
from collections.abc import Iterable, Mapping, MutableMapping
from pathlib import Path

from apps.common.names import DEFAULT_STACK
from stack import services
from stack.services import CACHE_URL, StackSpec

ROOT = Path(__file__).parent.parent
HOST = "127.0.0.1"
LOOPBACK = (HOST, "localhost", "::1")

PROXIES = tuple(
    name for upper in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY") for name in (upper, upper.lower())
)
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
PROCESSOR = ("OPENBLAS_CORETYPE",)  # which code the machine's processor bears: a fact, no matter of taste
SERVICES = ("HOME", "LOGNAME", "USER", "PATH", "TMPDIR", "JAVA_HOME", *PROXIES, *CERTIFICATES, *PROCESSOR)
TEXT = {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
CLOCK = {"TZ": "UTC"}  # the logs of all services on one clock

DOCKER = (
    *("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY", "DOCKER_API_VERSION"),
    *("SSH_AUTH_SOCK", "XDG_RUNTIME_DIR"),
)
KUBERNETES = ("KUBECONFIG",)
PROGRAMS = {  # what leads each program that Baton calls to its daemon, its clusters, its registry and its cache
    "docker": DOCKER,
    "kind": (*DOCKER, *KUBERNETES),
    "helm": KUBERNETES,
    "kubectl": KUBERNETES,
    "tilt": (*DOCKER, *KUBERNETES),
    "go": (
        *("GOPROXY", "GOPRIVATE", "GONOPROXY", "GONOSUMDB", "GONOSUMCHECK", "GOSUMDB", "GOINSECURE", "GOAUTH"),
        *("GOPATH", "GOMODCACHE", "GOCACHE", "NETRC"),
    ),
    "uv": (
        *("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_INSECURE_HOST"),
        *("UV_HTTP_TIMEOUT", "UV_NATIVE_TLS", "UV_KEYRING_PROVIDER", "NETRC"),
        *("PIP_CONFIG_FILE", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX"),
        *("PIP_CERT", "PIP_CLIENT_CERT", "PIP_TRUSTED_HOST", "PIP_PROXY"),
    ),
}
DESKTOP = (  # how a person is shown a page
    *("BROWSER", "DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "DBUS_SESSION_BUS_ADDRESS"),
    *("XDG_CURRENT_DESKTOP", "XDG_DATA_DIRS", "XDG_CONFIG_HOME"),
)
PERSON = ("TERM", "COLORTERM", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TZ", *DESKTOP)  # and everything else
OWN = "BATON_"

# What turns an app into another program than the one the supervisor runs; each stands for all that begin so.
HARMFUL = (
    *("BATON_", "HADOOP_", "HDFS_", "KRB5", "MLFLOW_", "_MLFLOW_", "PYSPARK_", "PYTHON", "SPARK_", "YARN_"),
    *("CLASSPATH", "JAVA_OPTS", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "UVICORN_"),
    *("DYLD_", "GLIBC_TUNABLES", "LD_LIBRARY_PATH", "LD_PRELOAD", "MALLOC_", "MKL_", "OMP_", "OPENBLAS_"),
)


def inherited() -> dict[str, str]:
    """What a service gets from the shell that Baton was started in."""
    return _reduced(SERVICES) | CLOCK


def for_program(name: str) -> dict[str, str]:
    """What a program that Baton calls gets from the shell."""
    return _reduced((*SERVICES, *PROGRAMS.get(name, ())))


def clean_own_process() -> dict[str, str]:
    """
    Take the same out of the environment of this process: the clients in it read it as the services would.

    What is Baton's own, what its programs need and how a person is shown things stays. Return what it was before: a
    command that a person hands over is to run as in their shell, but for what the launcher has set or taken out before
    (JAVA_HOME, BATON_CACHE_DIR, PYTHON*, and options of Java with which Java does not start).
    """
    shell = _shell()
    before = {name: value for name, value in shell.items() if name != "PYTHONPATH"}
    more = [name for names in PROGRAMS.values() for name in names]
    kept = _reduced((*SERVICES, *more, *PERSON, *(name for name in shell if name.startswith(OWN))))
    shell.clear()
    shell.update(kept)
    return before


def _shell() -> MutableMapping[str, str]:
    return os.environ  # noqa: TID251 - the one place where the stack reads it


def _reduced(names: Iterable[str]) -> dict[str, str]:
    shell = _shell()
    kept = {name: shell[name] for name in names if name in shell}
    if not os.access(kept.get("TMPDIR", ""), os.W_OK | os.X_OK):
        kept.pop("TMPDIR", None)
    direct = _direct([shell.get("NO_PROXY", ""), shell.get("no_proxy", "")])
    return kept | TEXT | {"PATH": _path(shell.get("PATH", "")), "NO_PROXY": direct, "no_proxy": direct}


def _path(path: str) -> str:
    """The programs of this Python first; an empty entry would mean whatever folder a process is in."""
    own = str(Path(sys.executable).parent)
    return os.pathsep.join(dict.fromkeys([own, *filter(None, (path or os.defpath).split(os.pathsep))]))


def _direct(asked: Iterable[str]) -> str:
    """Whom no proxy may stand before: whoever the shell says, this machine, and the services by their names."""
    hosts = [host.strip() for text in asked for host in text.split(",")]
    if "*" in hosts:
        return "*"
    names = [service.name for service in services.load().services]
    return ",".join(dict.fromkeys(filter(None, [*hosts, *LOOPBACK, *names])))


def shell_settings() -> dict[str, str]:
    """The variables of the shell that an app run by hand would take, and that no stack takes."""
    return {k: v for k, v in os.environ.items() if k.startswith("BATON_")}  # noqa: TID251 - to say that they are not used


def has_display() -> bool:
    """Whether a window can be opened from the shell that Baton was started in."""
    shell = os.environ  # noqa: TID251 - of the person, not of a service
    return sys.platform == "darwin" or any(shell.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))


def debugging() -> bool:
    """Whether a person asked for tracebacks by BATON_DEBUG."""
    return os.environ.get("BATON_DEBUG", "0") not in ("", "0")  # noqa: TID251 - of the person, not of a service


def app_environment(stack: StackSpec, state: Path, spark_jars: Path, settings: Mapping[str, str]) -> dict[str, str]:
    """
    What every app is told: where the platform is, where the state is, and ``settings``, which win.

    ``./baton env`` prints this, so that an app run by hand behaves as one that the supervisor runs.
    """
    delivery = stack.delivery
    return {
        "BATON_MODE": "embedded",
        "BATON_KAFKA": stack.service("kafka").address_at(HOST),
        "BATON_HDFS": stack.service("namenode").address_at(HOST),
        "BATON_MLFLOW": stack.service("mlflow").address_at(HOST),
        CACHE_URL: stack.service("cache").address_at(HOST),
        "BATON_STACK": DEFAULT_STACK,
        "BATON_DATASET": "used_cars",
        "BATON_STATE": str(state),
        "BATON_SPARK_JARS": str(spark_jars),
        "BATON_TRIGGER": delivery.trigger,
        "BATON_TRIGGER_INTERVAL": delivery.trigger_interval,
        "MLFLOW_TRACKING_URI": stack.service("mlflow").address_at(HOST),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": HOST,
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        **settings,
    }
