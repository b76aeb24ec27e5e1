"""What a release serves, as it passes from the registry to whoever rolls out, and on to the server."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Target:
    """
    A version of a registered model, by name, number and the run that made it, with the sha256 of its manifest.

    A number alone does not tell versions apart: a registered model that is deleted begins again with 1. What is not
    known is empty: ``manifest_sha256`` of a version that has no such tag, and of a release that an earlier Baton asked
    for everything but the version.
    """

    model: str
    version: str
    run_id: str = ""
    manifest_sha256: str = ""

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> "Target":
        """Read what was written; raise KeyError or TypeError. An earlier Baton wrote ``version`` in its place."""
        return cls(**raw["target"]) if "target" in raw else cls("", str(raw["version"]))

    def variables(self) -> dict[str, str]:
        """What a server is told of it, as variables of its environment."""
        return {
            "BATON_MODEL_NAME": self.model,
            "BATON_MODEL_VERSION": self.version,
            "BATON_RUN_ID": self.run_id,
            "BATON_MANIFEST_SHA256": self.manifest_sha256,
        }
