"""The spec of every service that always runs: the platform's by name, a watcher's from its line in stack.yaml."""

import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from apps.common.ready_file import heartbeat
from apps.common.settings import variable
from apps.gateway.settings import GatewaySettings
from stack.embedded.services import cache, hdfs, kafka, mlflow, postgres, prometheus
from stack.embedded.services.spec import ProcessSpec, StackContext
from stack.services import Service, ServiceKind

GATEWAY = "gateway"
PLATFORM: dict[str, Callable[[StackContext], ProcessSpec]] = {
    postgres.NAME: postgres.spec,
    mlflow.NAME: mlflow.spec,
    kafka.NAME: kafka.spec,
    hdfs.NAMENODE: hdfs.namenode,
    hdfs.DATANODE: hdfs.datanode,
}


def _watcher(service: Service, context: StackContext, environment: Mapping[str, str]) -> ProcessSpec:
    tick = {"BATON_TICK_S": str(context.stack.delivery.tick_seconds)}
    return ProcessSpec(
        lambda: [sys.executable, "-m", service.module],
        says="watching",
        environment={**tick, **environment, **service.exposed},
        grace_s=2,
    )


def _optional(service: Service, context: StackContext, environment: Mapping[str, str]) -> ProcessSpec:
    folder = context.folder(service.name)
    ready_file = folder / "ready.json"
    own = {"BATON_SCRATCH": str(folder / "scratch"), "BATON_READY_FILE": str(ready_file)}
    return ProcessSpec(
        lambda: [sys.executable, "-m", service.module],
        says="watching",
        environment={**environment, **service.exposed, **own},
        sign_of_life=heartbeat(ready_file),
        grace_s=2,
    )


def _gateway(service: Service, context: StackContext, environment: Mapping[str, str]) -> ProcessSpec:
    """It stays for a while when it is told to end, and reads the topics again before it is ready."""
    drain_s = environment.get(variable("drain_s"), GatewaySettings.model_fields["drain_s"].default)
    spec = _optional(service, context, environment)
    told = {variable("gateway_port"): str(service.ports["http"])}
    return replace(spec, environment={**spec.environment, **told}, grace_s=int(drain_s) + 2)


def specs(
    services: Collection[Service], context: StackContext, environment: Mapping[str, str]
) -> dict[str, ProcessSpec]:
    """By service name; ``environment`` is what every app is told. Jobs and servers have their own supervision."""
    found = {}
    for service in services:
        if service.kind is ServiceKind.PLATFORM:
            found[service.name] = PLATFORM[service.name](context)
        elif service.kind is ServiceKind.WATCHER:
            found[service.name] = _watcher(service, context, environment)
        elif service.name == prometheus.NAME:
            found[service.name] = prometheus.spec(context, services)
        elif service.name == cache.NAME:
            found[service.name] = cache.spec(context, environment)
        elif service.name == GATEWAY:
            found[service.name] = _gateway(service, context, environment)
        elif service.kind is ServiceKind.OPTIONAL:
            found[service.name] = _optional(service, context, environment)
    return found
