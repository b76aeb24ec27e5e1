"""The commands of ``./baton``; each is a few lines over the runtime, the pipeline or the demo."""

import json
import shutil
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from apps.common.errors import BatonError
from stack import cache
from stack.cli import checks, cluster, settings, settings_page, shell
from stack.cli.console import out, step
from stack.cli.stack import Mode, Stack
from stack.cli.status import snapshot, table

app = typer.Typer(
    help="Trains a model each time a batch lands, and hands serving over without dropping a prediction.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


class Watcher(StrEnum):
    """A watcher that can be ticked by hand."""

    NEW_DATA = "new-data"
    NEW_MODEL = "new-model"


ModeOption = Annotated[Mode, typer.Option(help="Local processes, or a kind cluster.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
DatasetOption = Annotated[str, typer.Option(help="A dataset of apps/datasets/.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A setting of ./baton settings; repeatable.")
]
SourceOption = Annotated[Path | None, typer.Option(help="Your own CSV file instead of the dataset's rows.")]
RateOption = Annotated[float, typer.Option(min=0.1, max=5000, help="Requests per second.")]


@app.command("demo")
def demo_command(
    dataset: DatasetOption = "used_cars",
    source: SourceOption = None,
    set_: SetOption = None,
    rate: RateOption = 100,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")] = None,
    report: Annotated[Path, typer.Option(help="Where the HTML report goes.")] = Path("baton-report.html"),
    mode: ModeOption = Mode.EMBEDDED,
) -> None:
    """The whole story: two batches, two versions, a hand-over under traffic, and a report of what was lost."""
    from stack.cli import demo

    demo.run(mode, dataset, source, settings.parse(set_ or []), rate, report, json_file)


@app.command()
def up(
    dataset: DatasetOption = "used_cars",
    source: SourceOption = None,
    set_: SetOption = None,
    mode: ModeOption = Mode.EMBEDDED,
) -> None:
    """Start everything, and wait until it is ready."""
    Stack(mode=mode).up(dataset, source, **settings.parse(set_ or []))
    out.print("Ready. Next: ./baton drop, ./baton traffic, ./baton status; ./baton down ends it.")


@app.command()
def down(mode: ModeOption = Mode.EMBEDDED) -> None:
    """End everything that up started; data stays."""
    with step("down"):
        Stack(mode=mode).runtime.down()


@app.command()
def reset(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False, mode: ModeOption = Mode.EMBEDDED
) -> None:
    """Remove all data: batches, models, messages, logs."""
    stack = Stack(mode=mode)
    if stack.running():
        raise BatonError("the stack must be down; it runs; run ./baton down first")
    if not stack.runtime.has_data():
        out.print("Nothing to remove.")
        return
    if not yes:
        typer.confirm(f"Remove all data of {stack.state}?", abort=True)
    stack.runtime.wipe()
    shutil.rmtree(stack.state, ignore_errors=True)


@app.command("status")
def status_command(as_json: JsonOption = False, mode: ModeOption = Mode.EMBEDDED) -> None:
    """Services, batches, versions, and what serves."""
    found = snapshot(Stack(mode=mode))
    if as_json:
        print(json.dumps(found, indent=1))
    else:
        for part in table(found):
            out.print(part)


@app.command("settings")
def settings_command(
    app_name: Annotated[str, typer.Argument(metavar="[APP]", help="An app; all of them when left out.")] = "",
    as_json: JsonOption = False,
    mode: ModeOption = Mode.EMBEDDED,
) -> None:
    """What the apps can be told by --set: name, default, unit and meaning, and what this stack was told."""
    chosen, values = settings.choose(app_name), Stack(mode=mode).settings
    if as_json:
        print(json.dumps(settings_page.rows(chosen, values), indent=1))
    else:
        for part in settings_page.tables(chosen, values):
            out.print(part)


@app.command("doctor")
def doctor_command(as_json: JsonOption = False, mode: ModeOption = Mode.EMBEDDED) -> None:
    """What this machine lacks, and what to do about it."""
    checked = Stack(mode=mode).runtime.check()
    if as_json:
        print(json.dumps([vars(one) for one in checked], indent=1))
    else:
        shown = Table("", "check", "found", "what to do", box=None)
        for one in checked:
            shown.add_row("✓" if one.ok else "✗", one.name, one.got, "" if one.ok else one.remedy)
        out.print(shown)
    if not all(one.ok for one in checked):
        sys.exit(1)


@app.command()
def drop(
    file: Annotated[
        Path | None, typer.Argument(help="Your own CSV file as one batch; otherwise the next slice.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until its version serves.")] = False,
    as_json: JsonOption = False,
    mode: ModeOption = Mode.EMBEDDED,
) -> None:
    """Drop a batch into HDFS landing/; the watchers do the rest."""
    pipeline = Stack(mode=mode).pipeline()
    with step("batch dropped") as dropped:
        batch = pipeline.drop_batch(file)
        dropped.update(f"{batch.name}, {batch.rows:,} rows")
    version = None
    if wait:
        with step("trained") as trained:
            version = pipeline.wait_for_version_trained_on(batch, progress=trained.update)
        with step(f"version {version} serves"):
            pipeline.wait_until_served(version)
    if as_json:
        print(json.dumps({**vars(batch), "version": version}))


@app.command()
def traffic(
    rate: RateOption = 50,
    seconds: Annotated[float, typer.Option(min=0, help="0: until Ctrl-C.")] = 0,
    as_json: JsonOption = False,
    mode: ModeOption = Mode.EMBEDDED,
) -> None:
    """Replay the test part as requests, and keep the ledger."""
    from stack.cli import demo

    sys.exit(demo.traffic(Stack(mode=mode), rate, seconds, as_json=as_json))


@app.command("logs")
def logs_command(
    service: Annotated[str, typer.Argument(help="A service; all of them when left out.")] = "",
    lines: Annotated[int, typer.Option("-n", help="Lines of each.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    mode: ModeOption = Mode.EMBEDDED,
) -> None:
    """The newest lines of the services' logs."""
    for name, line in Stack(mode=mode).runtime.logs(service, lines, follow=follow):
        out.print(f"{name:20} ", style="dim", end="")
        out.print(line, markup=False)


@app.command("env")
def env_command(mode: ModeOption = Mode.EMBEDDED) -> None:
    """Print the apps' environment: eval "$(./baton env)"."""
    print(shell.script(Stack(mode=mode).environment() | {"BATON_CACHE": str(cache.place())}))


@app.command()
def tick(watcher: Watcher, mode: ModeOption = Mode.EMBEDDED) -> None:
    """One tick of a watcher, now."""
    pipeline = Stack(mode=mode).pipeline()
    with step(f"{watcher} tick"):
        pipeline.apps.tick(f"{watcher}-watcher")


@app.command()
def check() -> None:
    """Format, lint, types, import contracts and unit tests; under a minute, no services."""
    sys.exit(checks.check())


@app.command()
def test(mode: ModeOption = Mode.EMBEDDED) -> None:
    """Check, then the adapters and the end-to-end story on real services."""
    sys.exit(checks.test(mode))


app.add_typer(cluster.app, name="cluster")

bench_app = typer.Typer(help="Measure; never a test.", no_args_is_help=True)
app.add_typer(bench_app, name="bench")


@bench_app.command("up")
def bench_up(as_json: JsonOption = False, mode: ModeOption = Mode.EMBEDDED) -> None:
    """Seconds of a first and of a warm up, and the memory of the idle stack; of a cluster also docs/budget.md."""
    from stack.cli import bench

    if mode is Mode.CLUSTER:
        bench.cluster_up()
    else:
        bench.up(as_json=as_json)


@bench_app.command("serve")
def bench_serve(
    rate: Annotated[str, typer.Option(help="Requests per second, several with commas.")] = "100,1000",
    seconds: Annotated[float, typer.Option(min=5, max=600, help="Seconds at each rate.")] = 30,
    as_json: JsonOption = False,
) -> None:
    """Latency of the whole stacked model at each rate."""
    from stack.cli import bench

    bench.serve([float(one) for one in rate.split(",")], seconds, as_json=as_json)
