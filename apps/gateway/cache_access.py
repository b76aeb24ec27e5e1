"""How the cache is reached; a password stands in a file, as Kafka's does."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apps.common.errors import SettingsError


@dataclass(frozen=True)
class CacheAccess:
    """A Valkey or Redis and what it wants to see; ``ca`` is a file of PEM certificates, None takes the machine's."""

    url: str
    user: str = ""
    password_file: Path | None = None
    ca: Path | None = None

    def options(self) -> dict[str, Any]:
        """For redis-py, beside the URL; raises SettingsError when the password cannot be read."""
        told = {"username": self.user, "password": self._password()}
        if self.url.startswith("rediss:") and self.ca:
            told["ssl_ca_certs"] = str(self.ca)
        return {name: text for name, text in told.items() if text}

    def _password(self) -> str:
        try:
            return self.password_file.read_text().rstrip("\n") if self.password_file else ""
        except (OSError, ValueError) as error:
            rule = "BATON_CACHE_PASSWORD_FILE must be a file that can be read"
            raise SettingsError(f"{rule}; got {error}; write the password into it") from error
