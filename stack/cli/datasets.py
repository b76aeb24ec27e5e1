"""``./baton datasets``: a declaration guessed from a person's own CSV file, and what a declaration makes of a file."""

import json
import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from apps import datasets
from apps.common.errors import BatonError, SettingsError
from apps.common.files import write_whole
from apps.datasets.declaration import Dataset
from stack.cli.console import out, show, step
from stack.cli.help import examples
from stack.cli.options import JsonOption

app = typer.Typer(help="Your own CSV as a dataset: guess, check, list.", no_args_is_help=True)

FOLDER = Path(datasets.__file__).parent
LIST_LIMIT = 12  # quarantine rules that are shown

FileArgument = Annotated[Path, typer.Argument(metavar="FILE.csv", help="A CSV file, also as .gz or .zip.")]
ColumnsOption = list[str] | None


def _columns(help_: str, *names: str) -> Any:
    return typer.Option(*names, metavar="COLUMN", help=f"{help_}; repeatable.", show_default="none")


@app.command(
    epilog=examples(
        "./baton datasets new cars.csv --target price",
        "./baton datasets new loans.csv --target paid --positive no --key loan_id",
        "./baton datasets new sales.csv --target amount --date sold_on=dmy --keep discount",
    )
    + "\n\nExit code: 0 when the declaration is written, 1 when it cannot be guessed, with every reason."
)
def new(
    file: FileArgument,
    target: Annotated[str, typer.Option(metavar="COLUMN", help="The column to predict.")],
    name: Annotated[str, typer.Option(help="The dataset's name.", show_default="the file's")] = "",
    task: Annotated[str, typer.Option(help="regression or binary.", show_default="guessed")] = "",
    positive: Annotated[
        str, typer.Option(help="The value whose probability is predicted.", show_default="guessed")
    ] = "",
    key: Annotated[ColumnsOption, _columns("Makes a row the same row", "--key")] = None,
    keep: Annotated[ColumnsOption, _columns("Use it, whatever speaks against it", "--keep")] = None,
    drop: Annotated[ColumnsOption, _columns("Leave it out", "--drop")] = None,
    numeric: Annotated[ColumnsOption, _columns("It is a number", "--numeric")] = None,
    categorical: Annotated[ColumnsOption, _columns("It is a category", "--categorical")] = None,
    date: Annotated[
        list[str] | None,
        typer.Option(
            "--date", metavar="COLUMN=ORDER", help="A date: ymd, dmy or mdy; repeatable.", show_default="none"
        ),
    ] = None,
    no_log: Annotated[bool, typer.Option("--no-log", help="Learn the target itself, not its logarithm.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over a declaration of yours.")] = False,
    as_json: JsonOption = False,
) -> None:
    """
    Guess a declaration from a CSV file; edit it then.

    The whole file is read. What was guessed, why, and which option says otherwise is printed, and stands as a comment
    beside each column of apps/datasets/NAME.py.
    """
    from apps.datasets.guessing import draft, remembered, writing
    from apps.datasets.guessing.kinds import Wishes
    from apps.trainer.judging import judge

    wishes = Wishes(
        tuple(numeric or ()), tuple(categorical or ()), tuple(drop or ()), tuple(keep or ()), _dates(date or [])
    )
    asked = draft.GuessOptions(target, name, task, tuple(key or ()), no_log, positive, wishes)
    path = _place(name or draft.name_for(file), force=force)
    began = time.monotonic()
    with step("the file is read") as line:
        made = draft.make(file, asked)
        line.update(f"{made.table.rows:,} rows, {len(made.guesses)} columns")
    with step("its rows are checked"):
        judged = judge(made.dataset, draft.rows(file, made.dataset))
    write_whole(path, writing.module(made, file.name))
    write_whole(remembered.place(FOLDER, made.dataset.name), remembered.text(made.table))
    seconds = round(time.monotonic() - began, 1)
    if as_json:
        print(json.dumps(_as_json(made, judged, path), indent=1))
    else:
        for text in _told(file, made, judged, path, seconds):
            out.print(text)


