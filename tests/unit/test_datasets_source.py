"""A person's CSV file is read without a shifted cell, or refused with all that is wrong with it."""

import csv

import pytest

from apps import datasets
from apps.common.errors import SettingsError
from apps.datasets.source import read_csv, write_csv

USED_CARS = datasets.get("used_cars")
QUIRKS = (
    'Rides on 20" wheels, "like new"',
    "First line\nsecond, line\r\nthird",
    "a lone\rcarriage return",
    "[!@@Additional Info@@!]Wheels: 18' Style,GVWR: 6,900 lbs",
    '"',
    " kept spaces ",
    'back\\slash, \\"',
    "Zoë · 車",
)


def rows_with_quirks():
    """Rows whose descriptions hold what breaks careless readers."""
    rows = list(USED_CARS.generate(len(QUIRKS), 1, 0.0))
    return [{**row, "description": text, "dealer_zip": "00960"} for row, text in zip(rows, QUIRKS, strict=True)]


@pytest.fixture
def file(tmp_path):
    """A place for a CSV file."""
    return tmp_path / "cars.csv"


def write(file, header, rows, **how):
    """Write a file as another program might."""
    with file.open("w", newline="", **how) as out:
        csv.writer(out, quoting=csv.QUOTE_ALL).writerows([header, *rows])


def test_what_is_written_is_read_back(file):
    """Every cell of generated rows and of quirky ones comes back as it was."""
    rows = [*rows_with_quirks(), *USED_CARS.generate(2000, 2, 0.0)]

    assert write_csv(file, rows, USED_CARS) == len(rows)
    assert list(read_csv(file, USED_CARS)) == rows


def test_the_csv_module_reads_and_writes_the_same(file):
    """A file written by Python's csv module with minimal quotes and line feeds is the same file, byte for byte."""
    rows = list(USED_CARS.generate(500, 3, 0.0))
    write_csv(file, rows, USED_CARS)
    other = file.with_name("other.csv")
    with other.open("w", encoding="utf-8", newline="") as out:
        csv.writer(out, lineterminator="\n").writerows([USED_CARS.column_names, *(row.values() for row in rows)])

    assert other.read_bytes() == file.read_bytes()


def test_no_cell_is_shifted(file):
    """After quotes, commas and line breaks in a text, each later column still holds its own kind of value."""
    write_csv(file, rows_with_quirks(), USED_CARS)
    read = list(read_csv(file, USED_CARS))

    assert [row["description"] for row in read] == list(QUIRKS)
    assert all(1900 <= int(row["year"]) <= 2022 and row["dealer_zip"] == "00960" for row in read)


def test_order_and_byte_order_mark_do_not_matter(file):
    """A file with a byte order mark, its columns in another order, and blank lines gives the same rows."""
    rows = rows_with_quirks()
    names = list(reversed(USED_CARS.column_names))
    write(file, names, [[row[name] for name in names] for row in rows], encoding="utf-8-sig")
    file.write_bytes(file.read_bytes() + b"\r\n\r\n")

    assert list(read_csv(file, USED_CARS)) == rows


def test_a_cell_may_be_long(file):
    """A description of a megabyte is read whole."""
    row = {**rows_with_quirks()[0], "description": "x" * 1_000_000}
    write_csv(file, [row], USED_CARS)

    assert list(read_csv(file, USED_CARS)) == [row]


def test_a_wrong_header_is_told_in_one_go(file):
    """Missing, extra, renamed and repeated columns are named together, before any row."""
    names = [{"isCab": "is_cab"}.get(name, name) for name in USED_CARS.column_names if name not in {"year", "price"}]
    write(file, [*names, "note", "vin"], [])

    with pytest.raises(SettingsError) as refused:
        next(read_csv(file, USED_CARS))
    told = str(refused.value)
    assert "column isCab must be called so; got 'is_cab'" in told
    assert "must have price, year; got none of them" in told
    assert "no other columns; got 'note'" in told
    assert "got 'vin' twice" in told


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "the header must name 14 columns; got an empty file"),
        (b"%s\n1,2,3\n", "line 2 must have 14 cells; got 3"),
        (b'%s\n1,"2,3\n' + b"9,9\n" * 2, "line 2 must be CSV; got unexpected end of data"),
        (b"%s\n\xff\xfe\n", "must be text in UTF-8"),
    ],
)
def test_a_broken_file_is_refused_by_its_line(file, content, told):
    """An empty file, a short row, an open quote and another encoding each give a sentence that says where."""
    boston = datasets.get("boston_housing")
    file.write_bytes(content.replace(b"%s", ",".join(boston.column_names).encode()))

    with pytest.raises(SettingsError, match=told):
        list(read_csv(file, boston))


def test_a_file_that_is_not_there_is_refused(file):
    """A wrong path gives a sentence that names it."""
    with pytest.raises(SettingsError, match=r"cars\.csv must be a CSV file; got No such file"):
        next(read_csv(file, USED_CARS))
