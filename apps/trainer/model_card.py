"""What a person reads about a version: a card in Markdown."""

from collections.abc import Iterable, Mapping, Sequence

from apps.datasets.declaration import Column, Dataset
from apps.trainer.cleaning import input_columns, rule
from apps.trainer.ensemble import STACKED, Ensemble

_SECONDS = "training_seconds"


def card(dataset: Dataset, batches: Sequence[str], counted: Mapping[str, int], ensemble: Ensemble) -> str:
    """The card of the version that was trained last on the newest of ``batches``; ``counted`` are its rows."""
    inputs = [dataset.column(name) for name in input_columns(dataset)]
    sections = [
        f"# {dataset.name}, as of {batches[-1]}",
        f"Predicts `{dataset.target}` ({dataset.task}) from {len(inputs)} of {len(dataset.columns)} columns.",
        f"Trained in {ensemble.training_seconds:.0f} s on {_rows(batches, counted)}.",
        "## What it is worth",
        "No fit has seen the test rows. `cv` is the mean over the folds, each predicted by learners that never saw it.",
        _worth(ensemble),
        f"What predicts is **{ensemble.predictor}**. The stack weighs its learners so: {_weights(ensemble.stacker)}.",
        "## What it reads",
        "A request that breaks a rule is rejected with the reason; what is missing and not required is imputed.",
        _table(("column", "must be", "required"), map(_input, inputs)),
    ]
    return "\n\n".join(sections) + "\n"


def _rows(batches: Sequence[str], counted: Mapping[str, int]) -> str:
    told = f"{counted['rows']:,} rows of {len(batches)} batch{'es' if len(batches) > 1 else ''}"
    bad, more = counted["rows_quarantined"], counted["rows_left_out"]
    return f"{told}; {bad:,} were put aside as bad, {more:,} left out as repeated or too many"


def _worth(ensemble: Ensemble) -> str:
    names = list(ensemble.test)
    head = ("model", *(f"test {name}" for name in names), *(f"cv {name}" for name in names), "training s")
    stacked = ensemble.out_of_fold if ensemble.predictor == STACKED else {}
    lines = [(f"**{ensemble.predictor}**", *_figures(names, ensemble.test), *_figures(names, stacked), "")]
    for one in ensemble.learners:
        metrics = one.metrics()
        folds = {name: metrics[f"cv_{name}"] for name in names if f"cv_{name}" in metrics}
        lines.append((one.name, *_figures(names, one.test), *_figures(names, folds), f"{metrics[_SECONDS]:.1f}"))
    return _table(head, lines)


def _figures(names: Iterable[str], metrics: Mapping[str, float]) -> list[str]:
    return [f"{metrics[name]:.4g}" if name in metrics else "" for name in names]


def _weights(stacker: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.3g}" for name, value in stacker.items())


def _input(column: Column) -> tuple[str, str, str]:
    plain = {"category": "text", "text": "text"}
    return f"`{column.name}`", plain.get(column.kind) or rule(column).removeprefix("must be "), "yes" * column.required


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [head, ("---",) * len(head), *lines]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows)
