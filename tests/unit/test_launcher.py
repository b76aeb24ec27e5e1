"""The launcher in strange shells: the real script, with stand-ins for Python, Maven, Java and apt."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from apps.common.waiting import wait_until

ROOT = Path(__file__).parents[2]
# All that the script may find on its path, besides the stand-ins.
TOOLS = (
    *("awk", "bash", "cat", "chmod", "cp", "cut", "dirname", "env", "find", "grep", "head", "id", "ls", "mkdir", "mv"),
    *("readlink", "rm", "sed", "sh", "sha256sum", "sleep"),
)
POWERLESS = [shutil.which("setpriv"), "--bounding-set=-dac_override"] if os.geteuid() == 0 else []
VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
# Makes a .venv whose Python does nothing but say how it was started; asked anything else, it is a real one.
PYTHON = """#!/bin/sh
case "$1 $2" in
"-m venv")
  echo "venv $(umask)" >> "$LOG"
  while [ -e "$HOLD" ]; do sleep 0.1; done
  mkdir -p "$4/bin" "$4/lib/$VERSION/site-packages"; cp "$0" "$4/bin/python" ;;
"-I $CHECKOUT/stack/python_packages.py") echo "packages" >> "$LOG" ;;
"-P -X") echo "started in $PWD: HOME=$HOME CACHE=$BATON_CACHE_DIR PYTHONHOME=${PYTHONHOME:-}" ;;
*) exec "$REAL" "$@" ;;
esac
"""
MAVEN = """#!/bin/sh
echo "maven ${JAVA_TOOL_OPTIONS:-}" >> "$LOG"
for one in "$@"; do case $one in -DoutputDirectory=*) folder=${one#*=} ;; esac; done
umask 077; mkdir -p "$folder"; echo jar > "$folder/a.jar"
"""
# Somebody else holds the lock whenever it is asked for the first time.
APT = """#!/bin/sh
shift; echo "$1" >> "$LOG"
if [ "$(grep -c "$1" "$LOG")" = 1 ]; then echo "E: Could not get lock /l. It is held by process 7"; exit 100; fi
if [ "$1" = install ]; then mv "${LOG%/*}/mvn" "${0%/*}/mvn"; fi
"""
# Of .venv one file is another user's.
FIND = """#!/bin/sh
case "$*" in "$CHECKOUT/.venv ! -user $(id -u)") echo "$1/left" ;; esac
"""
CHOWN = f"sudo chown -R {os.geteuid()}"
JAVA = """#!/bin/sh
[ -z "${JAVA_TOOL_OPTIONS:-}" ]
"""


def program(place, text):
    """Write an executable file, in place of what is there: a link would lead to a program of the machine itself."""
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    place.write_text(text)
    place.chmod(0o755)


class StrangeMachine:
    """A checkout, a home and the programs of a machine, all of them thrown away after the test."""

    def __init__(self, folder):
        """``folder`` is empty and resolved."""
        self.folder, self.checkout, self.log = folder, folder / "checkout", folder / "log"
        self.checkout.mkdir()
        shutil.copy(ROOT / "baton", self.checkout)
        (self.checkout / "requirements.lock").write_text("uv==1\n")
        for name in ("kafka", "hdfs", "spark-kafka"):
            jars = self.checkout / "stack" / "jars" / name
            jars.mkdir(parents=True)
            (jars / "pom.xml").write_text(name)
            sums = subprocess.run(["sha256sum"], input="jar\n", capture_output=True, text=True, check=True).stdout
            (jars / "SHA256SUMS").write_text(sums.replace("-", "a.jar"))
        self.bin = folder / "bin"
        program(self.bin / "python3", PYTHON)
        program(self.bin / "mvn", MAVEN)
        for name in TOOLS:
            (self.bin / name).symlink_to(shutil.which(name) or name)
        program(folder / "java" / "bin" / "java", JAVA)
        (folder / "java" / "release").write_text('JAVA_VERSION="17.0.1"\n')
        (folder / "home").mkdir()
        self.hold = folder / "hold"  # while it is there, no .venv gets done

    def begin(self, *command, cwd=None, umask=-1, **variables):
        """Start the launcher, or ``command``, without root's leave to write all; a variable that is None is not set."""
        told = {
            "PATH": self.bin,
            "HOME": self.folder / "home",
            "JAVA_HOME": self.folder / "java",
            "CHECKOUT": self.checkout,
            "HOLD": self.hold,
            "LOG": self.log,
            "REAL": sys.executable,
            "VERSION": VERSION,
            **variables,
        }
        return subprocess.Popen(
            [*POWERLESS, *map(str, command or [self.checkout / "baton"])],
            cwd=cwd or self.folder,
            env={name: str(value) for name, value in told.items() if value is not None},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            umask=umask,
        )

    def start(self, *command, code=0, **how):
        """What it says until it ends with ``code``."""
        process = self.begin(*command, **how)
        output = process.communicate(timeout=60)[0]
        assert code == process.returncode, output
        return output

    def made(self):
        """What the programs were asked to make, in order."""
        return [line.split()[0] for line in self.log.read_text().splitlines()] if self.log.exists() else []


