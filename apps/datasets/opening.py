"""
A file that a person calls CSV, opened as text: plain, in gzip, or alone in a zip; in UTF-8, or UTF-16 with its mark.

What a file is, its first bytes say and never its name. Nothing is unpacked to disk or held in memory: a file may be
larger than both.
"""

import codecs
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, TextIO

from apps.common.errors import SettingsError

GZIP, ZIP = b"\x1f\x8b", (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
UTF_8 = "utf-8-sig"  # with or without its byte order mark
_LOOKED_AT = 4096  # bytes
_UNPACK, _EXPORT = "unpack it", "save it as CSV in UTF-8"
_KINDS = (
    (GZIP, "a gzip archive", _UNPACK),
    *((mark, "a zip archive", _UNPACK) for mark in ZIP),
    (b"BZh91AY&SY", "a bzip2 archive", _UNPACK),
    (b"\xfd7zXZ\x00", "an xz archive", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "a zstd archive", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (b"Rar!\x1a\x07", "a rar archive", _UNPACK),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel workbook", _EXPORT),
    (b"PAR1", "a Parquet file", "write its rows as CSV, in pandas by to_csv(index=False)"),
    (b"SQLite format 3\x00", "an SQLite database", "export its table as CSV"),
    (b"%PDF-", "a PDF", _EXPORT),
    (b"version https://git-lfs", "a Git LFS pointer", "fetch the file itself: git lfs pull"),
)
_MARKS = (  # the longer before those that they begin with
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_PAGES = (b"<!doctype", b"<html", b"<?xml")
_SHEETS = {"xl/workbook.xml": "an Excel workbook", "META-INF/manifest.xml": "an OpenDocument sheet"}


@contextmanager
def open_text(path: Path, encoding: str = "") -> Iterator[TextIO]:
    """
    The text of the file at ``path``, line ends as they are, for as long as the block runs.

    A byte order mark beats ``encoding``, and that beats UTF-8.

    Raises SettingsError that names the cause when it is no file, no text, or an archive without exactly one CSV; when
    an archive turns out broken, it does so while the block reads.
    """
    with _errors_named(path), ExitStack() as opened:
        yield _text(path, opened, encoding)


def text_size(path: Path) -> int:
    """About how many characters the text of the file has; 0 when only reading it would tell."""
    with _errors_named(path), path.open("rb") as file:
        size, beginning = path.stat().st_size, _beginning(file)
        if beginning.startswith(ZIP):
            with zipfile.ZipFile(file) as archive:
                member = _only_csv(path, archive)
                with _unpacked(archive, member, path) as unpacked:
                    size, beginning = member.file_size, _beginning(unpacked)
    is_plain = not beginning.startswith(GZIP) and encoding_of(beginning) == UTF_8
    return size if is_plain else 0


@contextmanager
def _errors_named(path: Path) -> Iterator[None]:
    try:
        yield
    except (gzip.BadGzipFile, zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError) as error:
        raise SettingsError(f"{path} must be a whole archive; got {error}; copy or download it again") from error
    except OSError as error:
        raise SettingsError(f"{path} must be a CSV file; got {error.strerror or error}; check the path") from error


def _text(path: Path, opened: ExitStack, told: str) -> TextIO:
    file: IO[bytes] | gzip.GzipFile = opened.enter_context(path.open("rb"))
    beginning = _beginning(file)
    if beginning.startswith(GZIP):
        file = opened.enter_context(gzip.GzipFile(fileobj=file))
        beginning = _beginning(file)
    elif beginning.startswith(ZIP):
        archive = opened.enter_context(zipfile.ZipFile(file))
        file = opened.enter_context(_unpacked(archive, _only_csv(path, archive), path))
        beginning = _beginning(file)
    if problem := content_problem(beginning):
        raise SettingsError(f"{path} {problem}")
    marked = encoding_of(beginning)
    encoding = told if told and marked == UTF_8 and not beginning.startswith(codecs.BOM_UTF8) else marked
    return opened.enter_context(io.TextIOWrapper(file, encoding=encoding, newline=""))


def _beginning(file: IO[bytes] | gzip.GzipFile) -> bytes:
    beginning = file.read(_LOOKED_AT)
    file.seek(0)
    return beginning


def encoding_of(beginning: bytes) -> str:
    """The encoding of a text that begins so, by its byte order mark; UTF_8 without another."""
    return next((encoding for mark, encoding in _MARKS if beginning.startswith(mark)), UTF_8)


def content_problem(beginning: bytes) -> str:
    """What a file is instead of CSV text, by its first bytes, as the rest of a sentence; empty for text."""
    kind, remedy = _kind(beginning)
    return f"must be CSV; got {kind}; {remedy}" if kind else ""


def _kind(beginning: bytes) -> tuple[str, str]:
    for mark, kind, remedy in _KINDS:
        if beginning.startswith(mark):
            return kind, remedy
    if beginning[257:262] == b"ustar":
        return "a tar archive", _UNPACK
    if beginning.lstrip().lower().startswith(_PAGES):
        return "a web page or XML", "download the file itself; a page in its place often asks to sign in"
    if encoding_of(beginning) == UTF_8 and b"\x00" in beginning:
        return "bytes that are no text in UTF-8, nor in UTF-16 with a byte order mark", _EXPORT
    return "", ""


def _only_csv(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    """The one CSV of an archive, or the one file that it holds, whatever it is called."""
    for name, kind in _SHEETS.items():
        if name in archive.namelist():
            raise SettingsError(f"{path} must be CSV; got {kind}; {_EXPORT}")
    files = [file for file in archive.infolist() if not file.is_dir() and not _is_debris(file.filename)]
    named = [file for file in files if file.filename.lower().endswith(".csv")]
    chosen = named or files
    if len(chosen) == 1:
        return chosen[0]
    names = ", ".join(repr(file.filename) for file in chosen[:10]) or "an empty archive"
    many = f"{len(chosen)} files: {names}" if chosen else names
    raise SettingsError(f"{path} must hold exactly one CSV file; got {many}; unpack it and bring one file")


def _is_debris(name: str) -> bool:
    """Whether a name in a zip is of the kind that macOS adds unasked."""
    place = PurePosixPath(name)
    return "__MACOSX" in place.parts or place.name.startswith(".")


def _unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> IO[bytes]:
    try:
        return archive.open(member)
    except (RuntimeError, NotImplementedError) as error:  # a password, or a method of packing that is not known
        raise SettingsError(f"{path} must be a plain zip; got {error}; {_UNPACK}") from error
