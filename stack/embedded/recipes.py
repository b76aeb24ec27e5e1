"""The recipe of every service that always runs: the platform's by name, a watcher's from its line in stack.yaml."""

import sys
from collections.abc import Callable, Iterable, Mapping

from stack.embedded import hdfs, kafka, mlflow, postgres
from stack.embedded.recipe import Recipe, Site
from stack.services import Kind, Service

PLATFORM: dict[str, Callable[[Site], Recipe]] = {
    postgres.NAME: postgres.recipe,
    mlflow.NAME: mlflow.recipe,
    kafka.NAME: kafka.recipe,
    hdfs.NAMENODE: hdfs.namenode,
    hdfs.DATANODE: hdfs.datanode,
}


def _watcher(service: Service, site: Site, environment: Mapping[str, str]) -> Recipe:
    tick = {"BATON_TICK_S": str(site.stack.delivery.tick_seconds)}
    return Recipe(
        lambda: [sys.executable, "-m", service.module],
        says="watching",
        environment={**tick, **environment},
        grace_s=2,
    )


def recipes(services: Iterable[Service], site: Site, environment: Mapping[str, str]) -> dict[str, Recipe]:
    """By service name; ``environment`` is what every app is told. Jobs and servers have their own supervision."""
    found = {}
    for service in services:
        if service.kind is Kind.PLATFORM:
            found[service.name] = PLATFORM[service.name](site)
        elif service.kind is Kind.WATCHER:
            found[service.name] = _watcher(service, site, environment)
    return found
