"""The options that several commands share, and which mode a command means when it is not given one."""

from pathlib import Path
from typing import Annotated, Any

import typer

from apps.common.errors import SettingsError
from stack.cli.console import err
from stack.cli.stack import Mode, kept_modes

VARIABLE = "BATON_MODE"
PAGE_PORT = 15080


def choose_mode(given: Mode | None, kept: list[Mode]) -> tuple[Mode, str]:
    """
    The mode of a command about the user's own stack, and why it is that, "" when it is the default.

    ``given`` is what --mode or BATON_MODE says; ``kept`` are the modes of the stacks that this checkout has. Raises
    SettingsError when several are kept and none is given: which is meant is never guessed.
    """
    if given is not None:
        return given, ""
    if len(kept) > 1:
        both = " and ".join(kept)
        raise SettingsError(
            f"the mode must be given; got stacks in {both} mode, and no choice; add --mode, or set {VARIABLE}; "
            f"./baton reset --mode MODE removes one for good"
        )
    if kept and kept[0] is not Mode.EMBEDDED:
        return kept[0], "this checkout's stack runs so"
    return Mode.EMBEDDED, ""


def _stack_mode(ctx: typer.Context, param: typer.CallbackParam, value: Mode) -> Mode:
    """The callback of --mode for commands about the user's own stack."""
    if ctx.resilient_parsing:
        return value
    source = _source(ctx, param)
    mode, why = choose_mode(None if source == "DEFAULT" else value, kept_modes())
    _announce(mode, f"{VARIABLE} says so" if source == "ENVIRONMENT" else why)
    return mode


def _own_mode(ctx: typer.Context, param: typer.CallbackParam, value: Mode) -> Mode:
    """The callback of --mode for commands that make a stack of their own, whatever else is there."""
    if _source(ctx, param) == "ENVIRONMENT":
        _announce(value, f"{VARIABLE} says so")
    return value


def _source(ctx: typer.Context, param: typer.CallbackParam) -> str:
    source: Any = ctx.get_parameter_source(param.name or "mode")
    return source.name if source else "DEFAULT"


def _announce(mode: Mode, why: str) -> None:
    if why and mode is not Mode.EMBEDDED:
        err.print(f"{mode} mode: {why}", style="dim")


_HELP = "Local processes, or a kind cluster."
ModeOption = Annotated[
    Mode,
    typer.Option(help=_HELP, envvar=VARIABLE, callback=_stack_mode, show_default="that of the stack here, or embedded"),
]
OwnModeOption = Annotated[Mode, typer.Option(help=_HELP, envvar=VARIABLE, callback=_own_mode)]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON to stdout for programs.")]
WaitOption = Annotated[bool, typer.Option("--wait", help="Wait until its version serves.")]
DatasetOption = Annotated[str, typer.Option(help="A dataset of apps/datasets/.")]
UpDatasetOption = Annotated[
    str | None,
    typer.Option("--dataset", help="A dataset of apps/datasets/; data keeps its own.", show_default="used_cars"),
]
WriteOption = Annotated[bool, typer.Option("--write", help="Of a cluster: into docs/budget.md.")]
SourceOption = Annotated[
    Path | None, typer.Option(help="Your own CSV file instead of the dataset's rows.", show_default="the dataset's")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A setting of ./baton settings; repeatable.", show_default="none"),
]
LOWEST_RATE, HIGHEST_RATE = 0.1, 5000
RateOption = Annotated[float, typer.Option(min=LOWEST_RATE, max=HIGHEST_RATE, help="Requests per second.")]


def rates(text: str) -> list[float]:
    """Rates with commas between them; raises BadParameter."""
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if not found or not all(LOWEST_RATE <= rate <= HIGHEST_RATE for rate in found):
        rule = f"--rate must be numbers from {LOWEST_RATE:g} to {HIGHEST_RATE:g}"
        raise typer.BadParameter(f"{rule}; got {text!r}; as 100,1000")
    return found
