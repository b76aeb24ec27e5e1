"""The pinned versions of the cluster's parts, read from versions.yaml, so that no other file names one."""

import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from apps.common.errors import SettingsError

FILE = Path(__file__).with_name("versions.yaml")
NUMBER = re.compile(r"\d+\.\d+\.\d+")


@dataclass(frozen=True)
class Versions:
    """One version a part; ``debian`` is a release's name, the rest are x.y.z without a leading v."""

    kubernetes: str
    kind: str
    helm: str
    etcd: str
    coredns: str
    local_path_provisioner: str
    kube_router: str
    debian: str

    @property
    def staging(self) -> str:
        """The version of Kubernetes' own libraries: 1.2.3 has them as 0.2.3."""
        return "0." + self.kubernetes.split(".", 1)[1]


def load(path: Path = FILE) -> Versions:
    """Read ``path``; raise SettingsError that lists every problem."""
    raw: Any = yaml.safe_load(path.read_text())
    found: dict[str, Any] = raw if isinstance(raw, dict) else {}
    names = [field.name for field in fields(Versions)]
    problems = [
        f"{path.name}: {name} must be {_rule(name)}; got {found.get(name)!r}; edit {path.name}"
        for name in names
        if not _valid(name, found.get(name))
    ]
    problems += [
        f"{path.name}: its keys must be {', '.join(names)}; got {name!r}; remove it"
        for name in found
        if name not in names
    ]
    if problems:
        raise SettingsError("\n".join(problems))
    return Versions(**found)


def _rule(name: str) -> str:
    return "a release's name in lower case" if name == "debian" else "a version x.y.z in digits"


def _valid(name: str, value: object) -> bool:
    pattern = re.compile(r"[a-z]+") if name == "debian" else NUMBER
    return isinstance(value, str) and pattern.fullmatch(value) is not None
