"""The trained pipeline on a real local Spark: what it learns, and that no request can break it."""

import math
import random
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.ml import PipelineModel
from pyspark.ml.feature import SQLTransformer
from pyspark.sql import functions as F  # noqa: N812 - the name everyone knows it by

from apps.common.sql_statements import statement_problems
from apps.datasets.declaration import Column, Dataset
from apps.trainer import artifacts, session, train_set
from apps.trainer.cleaning import CORRUPT, input_columns
from apps.trainer.ensemble import train
from apps.trainer.golden import golden
from apps.trainer.settings import TrainerSettings

HOMES = Dataset(
    name="homes",
    task="regression",
    target="price",
    key=("id",),
    columns=(
        Column("id", "text"),
        Column("area", "number", pattern=r"([0-9.]+) m2", nulls=("--",), required=True, minimum=10, maximum=900),
        Column("age", "number", minimum=0),
        Column("town", "category", required=True),
        Column("street", "category", nulls=("None",)),
        Column("garden", "flag"),
        Column("price", "number", minimum=1),
    ),
    numeric={"area": "area", "log_area": "ln(area)", "age": "age", "per": "area / age", "garden": "garden"},
    one_hot=("town",),
    target_encoded=("street",),
    log_target=True,
    load=lambda: iter(()),
)
SOLD = replace(
    HOMES,
    name="sold",
    task="binary",
    target="sold",
    log_target=False,
    columns=(*HOMES.columns[:-1], Column("sold", "flag")),
)
JUNK = st.one_of(
    st.none(),
    st.text(max_size=60),
    st.sampled_from(["", " ", "NaN", "-Infinity", "1e999", "-0", "12d", "0x1F", "--", "None", "1,5 m2", "9" * 400]),
    st.floats(allow_nan=True, allow_infinity=True).map(str),
    st.floats(10, 900).map(lambda area: f"{area:.1f} m2"),
    st.sampled_from(["north", "True", "false", "s3"]),
)
ROWS = st.lists(st.fixed_dictionaries(dict.fromkeys(input_columns(HOMES), JUNK)), min_size=20, max_size=20)


def homes(count, seed=1):
    """Rows whose price and chance of a sale follow from what a row says, with a little noise."""
    draw = random.Random(seed)
    for number in range(count):
        area, age = draw.uniform(30, 200), draw.randrange(1, 90)
        town, street = draw.choice(["north", "south", "west"]), f"s{draw.randrange(30)}"
        worth = 8 + 0.9 * math.log(area) - 0.004 * age + {"north": 0.3, "south": 0.0, "west": -0.2}[town]
        worth += (int(street[1:]) % 7) * 0.05 + draw.gauss(0, 0.05)
        yield {
            "id": str(number),
            "area": f"{area:.1f} m2",
            "age": str(age) if draw.random() > 0.1 else "",
            "town": town,
            "street": street if draw.random() > 0.1 else "None",
            "garden": draw.choice(["True", "False", ""]),
            "price": f"{math.exp(worth):.2f}",
            "sold": str(draw.random() < 1 / (1 + math.exp(-8 * (worth - 12)))),
        }


@pytest.fixture(scope="module")
def setup(tmp_path_factory):
    return TrainerSettings(
        batch="homes-0001", spark_master="local[2]", scratch=tmp_path_factory.mktemp("spark"), trees=60
    )


@pytest.fixture(scope="module")
def spark(setup):
    started = session.start(setup)
    yield started
    started.stop()


def frame(spark, rows, names):
    cells = [tuple(row.get(name) for name in names) for row in rows]
    return spark.createDataFrame(cells, ", ".join(f"`{name}` STRING" for name in names))


def kept(spark, dataset, rows):
    checked = train_set.check(dataset, frame(spark, rows, [*dataset.column_names, CORRUPT]))
    batch = "homes-0001"
    return train_set.keep(dataset, checked.withColumn(train_set.BATCH, F.lit(batch)), folds=3, order=[batch])


@pytest.fixture(scope="module")
def trained(spark, setup):
    return train(HOMES, kept(spark, HOMES, homes(900)), setup)


def answers(spark, pipeline, rows):
    asked = [{**row, "request_id": str(place)} for place, row in enumerate(rows)]
    return pipeline.transform(frame(spark, asked, ["request_id", *input_columns(HOMES)])).collect()


def test_the_stack_learns_and_every_learner_is_measured(trained):
    """The whole explains the unseen rows, and each learner has its metrics and seconds in every fold."""
    assert trained.test["r2"] > 0.9
    assert set(trained.stacker) == {"linear_regression", "boosted_trees", "intercept"}
    for result in trained.learners:
        assert len(result.folds) == 3
        assert all(fold["training_seconds"] > 0 and fold["validation_seconds"] > 0 for fold in result.folds)
        assert result.training_seconds > 0
        assert result.scoring_seconds > 0
        assert result.test["r2"] > 0.7


def test_every_statement_of_the_pipeline_is_one_that_a_server_takes(spark, trained):
    """The first stage, the imputation and the last stage read nothing but the row."""
    statements = [stage.getStatement() for stage in trained.pipeline.stages if isinstance(stage, SQLTransformer)]

    assert 3 == len(statements)
    assert [] == [problem for statement in statements for problem in statement_problems(spark, statement)]


