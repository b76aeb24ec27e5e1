"""The cache: what is in it is whole, and nobody sweeps what another run is making."""

import pytest

from apps.common.errors import Unavailable
from stack import cache


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty cache."""
    monkeypatch.setenv("BATON_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_failed_run_leaves_nothing_half_made(folder):
    """What was being made when an error came is gone, and its name is still free."""

    def half_make():
        with cache.publish(cache.root() / "thing") as filling:
            (filling / "part").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        half_make()

    assert list(folder.iterdir()) == []


def test_what_a_killed_run_left_is_swept(folder):
    """The next run removes unfinished folders, and nothing else."""
    (cache.root() / f"{cache.UNFINISHED}abc").mkdir()
    (cache.root() / "whole").mkdir()

    with cache.exclusive():
        left = {path.name for path in folder.iterdir()}

    assert left == {"whole", cache.LOCK}


def test_two_runs_do_not_fill_one_cache(folder):
    """A second run on a cache that is being filled is refused."""
    with cache.exclusive(), pytest.raises(Unavailable, match="one run at a time"), cache.exclusive():
        pass


def test_a_fingerprint_tells_where_a_part_ends():
    """The same characters split in another way have another fingerprint."""
    assert cache.fingerprint("ab", "c") != cache.fingerprint("a", "bc")


def test_what_another_run_is_making_is_not_swept(folder):
    """A folder that is still being filled stays, though it looks like one that was left."""
    with cache.scratch() as filling:
        with cache.exclusive():
            pass

        assert filling.is_dir()


def test_of_two_that_make_the_same_the_first_is_kept(folder):
    """The second one's work is thrown away, and it is no error: a thing is named by what it was made of."""
    target = cache.root() / "thing"
    with cache.publish(target) as second:
        (second / "by").write_text("second")
        with cache.publish(target) as first:
            (first / "by").write_text("first")

    assert (target / "by").read_text() == "first"
    assert list(folder.iterdir()) == [target]
