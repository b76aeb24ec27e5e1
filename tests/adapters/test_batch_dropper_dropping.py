"""Dropping batches into a real HDFS."""

import gzip
import json
import uuid
from dataclasses import replace

import pytest
import structlog

from apps import datasets
from apps.batch_dropper import __main__ as dropper
from apps.batch_dropper.dropping import drop_file, drop_slice
from apps.batch_dropper.settings import DropperSettings
from apps.batch_dropper.slice_store import SliceStore
from apps.common.batches import BatchStore
from apps.common.errors import SettingsError
from apps.common.manifest import oldest_first
from apps.common.names import StackNames
from apps.datasets.source import write_csv
from tests import toys


def rows_of(count, start=0):
    """Rows of the two columns."""
    return [{"id": row["id"], "price": row["price"]} for row in toys.rows_of(count, start)]


@pytest.fixture
def dataset():
    """A dataset that no other test uses."""
    name = f"toys_{uuid.uuid4().hex[:8]}"
    return replace(toys.TOYS, name=name, columns=toys.TOYS.columns[:2], load=lambda: iter(rows_of(500)))


@pytest.fixture
def store(hdfs, dataset):
    """Its batches."""
    return BatchStore(hdfs, StackNames("baton", dataset.name))


@pytest.fixture
def slice_store(dataset, tmp_path):
    """Its slices."""
    return SliceStore(DropperSettings(job="drop", work=tmp_path, slices=3), dataset, structlog.get_logger())


def test_slices_are_dropped_in_order_until_none_is_left(store, slice_store):
    """
    Each drop is the next number, wherever the earlier ones are by now, and is whole.
    """
    dropped = []
    for move in (store.use, lambda batch: store.refuse(batch, "why not"), lambda _: None):
        dropped.append(drop_slice(store, slice_store.take))
        assert [] == store.problems(dropped[-1].name)
        move(dropped[-1].name)

    assert [f"{store.dataset}-000{number}" for number in (1, 2, 3)] == [one.name for one in dropped]
    assert 3 == len({one.content_hash for one in dropped})
    assert drop_slice(store, slice_store.take) is None


def test_a_slice_whose_dropper_was_killed_half_way_is_dropped_again(store, slice_store):
    """
    A folder without a manifest does not use up the slice's number.
    """
    store.write(f"{store.folder('landing', f'{store.dataset}-0001')}/part-0001.csv", b"half")

    dropped = drop_slice(store, slice_store.take)

    assert f"{store.dataset}-0001" == dropped.name
    assert [] == store.problems(dropped.name)


def test_a_persons_own_file_becomes_a_batch(store, dataset, tmp_path):
    """
    Its rows, in the dataset's order of columns, under a name of its own.
    """
    file = tmp_path / "mine.csv"
    write_csv(file, rows_of(20), dataset)

    dropped = drop_file(store, dataset, file, batch="")

    assert (f"{store.dataset}-0001-mine", 20) == (dropped.name, dropped.rows)
    assert [] == store.problems(dropped.name)
    assert file.read_bytes() == store.read(f"{store.folder('landing', dropped.name)}/part-0001.csv")
    with pytest.raises(SettingsError, match="must be a new name"):
        drop_file(store, dataset, file, batch=dropped.name)


def test_a_packed_file_becomes_the_batch_of_the_plain_one(store, dataset, tmp_path):
    """
    The same bytes land, whether a file came plain, in gzip or as a spreadsheet's UTF-16.
    """
    plain, packed, wide = (tmp_path / name for name in ("a.csv", "b.csv.gz", "c.csv"))
    write_csv(plain, rows_of(20), dataset)
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    wide.write_text(plain.read_text(), encoding="utf-16")

    dropped = [drop_file(store, dataset, file, batch="") for file in (plain, packed, wide)]

    assert 1 == len({batch.content_hash for batch in dropped})
    assert [f"{store.dataset}-000{n}-{name}" for n, name in enumerate("abc", 1)] == [batch.name for batch in dropped]


def files(folder, dataset, *names):
    """A CSV file of each name, with content of its own."""
    for number, name in enumerate(names):
        write_csv(folder / name, rows_of(20, start=20 * number), dataset)
    return [folder / name for name in names]


def in_order(store, place="landing"):
    """The batches there, the oldest first."""
    return oldest_first({name: store.manifest(place, name) for name in store.names(place)})


