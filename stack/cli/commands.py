"""The commands of ``./baton``; each is a few lines over the runtime, the pipeline or the demo."""

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from apps.common.errors import BatonError
from apps.common.files import remove_folder
from loadtest.gate import Limits
from loadtest.load_shapes import LoadShape
from stack import cache
from stack.cli import checks, cluster, datasets, settings, settings_page, shell
from stack.cli.bench import commands as bench
from stack.cli.champion import Move
from stack.cli.console import err, out, show, step
from stack.cli.help import CLUSTER, DEVELOP, LOOK, RUN, WORK, GroupedCommands, VerdictCommand, examples
from stack.cli.options import (
    HIGHEST_RATE,
    PAGE_PORT,
    DatasetOption,
    JsonOption,
    ModeOption,
    OwnModeOption,
    RateOption,
    SetOption,
    SourceOption,
    UpDatasetOption,
    WaitOption,
)
from stack.cli.pipeline import TRAINING_S, Pipeline
from stack.cli.stack import Mode, Stack, named
from stack.cli.wait import Condition, wait_for
from stack.cli.watch import SightKind
from stack.services import KAFKA

app = typer.Typer(
    cls=GroupedCommands,
    help="Trains a model each time a batch lands, and hands serving over without dropping a prediction.",
    epilog="A command's own help: ./baton COMMAND --help. Exit codes: 0 well, 1 an error with its reason, "
    "2 a wrong command line, 3 not up (status), 130 Ctrl-C.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


class Watcher(StrEnum):
    """A watcher that can be ticked by hand."""

    NEW_DATA = "new-data"
    NEW_MODEL = "new-model"


class Page(StrEnum):
    """What a browser can show."""

    MLFLOW = "mlflow"
    HDFS = "hdfs"


def _print_version(value: bool) -> None:
    if value:
        from stack.cli import version

        out.print(version.line())
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print versions, and exit."),
    ] = False,
) -> None:
    pass


@app.command(
    "demo",
    rich_help_panel=RUN,
    epilog=examples(
        "./baton demo",
        "./baton demo --dataset boston_housing",
        "./baton demo --source used_cars_data.csv --rate 50",
    ),
)
def demo_command(
    dataset: DatasetOption = "used_cars",
    source: SourceOption = None,
    set_: SetOption = None,
    rate: RateOption = 100,
    json_file: Annotated[
        Path | None, typer.Option("--json-file", help="Write the figures to this file too.", show_default="none")
    ] = None,
    report: Annotated[Path, typer.Option(help="Where the HTML report goes.")] = Path("baton-report.html"),
    picture: Annotated[
        Path | None,
        typer.Option(help="Write the report's chart to this .png file too.", show_default="none"),
    ] = None,
    as_json: JsonOption = False,
    mode: OwnModeOption = Mode.EMBEDDED,
) -> None:
    """The whole story, with a report of what was lost."""
    from stack.cli import demo

    outputs = demo.Outputs(report, json_file, picture, as_json=as_json)
    demo.run(mode, dataset, source, settings.parse(set_ or []), rate, outputs)


@app.command(
    rich_help_panel=RUN,
    epilog=examples("./baton up", "./baton up --source used_cars_data.csv", "./baton up --mode cluster")
    + "\n\nWith none of --dataset, --source and --set: as at the last up.",
)
def up(
    dataset: UpDatasetOption = None,
    source: SourceOption = None,
    set_: SetOption = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No line for each change of a service.")] = False,
    as_json: JsonOption = False,
    mode: ModeOption = Mode.EMBEDDED,
) -> None:
    """Start everything, and wait until it is ready."""
    from stack.cli import addresses

    stack = Stack(mode=mode)
    ran = stack.running()
    try:
        stack.up(dataset, source, quiet=quiet, **settings.parse(set_ or []))
    except KeyboardInterrupt:
        if not ran:
            stack.down()
        raise
    if as_json:
        print(json.dumps(addresses.as_json(stack), indent=1))
    else:
        show(addresses.table(stack))
        out.print("Ready. Next: ./baton drop, ./baton traffic, ./baton status; ./baton down ends it.")


