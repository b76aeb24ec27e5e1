"""
The one door from the environment into an app: typed, frozen, every problem reported at once.

Each field says what it means, in which unit, and what sets it, so that lists of settings are made from the models.
"""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import Field, FilePath, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

from apps.common.errors import SettingsError
from apps.common.kafka_access import SASL, KafkaAccess
from apps.common.names import DEFAULT_STACK, STACK_NAME, StackNames

PREFIX = "BATON_"
LARGEST = 1_000_000_000  # where a number has no bound of its own: Java's and Spark's integers hold twice that
DAY_S = 86_400
BROKERS = r"^[^\s,:]+:[0-9]+(,[^\s,:]+:[0-9]+)*$"  # as Java takes them: each with its port
MEMORY = r"^[1-9][0-9]*[mg]$"  # a size as Java takes it: 768m, 2g


@dataclass(frozen=True)
class Unit:
    """Beside a field's type: what its number counts."""

    name: str


@dataclass(frozen=True)
class SetBy:
    """Beside a field's type: what gives it its value in a stack; a person sets every other field by ``--set``."""

    what: str


STACK = SetBy("the stack itself")
PORTS = SetBy("the ports in stack/stack.yaml, or addresses of charts/pipeline")
DELIVERY = SetBy("delivery in stack/stack.yaml")
CHART = SetBy("charts/pipeline")


class Settings(BaseSettings):
    """
    Where the platform is and which dataset this stack works on; each app adds its own fields.

    A field ``kafka`` is read from the variable ``BATON_KAFKA``.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="ignore", protected_namespaces=(), allow_inf_nan=False
    )

    kafka: str = Field(
        default="127.0.0.1:19092",
        pattern=BROKERS,
        description="Kafka's brokers, host:port: your own, and then the stack starts none. In a cluster "
        "addresses.kafka of charts/pipeline names them, and kafka of it the five that follow.",
    )
    kafka_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT", description="How Kafka is spoken to; SSL is TLS, SASL_SSL is TLS and a password."
    )
    kafka_ca: FilePath | None = Field(
        default=None, description="The file with the certificates that vouch for the brokers, as PEM."
    )
    kafka_mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] = Field(
        default="SCRAM-SHA-512", description="How a password is shown to Kafka."
    )
    kafka_user: str = Field(default="", description="Who Kafka is told that we are.")
    kafka_password_file: FilePath | None = Field(default=None, description="The file with that user's password.")
    hdfs: Annotated[str, PORTS] = Field(
        default="hdfs://127.0.0.1:18020", pattern="^hdfs://", description="The URL of HDFS' NameNode."
    )
    mlflow: Annotated[str, PORTS] = Field(
        default="http://127.0.0.1:15000", pattern="^https?://", description="The URL of the MLflow server."
    )
    dataset: Annotated[str, SetBy("--dataset")] = Field(
        default="used_cars", description="The dataset of apps/datasets that the stack works on."
    )
    stack: str = Field(
        default=DEFAULT_STACK,
        pattern=STACK_NAME,
        description="The stack's name on its platform: its topics, its folder in HDFS, its model and its answers carry "
        "it. Give each stack on one platform another.",
    )
    log_format: Literal["console", "json"] = Field(
        default="console", description="Log lines for people, or a JSON object a line for programs."
    )

    @model_validator(mode="after")
    def _a_user_has_a_password(self) -> Self:
        if self.kafka_protocol.startswith(SASL) and not (self.kafka_user and self.kafka_password_file):
            raise ValueError(
                f"BATON_KAFKA_PASSWORD_FILE must be given with {self.kafka_protocol}, beside the user; got "
                f"{self.kafka_password_file} and {self.kafka_user!r}; set both"
            )
        return self

    @property
    def kafka_access(self) -> KafkaAccess:
        """How Kafka is reached."""
        password = self.kafka_password_file
        return KafkaAccess(
            self.kafka, self.kafka_protocol, self.kafka_ca, self.kafka_mechanism, self.kafka_user, password
        )

    @property
    def names(self) -> StackNames:
        """What this stack calls what it has on the platform."""
        return StackNames(self.stack, self.dataset)


S = TypeVar("S", bound=Settings)


def load(kind: type[S], **values: Any) -> S:
    """
    Read ``kind`` from the environment, but for the fields in ``values``.

    Raises SettingsError that lists every problem.
    """
    try:
        return kind(**values)
    except ValidationError as error:
        raise SettingsError("\n".join(_sentence(kind, problem) for problem in error.errors())) from error


def kafka_access(variables: Mapping[str, str]) -> KafkaAccess:
    """How Kafka is reached by who is told ``variables``, whatever this process is told; raises SettingsError."""
    fields = Settings.model_fields.items()
    return load(Settings, **{name: variables.get(variable(name), field.default) for name, field in fields}).kafka_access


def refusals(kind: type[Settings], values: Mapping[str, Any]) -> list[str]:
    """What ``kind`` has against ``values``, a field's name to its value, in the sentences of ``load``."""
    try:
        kind(**values)
    except ValidationError as error:
        return [_sentence(kind, problem) for problem in error.errors() if set(problem["loc"][:1]) & values.keys()]
    return []


def variable(name: str) -> str:
    """The environment variable of a field."""
    return f"{PREFIX}{name.upper()}"


def option(name: str, value: object = "VALUE") -> str:
    """How a person sets a field, for a message: an option of ``./baton up``, or a variable for an app run by hand."""
    return f"--set {shlex.quote(f'{name}={value}')} ({variable(name)} for an app run by hand)"


def setter(field: FieldInfo) -> str:
    """What gives a field its value in a stack; empty when a person sets it by ``--set``."""
    return next((mark.what for mark in field.metadata if isinstance(mark, SetBy)), "")


def _sentence(kind: type[Settings], problem: Any) -> str:
    if not problem["loc"]:  # fields that do not fit together: the model's own sentence
        return str(problem["msg"]).removeprefix("Value error, ")
    name = str(problem["loc"][0])
    got = "nothing" if problem["type"] == "missing" else repr(problem["input"])
    giver = setter(kind.model_fields[name])
    remedy = (
        f'it comes from {giver}; for an app run by hand: eval "$(./baton env)", or set it in the environment'
        if giver
        else f"set it by ./baton up {option(name)}"
    )
    return f"{variable(name)} must be valid ({problem['msg']}); got {got}; {remedy}"