def _dates(given: list[str]) -> tuple[tuple[str, str], ...]:
    pairs = [text.rpartition("=") for text in given]
    if wrong := [text for text, (column, _, order) in zip(given, pairs, strict=True) if not (column and order)]:
        raise typer.BadParameter(f"--date must be COLUMN=ORDER; got {', '.join(wrong)}; as sold_on=dmy")
    return tuple((column, order) for column, _, order in pairs)


def _place(name: str, *, force: bool) -> Path:
    if name in datasets.NOT_DATASETS | datasets.SHIPPED:
        raise SettingsError(f"--name must be free; got {name}, a part of Baton; choose another")
    path = FOLDER / f"{name}.py"
    if path.exists() and not force:
        raise SettingsError(
            f"a dataset's name must be new; got {name}, which {_short(path)} declares; --name, or --force"
        )
    return path


def _short(path: Path) -> str:
    return str(path.relative_to(FOLDER.parent.parent))


def _told(file: Path, made: Any, judged: Any, path: Path, seconds: float) -> Iterator[str]:
    """What was guessed, in the order in which a person asks."""
    dataset, dialect = made.dataset, made.dataset.dialect
    decimal = ", decimal commas" if dialect.decimal == "," else ""
    written = f"{dialect.encoding or 'UTF-8'}, {dialect.separator!r}{decimal}, header"
    yield (
        f"{file.name}  {made.table.rows:,} rows, {len(made.guesses)} columns, {written}; read to the end ({seconds} s)"
        f"     {_short(path)} written"
    )
    log = " / --no-log" if dataset.log_target else ""
    positive = " / --positive" if made.positive else ""
    yield f"target    {dataset.target}: {made.target}   wrong? --task{log}{positive}"
    yield f"key       {', '.join(dataset.key) or 'none'} ({made.key})   wrong? --key COLUMN"
    yield f"kinds     {_kinds(made)}"
    widest = max((len(guess.name) for guess in made.checks), default=0)
    for place, guess in enumerate(made.checks):
        left = "" if guess.feature else " -> left out"
        yield f"{'check' if not place else '':10}{guess.name:{widest}}  {guess.reason}{left}   wrong? {guess.overrule}"
    yield from _lost(judged, "limits    from the 0.1 % and 99.9 % quantiles, widened; ", "would be quarantined")
    source = shlex.quote(str(file))
    yield f"try       ./baton datasets check {source} --dataset {dataset.name}"
    yield f"          ./baton demo --dataset {dataset.name} --source {source}"
    enough = 300
    if judged.accepted < enough:
        yield f"          (a demo needs about {enough} rows; these are {judged.accepted})"


def _kinds(made: Any) -> str:
    guesses = [guess for guess in made.guesses if guess.name != made.dataset.target]
    units = [next(t for t in g.seen.others if t not in g.seen.nulls) for g in guesses if g.column.pattern]
    with_units = f" ({len(units)} with units: {', '.join(map(repr, units[:3]))})" if units else ""
    counted = {
        f"number{with_units}": [g for g in guesses if g.feature == "number"],
        "flag": [g for g in guesses if g.feature == "flag"],
        "date": [g for g in guesses if g.feature == "date"],
        "category one-hot": [g for g in guesses if g.feature == "one_hot"],
        "category target-encoded": [g for g in guesses if g.feature == "target_encoded"],
        "left out": [g for g in guesses if not g.feature],
    }
    return ", ".join(f"{kind}: {len(found)}" for kind, found in counted.items() if found)


def _lost(judged: Any, before: str, what: str) -> Iterator[str]:
    share = judged.quarantined / judged.rows if judged.rows else 0
    by_column = ", ".join(f"{count:,} {name}" for name, count in judged.columns.most_common(LIST_LIMIT))
    yield f"{before}{judged.quarantined:,} rows ({share:.1%}) {what}{': ' if by_column else ''}{by_column}"


