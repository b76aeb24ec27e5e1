"""The archive of classes in the cache: what it is named by, and when it is made."""

import os
from pathlib import Path

import pytest
import structlog

from apps.common.errors import BatonError
from apps.common.waiting import wait_until
from stack import services
from stack.embedded import class_archive
from stack.embedded.class_archive import VARIABLE, ClassArchive, is_there, place
from stack.embedded.services.spec import StackContext
from stack.environment import ROOT, inherited
from stack.java import jars

WRITES = """
import sys
from pathlib import Path
archive = Path(sys.argv[2])
archive.parent.mkdir(parents=True)
archive.write_text("classes")
archive.with_name(archive.name + ".size").write_text("7")
"""
FAILS = "raise SystemExit('Java must take it; got no Java')"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of the test's own, with a connector's jar in it."""
    monkeypatch.setenv("BATON_CACHE_DIR", str(tmp_path / "cache"))
    jar = jars(class_archive.CONNECTOR) / "connector.jar"
    jar.parent.mkdir(parents=True)
    jar.write_text("code")
    return jar


class Making:
    """A maker whose program is ``code``, looked after until it has nothing more to do."""

    def __init__(self, folder, monkeypatch, code):
        """The program is a module that Python finds in ``folder``."""
        (folder / "toy_archive.py").write_text(code)
        monkeypatch.setattr(class_archive, "MODULE", "toy_archive")
        monkeypatch.setattr(class_archive, "QUIET_S", 0)
        environment = {VARIABLE: str(folder / "archives" / "here-new" / "spark.jsa"), "PYTHONPATH": str(folder)}
        context = StackContext(folder / "state", services.load(), inherited())
        self.load = 0.0
        monkeypatch.setattr(os, "getloadavg", lambda: (self.load, 0.0, 0.0))
        monkeypatch.setattr(class_archive, "inherited", lambda: inherited() | environment)
        self.archive, self.quiet = Path(environment[VARIABLE]), True
        self.maker = ClassArchive(context, environment, lambda: self.quiet, structlog.get_logger())
        self.log = context.log(class_archive.NAME)

    def look(self):
        """Take the next step."""
        self.maker.advance(set())

    def to_its_end(self):
        """Begin, and see to the end."""
        wait_until(lambda: self.look() or self.log.exists(), 5, "nothing begins", 0.01)
        child = self.maker._child  # noqa: SLF001 - what runs
        wait_until(lambda: not child.alive(), 20, "it does not end", 0.01)
        self.look()


@pytest.fixture
def making(tmp_path, monkeypatch):
    """Makes a maker of a program's text."""
    return lambda code: Making(tmp_path, monkeypatch, code)


def test_another_jar_means_another_archive(cache):
    """Java compares time and size of each jar, so these name it; without a change the name stays."""
    before = place()
    again = place()
    os.utime(cache, (1, 1))

    assert before == again
    assert before.parent != place().parent
    assert before.parent.parent == place().parent.parent


def test_another_java_means_another_archive(tmp_path, monkeypatch):
    """Its own archive, which this one stands on, is the mark of a Java."""
    own = tmp_path / "java" / "lib" / "server" / "classes.jsa"
    own.parent.mkdir(parents=True)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "java"))
    before = place()
    own.touch()

    assert before != place()


def test_it_is_made_when_all_is_quiet_and_those_before_it_go(making):
    """What another jar or Java was for is of no use any more; what another checkout has stays."""
    one = making(WRITES)
    older, others = one.archive.parent.with_name("here-old"), one.archive.parent.with_name("there-old")
    older.mkdir(parents=True)
    others.mkdir()
    one.to_its_end()

    assert is_there(one.archive)
    assert not older.exists()
    assert others.exists()


def test_nothing_is_made_while_something_is_to_be_done(making):
    """A training and a server that starts come first."""
    one = making(WRITES)
    one.quiet = False
    for _ in range(3):
        one.look()

    assert not one.log.exists()


def test_nothing_is_made_while_the_machine_has_other_work(making, monkeypatch):
    """Traffic, or somebody's build, has its processors for ten minutes; on a machine that is never idle it is made."""
    one = making(WRITES)
    one.load = class_archive.IDLE * os.cpu_count()
    for _ in range(3):
        one.look()
    begun_at_work = one.log.exists()
    monkeypatch.setattr(class_archive, "PATIENT_S", 0)
    one.to_its_end()

    assert not begun_at_work
    assert is_there(one.archive)


def test_a_benchmark_has_it_made_before(making, monkeypatch):
    """It says why it cannot be made, and makes what is there no second time."""
    one = making(FAILS)
    monkeypatch.setattr(class_archive, "place", lambda: one.archive)
    with pytest.raises(BatonError, match=r"^Java must take it; got no Java$"):
        class_archive.make_now()
    making(WRITES)
    class_archive.make_now()
    making(FAILS)
    class_archive.make_now()

    assert is_there(one.archive)


def test_what_is_there_is_not_made_again(making):
    """A second stack of the checkout, and a second start, take what the first one made."""
    one = making(WRITES)
    one.to_its_end()
    second = making(FAILS)
    second.log.unlink()
    for _ in range(3):
        second.look()

    assert not second.log.exists()


def test_a_maker_that_fails_is_told_of_once_and_hinders_nobody(making):
    """Servers start without; the next supervisor tries again."""
    one = making(FAILS)
    with structlog.testing.capture_logs() as said:
        one.maker._log = structlog.get_logger()  # noqa: SLF001 - after the capture has begun
        one.to_its_end()
        for _ in range(3):
            one.look()

    assert one.maker._child is None  # noqa: SLF001 - what runs
    assert [("warning", "Java must take it; got no Java")] == [(line["log_level"], line["reason"]) for line in said]
    assert not is_there(one.archive)


def test_the_program_is_there():
    """The module that is started, and whose text names the archive, exists."""
    assert (ROOT / f"{class_archive.MODULE.replace('.', '/')}.py").exists()
