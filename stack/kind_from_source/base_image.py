"""
Makes ``debian:<release>-slim`` from this machine's own Debian mirror, for where no image registry is reachable.

Which mirror that is, apt is asked at run time; the image gets the same one, so that builds on top of it reach it too.
"""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from apps.common.errors import Unavailable
from stack import cache
from stack.kind_from_source import command
from stack.kind_from_source.steps import Note
from stack.kind_from_source.versions import Versions

LABEL = "baton.made-by"
RECIPE = Path(__file__)
UNREAD = ("doc", "man", "info", "locale", "lintian", "groff")
LEFT_OUT = (*(f"usr/share/{name}" for name in UNREAD), "var/cache/apt", "var/lib/apt/lists")
SETTINGS = {
    "etc/dpkg/dpkg.cfg.d/slim": "".join(f"path-exclude /usr/share/{name}/*\n" for name in UNREAD),
    "etc/dpkg/dpkg.cfg.d/fast": "force-unsafe-io\n",
    "etc/apt/apt.conf.d/slim": 'Acquire::Languages "none";\nAPT::Install-Recommends "false";\n',
    "usr/sbin/policy-rc.d": "#!/bin/sh\nexit 101\n",
}
FROM_HOST = re.compile(r'^Acquire::(?:Check-\S+|https?::\S*Proxy\S*) ".+";$', re.MULTILINE)


def name(versions: Versions) -> str:
    """The image's name, the same as the registry's own."""
    return f"debian:{versions.debian}-slim"


def present(versions: Versions) -> bool:
    """Whether the image is there: the registry's own, or ours made in today's way."""
    told = command.answer(
        ["docker", "image", "inspect", "--format", f'made={{{{index .Config.Labels "{LABEL}"}}}}', name(versions)]
    )
    return told in ("made=", f"made={_fingerprint()}")


def make(versions: Versions, note: Note) -> None:
    """Make the image."""
    sources = list(_sources(versions))
    mirror = sources[0].split()[1]
    with cache.scratch() as folder:
        tree = folder / "tree"
        note("debootstrap")
        # in a mount namespace of its own, so that a killed run leaves no /proc mounted in the tree
        alone = ["unshare", "--mount", "--propagation", "private"]
        command.run(
            "debootstrap",
            [*alone, "debootstrap", "--variant=minbase", versions.debian, tree, mirror],
            line=lambda text: note(text[:60]),
        )
        _slim(tree, sources)
        note("import")
        _import(tree, name(versions))


def _sources(versions: Versions) -> Iterator[str]:
    """The lines of a sources.list: those of this machine that are Debian's own, for the image's release."""
    wanted = "$(REPO_URI) $(RELEASE) $(COMPONENT) $(ORIGIN)"
    told = command.answer(["apt-get", "indextargets", "--format", wanted, "Created-By: Packages"]) or ""
    here = re.search(r"^VERSION_CODENAME=(\w+)", Path("/etc/os-release").read_text(), re.MULTILINE)
    codename = here.group(1) if here else versions.debian
    lines = [entry.split() for entry in told.splitlines()]
    debian = [entry for entry in lines if len(entry) == 4 and entry[3] == "Debian"]  # noqa: PLR2004 - the format above
    if not any(entry[1] == codename for entry in debian):
        message = f"apt must know a mirror of Debian {codename}; got none; run apt-get update and look at its sources"
        raise Unavailable(message)
    for uri, suite, component, _ in sorted(debian, key=lambda entry: entry[1] != codename):
        yield f"deb {uri} {suite.replace(codename, versions.debian)} {component}"


def _slim(tree: Path, sources: list[str]) -> None:
    for path in LEFT_OUT:
        shutil.rmtree(tree / path, ignore_errors=True)
        (tree / path).mkdir(parents=True, exist_ok=True)
    for path, text in SETTINGS.items():
        (tree / path).write_text(text)
    (tree / "usr/sbin/policy-rc.d").chmod(0o755)
    (tree / "etc/apt/sources.list").write_text("\n".join(sources) + "\n")
    from_host = FROM_HOST.findall(command.answer(["apt-config", "dump"]) or "")
    (tree / "etc/apt/apt.conf.d/host").write_text("".join(f"{line}\n" for line in from_host))
    for path in ("etc/machine-id", "etc/resolv.conf", "etc/hostname"):
        (tree / path).unlink(missing_ok=True)


def _import(tree: Path, image: str) -> None:
    changes = ["--change", 'CMD ["bash"]', "--change", f"LABEL {LABEL}={_fingerprint()}"]
    with subprocess.Popen(["tar", "-C", tree, "--numeric-owner", "-c", "."], stdout=subprocess.PIPE) as tar:
        done = subprocess.run(
            ["docker", "import", *changes, "-", image], stdin=tar.stdout, capture_output=True, text=True, check=False
        )
    if tar.returncode or done.returncode:
        message = f"docker import must take the tree of {image}; got {done.stderr.strip()}; run it again"
        raise Unavailable(message)


def _fingerprint() -> str:
    return cache.fingerprint(RECIPE.read_bytes())
