"""
A folder of small JSON files shared by processes: one writer at a time, each file replaced as a whole.

The lock is the kernel's, so a process that is killed cannot keep it; a reader needs no lock and never sees half a file.
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from apps.common.errors import Unavailable
from apps.common.files import locked, write_whole

T = TypeVar("T")


class StateFiles:
    """The files in ``folder``, which is made at the first write."""

    def __init__(self, folder: Path) -> None:
        """Nothing is touched yet."""
        self.folder = folder

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other writer out while the block runs."""
        try:
            with locked(self.folder):
                yield
        except OSError as error:
            raise self._unavailable(error) from error

    def read(self, name: str, parse: Callable[[dict[str, Any]], T]) -> T | None:
        """
        The parsed content of a file, or None when it is not there.

        A file that does not parse counts as absent: it is left by a machine that lost power, and is written anew.
        """
        try:
            return parse(json.loads((self.folder / name).read_bytes()))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unavailable(error) from error
        except (ValueError, KeyError, TypeError):
            return None

    def read_all(self, folder: str, parse: Callable[[dict[str, Any]], T]) -> list[T]:
        """The parsed content of every file in a folder below this one, of those that parse, in no order."""
        try:
            names = [entry.name for entry in os.scandir(self.folder / folder) if entry.name.endswith(".json")]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self._unavailable(error) from error
        return [found for name in names if (found := self.read(f"{folder}/{name}", parse)) is not None]

    def write(self, name: str, content: dict[str, Any]) -> None:
        """Replace a file as a whole; only inside ``locked``, so that the temporary name belongs to one writer."""
        write_whole(self.folder / name, json.dumps(content))

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        (self.folder / name).unlink(missing_ok=True)

    def _unavailable(self, error: OSError) -> Unavailable:
        message = f"the state folder must be readable and writable; got {error}; check {self.folder}"
        return Unavailable(message)