@app.command(rich_help_panel=RUN)
def down(mode: ModeOption = Mode.EMBEDDED) -> None:
    """End what up started, or a demo left behind; data stays."""
    Stack(mode=mode).down()
    for stack in named(mode):
        if stack.running():
            stack.down()


@app.command(rich_help_panel=RUN)
def reset(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False, mode: ModeOption = Mode.EMBEDDED
) -> None:
    """Remove all data: batches, models, messages, logs."""
    stack = Stack(mode=mode)
    if stack.running():
        raise BatonError("the stack must be down; it runs; run ./baton down first")
    if not stack.runtime.has_data():
        remove_folder(stack.state)
        out.print("Nothing to remove.")
        return
    if not yes:
        typer.confirm(f"Remove all data of {stack.state}?", abort=True)
    left = stack.settings.get(KAFKA)
    stack.runtime.wipe()
    remove_folder(stack.state)
    out.print(f"Removed, but for the topics in {left}." if left else "Removed.")


@app.command(
    "status",
    rich_help_panel=RUN,
    epilog="Exit code: 0 when all is up and answers, 3 when it is down or something is not well (as systemctl's).",
)
def status_command(as_json: JsonOption = False, mode: ModeOption = Mode.EMBEDDED) -> None:
    """What runs, batches, versions, what serves, and where."""
    from stack.cli import addresses, status

    stack = Stack(mode=mode)
    known = status.snapshot(stack)
    if as_json:
        print(json.dumps(known, indent=1))
    else:
        for part in status.tables(known):
            show(part)
        if "addresses" in known:
            out.print()
            show(addresses.table(stack))
        for problem in known["problems"]:
            out.print(f"! {problem}")
    if known["problems"]:
        raise typer.Exit(status.NOT_UP)


@app.command("open", rich_help_panel=RUN)
def open_command(
    page: Annotated[Page, typer.Argument(help="What to show.")] = Page.MLFLOW,
    as_json: JsonOption = False,
    mode: ModeOption = Mode.EMBEDDED,
) -> None:
    """Show MLflow, or the folders of HDFS, in the browser."""
    from stack.cli import addresses

    url = addresses.page_url(Stack(mode=mode), page)
    if as_json:
        print(json.dumps({"url": url}))
        return
    out.print(url)
    if not addresses.show(url):
        err.print("no browser can be opened from here; open that address yourself")


@app.command("page", rich_help_panel=RUN, epilog=examples("./baton page", "./baton page --port 0 --read-only"))
def page_command(
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Of 127.0.0.1; 0 is any that is free.")] = PAGE_PORT,
    read_only: Annotated[bool, typer.Option("--read-only", help="Without the buttons that change something.")] = False,
    as_json: JsonOption = False,
    mode: ModeOption = Mode.EMBEDDED,
) -> None:
    """
    The whole loop in the browser, until Ctrl-C.

    What moves where, batches, trainings, versions with test and live error, hand-overs, latency, silence and lag, as
    they change; buttons drop a batch, send requests for a while and roll back. Only this machine reaches it.
    """
    from stack.cli.page import server

    def ready(url: str) -> None:
        if as_json:
            print(json.dumps({"url": url}), flush=True)
        else:
            out.print(f"{url}  until Ctrl-C")

    server.serve(Stack(mode=mode), port, read_only=read_only, ready=ready)


