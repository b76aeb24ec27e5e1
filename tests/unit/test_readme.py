"""The README says what stack.yaml says, and names only commands that exist."""

import re
from pathlib import Path

from typer.main import get_group

from stack import services
from stack.cli.commands import app

README = Path(__file__).parents[2] / "README.md"


def table():
    """The service table as the README must show it."""
    lines = ["| service | what it does | version | ports |", "|---|---|---|---|"]
    for service in services.load().services:
        ports = ", ".join(f"{port} ({name})" for name, port in service.ports.items())
        lines.append(f"| `{service.name}` | {service.what} | {service.version} | {ports} |")
    return "\n".join(lines)


def test_the_service_table_is_rendered_from_stack_yaml():
    """
    The table between the markers equals the one made from stack.yaml.
    """
    shown = re.search(r"<!-- services:.*?-->\n(.*?)\n<!-- /services -->", README.read_text(), re.DOTALL)

    assert shown is not None
    assert table() == shown.group(1)


def test_every_command_in_the_readme_exists():
    """
    Each ``./baton COMMAND`` of the README is a command of the CLI.
    """
    known = set(get_group(app).commands)
    named = set(re.findall(r"\./baton ([a-z]+)", README.read_text()))

    assert named
    assert named <= known