def _as_json(made: Any, judged: Any, path: Path) -> dict[str, Any]:
    return {
        "dataset": made.dataset.name,
        "file": _short(path),
        "rows": made.table.rows,
        "target": made.target,
        "key": list(made.dataset.key),
        "columns": [
            {"name": g.name, "kind": g.column.kind, "feature": g.feature, "reason": g.reason, "overrule": g.overrule}
            for g in made.guesses
        ],
        "quarantined": judged.quarantined,
    }


@app.command(
    epilog=examples(
        "./baton datasets check cars.csv",
        "./baton datasets check cars_of_may.csv --dataset cars --diff",
    )
    + "\n\nExit code: 0 when a batch of these rows would be taken, 1 when not: other columns, or too many bad rows."
)
def check(
    file: FileArgument,
    dataset: Annotated[str, typer.Option(help="A dataset of apps/datasets/.", show_default="the file's name")] = "",
    diff: Annotated[bool, typer.Option("--diff", help="How it differs from the file that new was given.")] = False,
    as_json: JsonOption = False,
) -> None:
    """What a declaration makes of a file; --diff: what is new."""
    from apps.datasets.guessing import draft, remembered
    from apps.trainer.judging import judge

    declared = datasets.get(dataset or draft.name_for(file))
    said: dict[str, Any] = {"dataset": declared.name}
    problem = ""
    if diff:
        said["differences"] = remembered.differences(FOLDER, declared, file)
    try:
        with step("the rows are checked"):
            judged = judge(declared, draft.rows(file, declared))
    except SettingsError as error:
        if not diff:
            raise
        problem = str(error)
    else:
        said |= {"rows": judged.rows, "accepted": judged.accepted, "quarantined": judged.quarantined}
        said["rules"] = [
            {"rule": rule, "rows": count, "examples": judged.examples[rule]}
            for rule, count in judged.rules.most_common()
        ]
        if judged.quarantined > declared.quarantine_limit * judged.rows:
            problem = (
                f"at most {declared.quarantine_limit:.0%} of the rows may be bad; got {judged.quarantined:,} of "
                f"{judged.rows:,}; mend the file, or the limits in apps/datasets/{declared.name}.py"
            )
    if as_json:
        print(json.dumps(said, indent=1))
    else:
        _show_check(said)
    if problem:
        raise BatonError(problem)


def _show_check(said: dict[str, Any]) -> None:
    if "rows" in said:
        out.print(
            f"{said['dataset']}: {said['accepted']:,} of {said['rows']:,} rows accepted, "
            f"{said['quarantined']:,} quarantined"
        )
        if said["rules"]:
            table = Table("rows", "rule", "as", box=None)
            for broken in said["rules"][:LIST_LIMIT]:
                table.add_row(f"{broken['rows']:,}", broken["rule"], ", ".join(map(repr, broken["examples"])))
            show(table)
    if "differences" in said:
        for line in said["differences"] or ["no difference that matters"]:
            out.print(f"diff      {line}")


@app.command("list")
def list_command(as_json: JsonOption = False) -> None:
    """The datasets that are there."""
    found = [datasets.get(name) for name in datasets.names()]
    if as_json:
        print(json.dumps([_row(one) for one in found], indent=1))
        return
    table = Table("dataset", "task", "target", "key", "columns", "rows", box=None)
    for one in found:
        table.add_row(*(str(value) for value in _row(one).values()))
    show(table)


def _row(one: Dataset) -> dict[str, Any]:
    rows = "generated" if one.generate else "its own" if one.load else "by --source"
    key = ", ".join(one.key[:3]) + (" ..." if len(one.key) > 3 else "")  # noqa: PLR2004 - three are shown
    return {
        "dataset": one.name,
        "task": one.task,
        "target": one.target,
        "key": key or "the whole row",
        "columns": len(one.columns),
        "rows": rows,
    }
