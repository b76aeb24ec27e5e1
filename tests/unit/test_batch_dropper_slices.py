"""How a source becomes slices and a test part."""

import csv
import gzip
import re
import threading
import tracemalloc
import zipfile
from collections import Counter
from dataclasses import replace

import pytest
import structlog

from apps.batch_dropper.settings import MOST_DRIFT, DropperSettings
from apps.batch_dropper.slice_store import SliceStore, csv_source
from apps.batch_dropper.slices import Source, plan, split
from apps.common.errors import SettingsError
from apps.common.manifest import describe_part
from apps.common.waiting import pause
from apps.datasets.declaration import Dialect
from apps.datasets.source import read_csv, write_csv
from tests.toys import TOYS, rows_of

LOG = structlog.get_logger()


MADE = replace(TOYS, name="made", load=None, generate=lambda rows, seed, drift: rows_of(rows, seed + int(drift)))


def slice_store(dataset, folder, **settings):
    """A slice store in a folder."""
    return SliceStore(DropperSettings(job="drop", work=folder, **settings), dataset, LOG)


def everything(store_, dataset):
    """Number -> rows of the test part and each slice."""
    found, number = {}, 0
    while slice_ := store_.take(number):
        found[number] = list(read_csv(slice_.path, dataset))
        number += 1
    return found


def test_every_row_is_in_exactly_one_place(tmp_path):
    """
    Slices and test part together are the source, cell for cell, and each part's manifest tells the truth.
    """
    made = slice_store(TOYS, tmp_path)
    parts = everything(made, TOYS)

    assert sorted(map(repr, rows_of(506))) == sorted(repr(row) for rows in parts.values() for row in rows)
    for number, rows in parts.items():
        slice_ = made.take(number)
        assert len(rows) == slice_.manifest.rows
        assert replace(describe_part(slice_.path), name="part-0001.csv") == slice_.manifest.parts[0]


def test_a_small_source_gives_two_good_slices_rather_than_ten_tiny_ones(tmp_path):
    """
    506 rows are about 100 for requests and two slices of about 200.
    """
    sizes = {number: len(rows) for number, rows in everything(slice_store(TOYS, tmp_path), TOYS).items()}

    assert {0, 1, 2} == set(sizes)
    assert 60 < sizes[0] < 140
    assert all(150 < sizes[number] < 260 for number in (1, 2))


def test_the_number_of_slices_can_be_given(tmp_path):
    """
    BATON_SLICES is obeyed.
    """
    assert 6 == len(everything(slice_store(TOYS, tmp_path, slices=5), TOYS))


def test_the_split_depends_on_the_seed_and_on_nothing_else(tmp_path):
    """
    The same seed gives the same parts anywhere; another seed gives others.
    """
    first, again, other = (
        everything(slice_store(TOYS, tmp_path / name, seed=seed), TOYS) for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )

    assert first == again
    assert first != other


def test_rows_with_the_same_key_stay_together(tmp_path):
    """
    A car that is listed twice is not both trained on and asked for.
    """
    twice = replace(TOYS, load=lambda: [*rows_of(300), *({**row, "price": "0"} for row in rows_of(300))])

    places = Counter((row["id"]) for rows in everything(slice_store(twice, tmp_path), twice).values() for row in rows)
    together = [{row["id"] for row in rows} for rows in everything(slice_store(twice, tmp_path), twice).values()]

    assert {2} == set(places.values())
    assert 300 == sum(map(len, together))


def test_without_a_key_equal_rows_stay_together(tmp_path):
    """
    The whole row is the key then, in whatever order its cells come.
    """
    turned = [dict(reversed(row.items())) for row in rows_of(300)]
    twice = replace(TOYS, key=(), load=lambda: [*rows_of(300), *turned])

    places = [{row["id"] for row in rows} for rows in everything(slice_store(twice, tmp_path), twice).values()]

    assert 300 == sum(map(len, places))
    assert all(len(place) > 50 for place in places)