@app.command(
    rich_help_panel=RUN,
    epilog=examples(
        "./baton wait ready --timeout 120",
        "./baton wait version 2",
        "./baton wait batch used_cars-0002 && echo it serves",
    )
    + "\n\nExit code: 0 when it is so, 1 when it is not in time or cannot be, 2 for a wrong command line.",
)
def wait(
    condition: Annotated[Condition, typer.Argument(help="Every service is ready; a version, or a batch's, serves.")],
    name: Annotated[str, typer.Argument(help="The number of the version, or the batch.", show_default=False)] = "",
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait at most.")] = 300,
    as_json: JsonOption = False,
    mode: ModeOption = Mode.EMBEDDED,
) -> None:
    """Wait until the stack is ready, or a version serves."""
    if bool(name) is (condition is Condition.READY):
        wrong = "ready takes no name" if name else f"name the {condition}: ./baton wait {condition} NAME"
        raise typer.BadParameter(wrong)
    try:
        reached = wait_for(Stack(mode=mode), condition, name, timeout)
    except BatonError as error:
        if as_json:
            print(json.dumps({"condition": condition, "name": name, "reached": False, "reason": str(error)}))
        raise
    if as_json:
        print(json.dumps({"reached": True, **reached}))
    else:
        out.print(f"{condition} {name}".strip(), "after", f"{reached['seconds']} s")


@app.command(
    rich_help_panel=WORK,
    epilog=examples("./baton drop --wait", "./baton drop my_cars.csv", "./baton drop --json"),
)
def drop(
    file: Annotated[
        Path | None,
        typer.Argument(help="Your own CSV file as one batch; otherwise the next slice.", show_default=False),
    ] = None,
    wait: WaitOption = False,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait at most for the training.")] = TRAINING_S,
    as_json: JsonOption = False,
    mode: ModeOption = Mode.EMBEDDED,
) -> None:
    """Drop a batch; the watchers train on it and roll it out."""
    pipeline = Stack(mode=mode).pipeline()
    with step("batch dropped") as dropped:
        batch = pipeline.drop_batch(file)
        dropped.update(f"{batch.name}, {batch.rows:,} rows")
    version = None
    if wait:
        with step("trained") as trained:
            version = pipeline.wait_for_version_trained_on(batch, timeout, trained.update)
        with step(f"version {version} serves"):
            pipeline.wait_until_served(version)
    if as_json:
        print(json.dumps({**json.loads(batch.to_json()), "version": version}))


@app.command(rich_help_panel=WORK, epilog=examples("./baton promote 3", "./baton promote 3 --wait"))
def promote(
    version: Annotated[str, typer.Argument(help="The number of a registered version.", show_default=False)],
    wait: WaitOption = False,
    as_json: JsonOption = False,
    mode: ModeOption = Mode.EMBEDDED,
) -> None:
    """
    Make a version champion, whatever the gate said.

    The alias champion in MLflow moves to it, and the watcher rolls it out. A training that runs meanwhile leaves the
    alias there; the versions of later ones are compared with this one. ./baton rollback takes it back.
    """
    pipeline = Stack(mode=mode).pipeline()
    _tell_move(pipeline, pipeline.promote(version), wait=wait, as_json=as_json)


@app.command(rich_help_panel=WORK, epilog=examples("./baton rollback", "./baton rollback --wait"))
def rollback(wait: WaitOption = False, as_json: JsonOption = False, mode: ModeOption = Mode.EMBEDDED) -> None:
    """
    Back to the version that was champion before.

    The alias champion in MLflow moves to the version that was champion before the present one became it, and the
    watcher rolls it out. Once more goes one further back, until there is none; deleted versions are passed over. A
    training that runs meanwhile leaves the alias there. The rows that the present one was trained on stay: the next
    training reads them again.
    """
    pipeline = Stack(mode=mode).pipeline()
    _tell_move(pipeline, pipeline.roll_back(), wait=wait, as_json=as_json)


def _tell_move(pipeline: Pipeline, move: Move, *, wait: bool, as_json: bool) -> None:
    if not as_json:
        out.print(move.words())
    if wait:
        with step(f"version {move.version} serves"):
            pipeline.wait_until_served(move.version)
    if as_json:
        print(json.dumps(move.to_json()))


