"""Where Java and the resolved jars are, and how a small JVM is started."""

import hashlib
import shutil
from pathlib import Path

from apps.common.errors import SettingsError
from stack import cache
from stack.environment import inherited

POMS = Path(__file__).parent / "jars"

# Small heaps, one collector thread, and an end instead of a half-dead process when memory runs out.
LEAN = (
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:ReservedCodeCacheSize=48m",
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:-UsePerfData",
    "-Xss512k",
    "-Djava.net.preferIPv4Stack=true",
    "-Djava.awt.headless=true",
)


def java() -> str:
    """The ``java`` to start: JAVA_HOME's (the launcher sets it when the one on the path is too old), or the path's."""
    if home := inherited().get("JAVA_HOME"):
        return str(Path(home) / "bin" / "java")
    if found := shutil.which("java"):
        return found
    raise SettingsError("java must be on the path; got none; start by ./baton, which says what to install")


def jars(name: str) -> Path:
    """The folder into which the launcher resolved ``stack/jars/<name>/pom.xml``."""
    digest = hashlib.sha256((POMS / name / "pom.xml").read_bytes()).hexdigest()[:12]
    return cache.root() / "jars" / f"{name}-{digest}"


def java_command(heap: str, classpath: list[Path | str], main: str, temporary: Path, *options: str) -> list[str]:
    """
    The command line of ``main``, without its arguments.

    ``temporary`` is a folder of its own: what it unpacks there (the code of a codec, web pages) outlives a kill, and
    may be forbidden to run in the machine's.
    """
    own = f"-Djava.io.tmpdir={temporary}"
    return [java(), *LEAN, heap, own, *options, "-cp", ":".join(map(str, classpath)), main]