def test_a_packed_source_is_split_as_the_plain_one(tmp_path):
    """
    Rows are counted by what is in an archive and not by how long that is.
    """
    plain, packed, zipped = (tmp_path / name for name in ("a.csv", "a.csv.gz", "a.zip"))
    write_csv(plain, rows_of(20_000), TOYS)
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(plain, "a.csv")

    plans = [plan(csv_source(path, TOYS), TOYS, 1, 0, 8000, 500) for path in (plain, packed, zipped)]

    assert {10} == {how.slices for how in plans}
    assert all(0.5 < how.test * 20_000 / 500 < 2 for how in plans)


def test_a_carriage_return_in_a_cell_survives_the_split(tmp_path):
    """
    A slice is read as it was written, also by a reader that takes a lone one for the end of a line.
    """
    old = replace(TOYS, load=lambda: ({**row, "text": "one\rtwo"} for row in rows_of(300)))

    found = everything(slice_store(old, tmp_path), old)

    assert {"one\rtwo"} == {row["text"] for rows in found.values() for row in rows}
    assert 300 == sum(map(len, found.values()))


def test_a_large_source_keeps_a_test_part_of_the_size_asked_for(tmp_path):
    """
    From 20,000 rows of a file about 500 are kept for requests, estimated from its size.
    """
    path = tmp_path / "big.csv"
    write_csv(path, rows_of(20_000), TOYS)

    how = plan(csv_source(path, TOYS), TOYS, seed=1, slices=0, slice_rows=8000, test_rows=500)

    assert 10 == how.slices
    assert 0.5 < how.test * 20_000 / 500 < 2


@pytest.mark.parametrize(("rows", "slices"), [(100, 2), (506, 2), (1500, 6), (20_000, 10), (50_000, 10), (200_000, 24)])
def test_there_are_as_many_slices_as_are_worth_a_training(rows, slices):
    """
    Few large ones from little, and none that is much larger than asked for from much.
    """
    how = plan(Source("any", lambda: rows_of(rows)), TOYS, seed=1, slices=0, slice_rows=8000, test_rows=2000)

    assert slices == how.slices


def test_a_large_source_is_split_with_constant_memory(tmp_path):
    """
    Splitting 40 MB takes less than 8 MB.
    """
    rows = ({"id": f"k{number}", "price": "1", "text": f"{number:04d}" * 1000} for number in range(10_000))
    tracemalloc.start()
    try:
        split(
            Source("big", lambda: rows),
            TOYS,
            plan(Source("small", lambda: rows_of(5000)), TOYS, 1, 3, 8000, 100),
            tmp_path,
        )
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert sum(path.stat().st_size for path in tmp_path.glob("*.csv")) > 40_000_000
    assert peak < 8_000_000


def test_a_source_with_too_few_rows_says_so(tmp_path):
    """
    Three rows do not make two slices and a test part, and nothing half-made is left to be found.
    """
    tiny = replace(TOYS, load=lambda: rows_of(2))

    for _ in range(2):
        with pytest.raises(
            SettingsError, match="a source must have rows for 2 slices and a test part; got 2 rows"
        ) as refused:
            slice_store(tiny, tmp_path).take(1)
        assert "bring about 300 rows or more, or make do with one slice, which is too few for a demo: " in (
            str(refused.value)
        )


@pytest.mark.parametrize("seed", range(20))
def test_two_rows_are_enough_when_the_advice_is_followed(tmp_path, seed):
    """
    With the number of slices that the refusal names, one row is for requests and the other makes the slice.
    """
    tiny = replace(TOYS, load=lambda: rows_of(2))
    with pytest.raises(SettingsError) as refused:
        slice_store(tiny, tmp_path, seed=seed).take(1)
    advised = re.search(r"--set slices=(\d+) \(BATON_SLICES ", str(refused.value))

    obeyed = slice_store(tiny, tmp_path, seed=seed, slices=int(advised[1]))

    sizes = {number: len(rows) for number, rows in everything(obeyed, TOYS).items()}

    assert {0: 1, 1: 1} == sizes