@pytest.mark.parametrize("names", [("june.csv", "july.csv"), ("prices.csv", "corrected-prices.csv")])
def test_of_two_files_the_one_that_was_dropped_later_is_newer(store, dataset, tmp_path, names):
    """
    Whatever they are called: the second one's rows are to overrule the first one's.
    """
    dropped = [drop_file(store, dataset, file, batch="").name for file in files(tmp_path, dataset, *names)]

    assert dropped == in_order(store)


def test_slices_files_and_names_of_a_persons_own_have_one_row_of_numbers(store, dataset, slice_store, tmp_path):
    """
    Each drop has the next number, wherever the earlier ones are by now, and no slice is left out or dropped twice.
    """
    june, july, may = files(tmp_path, dataset, "june.csv", "july.csv", "may.csv")

    dropped = [drop_slice(store, slice_store.take), drop_file(store, dataset, june, batch="zebra")]
    store.use(dropped[0].name)
    store.refuse("zebra", "why not")
    dropped.append(drop_file(store, dataset, july, batch=""))
    store.use(dropped[-1].name)
    dropped.append(drop_slice(store, slice_store.take))
    dropped.append(drop_file(store, dataset, may, batch="ant"))
    dropped.append(drop_slice(store, slice_store.take))

    name = store.dataset
    assert [f"{name}-0001", "zebra", f"{name}-0003-july", f"{name}-0004", "ant", f"{name}-0006"] == [
        batch.name for batch in dropped
    ]
    assert [2] == [store.manifest("refused", "zebra").number]
    assert [f"{name}-0004", "ant", f"{name}-0006"] == in_order(store)
    slices = [slice_store.take(number).manifest.content_hash for number in (1, 2, 3)]
    assert slices == [batch.content_hash for batch in dropped if batch.name[-4:].isdigit()]


def test_a_slice_that_was_refused_because_its_dropper_died_is_dropped_again(store, slice_store):
    """
    Half a slice that lay too long, and was refused for it, does not use up the slice.
    """
    store.write(f"{store.folder('landing', f'{store.dataset}-0001')}/part-0001.csv", b"half")
    store.refuse(f"{store.dataset}-0001", "incomplete")

    dropped = drop_slice(store, slice_store.take)

    assert slice_store.take(1).manifest.content_hash == dropped.content_hash


@pytest.mark.parametrize("text", ["id,price\n", "id,cost\n1,2\n", ""])
def test_a_file_without_rows_or_with_other_columns_is_not_dropped(store, dataset, tmp_path, text):
    """
    The person learns it at once, and nothing lands.
    """
    file = tmp_path / "mine.csv"
    file.write_text(text)

    with pytest.raises(SettingsError):
        drop_file(store, dataset, file, batch="")
    assert [] == store.names("landing")


def run(monkeypatch, capsys, dataset, **settings):
    """The app's main; exit code, and what it printed as JSON."""
    monkeypatch.setattr(datasets, "get", lambda _: dataset)
    for name, value in {"job": "drop", "dataset": dataset.name, **settings}.items():
        monkeypatch.setenv(f"BATON_{name.upper()}", str(value))
    try:
        code = dropper.main()
    except SystemExit as ended:
        code = ended.code
    return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_the_app_prints_one_line_and_says_when_nothing_is_left(monkeypatch, capsys, hdfs, dataset, tmp_path):
    """
    For the program that started it: batch, rows and content hash; then exit code 3.
    """
    settings = {"hdfs": hdfs, "work": tmp_path, "slices": 1}

    first = run(monkeypatch, capsys, dataset, **settings)
    second = run(monkeypatch, capsys, dataset, **settings)

    code, (line,) = first
    assert 0 == code
    assert {"batch", "rows", "content_hash"} == set(line)
    assert (
        BatchStore(hdfs, StackNames("baton", dataset.name)).manifest("landing", line["batch"]).content_hash
        == line["content_hash"]
    )
    assert (3, []) == second


def test_the_app_drops_one_slice_each_period(monkeypatch, capsys, hdfs, dataset, tmp_path):
    """
    With BATON_DROP_EVERY_S it goes on until none is left.
    """
    code, lines = run(monkeypatch, capsys, dataset, hdfs=hdfs, work=tmp_path, slices=3, drop_every_s=0.1)

    assert 3 == code
    assert [f"{dataset.name}-000{number}" for number in (1, 2, 3)] == [line["batch"] for line in lines]


def test_no_hdfs_ends_the_app_with_1(monkeypatch, capsys, dataset, tmp_path):
    """
    A batch that could not be dropped is no batch.
    """
    other = replace(dataset, name="toys")

    assert (1, []) == run(monkeypatch, capsys, other, hdfs="hdfs://127.0.0.1:9", work=tmp_path)
