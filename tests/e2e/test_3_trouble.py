"""Bad batches are refused with a reason, good ones go on; the alias is the truth, forwards and back."""

import csv
import io

import mlflow
import pytest

from apps import datasets
from apps.common.batches import MANIFEST, Manifest, describe_part, schema_hash
from apps.common.waiting import wait_until
from loadtest.ledger import problems

USED_CARS = datasets.get("used_cars")
REFUSED_S = 240


def write(path, header, rows):
    """Write a CSV file as the source file writes it."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    path.write_text(text.getvalue())
    return path


def some_rows(seed, count=50):
    """Generated rows as lists of cells."""
    return [list(row.values()) for row in USED_CARS.generate(count, seed, 0.0)]


def put(pipeline, name, part, rows, **changes):
    """Put a batch with a manifest that may lie."""
    described = describe_part(part)
    manifest = {
        "dataset": "used_cars",
        "rows": rows,
        "schema_hash": schema_hash(USED_CARS.column_names),
        "created": "2026-01-01T00:00:00Z",
        "parts": (described,),
    }
    pipeline.store.put(name, [part], Manifest(**{**manifest, **changes}))


def header_only(folder):
    """A file with no data row."""
    return write(folder / "part-0.csv", USED_CARS.column_names, []), 0


def column_missing(folder):
    """A file with 65 columns."""
    rows = [row[:-1] for row in some_rows(1)]
    return write(folder / "part-0.csv", USED_CARS.column_names[:-1], rows), 50


def text_in_price(folder):
    """A file where every price is text."""
    place = USED_CARS.column_names.index("price")
    rows = some_rows(2)
    for row in rows:
        row[place] = "call us"
    return write(folder / "part-0.csv", USED_CARS.column_names, rows), 50


def empty(folder):
    """A file of no bytes."""
    (folder / "part-0.csv").write_bytes(b"")
    return folder / "part-0.csv", 0


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        pytest.param(header_only, "rows", marks=pytest.mark.once),
        pytest.param(empty, "rows", marks=pytest.mark.once),
        pytest.param(column_missing, "column", marks=pytest.mark.once),
        (text_in_price, "price"),
    ],
)
def test_a_batch_that_breaks_its_contract_is_refused_with_the_reason(pipeline, first_version, tmp_path, make, reason):
    """
    A bad batch moves to refused/ with a reason that names what is wrong, and no version comes of it.
    """
    part, rows = make(tmp_path)
    name = f"used_cars-bad-{make.__name__}"
    versions = len(pipeline.versions())

    put(pipeline, name, part, rows)
    refusal = wait_until(lambda: pipeline.refusal(name), REFUSED_S, f"{name} was not refused")

    assert reason in refusal
    assert versions == len(pipeline.versions())


@pytest.mark.once
def test_a_batch_that_never_becomes_whole_is_refused_after_the_grace_time(pipeline, first_version, tmp_path):
    """
    No manifest, or a part that differs from it, is waited for and then refused.
    """
    part = write(tmp_path / "part-0.csv", USED_CARS.column_names, some_rows(3))
    pipeline.store.write(f"{pipeline.store.folder('landing', 'used_cars-half')}/part-0.csv", part.read_bytes())
    described = describe_part(part)
    put(pipeline, "used_cars-lies", part, 50, parts=(type(described)("part-0.csv", described.bytes, "0" * 64),))

    half = wait_until(lambda: pipeline.refusal("used_cars-half"), REFUSED_S, "the half batch was not refused")
    lies = wait_until(lambda: pipeline.refusal("used_cars-lies"), REFUSED_S, "the wrong hash was not refused")

    assert MANIFEST in half
    assert "sha256" in lies


@pytest.mark.once
def test_the_same_content_twice_is_trained_once(pipeline, first_version, tmp_path):
    """
    A batch whose content was used already is refused and names the first.
    """
    used = pipeline.store.entries("used")[0].name
    manifest = pipeline.store.manifest("used", used)
    part = tmp_path / manifest.parts[0].name
    part.write_bytes(pipeline.store.read(f"{pipeline.store.folder('used', used)}/{part.name}"))

    pipeline.store.put("used_cars-again", [part], manifest)
    refusal = wait_until(lambda: pipeline.refusal("used_cars-again"), REFUSED_S, "the repeated batch was not refused")

    assert used in refusal


@pytest.mark.once
def test_moving_the_alias_back_rolls_back(pipeline, first_version, ledger):
    """
    The alias is the truth: pointing it at an older version makes that one serve, and loses nothing.
    """
    newest = pipeline.versions()[-1].version
    pipeline.wait_until_served(newest)
    client = mlflow.MlflowClient(pipeline.environment["BATON_MLFLOW"])

    with ledger.traffic(rate=50):
        client.set_registered_model_alias(pipeline.names.model, "champion", first_version)
        pipeline.wait_until_served(first_version)
        ledger.wait_until_answered_by(first_version)

    assert {newest, first_version} <= ledger.versions_seen()
    assert [] == problems(ledger.verdict(pipeline.expected([newest, first_version])), 2, must_compare=True)