@app.command(rich_help_panel=WORK)
def traffic(
    rate: RateOption = 50,
    seconds: Annotated[float, typer.Option(min=0, help="How long; 0 is until Ctrl-C.")] = 0,
    as_json: JsonOption = False,
    mode: ModeOption = Mode.EMBEDDED,
) -> None:
    """Send requests, and keep the ledger of what was answered."""
    from stack.cli import demo

    sys.exit(demo.traffic(Stack(mode=mode), rate, seconds, as_json=as_json))


@app.command(
    rich_help_panel=WORK,
    epilog=examples(
        "./baton ask --row 17",
        """./baton ask '{"make_name": "Ford", "year": 2017, "mileage": 41000}'""",
        "./baton ask --json - < request.json",
    )
    + "\n\nExit code: 0 for a prediction, 1 for a rejection, and where nothing was answered.",
)
def ask(
    fields: Annotated[
        str, typer.Argument(help="A JSON object of raw fields; - reads it from stdin.", show_default=False)
    ] = "",
    row: Annotated[
        int | None, typer.Option(min=1, help="A row of the test part instead, the first is 1.", show_default=False)
    ] = None,
    wait: Annotated[float, typer.Option(min=0.1, max=3600, help="Seconds to wait for the answer.")] = 30,
    as_json: JsonOption = False,
    mode: ModeOption = Mode.EMBEDDED,
) -> None:
    """
    Ask one question, and explain the answer.

    Through Kafka, as any client would: the prediction or the rejection, version, release, latency, which fields were
    not given and which nobody knows.
    """
    if bool(fields) == (row is not None):
        raise typer.BadParameter("either a JSON object or --row must be given, and not both")
    from stack.cli import ask as asking
    from stack.cli import replayed

    pipeline = Stack(mode=mode).pipeline()
    if row is not None:
        value = asking.row_of(replayed.requests(pipeline), row)
    else:
        value = sys.stdin.buffer.read() if fields == "-" else fields.encode()
    sys.exit(asking.ask(pipeline, value, wait, as_json=as_json))


@app.command(
    "watch",
    rich_help_panel=WORK,
    epilog=examples("./baton watch", "./baton watch --only rejection", "./baton watch --field year --match demo-1"),
)
def watch_command(
    field: Annotated[list[str] | None, typer.Option(help="Show this field of a request; may be repeated.")] = None,
    only: Annotated[SightKind | None, typer.Option(help="Nothing else.", show_default=False)] = None,
    match: Annotated[str, typer.Option(help="Only lines with this text in them.", show_default=False)] = "",
    rate: Annotated[
        int | None, typer.Option(min=0, help="Lines per second at the most; 0 for all.", show_default="20; all as JSON")
    ] = None,
    as_json: JsonOption = False,
    mode: ModeOption = Mode.EMBEDDED,
) -> None:
    """Show answers as they come, and their outcomes."""
    from stack.cli import watch

    limit = rate if rate is not None else 0 if as_json else watch.LINES_PER_S
    watch.watch(Stack(mode=mode).pipeline(), field or [], only, match, limit, as_json=as_json)


@app.command(
    rich_help_panel=WORK,
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
)
def prove(ctx: typer.Context, as_json: JsonOption = False, mode: ModeOption = Mode.EMBEDDED) -> None:
    """Prove that a restart loses nothing, ours or yours."""
    from stack.cli import prove

    sys.exit(prove.run([*ctx.args, *(["--json"] if as_json else [])], Stack(mode=mode), ctx.obj))


