"""What the new-model watcher takes from the environment."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from apps.common.settings import Settings


class WatcherSettings(Settings):
    """How often to look (0: once), and who runs the server."""

    mode: Literal["embedded"] = "embedded"
    state: Path
    tick_s: float = Field(default=0.0, ge=0)
