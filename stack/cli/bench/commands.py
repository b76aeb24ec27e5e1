"""The commands of ``./baton bench``, and what each says of itself."""

from typing import Annotated

import typer

from apps.common.errors import BatonError
from stack.cli.help import examples
from stack.cli.options import DatasetOption, JsonOption, OwnModeOption, RateOption, SetOption, WriteOption, rates
from stack.cli.stack import Mode

app = typer.Typer(
    help="Measure this machine; never a test. Each makes a stack of its own, and names the machine and its load.",
    no_args_is_help=True,
)
RatesOption = Annotated[str, typer.Option(help="Requests per second, several with commas.")]
SecondsOption = Annotated[float, typer.Option(min=5, max=600, help="Seconds at each rate, after 15 s of warm-up.")]


@app.command("up")
def bench_up(as_json: JsonOption = False, write: WriteOption = False, mode: OwnModeOption = Mode.EMBEDDED) -> None:
    """
    Seconds of a first and a warm up; memory when idle.

    About 4 minutes, most of it a training and the idling.
    """
    from stack.cli.bench import up

    if mode is Mode.CLUSTER:
        up.cluster_up(as_json=as_json, write=write)
    elif write:
        raise BatonError("--write must come with --mode cluster; got embedded, which no file keeps; leave it out")
    else:
        up.up(as_json=as_json)