@app.command(
    cls=VerdictCommand,
    rich_help_panel=WORK,
    epilog=examples(
        "./baton conform http://127.0.0.1:15081 --input car.json",
        "./baton conform http://127.0.0.1:8080 --model iris --json",
    )
    + "\n\nExit code: 0 when no check failed, 1 when one did, 2 when the server cannot be judged, 64 for a wrong "
    "command line.",
)
def conform(
    url: Annotated[str, typer.Argument(help="The server's root, as http://127.0.0.1:15081.", show_default=False)],
    model: Annotated[
        str, typer.Option(help="The model to ask.", show_default="the only one that the server tells of")
    ] = "",
    body: Annotated[
        Path | None,
        typer.Option(
            "--input", help="A JSON file with an infer that is answered.", show_default="made from the model's metadata"
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """
    Check a server by the Open Inference Protocol v2.

    Any server of it by REST, ours or another's: health, metadata, infers that must be answered and those that must be
    refused, HTTP, binary tensors. At most 200 requests, each with a deadline.
    """
    from stack.cli.conform import run

    sys.exit(run.run(url, model, body, as_json=as_json))


@app.command(
    "load",
    rich_help_panel=WORK,
    epilog=examples(
        "./baton load --rate 300 --seconds 60",
        "./baton load --shape spike --rate 500 --slo-p99 200",
        "./baton load --pass-through --rate 100",
        "./baton load --web",
    )
    + "\n\nExit code: 0 when every limit holds, 1 when one does not, 130 when it was interrupted.",
)
def load_command(
    rate: Annotated[int, typer.Option(min=1, max=HIGHEST_RATE, help="Requests per second at the most.")] = 100,
    seconds: Annotated[float, typer.Option(min=1, max=86_400, help="How long requests are sent.")] = 60,
    shape: Annotated[
        LoadShape, typer.Option(help="Steps rise by fifths; a spike is the middle fifth of the time.")
    ] = LoadShape.STEADY,
    deadline: Annotated[
        float, typer.Option(min=0.1, max=600, help="Seconds until a request without an answer is a failure.")
    ] = 10,
    slo_p50: Annotated[float, typer.Option(min=0, help="Milliseconds; 0 is no limit.")] = 0,
    slo_p99: Annotated[float, typer.Option(min=0, help="Milliseconds; 0 is no limit.")] = 0,
    slo_fail_ratio: Annotated[float, typer.Option(min=0, max=1, help="The most of the requests that may fail.")] = 0,
    processes: Annotated[int, typer.Option(min=1, max=64, help="Load processes; one sends some 500 a second.")] = 1,
    through: Annotated[
        bool, typer.Option("--pass-through", help="Measure the client: a loop that answers at once is the server.")
    ] = False,
    web: Annotated[bool, typer.Option("--web", help="Locust's page instead, until Ctrl-C.")] = False,
    as_json: JsonOption = False,
    mode: ModeOption = Mode.EMBEDDED,
) -> None:
    """
    Put load on the stack by locust, with limits as a gate.

    Open loop: a request is due when the clock says, whatever became of those before it, and its latency counts from
    then. After the last one it waits for what is owed until the deadline; what has no answer by then is a failure. The
    report (HTML, CSV) lies in the stack's state folder.
    """
    from stack.cli import load

    wanted = load.Load(rate, seconds, shape, deadline, Limits(slo_p50, slo_p99, slo_fail_ratio), processes)
    sys.exit(load.run(Stack(mode=mode), wanted, through=through, web=web, as_json=as_json))


@app.command("logs", rich_help_panel=WORK)
def logs_command(
    service: Annotated[str, typer.Argument(help="A service; all of them when left out.", show_default=False)] = "",
    lines: Annotated[int, typer.Option("-n", min=0, help="Lines of each.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    as_json: JsonOption = False,
    mode: ModeOption = Mode.EMBEDDED,
) -> None:
    """The newest lines of the services' logs."""
    for name, line in Stack(mode=mode).runtime.logs(service, lines, follow=follow):
        if as_json:
            print(json.dumps({"service": name, "line": line}), flush=follow)
        else:
            out.print(f"{name:20} ", style="dim", end="")
            out.print(line)


@app.command("env", rich_help_panel=WORK, epilog=examples('eval "$(./baton env)"'))
def env_command(mode: ModeOption = Mode.EMBEDDED) -> None:
    """Print the apps' environment, for eval."""
    environment = Stack(mode=mode).environment() | {"BATON_CACHE_DIR": str(cache.place())}
    if mode is Mode.EMBEDDED:  # the apps' default; for ./baton it would beat the stack that is here
        del environment["BATON_MODE"]
    print(shell.script(environment))


@app.command(rich_help_panel=WORK)
def tick(watcher: Annotated[Watcher, typer.Argument(help="Which one.")], mode: ModeOption = Mode.EMBEDDED) -> None:
    """Let a watcher look once, now."""
    pipeline = Stack(mode=mode).pipeline()
    with step(f"{watcher} tick"):
        pipeline.apps.tick(f"{watcher}-watcher")


@app.command("settings", rich_help_panel=LOOK)
def settings_command(
    app_name: Annotated[
        str, typer.Argument(metavar="[APP]", help="An app; all of them when left out.", show_default=False)
    ] = "",
    as_json: JsonOption = False,
    mode: ModeOption = Mode.EMBEDDED,
) -> None:
    """What --set can change: name, default, unit and meaning."""
    chosen, values = settings.choose(app_name), Stack(mode=mode).settings
    if as_json:
        print(json.dumps(settings_page.rows(chosen, values), indent=1))
    else:
        for part in settings_page.tables(chosen, values):
            show(part)


@app.command("doctor", rich_help_panel=LOOK)
def doctor_command(as_json: JsonOption = False, mode: ModeOption = Mode.EMBEDDED) -> None:
    """What this machine lacks, and what to do."""
    checks_made = Stack(mode=mode).runtime.check()
    if as_json:
        print(json.dumps([vars(check) for check in checks_made], indent=1))
    else:
        table = Table("", "check", "got", "what to do", box=None)
        for check in checks_made:
            table.add_row("✓" if check.ok else "✗", check.name, check.got, "" if check.ok else check.remedy)
        show(table)
    if not all(check.ok for check in checks_made):
        sys.exit(1)


@app.command("bundle", rich_help_panel=LOOK)
def bundle_command(
    target: Annotated[
        Path | None, typer.Argument(help="A .tar.gz file.", show_default="baton-bundle-DATE.tar.gz here")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Pack what a report of a fault needs; look through it."""
    from stack.cli import bundle

    with step("bundle"):
        written = bundle.write(target or bundle.default_target())
    print(json.dumps({"bundle": str(written)}) if as_json else written)


@app.command(rich_help_panel=DEVELOP)
def check() -> None:
    """Format, lint, types, unit tests: no services."""
    sys.exit(checks.check())


@app.command(rich_help_panel=DEVELOP)
def test(
    long: Annotated[bool, typer.Option("--long", help="The tests that take minutes of their own too.")] = False,
    faults: Annotated[
        bool, typer.Option("--faults", help="Only the faults that are played in full: minutes each.")
    ] = False,
    mode: OwnModeOption = Mode.EMBEDDED,
) -> None:
    """Everything that proves it, on real services."""
    sys.exit(checks.test_faults(mode) if faults else checks.test(mode, long=long))


@app.command(rich_help_panel=DEVELOP)
def soak(
    minutes: Annotated[float, typer.Option(min=1, max=1440, help="How long.")] = 30,
    seed: Annotated[int, typer.Option(help="Which faults, in which order; the same seed plays them again.")] = 1,
    mode: OwnModeOption = Mode.EMBEDDED,
) -> None:
    """
    Faults at random under traffic, on a stack of its own.

    Plays one line of the fault table after the other, drawn by --seed, while requests are sent without a pause, and
    shows each. At the end nothing may be owed, and every answer must be what its version predicts. The table of what
    was played is kept in .baton/fault-table.md.
    """
    sys.exit(checks.soak(mode, minutes, seed))


app.add_typer(
    cluster.app, name="cluster", rich_help_panel=CLUSTER, short_help="The kind cluster by itself, as for Tilt."
)
app.add_typer(datasets.app, name="datasets", rich_help_panel=WORK)
app.add_typer(bench.app, name="bench", rich_help_panel=LOOK)