@pytest.mark.parametrize("slices", [0, 1])
@pytest.mark.parametrize("rows", [0, 1])
def test_one_row_is_not_advised_to_make_fewer_slices(tmp_path, rows, slices):
    """
    Where no setting helps, the refusal asks for rows and nothing else.
    """
    lonely = replace(TOYS, load=lambda: rows_of(rows))

    with pytest.raises(SettingsError, match=rf"got {rows} rows .*; bring about 300 rows or more$"):
        slice_store(lonely, tmp_path, slices=slices).take(1)


def test_a_split_that_was_killed_half_way_is_done_again(tmp_path, monkeypatch):
    """
    What a killed dropper left behind is not taken for slices.
    """
    with monkeypatch.context() as patch:
        patch.setattr("apps.batch_dropper.slices.describe", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            slice_store(TOYS, tmp_path).take(1)

    assert 506 == sum(map(len, everything(slice_store(TOYS, tmp_path), TOYS).values()))


def test_slices_are_made_once(tmp_path):
    """
    A second dropper reads the files of the first.
    """
    path = slice_store(TOYS, tmp_path).take(1).path
    before = path.stat().st_mtime_ns

    again = slice_store(TOYS, tmp_path).take(1).path

    assert (path, before) == (again, again.stat().st_mtime_ns)


def test_droppers_that_start_at_once_make_the_slices_once(tmp_path):
    """
    Four at the same time see the same whole files.
    """
    found, reads = [], []

    def slow_rows():
        reads.append(1)
        pause(0.05)
        yield from rows_of(506)

    slow = replace(TOYS, load=slow_rows)
    threads = [threading.Thread(target=lambda: found.append(slice_store(slow, tmp_path).take(1))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 4 == len(found)
    assert 1 == len({(slice_.path, slice_.manifest) for slice_ in found})
    assert 2 == len(reads)  # one look at the beginning, one split


def test_a_file_that_changed_is_another_source(tmp_path):
    """
    New content under an old path is split anew.
    """
    path = tmp_path / "mine.csv"
    write_csv(path, rows_of(500), TOYS)
    first = slice_store(TOYS, tmp_path, source=path).take(1)
    write_csv(path, rows_of(700), TOYS)

    assert first.path != slice_store(TOYS, tmp_path, source=path).take(1).path


def test_generated_slices_differ_have_the_size_asked_for_and_drift(tmp_path):
    """
    Each slice has rows of its own, and a drift that grows from slice to slice.
    """
    seen = []
    spied = replace(MADE, generate=lambda rows, seed, drift: seen.append((rows, seed, drift)) or rows_of(rows, seed))
    made = slice_store(spied, tmp_path, slice_rows=30, test_rows=20, drift=0.5)

    parts = [made.take(number) for number in (0, 1, 2, 3, 3)]

    assert [20, 30, 30, 30, 30] == [part.manifest.rows for part in parts]
    assert [(20, 0.0), (30, 0.0), (30, 0.5), (30, 1.0)] == [(rows, drift) for rows, _, drift in seen]
    assert 4 == len({seed for _, seed, _ in seen}) == len({part.manifest.content_hash for part in parts})


@pytest.mark.parametrize("drift", [1.0, -1.0])
def test_a_market_that_moves_on_and_on_stays_one(tmp_path, drift):
    """
    Slice 500 moves as far as drift itself may go, and no further.
    """
    seen = []
    spied = replace(MADE, generate=lambda rows, seed, drift: seen.append(drift) or rows_of(rows, seed))
    slice_store(spied, tmp_path, slice_rows=5, drift=drift).take(500)

    assert [drift * MOST_DRIFT] == seen


def test_generated_slices_end_where_they_are_told_to(tmp_path):
    """
    Without BATON_SLICES there is always another one; with it there is not.
    """
    assert slice_store(MADE, tmp_path, slice_rows=5).take(500)
    assert slice_store(MADE, tmp_path, slice_rows=5, slices=3).take(3)
    assert slice_store(MADE, tmp_path, slice_rows=5, slices=3).take(4) is None


def test_more_slices_are_advised_only_where_they_bring_new_rows(tmp_path):
    """
    Generated rows go on with a higher number; a source that is split anew would give its rows a second time.
    """
    assert "--set slices=4 " in slice_store(MADE, tmp_path, slices=3).advice()
    assert "--set" not in slice_store(TOYS, tmp_path, slices=3).advice()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"id,price\n1,2\n", "the header must have text"),
        (b"id,price,text,more\n1,2,3,4\n", "no other columns; got 'more'"),
        (b"id,price,text\n1,2\n", "line 2 must have 3 cells; got 2"),
        (b"id,price,text\n1,2,\xff\n", "must be text in UTF-8"),
        (b'id,price,text\n1,2,"open\n', "line 2 must be CSV; .*; check its quotes"),
    ],
)
def test_a_file_that_does_not_fit_the_dataset_is_refused_with_what_is_wrong(tmp_path, content, words):
    """
    The person learns what to mend, and no slice is made.
    """
    path = tmp_path / "mine.csv"
    path.write_bytes(content)

    with pytest.raises(SettingsError, match=words):
        slice_store(TOYS, tmp_path / "work", source=path).take(1)


