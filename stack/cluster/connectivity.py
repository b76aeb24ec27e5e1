"""
Whether this machine reaches the services by the node's ports.

A pod can be ready while the way to it is not: after a node's start the rules of its packet filter come last.
"""

from collections.abc import Callable, Sequence

import requests
from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from stack.environment import HOST
from stack.services import Service, StackSpec

PATIENCE_S = 3


def unreached(stack: StackSpec, wanted: Sequence[Service]) -> list[str]:
    """Each service that is asked from this machine and does not answer, as words for an error."""
    names = {one.name for one in wanted}
    asked: dict[str, Callable[[StackSpec], bool]] = {"kafka": _kafka, "mlflow": _mlflow, "namenode": _namenode}
    return [f"{name} from this machine" for name, ask in asked.items() if name in names and not ask(stack)]


def _kafka(stack: StackSpec) -> bool:
    told = {"bootstrap_timeout_ms": PATIENCE_S * 1000, "request_timeout_ms": PATIENCE_S * 1000}
    try:
        admin = KafkaAdminClient(bootstrap_servers=stack.service("kafka").address_at(HOST), **told)
    except (KafkaError, OSError):
        return False
    try:
        return bool(admin.describe_topics())
    except (KafkaError, OSError):
        return False
    finally:
        admin.close()


def _mlflow(stack: StackSpec) -> bool:
    return _answers(f"{stack.service('mlflow').address_at(HOST)}/health")


def _namenode(stack: StackSpec) -> bool:
    return _answers(f"http://{HOST}:{stack.service('namenode').ports['http']}/jmx?qry=Hadoop:service=NameNode")


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=PATIENCE_S).ok
    except requests.RequestException:
        return False
