"""``./baton --help``: the commands in groups, in plain text that suits a pipe and a screen reader."""

from typing import Any

from typer.core import TyperGroup

RUN, WORK, LOOK, DEVELOP, CLUSTER = (
    "Run",
    "Work",
    "Look",
    "Develop",
    "Cluster",
)  # the groups, in the order they are shown
OTHER = "Other"


class GroupedCommands(TyperGroup):
    """
    A group whose help shows its commands under the ``rich_help_panel`` that each was declared with.

    Typer groups them itself only in boxes drawn by rich, which break on narrow terminals and in pipes.
    """

    def format_commands(
        self,
        ctx: Any,  # noqa: ARG002 - the signature is typer's
        formatter: Any,
    ) -> None:
        """Write one section per group; each command with the first sentence of its help."""
        groups: dict[str, list[tuple[str, Any]]] = {name: [] for name in (RUN, WORK, LOOK, DEVELOP, CLUSTER, OTHER)}
        for name, command in self.commands.items():
            if not command.hidden:
                panel = getattr(command, "rich_help_panel", None)
                groups[panel if panel in groups else OTHER].append((name, command))
        widest = max(len(name) for name in self.commands)
        for title, commands in groups.items():
            if commands:
                with formatter.section(title):
                    limit = formatter.width - 6 - widest
                    rows = [(name.ljust(widest), command.get_short_help_str(limit)) for name, command in commands]
                    formatter.write_dl(rows)


def examples(*lines: str) -> str:
    """An epilog of examples; the mark at its head keeps the line breaks."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)
