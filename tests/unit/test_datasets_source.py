"""A person's CSV file is read without a shifted cell, or refused with all that is wrong with it."""

import csv
import itertools
import re
from dataclasses import replace

import pytest

from apps import datasets
from apps.common.errors import SettingsError
from apps.datasets import source
from apps.datasets.declaration import Column
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


def boston_lines(count=60):
    """The header and the first rows of Boston housing, as lines."""
    boston = datasets.get("boston_housing")
    rows = (",".join(row.values()) for row, _ in zip(boston.load(), range(count), strict=False))
    return boston, [",".join(boston.column_names), *rows]


def refusal(file, dataset, lines):
    """What is written of these lines, the path left out."""
    file.write_text("\n".join(lines) + "\n")
    with pytest.raises(SettingsError) as refused:
        list(read_csv(file, dataset))
    return str(refused.value).replace(f"{file}: ", "")


def test_all_bad_lines_are_told_in_one_pass(file):
    """Two bad lines are both named, under their number, and so is a quote that nobody closed behind them."""
    boston, lines = boston_lines()
    lines[9] += ",1"
    lines[19] = '"a" b' + lines[19]
    lines[29] = '"' + lines[29]

    assert refusal(file, boston, lines).split("\n") == [
        "every line must be whole; got 3 that are not; mend them; these are they:",
        "  line 10 must have 14 cells; got 15; check its quotes",
        "  line 20 must be CSV; got ',' expected after '\"'; check its quotes",
        "  line 30 must be CSV; got unexpected end of data; check its quotes",
    ]


def test_of_many_bad_lines_the_first_ten_are_named(file):
    """All are counted."""
    boston, lines = boston_lines()

    message = refusal(file, boston, [lines[0], *(line + "," for line in lines[1:])]).split("\n")

    assert message[0] == "every line must be whole; got 60 that are not; mend them; the first 10 are:"
    assert [line.split()[1] for line in message[1:]] == [str(number) for number in range(2, 12)]


def test_no_row_comes_after_a_bad_line(file):
    """What is refused in the end is not worked on until then."""
    boston, lines = boston_lines()
    lines[9] += ",1"
    file.write_text("\n".join(lines))
    rows = read_csv(file, boston)

    assert [row["crim"] for row in itertools.islice(rows, 8)] == [line.split(",")[0] for line in lines[1:9]]
    with pytest.raises(SettingsError, match="line 10 must have 14 cells"):
        next(rows)


def test_a_quote_that_nobody_closed_ends_the_search(file, monkeypatch):
    """Once a cell is longer than any can be, where a line begins is not known, and what follows is not judged."""
    monkeypatch.setattr(source, "LONGEST_CELL", 10_000)
    before = csv.field_size_limit(10_000)
    try:
        boston, lines = boston_lines()
        message = refusal(file, boston, [*lines[:5], '"' + lines[5], *lines[6:] * 100, "the end of a text"])
    finally:
        csv.field_size_limit(before)

    assert message == "line 6 must be CSV; got field larger than field limit (10000); check its quotes"


@pytest.mark.parametrize(
    ("mark", "message"),
    [
        (";", "cells must be separated by commas; got semicolons (';'); save it with commas"),
        ("\t", "cells must be separated by commas; got tabs ('\\t'); save it with commas"),
        ("|", "cells must be separated by commas; got bars ('|'); save it with commas"),
        ('";"', "cells must be separated by commas; got semicolons (';'); save it with commas"),
    ],
)
def test_another_separator_is_told(file, mark, message):
    """Instead of a header that has none of the columns; quotes around the cells make no difference."""
    boston, lines = boston_lines()
    quote = '"' if '"' in mark else ""

    refused = refusal(file, boston, [quote + line.replace(",", mark) + quote for line in lines])

    assert refused.startswith(message)
    assert "\n" not in refused


def test_a_separator_in_a_cell_is_no_separator(file):
    """Columns may be named as they like, and texts hold what they like."""
    odd = replace(datasets.get("boston_housing"), columns=(Column("a;b"), Column("c|d")), target="a;b", key=("c|d",))
    file.write_text("a;b,c|d\n1;2,3|4\n")

    assert list(read_csv(file, odd)) == [{"a;b": "1;2", "c|d": "3|4"}]


@pytest.mark.parametrize(
    ("mark", "message"),
    [
        (";", "line 2 must have 14 cells; got that many with semicolons (';') between them; save it with commas"),
        ("\t", "line 2 must have 14 cells; got that many with tabs ('\\t') between them; save it with commas"),
    ],
)
def test_another_separator_is_told_below_a_header_with_commas(file, mark, message):
    """Of a row too, also where a comma is in the numbers."""
    boston, lines = boston_lines()

    assert refusal(file, boston, [lines[0], lines[1].replace(",", mark).replace(".", ",")]).startswith(message)


def test_quotes_around_whole_lines_are_told(file):
    """A header in one pair of quotes is no missing header, and of a row they are named too."""
    boston, lines = boston_lines(1)
    quoted = [f'"{line}"' for line in lines]
    whole = "got a whole line in one pair of quotes; put quotes around cells, or save it without"

    assert f"the first line must be the header; {whole}" == refusal(file, boston, quoted)
    assert f"line 2 must have 14 cells; {whole}" == refusal(file, boston, [lines[0], quoted[1]])


@pytest.mark.parametrize("before", ["\n", "\r\n\r\n", "\ufeff\n", "  \n\t\n"])
def test_blank_lines_before_the_header_are_skipped(file, before):
    """With and without a byte order mark; a bad line still has its own number."""
    boston, lines = boston_lines(2)
    text = before + "\n".join(lines)
    file.write_bytes(text.encode())
    number = len(text.splitlines()) + 1

    assert len(list(read_csv(file, boston))) == 2
    assert refusal(file, boston, [text, "1,2"]) == f"line {number} must have 14 cells; got 2; check its quotes"


def test_the_mark_by_which_dos_ends_a_file_is_no_row(file):
    """A Ctrl-Z behind the last line is skipped."""
    boston, lines = boston_lines(2)
    file.write_text("\n".join([*lines, "\x1a"]))

    assert len(list(read_csv(file, boston))) == 2


def test_a_byte_that_is_no_text_is_told_by_its_line_however_far_down(file):
    """Lines are counted from the file's beginning, not from where the bytes were last looked at."""
    boston, lines = boston_lines(2)
    file.write_bytes("\n".join([lines[0], *lines[1:] * 2000, "caf\u00e9"]).encode("latin-1"))

    with pytest.raises(SettingsError, match="line 4002 must be text in UTF-8; got the byte 0xe9"):
        list(read_csv(file, boston))


@pytest.mark.parametrize(
    ("first", "message"),
    [
        (
            "sep=;",
            "the first line must be the header; got 'sep=;', which is for Excel; remove it, and separate by commas",
        ),
        ("0.006,18,2.31", "the first line must be the header, crim,.*; got '0.006,18,2.31'; add the header"),
        ('{"crim": 1}', "the first line must be the header, crim,.*; got '{\"crim\": 1}'; add the header"),
        (",%s", "each column must have a name; got '', as of pandas' index; write it by to_csv"),
    ],
)
def test_what_stands_where_the_header_should_is_told(file, first, message):
    """Excel's hint, a row, JSON, and the nameless index that pandas writes each have one sentence."""
    boston, lines = boston_lines()

    assert re.match(message + "[^\n]*$", refusal(file, boston, [first.replace("%s", lines[0]), *lines]))
