"""A person's file is read whatever it is packed in, and what is no CSV is message by its cause, not by its name."""

import gzip
import io
import tracemalloc
import zipfile

import pandas as pd
import pytest

from apps import datasets
from apps.common.errors import SettingsError
from apps.datasets.declaration import Column, Dataset
from apps.datasets.opening import open_text, text_size
from apps.datasets.source import read_csv

BOSTON = datasets.get("boston_housing")
ROWS = list(BOSTON.load())[:50]
TEXT = "".join(",".join(cells) + "\n" for cells in (BOSTON.column_names, *(row.values() for row in ROWS)))
PLAIN = TEXT.encode()
NO_TEXT = "got bytes that are no text in UTF-8, nor in UTF-16 with a byte order mark"


def zipped(**members):
    """A zip; a double underscore in a keyword stands for the dot."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "."), content)
    return out.getvalue()


def zip_of(names):
    """A zip with the table under each of ``names``."""
    return zipped(**dict.fromkeys(names, TEXT))


def locked():
    """A zip that says its member is encrypted."""
    content = bytearray(zipped(table__csv=TEXT))
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


READ = {
    "plain": PLAIN,
    "UTF-8 with a mark": TEXT.encode("utf-8-sig"),
    "UTF-16, little end first": b"\xff\xfe" + TEXT.encode("utf-16-le"),
    "UTF-16, big end first": b"\xfe\xff" + TEXT.encode("utf-16-be"),
    "UTF-32": TEXT.encode("utf-32"),
    "Windows line ends": PLAIN.replace(b"\n", b"\r\n"),
    "gzip": gzip.compress(PLAIN),
    "gzip in two members": gzip.compress(PLAIN[:1000]) + gzip.compress(PLAIN[1000:]),
    "gzip of UTF-16": gzip.compress(TEXT.encode("utf-16")),
    "zip": zipped(table__csv=TEXT),
    "zip of UTF-8 with a mark": zipped(table__csv=TEXT.encode("utf-8-sig")),
    "zip of UTF-16": zipped(table__csv=TEXT.encode("utf-16")),
    "zip with another name": zipped(table__data=TEXT),
    "zip with more than the table": zipped(README__md="read me", table__CSV=TEXT),
    "zip made on a Mac": zip_of(["a/table.csv", "__MACOSX/a/._table.csv", "a/.DS_Store"]),
}
REFUSED = {
    "nothing": (b"", "got an empty file; bring the file with its header"),
    "a gzip of nothing": (gzip.compress(b""), "got an empty file; bring the file with its header"),
    "a cut gzip": (gzip.compress(PLAIN)[:-100], "must be a whole archive; got .*; copy or download it again"),
    "a broken gzip": (gzip.compress(PLAIN)[:-8] + bytes(8), "must be a whole archive; got CRC check failed"),
    "a cut zip": (zipped(table__csv=TEXT)[:-100], "must be a whole archive; got File is not a zip file"),
    "two tables": (zip_of(["a.csv", "b.csv"]), "exactly one CSV file; got 2 files: 'a.csv', 'b.csv'; unpack it"),
    "no table": (zip_of(["a.txt", "b.md"]), "exactly one CSV file; got 2 files: 'a.txt', 'b.md'; unpack it"),
    "an empty zip": (zipped(), "exactly one CSV file; got an empty archive"),
    "a locked zip": (locked(), "must be a plain zip; got .*password required.*; unpack it"),
    "a zip in a gzip": (gzip.compress(zipped(table__csv=TEXT)), "must be CSV; got a zip archive; unpack it"),
    "xlsx": (zip_of(["[Content_Types].xml", "xl/workbook.xml"]), "got an Excel workbook; save it as CSV in UTF-8"),
    "ods": (zip_of(["mimetype", "META-INF/manifest.xml"]), "got an OpenDocument sheet; save it as CSV in UTF-8"),
    "xls": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "got an old Excel workbook; save it as CSV"),
    "parquet": (pd.DataFrame(ROWS).to_parquet(), r"got a Parquet file; .*to_csv\(index=False\)"),
    "tar in gzip": (gzip.compress(bytes(257) + b"ustar" + bytes(250)), "got a tar archive; unpack it"),
    "a page": (b"\n<!DOCTYPE html><html>Sign in</html>", "got a web page or XML; download the file itself"),
    "random bytes": (bytes(range(256)), NO_TEXT),
    "UTF-16 without a mark": (TEXT.encode("utf-16-le"), NO_TEXT),
    "a cut UTF-16": (TEXT.encode("utf-16")[:-1], r"line 51 must be text in UTF-16-LE; .* \(truncated data\); copy or"),
    "Windows-1252": (PLAIN + b"caf\xe9\n", "line 52 must be text in UTF-8; got the byte 0xe9; save it as UTF-8"),
}


@pytest.mark.parametrize("content", READ.values(), ids=READ)
def test_a_table_is_read_whatever_it_is_packed_in(tmp_path, content):
    """The rows are those of the plain file, under a name that says nothing."""
    file = tmp_path / "table"
    file.write_bytes(content)

    assert list(read_csv(file, BOSTON)) == ROWS


@pytest.mark.parametrize(("content", "cause"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_csv_is_told_by_its_cause(tmp_path, content, cause):
    """The sentence says what the file is and what to do, and its name does not deceive."""
    file = tmp_path / "table.csv"
    file.write_bytes(content)

    with pytest.raises(SettingsError, match=cause) as refused:
        list(read_csv(file, BOSTON))
    assert str(refused.value).startswith(str(file))


def test_a_folder_is_refused(tmp_path):
    """A path to something else than a file gives a sentence."""
    with pytest.raises(SettingsError, match="must be a CSV file; got Is a directory"), open_text(tmp_path):
        pass


@pytest.mark.parametrize(
    ("name", "known"),
    [("plain", True), ("zip", True), ("gzip", False), ("UTF-32", False), ("zip of UTF-16", False)],
)
def test_the_size_of_the_text_is_known_or_said_to_be_unknown(tmp_path, name, known):
    """It is that of the text and not of the archive, since the number of rows is estimated by it."""
    file = tmp_path / "table"
    file.write_bytes(READ[name])

    assert text_size(file) == (len(PLAIN) if known else 0)


@pytest.mark.parametrize("pack", [gzip.compress, lambda text: zipped(table__csv=text)], ids=["gzip", "zip"])
def test_a_packed_file_is_never_whole_in_memory(tmp_path, pack):
    """Reading 40 MB out of an archive takes less than 2 MB."""
    notes = Dataset("notes", "regression", "a", ("a",), (Column("a"), Column("b")), {}, load=lambda: iter(()))
    file = tmp_path / "table"
    file.write_bytes(pack(b"a,b\n" + (b"x" * 20_000 + b",1\n") * 2000))
    tracemalloc.start()
    try:
        number = sum(1 for _ in read_csv(file, notes))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert number == 2000
    assert peak < 2_000_000
