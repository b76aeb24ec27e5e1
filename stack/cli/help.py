"""``./baton --help``: the commands in groups, in plain text that suits a pipe and a screen reader."""

from typing import Any

from typer import TyperException
from typer.core import TyperCommand, TyperGroup

RUN, WORK, LOOK, DEVELOP, CLUSTER = (
    "Run",
    "Work",
    "Look",
    "Develop",
    "Cluster",
)  # the groups, in the order they are shown
OTHER = "Other"
WRONG_COMMAND_LINE = 64  # sysexits.h: EX_USAGE


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


class VerdictCommand(TyperCommand):
    """A command whose exit codes are a verdict, of which 2 is one: a wrong command line has that of the prover."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As any command does."""
        try:
            return super().parse_args(ctx, args)
        except TyperException as error:
            vars(error)["exit_code"] = WRONG_COMMAND_LINE  # those of usage have it, and it is 2
            raise


def examples(*lines: str) -> str:
    """An epilog of examples; the mark at its head keeps the line breaks."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)