@pytest.fixture
def machine(tmp_path):
    """A machine with nothing made yet."""
    return StrangeMachine(tmp_path.resolve())


ALL = ["venv", "packages", "maven", "maven", "maven"]


def test_everything_is_made_once(machine):
    """
    The first start makes .venv and the three sets of jars, the second one nothing.
    """
    machine.start()
    first = machine.made()
    machine.start()

    assert ALL == first == machine.made()


def test_a_cache_that_cannot_be_made_is_one_sentence(machine):
    """
    Where neither HOME nor BATON_CACHE_DIR can be written, the message names both.
    """
    output = machine.start(HOME="/proc", code=1)

    assert "got /proc/.cache/baton; set HOME or BATON_CACHE_DIR\n" in output
    assert [] == machine.made()


def test_without_home_the_system_says_where_it_is(machine):
    """
    HOME may be missing or empty: the cache given by BATON_CACHE_DIR serves, and programs get the home of the user.
    """
    cache = machine.folder / "cache"

    for home in (None, ""):
        assert f"HOME={Path('~').expanduser()} " in machine.start(HOME=home, BATON_CACHE_DIR=cache)


def test_a_relative_cache_is_the_same_from_every_folder(machine):
    """
    BATON_CACHE_DIR is made absolute before a program that changes the folder gets it.
    """
    assert f"CACHE={machine.folder}/some/cache " in machine.start(BATON_CACHE_DIR="some/cache")


@pytest.mark.parametrize("given", ["~/some/cache", "~"])
def test_a_tilde_is_the_home_also_where_no_shell_turns_it_into_one(machine, given):
    """
    A variable of compose, systemd or an .env file comes with its tilde; no folder is called so.
    """
    cache = given.replace("~", str(machine.folder / "home"))

    assert f"CACHE={cache} " in machine.start(BATON_CACHE_DIR=given)


def test_a_moved_checkout_makes_its_environment_anew(machine):
    """
    The stamp of .venv knows its place; the jars, which lie in the cache, stay.
    """
    machine.start()
    machine.checkout = machine.checkout.rename(machine.folder / "moved")
    machine.start()

    assert [*ALL, "venv", "packages"] == machine.made()


def test_an_environment_whose_python_is_gone_is_made_anew(machine):
    """
    A stamp alone is no environment: its Python must start.
    """
    machine.start()
    (machine.checkout / ".venv" / "bin" / "python").unlink()
    machine.start()

    assert [*ALL, "venv", "packages"] == machine.made()


def test_an_environment_of_another_python_is_made_anew(machine):
    """
    The system's Python got a new version, which does not find what was installed for the old one.
    """
    machine.start()
    lib = machine.checkout / ".venv" / "lib"
    (lib / VERSION).rename(lib / "python3.8")
    machine.start()

    assert [*ALL, "venv", "packages"] == machine.made()


@pytest.mark.parametrize("place", ["cache", ".venv", "checkout"])
def test_a_folder_that_cannot_be_written_is_handed_over_by_one_command(machine, place):
    """
    As ``sudo ./baton`` leaves it: whichever of the three it is, the message ends with the command, its path quoted.
    """
    cache = machine.folder / "a cache"
    folder = {"cache": cache, ".venv": machine.checkout / ".venv", "checkout": machine.checkout}[place]
    for made in (cache, folder):
        made.mkdir(exist_ok=True)
    folder.chmod(0o555)
    output = machine.start(BATON_CACHE_DIR=cache, code=1)
    folder.chmod(0o755)

    quoted = str(folder).replace(" ", "\\ ")
    assert output.endswith(f"baton: {folder} must be yours; got {folder} of {folder.owner()}; run: {CHOWN} {quoted}\n")
    assert [] == machine.made()


