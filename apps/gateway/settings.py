"""What the gateway takes from the environment."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, FilePath

from apps.common.exposition import ExpositionSettings
from apps.common.settings import DAY_S, MEMORY, STACK, SetBy, Unit
from apps.gateway.cache_access import CacheAccess

CACHE_URL = r"^rediss?://[^\s/@:]+:[0-9]+(/[0-9]+)?$"  # a password stands in a file


class GatewaySettings(ExpositionSettings):
    """Where it listens, how much it bears at once, and for how long it waits and remembers."""

    gateway: Literal["on", "off"] = Field(
        default="off",
        description="Whether requests may come by HTTP too: Open Inference Protocol v2, MLflow's scoring.",
    )
    gateway_port: Annotated[
        int, Unit("none"), SetBy("the ports in stack/stack.yaml, or gateway.port of charts/pipeline")
    ] = Field(default=15081, ge=1, le=65535, description="The port of the gateway.")
    gateway_host: Annotated[str, SetBy("charts/pipeline")] = Field(
        default="127.0.0.1", description="The address of the gateway: loopback, and in a cluster the pod's own."
    )
    timeout_s: Annotated[float, Unit("seconds")] = Field(
        default=10,
        gt=0,
        le=3600,
        description="How long an answer is waited for; a request that waited longer than this, anybody's, turns new "
        "ones away until it is answered.",
    )
    drain_s: Annotated[int, Unit("seconds")] = Field(
        default=10, ge=1, le=600, description="How long the gateway stays, when told to end, for what is in flight."
    )
    remember_s: Annotated[int, Unit("seconds")] = Field(
        default=600, ge=10, le=DAY_S, description="For how long the same id is the same request, and has one answer."
    )
    remembered: Annotated[int, Unit("requests")] = Field(
        default=200_000,
        ge=1000,
        le=10_000_000,
        description="The most requests that are remembered, the newest; half a KiB each.",
    )
    in_flight: Annotated[int, Unit("rows")] = Field(
        default=1000, ge=1, le=1_000_000, description="The most rows that wait for answers at a time; beyond it: 429."
    )
    max_body_bytes: Annotated[int, Unit("bytes")] = Field(
        default=4 * 1024 * 1024, ge=1024, le=1024**3, description="The largest body of a request by HTTP."
    )
    cache: Literal["on", "off"] = Field(
        default="off",
        description="Whether the gateway looks up what was asked before in a Valkey or Redis, and asks no server then.",
    )
    cache_url: str = Field(
        default="redis://127.0.0.1:16379",
        pattern=CACHE_URL,
        description="The cache: your own Valkey or Redis, and then the stack starts none; rediss:// is TLS. In a "
        "cluster addresses.cache of charts/pipeline names it, and cacheAccess of it the three that follow.",
    )
    cache_user: str = Field(default="", description="Who the cache is told that we are, where it wants to know.")
    cache_password_file: FilePath | None = Field(default=None, description="The file with the cache's password.")
    cache_ca: FilePath | None = Field(
        default=None, description="The file with the certificates that vouch for the cache, as PEM."
    )
    cache_memory: Annotated[str, Unit("as Java's")] = Field(
        default="64m",
        pattern=MEMORY,
        description="How much the stack's own cache keeps, about half a KiB each: what was not looked up for longest "
        "goes first.",
    )
    ready_file: Annotated[Path, STACK] = Field(description="The file beside which signs of life are given.")

    @property
    def cache_access(self) -> CacheAccess:
        """How the cache is reached."""
        return CacheAccess(self.cache_url, self.cache_user, self.cache_password_file, self.cache_ca)
