"""The README says what stack.yaml says."""

import re
from pathlib import Path

from stack import services

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
