"""What the new-data watcher takes from the environment."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from apps.common.settings import Settings


class WatcherSettings(Settings):
    """How often to look (0: once), how long a batch may stay half-written, and who runs the trainer."""

    mode: Literal["embedded"] = "embedded"
    state: Path
    tick_s: float = Field(default=0.0, ge=0)
    batch_grace_s: float = Field(default=600.0, ge=0)
