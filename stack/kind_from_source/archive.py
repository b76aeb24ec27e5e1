"""
Writes a container image that holds one static program and nothing else, as an archive that Docker and containerd read.

Such an image needs no builder and no base: the node unpacks one small layer for each pod of its own.
"""

import hashlib
import io
import json
import tarfile
from pathlib import Path

from apps.common.files import sha256

FOLDERS = {"usr": 0o755, "usr/bin": 0o755, "tmp": 0o1777}
ARCHITECTURE = "amd64"


def write(target: Path, program: Path, name: str, architecture: str = ARCHITECTURE) -> None:
    """Write the image ``name`` whose entry point is ``program`` (at /usr/bin) to the tar file ``target``."""
    layer = target.with_suffix(".layer")
    _write_layer(layer, program)
    config = json.dumps(
        {
            "architecture": architecture,
            "os": "linux",
            "config": {"Entrypoint": [f"/usr/bin/{program.name}"], "Env": ["PATH=/usr/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha256(layer)}"]},
        }
    ).encode()
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = json.dumps([{"Config": config_name, "RepoTags": [name], "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(target, "w") as archive:
        with layer.open("rb") as data:
            archive.addfile(_entry("layer.tar", layer.stat().st_size), data)
        for path, text in {config_name: config, "manifest.json": manifest}.items():
            archive.addfile(_entry(path, len(text)), io.BytesIO(text))
    layer.unlink()


def _write_layer(target: Path, program: Path) -> None:
    with tarfile.open(target, "w") as layer:
        for path, mode in FOLDERS.items():
            entry = _entry(path, 0, mode)
            entry.type = tarfile.DIRTYPE
            layer.addfile(entry)
        with program.open("rb") as data:
            layer.addfile(_entry(f"usr/bin/{program.name}", program.stat().st_size, 0o755), data)


def _entry(path: str, size: int, mode: int = 0o644) -> tarfile.TarInfo:
    """An entry of root's from 1970: equal content gives an equal image, whoever made it and when."""
    entry = tarfile.TarInfo(path)
    entry.size, entry.mode = size, mode
    return entry