def test_only_the_answer_and_what_came_in_leaves_the_pipeline(spark, trained):
    """The columns out are those that came in, untouched and in order, then rejection and prediction."""
    names = ["partition", *input_columns(HOMES), "offset"]
    out = trained.pipeline.transform(frame(spark, list(homes(1)), names))

    assert out.columns == [*names, "rejection", "prediction"]


@pytest.mark.parametrize(
    ("change", "rejection"),
    [
        ({}, None),
        ({"street": "nobody lives here", "age": None, "garden": ""}, None),
        ({"area": " 35.10 m2 "}, None),
        ({"area": "abc"}, "area must be a number 10-900 written as '([0-9.]+) m2'; got 'abc'"),
        ({"area": "9 m2"}, "area must be a number 10-900 written as '([0-9.]+) m2'; got '9 m2'"),
        ({"area": "--"}, "area must be given; got nothing"),
        ({"age": "NaN", "street": "NA", "garden": "null"}, None),
        ({"area": "NaN"}, "area must be given; got nothing"),
        ({"age": "Infinity"}, "age must be a number of at least 0; got 'Infinity'"),
        ({"age": "x" * 90}, f"age must be a number of at least 0; got '{'x' * 40}'"),
        ({"garden": "maybe"}, "garden must be True or False; got 'maybe'"),
        ({"town": " ", "garden": "2"}, "town must be given; got nothing; garden must be True or False; got '2'"),
    ],
)
def test_a_request_gets_a_prediction_or_every_reason_why_not(spark, trained, change, rejection):
    """What is unknown or missing has a default; what breaks a rule is rejected, all reasons in one text."""
    row = {"area": "80 m2", "age": "10", "town": "north", "street": "s3", "garden": "True", **change}

    answer = answers(spark, trained.pipeline, [row])[0]

    assert answer["rejection"] == rejection
    assert (answer["prediction"] is None) == (rejection is not None)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS)
def test_junk_in_any_cell_never_throws_and_never_drops_a_row(spark, trained, rows):
    """Whatever the cells hold, each row comes back once, with a rejection or a finite prediction."""
    found = answers(spark, trained.pipeline, rows)

    assert sorted(int(row["request_id"]) for row in found) == list(range(len(rows)))
    for row in found:
        assert (row["rejection"] is None) != (row["prediction"] is None)
        assert row["prediction"] is None or (math.isfinite(row["prediction"]) and row["prediction"] > 0)


def test_a_binary_target_gets_the_probability_of_its_class_one(spark, setup, tmp_path):
    """The prediction is a plain number between 0 and 1 that ranks the unseen rows well, and the same once saved."""
    trained = train(SOLD, kept(spark, SOLD, homes(900)), setup)

    found = answers(spark, trained.pipeline, homes(40, seed=2))

    assert trained.test["auc"] > 0.85
    assert {"log_loss", "accuracy"} < trained.test.keys()
    assert all(0 <= row["prediction"] <= 1 for row in found)
    assert {"logistic_regression", "boosted_trees", "intercept"} == trained.stacker.keys()
    artifacts.save_model(tmp_path / "out", trained.pipeline, str(tmp_path / "saving"))
    loaded = PipelineModel.load(str(tmp_path / "out" / "model" / "sparkml"))
    assert found == answers(spark, loaded, homes(40, seed=2))


def test_a_fold_is_scored_by_what_never_saw_it(spark, setup):
    """Where the target is noise and one category is different in each row, no fold looks learned."""
    draw = random.Random(3)
    rows = [{**row, "street": row["id"], "price": f"{math.exp(draw.gauss(9, 1)):.2f}"} for row in homes(600)]

    trained = train(HOMES, kept(spark, HOMES, rows), setup)

    assert all(fold["r2"] < 0.1 for result in trained.learners for fold in result.folds)


def test_the_saved_model_gives_the_golden_answers(spark, trained, tmp_path):
    """What is written can be loaded by itself, gives each golden row's answer, and every file has its checksum."""
    rows = kept(spark, HOMES, homes(900))
    asked = golden(spark, HOMES, rows, trained.pipeline)
    artifacts.save_model(tmp_path / "out", trained.pipeline, str(tmp_path / "saving"))
    artifacts.write(tmp_path / "out", {"dataset": "homes"}, asked)

    loaded = PipelineModel.load(str(tmp_path / "out" / "model" / "sparkml"))
    found = answers(spark, loaded, [row["fields"] for row in asked])

    by_place = {int(row["request_id"]): (row["prediction"], row["rejection"]) for row in found}
    assert [by_place[place] for place in range(len(asked))] == [(row["prediction"], row["rejection"]) for row in asked]
    assert {row["rejection"] is None for row in asked} == {True, False}
    sums = artifacts.checksums(tmp_path / "out")
    assert sums.pop("baton/manifest.json")
    assert (tmp_path / "out/baton/manifest.json").read_text() == artifacts.as_json(sums)


def test_the_plan_holds_no_python(spark, trained):
    """Real-time mode refuses Python in a plan; the pipeline's has none, and no exchange between tasks."""
    plan = trained.pipeline.transform(frame(spark, list(homes(1)), input_columns(HOMES)))
    text = plan._jdf.queryExecution().executedPlan().toString()  # noqa: SLF001 - the only way to read a plan

    assert "Python" not in text
    assert "Exchange" not in text