@app.command(
    "serve",
    epilog=examples(
        "./baton bench serve --rate 100,1000", "./baton bench serve --max", "./baton bench serve --set trees=60"
    ),
)
def bench_serve(
    rate: RatesOption = "100,1000",
    seconds: SecondsOption = 30,
    highest: Annotated[
        bool, typer.Option("--max", help="Look for the most that is sustained instead; --rate and --seconds are idle.")
    ] = False,
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """
    Latency of the whole stacked model at each rate.

    Open loop: the k-th request is due at start + k / rate, whatever became of those before. Beside each rate stands
    what a pass-through costs: the same sender, topics, broker and reader around a loop that answers at once with a
    constant. And how late the sender was, which would make every figure too good. About 2 minutes, and 2 x (--seconds +
    25 s) for each rate.

    --max raises the rate by a quarter until it is not sustained (p99 at most 100 ms over 10 s, and the lag does not
    grow; a step that fails is tried once more), then halves the interval three times. 12 minutes at most.
    """
    from stack.cli.bench.most import serve_most
    from stack.cli.bench.serve import serve
    from stack.cli.settings import parse

    wanted, settings = rates(rate), parse(set_ or [])
    if highest:
        serve_most(settings, as_json=as_json)
    else:
        serve(wanted, seconds, settings, as_json=as_json)


@app.command("peers")
def bench_peers(rate: RatesOption = "100,1000", seconds: SecondsOption = 30, as_json: JsonOption = False) -> None:
    """
    Latency beside hand-written loops with scikit-learn.

    In one run, one after the other, on topics made alike: a pass-through; a loop that scores with a scikit-learn stack
    one request at a time; the same loop scoring all that it polled as one array; Baton. The scikit-learn stack has
    Baton's columns, encodings, trees and rows, and its r2 is printed. The loops lose what they had not answered
    when they end, which Baton does not. About 2 minutes, and 4 x (--seconds + 30 s) for each rate.
    """
    from stack.cli.bench.peers import peers

    peers(rates(rate), seconds, as_json=as_json)


@app.command("roll-outs")
def bench_roll_outs(
    rate: RateOption = 200,
    count: Annotated[int, typer.Option(min=1, max=1000, help="How many roll-outs.")] = 20,
    as_json: JsonOption = False,
    mode: OwnModeOption = Mode.EMBEDDED,
) -> None:
    """
    What a hand-over costs those who wait, over many.

    Trains two small versions, then moves the alias champion back and forth under requests. Of each roll-out: seconds
    until the new version serves, the worst latency while it starts and at the switch, the longest gap of a partition
    around it, answers given twice; then the medians and the worst, and what was lost. About 3 minutes, and half a
    minute for each roll-out.
    """
    from stack.cli.bench.roll_outs import roll_outs

    roll_outs(mode, rate, count, as_json=as_json)


@app.command("standby")
def bench_standby(
    rate: RateOption = 100,
    count: Annotated[int, typer.Option(min=1, max=100, help="How many kills, and how many freezes.")] = 10,
    wanted: Annotated[bool, typer.Option("--standby/--no-standby", help="Whether a standby is there.")] = True,
    as_json: JsonOption = False,
    mode: OwnModeOption = Mode.EMBEDDED,
) -> None:
    """
    How long nobody answers when the server is killed or frozen.

    Trains one small version, then ends the server's processes by kill -9, and freezes them by SIGSTOP, in turn, under
    requests; each time until the server is back and the standby stands by. The longest silence of a partition after
    each, then the medians and the worst, and what was lost. About 3 minutes, and one for each kill and each freeze.
    """
    from stack.cli.bench.standby import standby

    standby(mode, rate, count, wanted=wanted, as_json=as_json)


@app.command("live-metrics")
def bench_live_metrics(
    rate: RateOption = 1000,
    seconds: Annotated[float, typer.Option(min=10, max=3600, help="Seconds of each, after 15 s of warm-up.")] = 60,
    as_json: JsonOption = False,
) -> None:
    """
    How soon an outcome is in a figure, and what joining costs.

    The same traffic on a stack without live metrics and on one with them: latency of the answers of both, from each
    outcome to the figure that has it, and the memory of live metrics as time goes by. 4 minutes, and 2 x --seconds.
    """
    from stack.cli.bench.live_metrics import live_metrics

    live_metrics(rate, seconds, as_json=as_json)


@app.command("train", epilog=examples("./baton bench train", "./baton bench train --set max_train_rows=20000"))
def bench_train(
    batches: Annotated[int, typer.Option(min=2, max=100, help="How many batches.")] = 10,
    rows: Annotated[int, typer.Option(min=1000, max=1_000_000, help="Rows of each batch.")] = 8000,
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """
    What a training costs as batch after batch comes.

    Lands one batch after the other, each when the version of the one before serves. The seconds of each training and of
    its steps, as the trainer logs them, and how many times as long as the first the last one took. About two minutes
    for each batch.
    """
    from stack.cli.bench.train import train
    from stack.cli.settings import parse

    train(batches, rows, parse(set_ or []), as_json=as_json)


@app.command("accuracy", epilog=examples("./baton bench accuracy", "./baton bench accuracy --dataset boston_housing"))
def bench_accuracy(
    rows: Annotated[int, typer.Option(min=1000, max=300_000, help="How many rows, where they are generated.")] = 20_000,
    dataset: DatasetOption = "used_cars",
    as_json: JsonOption = False,
) -> None:
    """
    Error and time of the ensemble beside scikit-learn's.

    On the same rows and folds: Baton's ensemble and each of its learners; a stack of boosting, a forest, a ridge and a
    linear support vector machine, by scikit-learn's defaults; boosting alone, whose settings are searched for as long
    as Baton trains. Both have the features of Baton's trees, encoded for each fold without its rows. Needs no stack. A
    few minutes, and half an hour for 200,000 rows.
    """
    from stack.cli.bench.accuracy import accuracy

    accuracy(dataset, rows, as_json=as_json)


@app.command("etl")
def bench_etl(
    rows: Annotated[int, typer.Option(min=1000, max=1_000_000, help="How many rows are generated.")] = 100_000,
    rounds: Annotated[int, typer.Option(min=1, max=20, help="How often each way is timed.")] = 5,
    as_json: JsonOption = False,
) -> None:
    """
    MB/s of a CSV of 66 columns to Parquet, beside DuckDB's.

    The trainer's own steps on one file: from CSV to checked rows, and from CSV to the features of the trees; and
    DuckDB's read_csv of the same file, written as Parquet. Each once to warm up, then --rounds times in turn, on the
    cores that are there. Needs no stack. About 5 minutes.
    """
    from stack.cli.bench.etl import etl

    etl(rows, rounds, as_json=as_json)


@app.command("overload")
def bench_overload(
    rate: Annotated[float, typer.Option(min=100, max=50_000, help="Requests per second in the overload.")] = 7000,
    seconds: Annotated[float, typer.Option(min=5, max=600, help="How long it lasts.")] = 60,
    as_json: JsonOption = False,
) -> None:
    """
    What is lost when far more is asked than is sustained.

    Trains one small version, sends 100 requests/s, then --rate for --seconds, then 100 requests/s again for three times
    as long, and waits until nothing is owed. Give five times what bench serve --max finds. About 8 minutes.
    """
    from stack.cli.bench.overload import overload

    overload(rate, seconds, as_json=as_json)


@app.command("cache", epilog=examples("./baton bench cache", "./baton bench cache --set trees=2000 --rows 5000"))
def bench_cache(
    rate: Annotated[float, typer.Option(min=20, max=10_000, help="Requests per second by HTTP.")] = 200,
    seconds: SecondsOption = 30,
    rows: Annotated[int, typer.Option(min=1, max=100_000, help="How many rows are asked again and again.")] = 1000,
    exponent: Annotated[float, typer.Option(min=0, max=3, help="Zipf's; 0 asks each as often.")] = 1.0,
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """
    What the gateway's cache answers, and how soon.

    The same Zipf mix of requests, open loop, through a gateway without a cache and through one with it: the hit rate,
    and the latency of hits and of misses beside that of all without a cache. 4 minutes, and 2 x (--seconds + 15 s).
    """
    from stack.cli.bench.cache import cache
    from stack.cli.settings import parse

    cache(rate, seconds, rows, exponent, parse(set_ or []), as_json=as_json)
