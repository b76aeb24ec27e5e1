"""What the batch dropper takes from the environment."""

import tempfile
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from apps.common.settings import Settings


class DropperSettings(Settings):
    """
    Which rows there are, how they are split, and what to do with them.

    ``slices`` 0: as many as the rows are good for, of about ``slice_rows`` rows when there are many; without end when
    they are generated.
    """

    model_config = SettingsConfigDict(env_ignore_empty=True)

    job: Literal["drop", "replay"]
    state: Path | None = None
    work: Path = Field(
        default_factory=lambda data: (data.get("state") or Path(tempfile.gettempdir()) / "baton") / "slices"
    )

    source: Path | None = None
    seed: int = 17
    slices: int = Field(default=0, ge=0, le=1000)
    slice_rows: int = Field(default=8000, ge=1)
    test_rows: int = Field(default=2000, ge=1)
    drift: float = 0.0

    file: Path | None = None
    batch: str = Field(default="", pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]*)?$")
    drop_every_s: float = Field(default=0.0, ge=0)

    rate: float = Field(default=100.0, gt=0, le=100_000)
    seconds: float = Field(default=0.0, ge=0)
    run: str = Field(default="", pattern=r"^[A-Za-z0-9._-]*$")
    journal: Path | None = None
    outcome_delay_s: float = Field(default=5.0, ge=0)
