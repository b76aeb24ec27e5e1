"""The batch store on a real HDFS."""

import hashlib
import posixpath
import time
import uuid
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from apps.common.batches import MANIFEST, REASON, BatchStore
from apps.common.errors import BatchRefused, BatonError, Unavailable
from apps.common.hdfs import Hdfs
from apps.common.manifest import Manifest, Part, describe_part, schema_hash
from apps.common.names import SCRATCH, StackNames

COLUMNS = ("a", "b")


@pytest.fixture
def store(hdfs):
    """The store of a dataset that no other test uses."""
    return BatchStore(hdfs, StackNames("baton", f"dataset_{uuid.uuid4().hex[:8]}"))


@pytest.fixture
def part(tmp_path):
    """A CSV file of two rows that is larger than one network packet."""
    path = tmp_path / "part-0001.csv"
    path.write_text("a,b\n1,2\n3," + "x" * 200_000 + "\n")
    return path


def manifest_of(store, *files):
    """The manifest that tells the truth."""
    created = datetime.now(UTC).isoformat()
    return Manifest(store.dataset, 2, schema_hash(COLUMNS), created, tuple(map(describe_part, files)))


def test_a_batch_that_was_put_is_complete_and_equals_its_manifest(store, part):
    """
    After put the batch is listed as complete, its manifest reads back equal, and verifying finds nothing wrong.
    """
    manifest = manifest_of(store, part)

    store.put("b-0001", [part], manifest)

    assert [("b-0001", True)] == [(entry.name, entry.complete) for entry in store.entries("landing")]
    assert manifest == store.manifest("landing", "b-0001")
    assert [] == store.problems("b-0001")
    assert part.read_bytes() == store.read(f"{store.folder('landing', 'b-0001')}/part-0001.csv")


def test_places_that_were_never_used_are_empty(store):
    """
    A store without any batch lists nothing and says so without an error.
    """
    assert [] == store.entries("landing")
    assert [] == store.names("used")
    assert not store.exists(store.folder("landing"))


def test_entries_come_in_the_order_of_their_names(store, part):
    """
    A listing is sorted, whatever order they arrived in.
    """
    for name in ("b-0003", "b-0001", "b-0002"):
        store.put(name, [part], manifest_of(store, part))

    assert ["b-0001", "b-0002", "b-0003"] == [entry.name for entry in store.entries("landing")]
    assert ["b-0001", "b-0002", "b-0003"] == store.names("landing")


def test_a_batch_without_its_manifest_is_not_complete(store, part):
    """
    Parts alone are no batch yet, and neither is an unfinished manifest.
    """
    folder = store.folder("landing", "b-0001")
    store.write(f"{folder}/part-0001.csv", part.read_bytes())
    store.files.upload(f"{folder}/.{MANIFEST}.tmp", [b"{"])

    (entry,) = store.entries("landing")

    assert not entry.complete
    assert abs(entry.changed - datetime.now(UTC).timestamp()) < 60


def test_a_batch_that_was_left_half_way_is_completed_by_putting_it_again(store, part):
    """
    What a killed dropper left behind, an open file too, does not stand in the way of the next one.
    """
    left = store.files.client.create(f"{store.folder('landing', 'b-0001')}/x")
    left.write(b"half")
    store.files.upload(f"{store.folder('landing', 'b-0002')}/part-0001.csv", [b"half"])

    store.put("b-0002", [part], manifest_of(store, part))

    assert [] == store.problems("b-0002")


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda store, path: store.files.delete(path), "part-0001.csv must be in the batch; it is missing"),
        (lambda store, path: store.write(path, b"short"), "part-0001.csv must have 200011 bytes; got 5"),
        (lambda store, path: store.write(path, b"y" * 200_011), "part-0001.csv must have sha256"),
        (lambda store, path: store.write(f"{path}2", b"more"), f"part-0001.csv2 must be named in {MANIFEST}"),
    ],
    ids=["missing", "short", "changed", "unnamed"],
)
def test_a_difference_from_the_manifest_is_found_and_named(store, part, spoil, problem):
    """
    A missing, short, changed or unnamed part is a problem that names the part, the rule and what is there.
    """
    store.put("b-0001", [part], manifest_of(store, part))

    spoil(store, f"{store.folder('landing', 'b-0001')}/part-0001.csv")

    (found,) = store.problems("b-0001")
    assert problem in found


def test_all_differences_are_reported_together(store, part, tmp_path):
    """
    Two broken parts are two problems.
    """
    other = tmp_path / "part-0002.csv"
    other.write_text("a,b\n")
    manifest = manifest_of(store, part, other)
    store.put("b-0001", [part, other], manifest)

    wrong = replace(manifest, parts=tuple(replace(one, bytes=1) for one in manifest.parts))

    assert 2 == len(store.differences("b-0001", wrong))


def test_a_manifest_that_names_no_file_of_the_batch_is_a_problem_by_itself(store):
    """
    A part name that leads out of the batch is found before anything is read.
    """
    manifest = Manifest(store.dataset, 1, "x", "2026-01-01", (Part("../../secret.csv", 1, "0" * 64),))
    store.write(f"{store.folder('landing', 'b-0001')}/{MANIFEST}", manifest.to_json().encode())

    (found,) = store.problems("b-0001")

    assert "the name of a part must have letters" in found
    assert "../../secret.csv" in found


def test_using_a_batch_moves_it_and_may_be_done_twice(store, part):
    """
    The batch is in used/ after the first and after the second call.
    """
    store.put("b-0001", [part], manifest_of(store, part))

    store.use("b-0001")
    store.use("b-0001")

    assert [] == store.names("landing")
    assert ["b-0001"] == store.names("used")
    assert 200_011 == store.manifest("used", "b-0001").parts[0].bytes


