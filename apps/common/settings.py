"""The one door from the environment into an app: typed, frozen, every problem reported at once."""

from typing import TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from apps.common.errors import SettingsError


class Settings(BaseSettings):
    """
    Where the platform is and which dataset this stack works on; each app adds its own fields.

    A field ``kafka`` is read from the variable ``BATON_KAFKA``.
    """

    model_config = SettingsConfigDict(env_prefix="BATON_", frozen=True, extra="ignore", protected_namespaces=())

    kafka: str = "127.0.0.1:19092"
    hdfs: str = "hdfs://127.0.0.1:18020"
    mlflow: str = "http://127.0.0.1:15000"
    dataset: str = "used_cars"
    log_format: str = "console"


S = TypeVar("S", bound=Settings)


def load(kind: type[S]) -> S:
    """Read ``kind`` from the environment; raise SettingsError that lists every problem."""
    try:
        return kind()
    except ValidationError as error:
        problems = [
            f"BATON_{'_'.join(map(str, p['loc'])).upper()} must be valid ({p['msg']}); "
            f"got {'nothing' if p['type'] == 'missing' else repr(p['input'])}; "
            "set it in the environment"
            for p in error.errors()
        ]
        raise SettingsError("\n".join(problems)) from error