def test_what_another_user_left_inside_is_named_when_it_stops_a_step(machine):
    """
    The folder is ours and what lies in it is not: the step's own error comes first, then whose it is.
    """
    program(machine.bin / "find", FIND)
    program(machine.bin / "python3", PYTHON.replace('"-m venv")', '"-m venv") echo "no leave to remove"; exit 1;'))
    venv = machine.checkout / ".venv"
    venv.mkdir()
    (venv / "left").touch(0o444)
    output = machine.start(code=1)

    assert "no leave to remove\n" in output
    assert output.endswith(f"baton: {venv} must be yours; got {venv}/left of {venv.owner()}; run: {CHOWN} {venv}\n")


def test_a_step_that_fails_for_another_reason_says_what_could_not_be_made(machine):
    """
    Where everything is ours the message blames nobody.
    """
    program(machine.bin / "mvn", "#!/bin/sh\nexit 1\n")
    output = machine.start(code=1)

    assert re.search(
        r"baton: \S+/jars/kafka-\w+ must be made; got the error above; mend its cause and start again\n$", output
    )


def test_a_second_start_waits_for_the_first(machine):
    """
    Two starts at once make everything once; the second says that it waits.
    """
    machine.hold.touch()
    first = machine.begin()
    wait_until(lambda: machine.made() == ["venv"], 30, "the first start makes no .venv")
    second = machine.begin()
    waiting = next(second.stdout)
    machine.hold.unlink()

    assert "another start makes" in waiting
    assert (0, 0) == (first.wait(60), second.wait(60))
    assert ALL == machine.made()


def test_another_pythons_settings_lead_nowhere(machine):
    """
    PYTHONHOME and its like neither hide the Python that is there nor reach the CLI.
    """
    assert "PYTHONHOME=\n" in machine.start(PYTHONHOME="/nonexistent", PYTHONPATH="/nonexistent", PYTHONSAFEPATH="1")


def test_java_options_that_stop_java_are_left_out(machine):
    """
    Maven gets JAVA_TOOL_OPTIONS only where Java starts with them.
    """
    output = machine.start(JAVA_TOOL_OPTIONS="-XX:NoSuchFlag")

    assert "Java does not start with them" in output
    assert "NoSuchFlag" not in machine.log.read_text()


def test_the_jars_are_readable_whatever_the_umask(machine):
    """
    What goes into images is open to every user, even when umask and Maven's files are not.
    """
    machine.start(umask=0o077)
    jars = list((machine.folder / "home" / ".cache" / "baton" / "jars").rglob("*"))

    assert {0o755, 0o644} == {path.stat().st_mode & 0o777 for path in jars}
    assert "venv 0022" in machine.log.read_text()


@pytest.mark.parametrize("how", ["sh baton", "../link", "bash --posix ./baton", "./baton <&-", "set -u; . ./baton"])
def test_it_starts_however_it_is_called(machine, how):
    """
    By sh, by a link, with POSIX rules, without standard input, from a strict shell: it is the same start.
    """
    (machine.folder / "link").symlink_to(machine.checkout / "baton")

    output = machine.start("bash", "-c", how, cwd=machine.checkout, CDPATH=machine.folder, LC_ALL="nonexistent")

    assert f"started in {machine.checkout}: " in output


def test_apts_locks_are_waited_for(machine):
    """
    While another program holds a lock of apt's, the launcher says so and tries again: for lists and packages.
    """
    (machine.bin / "mvn").rename(machine.folder / "mvn")
    program(machine.bin / "apt-get", APT)
    program(machine.bin / "apt-cache", "#!/bin/sh\n")
    program(machine.bin / "sudo", '#!/bin/sh\nexec "$@"\n')
    program(machine.bin / "nap", "#!/bin/sh\n")
    (machine.bin / "nap").replace(machine.bin / "sleep")

    output = machine.start()

    assert 2 == output.count("another program holds apt's lock")
    assert ["update", "update", "install", "install", *ALL] == machine.made()