def test_refusing_a_batch_moves_it_with_the_reason_and_may_be_done_twice(store, part):
    """
    The batch is in refused/ with the first reason after the first and after the second call.
    """
    store.put("b-0001", [part], manifest_of(store, part))

    store.refuse("b-0001", "too blue")
    store.refuse("b-0001", "too late")

    assert [] == store.names("landing")
    assert b"too blue" == store.read(f"{store.folder('refused', 'b-0001')}/{REASON}")


class MovedMeanwhile(Hdfs):
    """HDFS, where somebody moves a batch right after it was looked for."""

    def exists(self, path):
        """Whether it was there."""
        there = super().exists(path)
        if there and "/landing/" in path:
            self.make_folder(posixpath.dirname(path.replace("/landing/", "/used/")))
            self.rename(path, path.replace("/landing/", "/used/"))
        return there


def test_a_batch_that_somebody_moves_while_it_is_refused_leaves_no_ghost(hdfs, store, part):
    """
    It is where that somebody put it, and neither in landing/ nor in refused/ is anything of its name.
    """
    store.put("b-0001", [part], manifest_of(store, part))

    BatchStore(hdfs, StackNames("baton", store.dataset), MovedMeanwhile(hdfs)).refuse("b-0001", "too blue")

    assert ["b-0001"] == store.names("used")
    assert [] == store.names("landing") == store.files.listing(store.folder("refused"))
    assert store.reason("b-0001") is None


class KilledAfterTheMove(Hdfs):
    """HDFS, as somebody leaves it who is killed when a batch has been moved to refused/."""

    def rename(self, source, target, *, overwrite=False):
        """Move it, and end."""
        super().rename(source, target, overwrite=overwrite)
        if "/landing/" in source:
            raise KeyboardInterrupt


def test_the_reason_is_known_from_the_move_on(hdfs, store, part):
    """
    Whoever refuses a batch may be killed anywhere: the batch is in landing/, or refused with its reason.
    """
    store.put("b-0001", [part], manifest_of(store, part))

    with pytest.raises(KeyboardInterrupt):
        BatchStore(hdfs, StackNames("baton", store.dataset), KilledAfterTheMove(hdfs)).refuse("b-0001", "too blue")

    assert ["b-0001"] == store.names("refused")
    assert "too blue" == store.reason("b-0001")


def test_a_reason_that_somebody_took_away_does_not_make_a_refused_batch_another(store, part):
    """
    It stays refused, and the reason says that it is gone.
    """
    store.put("b-0001", [part], manifest_of(store, part))
    store.refuse("b-0001", "too blue")
    store.files.delete(f"{store.folder('refused', 'b-0001')}/{REASON}")

    assert REASON in store.reason("b-0001")
    assert store.reason("b-0002") is None


def test_the_namenode_tells_its_time_and_keeps_nothing_of_it(store):
    """
    Its clock goes on, is about ours on one machine, and what was written to read it is removed.
    """
    first, second = store.now(), store.now()

    assert first <= second
    assert abs(second - time.time()) < 60
    assert [] == [file.name for file in store.files.listing(f"{store.root}/{SCRATCH}") if file.name.startswith("clock")]


def test_a_second_refusal_under_one_name_keeps_the_first(store, part):
    """
    A batch dropped again under a refused name, and refused again, gets a number behind its name.
    """
    for reason in ("first", "second", "third"):
        store.put("b-0001", [part], manifest_of(store, part))
        store.refuse("b-0001", reason)

    assert ["b-0001", "b-0001.2", "b-0001.3"] == store.names("refused")
    assert b"third" == store.read(f"{store.folder('refused', 'b-0001.3')}/{REASON}")


def test_moving_a_batch_that_is_nowhere_says_so(store):
    """
    A batch that somebody took away is named in the error.
    """
    with pytest.raises(BatonError, match="b-0009 must be in landing"):
        store.use("b-0009")


def test_a_manifest_that_is_none_is_refused_and_one_that_is_gone_is_not_found(store):
    """
    Unreadable and absent are told apart: the one is the batch's fault, the other a matter of time.
    """
    store.write(f"{store.folder('landing', 'b-0001')}/{MANIFEST}", b"\xff\xfe{")

    with pytest.raises(BatchRefused):
        store.manifest("landing", "b-0001")
    with pytest.raises(FileNotFoundError):
        store.manifest("landing", "b-0002")


def test_the_content_hash_is_that_of_the_bytes_in_hdfs(store, part):
    """
    Equal bytes have an equal identity, computed here from what was read back.
    """
    store.put("b-0001", [part], manifest_of(store, part))
    there = hashlib.sha256(store.read(f"{store.folder('landing', 'b-0001')}/part-0001.csv")).hexdigest()

    assert hashlib.sha256(there.encode()).hexdigest() == store.manifest("landing", "b-0001").content_hash


def test_no_hdfs_is_unavailable_within_seconds(part):
    """
    Where nobody listens, every verb says within seconds that HDFS does not answer, in one line.
    """
    store, start = BatchStore("hdfs://127.0.0.1:9", StackNames("nowhere", "toys")), time.monotonic()

    for verb in (
        lambda: store.entries("landing"),
        lambda: store.put("b", [part], manifest_of(store, part)),
        lambda: store.refuse("b", "why"),
    ):
        with pytest.raises(Unavailable, match=r"HDFS must answer at hdfs://127\.0\.0\.1:9") as caught:
            verb()
        assert "\n" not in str(caught.value)
    assert time.monotonic() - start < 20
