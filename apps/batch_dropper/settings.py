"""What the batch dropper takes from the environment."""

import tempfile
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from apps.common.settings import DAY_S, LARGEST, STACK, SetBy, Settings, Unit

TRAFFIC = SetBy("./baton traffic")
FILE = SetBy("./baton drop FILE.csv")
MOST_ROWS = 10_000_000  # of a batch: some gigabytes
MOST_DRIFT = 10  # beyond it a market is made of one kind of car


class DropperSettings(Settings):
    """Which rows there are, how they are split, and what to do with them."""

    model_config = SettingsConfigDict(env_ignore_empty=True)

    job: Annotated[Literal["drop", "replay"], SetBy("./baton drop, ./baton traffic")] = Field(
        description="Drop the next batch, or replay the test part as requests."
    )
    state: Annotated[Path | None, STACK] = Field(default=None, description="The stack's state folder.")
    work: Annotated[Path, STACK] = Field(
        default_factory=lambda data: (data.get("state") or Path(tempfile.gettempdir()) / "baton") / "slices",
        description="Where slices and test part are kept once they are made; a folder of the state folder by default.",
    )

    source: Annotated[Path | None, SetBy("--source")] = Field(
        default=None, description="A CSV file of one's own instead of the dataset's rows."
    )
    seed: Annotated[int, Unit("none")] = Field(
        default=17, ge=0, le=LARGEST, description="Which rows are generated, and which row goes into which slice."
    )
    slices: Annotated[int, Unit("batches")] = Field(
        default=0,
        ge=0,
        le=1000,
        description="How many batches a source is split into; 0 takes as many as its rows are good for, and goes on "
        "without end when they are generated.",
    )
    slice_rows: Annotated[int, Unit("rows")] = Field(
        default=8000,
        ge=1,
        le=MOST_ROWS,
        description="The size of a generated batch, and about that of one of a large source.",
    )
    test_rows: Annotated[int, Unit("rows")] = Field(
        default=2000,
        ge=1,
        le=MOST_ROWS,
        description="How many rows are kept out of the batches to be sent as requests; at most a fifth.",
    )
    drift: Annotated[float, Unit("none")] = Field(
        default=0.0,
        ge=-MOST_DRIFT,
        le=MOST_DRIFT,
        description="How far the market of generated rows moves from batch to batch, until it is "
        f"{MOST_DRIFT} from where it began; 1 is a strong move.",
    )

    file: Annotated[Path | None, FILE] = Field(default=None, description="A CSV file to drop as one batch.")
    batch: Annotated[str, FILE] = Field(
        default="",
        pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]*)?$",
        description="The name of that batch; made from the file's if empty.",
    )
    drop_every_s: Annotated[float, Unit("seconds"), SetBy("dropper.everySeconds of charts/pipeline")] = Field(
        default=0.0, ge=0, description="How often a batch is dropped; 0 drops one and ends."
    )

    rate: Annotated[float, Unit("requests/second"), SetBy("--rate of ./baton traffic and demo")] = Field(
        default=100.0, gt=0, le=100_000, description="How many requests are sent."
    )
    seconds: Annotated[float, Unit("seconds"), SetBy("--seconds of ./baton traffic")] = Field(
        default=0.0, ge=0, description="How long requests are sent; 0 goes on until it is ended."
    )
    run: Annotated[str, TRAFFIC] = Field(
        default="",
        pattern=r"^[A-Za-z0-9._-]*$",
        description="What the ids of the requests begin with; random if empty.",
    )
    journal: Annotated[Path | None, TRAFFIC] = Field(
        default=None, description="The file that keeps each acknowledged request."
    )
    ends_with_stdin: Annotated[bool, TRAFFIC] = Field(
        default=False,
        description="Whether the sender ends when its standard input does: with the program that started it.",
    )
    outcome_delay_s: Annotated[float, Unit("seconds")] = Field(
        default=5.0, ge=0, le=DAY_S, description="How long after a request its true outcome is sent."
    )