def test_a_file_with_a_byte_order_mark_and_another_order_of_columns_is_read(tmp_path):
    """
    A file as a spreadsheet saves it gives slices in the dataset's own order.
    """
    path = tmp_path / "mine.csv"
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([["text", "id", "price"], *([row["text"], row["id"], row["price"]] for row in rows_of(300))])

    found = everything(slice_store(TOYS, tmp_path / "work", source=path), TOYS)

    assert sorted(map(repr, rows_of(300))) == sorted(repr(row) for rows in found.values() for row in rows)


EUROPEAN = replace(TOYS, load=None, dialect=Dialect(";", "cp1252", ",", "."))


@pytest.fixture
def european(tmp_path):
    """A file as a spreadsheet in Europe writes it."""
    path = tmp_path / "toys.csv"
    lines = [f'k{number};1.{number:03d},5;"Stück;{number}"' for number in range(400)]
    path.write_text("\n".join(["id;price;text", *lines]), encoding="cp1252")
    return path


def test_a_file_in_another_dialect_becomes_plain_slices(tmp_path, european):
    """
    Slices and requests are commas, UTF-8 and decimal points, whatever the person's file is.
    """
    store = slice_store(EUROPEAN, tmp_path / "work", source=european)
    rows = [row for part in everything(store, EUROPEAN).values() for row in part]

    assert {(f"k{number}", f"1{number:03d}.5", f"Stück;{number}") for number in range(400)} == {
        (row["id"], row["price"], row["text"]) for row in rows
    }
    assert {float(request.outcome) % 1 for request in store.requests()} == {0.5}


def test_slices_are_made_anew_when_the_dialect_is_corrected(tmp_path, european):
    """
    Cells that were read by a wrong declaration do not outlive it.
    """
    wrong = replace(EUROPEAN, dialect=Dialect(";", "cp1252", ",", ""))
    slice_store(wrong, tmp_path / "work", source=european).take(1)
    row = next(iter(everything(slice_store(EUROPEAN, tmp_path / "work", source=european), EUROPEAN)[1]))

    assert row["price"].startswith("1")
    assert row["price"].count(".") == 1


def test_a_dataset_without_rows_of_its_own_asks_for_a_source(tmp_path):
    """
    Neither made nor loaded: the message names the option.
    """
    with pytest.raises(SettingsError, match=r"no rows of its own; got none; give --source FILE\.csv"):
        slice_store(replace(TOYS, load=None), tmp_path).take(1)
