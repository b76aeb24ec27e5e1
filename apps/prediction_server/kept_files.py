"""
The files of the versions that served last, kept in HDFS, so that what serves can be started again without MLflow.

``<root>/models/<sha256 of the manifest>/...``: a folder that is there is whole, since it comes there by one rename.
What lies in it is trusted no more than what MLflow gives, and is checked in the same way.
"""

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from structlog.stdlib import BoundLogger

from apps.common import model
from apps.common.errors import ModelRefused, Unavailable
from apps.common.hdfs import Hdfs
from apps.common.model import Model
from apps.common.model_files import MANIFEST
from apps.common.names import SCRATCH
from apps.common.target import Target
from apps.common.waiting import pause

MODELS = "models"
SERVED = ".served"  # written each time a server is ready: the folder's time of change then says when it served last
KEPT = 3  # versions: the one that serves, and those before it, which a person may roll back to
AGAIN_S = 60
ANSWER_S = 10  # for each verb; MLflow may have the files too
AT_ONCE = 8  # small files: each waits for its block most of the time


class KeptFiles:
    """The folder ``models`` of a stack."""

    def __init__(self, hdfs: str, root: str) -> None:
        """``hdfs`` is the NameNode's URL, ``root`` the stack's folder; nothing is connected yet."""
        self.files = Hdfs(hdfs, ANSWER_S)
        self.root = root

    def folder(self, sha256: str) -> str:
        """Where the version with this manifest is kept."""
        return f"{self.root}/{MODELS}/{sha256}"

    def sha256_of(self, first_digits: str) -> str:
        """The sha256 of a kept manifest that begins so; empty when none is kept, or HDFS does not say."""
        try:
            kept = [
                one.name for one in self.files.listing(f"{self.root}/{MODELS}") if one.name.startswith(first_digits)
            ]
        except Unavailable:
            return ""
        return kept[0] if first_digits and len(kept) == 1 else ""

    def fetch(self, target: Target, folder: Path) -> Model:
        """
        Copy a version's files into ``folder`` of this machine and check them.

        Raises FileNotFoundError when they are not kept, Unavailable when HDFS does not answer, ModelRefused with every
        problem: what is kept is removed then.
        """
        if not target.manifest_sha256:
            raise FileNotFoundError(target.version)
        there = self.folder(target.manifest_sha256)
        try:
            return model.download(lambda path: self.files.read(f"{there}/{path}"), target, folder)
        except ModelRefused:
            self.files.delete(there)
            raise

    def keep(self, copied: Model) -> None:
        """Copy a version's files there; does nothing when they are kept already."""
        there = self.folder(copied.manifest_sha256)
        if not self.files.exists(f"{there}/{MANIFEST}"):
            unfinished = f"{self.root}/{SCRATCH}/{uuid.uuid4().hex}"
            self._upload(copied, unfinished)
            self.files.make_folder(f"{self.root}/{MODELS}")
            self.files.delete(there)
            self.files.rename(unfinished, there)

    def share(self, copied: Model, location: str) -> Model:
        """
        The same with its files at the URL ``location``, a folder of this pod alone, where executors read them too.

        They are those that were checked, and no others: what is kept may have been changed, or added to, since.
        """
        folder = location.removeprefix(self.files.url)
        self.files.delete(folder)
        self._upload(copied, folder)
        return replace(copied, location=location)

    def _upload(self, copied: Model, folder: str) -> None:
        def copy(file: Path) -> None:
            self.files.upload(f"{folder}/{file.relative_to(copied.folder).as_posix()}", [file.read_bytes()])

        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(copy, (path for path in copied.folder.rglob("*") if path.is_file())))

    def note_served(self, sha256: str) -> None:
        """Say that the version with this manifest serves; only the KEPT that served last stay."""
        self.files.write(f"{self.folder(sha256)}/{SERVED}", b"")
        newest_first = sorted(self.files.listing(f"{self.root}/{MODELS}"), key=lambda one: one.changed, reverse=True)
        for old in newest_first[KEPT:]:
            self.files.delete(self.folder(old.name))

    def keep_in_time(self, served: Model, log: BoundLogger) -> None:
        """Keep what serves, as soon as HDFS lets it; for a thread, which ends with its process."""
        said = ""
        while True:
            start = time.monotonic()
            try:
                self.keep(served)
                self.note_served(served.manifest_sha256)
            except (Unavailable, OSError) as error:
                if str(error) != said:
                    said = str(error)
                    log.warning("the version's files are not kept yet", reason=said)
                pause(AGAIN_S)
            else:
                log.info("the version's files are kept", seconds=round(time.monotonic() - start, 2))
                return


def fetch(kept: KeptFiles, mlflow: str, target: Target, folder: Path, log: BoundLogger) -> Model:
    """
    The files of a release's version in ``folder``, checked: those that are kept, else MLflow's.

    HDFS is asked first, so that a server that is started again asks MLflow for nothing. Raises ModelRefused when the
    version is at fault, Unavailable when it cannot be had now.
    """
    away = ""
    try:
        return kept.fetch(target, folder / "kept")
    except FileNotFoundError:
        pass
    except ModelRefused as error:
        log.warning("the kept files are not used, and removed", reason=str(error))
    except Unavailable as error:
        away = str(error)
        log.warning("HDFS is not asked for kept files", reason=away)
    try:
        return model.fetch(mlflow, target, folder / "registered")
    except (ModelRefused, Unavailable) as error:
        if away:  # it may be kept there
            raise Unavailable(f"{error}; nor from HDFS: {away}") from error
        raise
