"""
``./baton prove``: the prover of loadtest/prover, with the stack that runs here where no other Kafka is named.

The prover is a program of its own with a command line and exit codes of its own; this only fills in what it is to ask.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from apps.common.errors import BatonError
from apps.common.settings import PREFIX
from loadtest.prover import cli
from stack.cli import replayed
from stack.cli.console import err
from stack.cli.pipeline import Pipeline
from stack.cli.stack import Stack

NAME = "./baton prove"
NOTE = """\
Without --bootstrap it proves the stack that runs here: its topics, rows of its
dataset, and what its versions must say, computed afresh. --mode is as elsewhere."""
OWN = (
    "--bootstrap",
    "--requests",
    "--answers",
    "--http",
    "check",
    "-h",
    "--help",
)  # with one of these no stack is asked
ACCESS = {
    "KAFKA_PROTOCOL": "--protocol",
    "KAFKA_CA": "--ca",
    "KAFKA_MECHANISM": "--mechanism",
    "KAFKA_USER": "--user",
    "KAFKA_PASSWORD_FILE": "--password-file",
}


def run(given: Sequence[str], stack: Stack, environment: Mapping[str, str] | None) -> int:
    """Prove what ``given`` names, or ``stack``, which must run; return the prover's exit code."""
    if any(word.partition("=")[0] in OWN for word in given):
        return cli.main(given, NAME, environment, note=NOTE)
    try:
        pipeline = stack.pipeline()
        with _payloads(pipeline) as file:
            asked = [*_asked(pipeline), "--payloads", str(file), *given]
            return cli.main(asked, NAME, environment, expect=pipeline.expected)
    except BatonError as error:
        err.print(f"error: {error}\nor name another Kafka: see {NAME} --help")
        return cli.OWN_FAILURE


def _asked(pipeline: Pipeline) -> list[str]:
    """What the prover must be told of a stack; that a reader may see an answer twice is its promise."""
    told, names = pipeline.environment, pipeline.names
    topics = ["--bootstrap", told[f"{PREFIX}KAFKA"], "--requests", names.requests, "--answers", names.answers]
    access = [word for key, option in ACCESS.items() if (value := told.get(PREFIX + key)) for word in (option, value)]
    return [*topics, *access, "--model", names.model, "--min-versions", "1", "--allow", "repeats"]


@contextmanager
def _payloads(pipeline: Pipeline) -> Iterator[Path]:
    """A file with the requests that ``./baton traffic`` would send."""
    pipeline.require_served()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "requests.jsonl"
        file.write_bytes(b"\n".join(replayed.requests(pipeline)))
        yield file
