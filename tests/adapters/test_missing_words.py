"""What pandas writes means the same in a batch and in a request, on a real local Spark."""

import json
import math
from datetime import UTC, datetime

import pytest
from pyspark.ml.feature import SQLTransformer

from apps.common.model import RequestFields
from apps.datasets.declaration import MISSING_WORDS, Column, Dataset
from apps.prediction_server.request_fields import read_fields
from apps.trainer import session, train_set
from apps.trainer.cleaning import CATEGORY, NUMBER, input_columns, request_sql
from apps.trainer.settings import TrainerSettings

FLATS = Dataset(
    name="flats",
    task="regression",
    target="rent",
    key=("id",),
    columns=(
        Column("id", "text"),
        Column("area", "number"),
        Column("street", "category"),
        Column("floor", "category", nulls=("--",), keep=("NA", "None")),
        Column("garden", "flag"),
        Column("let", "flag", words=("Yes", "No")),
        Column("rent", "number"),
    ),
    numeric={"area": "area", "garden": "garden", "let": "`let`"},
    one_hot=("street", "floor"),
    load=lambda: iter(()),
)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MISSING, REJECTED = "missing", "rejected"
ONE, NO = 1.0, 0.0
NUMBERS = {"1": 1.0, "1e3": 1000.0, "inf": REJECTED, "Infinity": REJECTED, "NAN": REJECTED, "--": REJECTED}
FLAGS = {"True": ONE, "false": NO, "1": ONE, "0": NO, "1.0": ONE, "0.0": NO, "2": REJECTED, "Yes": REJECTED}
WORDS = {"Yes": ONE, "no": NO, "True": REJECTED, "1": REJECTED, "--": REJECTED}
CASES = [
    *((name, word, MISSING) for name in ("area", "street", "garden", "let") for word in (*MISSING_WORDS, " NaN ")),
    *(("floor", word, word if word in ("NA", "None") else MISSING) for word in (*MISSING_WORDS, "--")),
    *(
        (name, text, value)
        for name, texts in (("area", NUMBERS), ("garden", FLAGS), ("let", WORDS))
        for text, value in texts.items()
    ),
    ("street", "na", "na"),
    ("street", "NaN Street", "NaN Street"),
]
FEATURE = {"street": CATEGORY, "floor": CATEGORY}


@pytest.fixture(scope="module")
def spark(tmp_path_factory):
    """A session with the trainer's settings."""
    scratch = tmp_path_factory.mktemp("spark")
    started = session.start(TrainerSettings(batch="flats-0001", spark_master="local[2]", scratch=scratch))
    yield started
    started.stop()


def verdicts(columns, rows):
    """What the cells came to: a value, missing, or rejected."""
    meanings = []
    for name, row in zip(columns, rows, strict=True):
        value = row[f"{FEATURE.get(name, NUMBER)}{name}"]
        meaning = MISSING if value in (None, "(missing)") else value
        meanings.append(REJECTED if row["rejection"] else meaning)
    return meanings


def served(spark, values):
    """The first stage's rows for requests with these values."""
    rows = [(bytearray(b"k"), bytearray(value.encode()), 0, place, NOON) for place, value in enumerate(values)]
    schema = "key BINARY, value BINARY, partition INT, offset BIGINT, timestamp TIMESTAMP"
    records = spark.createDataFrame(rows, schema).coalesce(1)
    stage = SQLTransformer(statement=request_sql(FLATS))
    return stage.transform(read_fields(records, RequestFields(input_columns(FLATS), FLATS.column_names))).collect()


def test_a_cell_means_the_same_in_a_batch_and_in_a_request(spark, tmp_path):
    """Every missing word of pandas, and every way to write a flag, is judged alike by training and by serving."""
    part = tmp_path / "flats-0001" / "part-0.csv"
    part.parent.mkdir()
    rows = [{"id": str(place), "rent": "10", name: text} for place, (name, text, _) in enumerate(CASES)]
    lines = [",".join(f'"{row.get(name, "")}"' for name in FLATS.column_names) for row in rows]
    part.write_text("\n".join([",".join(FLATS.column_names), *lines]))
    checked = train_set.check(FLATS, train_set.read(spark, [f"file://{part}"], FLATS)).collect()
    trained = SQLTransformer(statement=request_sql(FLATS)).transform(
        train_set.read(spark, [f"file://{part}"], FLATS).coalesce(1)
    )
    names, wanted = [name for name, _, _ in CASES], [value for _, _, value in CASES]

    asked = served(spark, [json.dumps({name: text}) for name, text, _ in CASES])

    assert verdicts(names, asked) == wanted
    assert verdicts(names, trained.collect()) == wanted
    judged = {int(row["id"]): row["rejection"] is not None for row in checked}
    assert [judged[place] for place in range(len(CASES))] == [value == REJECTED for value in wanted]


def test_the_bare_nan_of_python_is_missing(spark):
    """``json.dumps`` writes NaN for pandas' missing values; null and it mean the same, infinity is no number."""
    gaps = dict.fromkeys(input_columns(FLATS), math.nan)

    nan, null, infinite = served(
        spark, [json.dumps(gaps), json.dumps(dict.fromkeys(gaps)), json.dumps({"area": math.inf})]
    )

    assert nan["rejection"] is null["rejection"] is None
    assert {name: nan[name] for name in nan.asDict() if name.startswith("_b_")} == {
        name: null[name] for name in null.asDict() if name.startswith("_b_")
    }
    assert infinite["rejection"].startswith("area must be a number")


@pytest.mark.parametrize(("sent", "value"), [("true", ONE), ("1", ONE), ("1.0", ONE), ("false", NO), ("0.0", NO)])
def test_a_flag_may_be_a_word_or_a_number_of_json(spark, sent, value):
    """A flag that passed through pandas became 1.0 or 0.0 when its column had gaps."""
    (row,) = served(spark, [f'{{"garden": {sent}}}'])

    assert (row["rejection"], row[f"{NUMBER}garden"]) == (None, value)
