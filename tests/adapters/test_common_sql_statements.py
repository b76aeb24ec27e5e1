"""What a statement of a model may do, as Spark's own parser reads it."""

import pytest
from pyspark.ml import PipelineModel
from pyspark.ml.feature import SQLTransformer

from apps import datasets
from apps.common.errors import ModelRefused
from apps.common.model import Model
from apps.common.model_files import PIPELINE
from apps.common.spark_paths import url
from apps.common.sql_statements import statement_problems
from apps.prediction_server.session import load_pipeline
from apps.trainer import session
from apps.trainer.cleaning import request_sql, training_sql
from apps.trainer.settings import TrainerSettings

TAMPERED = {
    "SELECT reflect('java.lang.System', 'load', '/x.so') FROM __THIS__": "got reflect",
    "SELECT CASE WHEN a > 1 THEN coalesce(b, TRY_REFLECT('a', 'b')) END FROM __THIS__": "got try_reflect",
    "SELECT transform(a, x -> java_method('a', 'b', x)) FROM __THIS__": "got java_method",
    "SELECT * EXCEPT (a), `reflect`('a', 'b') AS c FROM __THIS__": "got reflect",
    "SELECT system.builtin.reflect('a', 'b') FROM __THIS__": "got system, builtin, reflect",
    "SELECT IDENTIFIER('reflect')('a', 'b') FROM __THIS__": "got ExpressionWithUnresolvedIdentifier",
    "SELECT max(a) FILTER (WHERE reflect('a', 'b') = 'c') FROM __THIS__": "got reflect",
    "SELECT a, raise_error('stop') FROM __THIS__": "got raise_error",
    "SELECT from_avro(a, 'x', map()) FROM __THIS__": "got from_avro",
    "SELECT explode(split(a, ',')) FROM __THIS__": "got explode",
    "SELECT count(*) FROM __THIS__": "got count",
    "SELECT nobodys_own(a) FROM __THIS__": "got nobodys_own",
    "SELECT a FROM text.`/etc/passwd`": "got text, /etc/passwd",
    "SELECT a FROM __THIS__, parquet.`/x`": "plain SELECT .* got Join",
    "SELECT a FROM (SELECT * FROM csv.`/x`)": "got csv, /x",
    "SELECT a FROM `x__THIS__`": "got x__THIS__",
    "SELECT a FROM STREAM(__THIS__)": "got NamedStreamingRelation",
    "SELECT a, (SELECT max(value) FROM text.`/x`) FROM __THIS__": "got text, /x",
    "SELECT a FROM __THIS__ WHERE EXISTS (SELECT 1 FROM text.`/x`)": "got text, /x",
    "SELECT a IN (SELECT value FROM text.`/x`) FROM __THIS__": "got text, /x",
    "SELECT a FROM __THIS__ UNION ALL SELECT value FROM text.`/x`": "got text, /x",
    "WITH x AS (SELECT value FROM text.`/x`) SELECT * FROM x": "got UnresolvedWith",
    "SELECT a FROM __THIS__ LATERAL VIEW explode(a) b": "got Generate",
    "SELECT a FROM range(3)": "got UnresolvedTableValuedFunction",
    "SELECT a FROM __THIS__ WHERE a > 1": "got Filter",
    "SELECT a FROM __THIS__ LIMIT 1": "got GlobalLimit",
    "SELECT TRANSFORM(a) USING 'sh -c x' AS (b) FROM __THIS__": "got ScriptTransformation",
    "SELECT 1": "got OneRowRelation",
    "ADD JAR '/x.jar'": "got AddJarsCommand",
    "CREATE TABLE x AS SELECT * FROM __THIS__": "got CreateTableAsSelect",
    "EXECUTE IMMEDIATE 'SELECT 1'": "got",
    "SELECT a FROM __THIS__; ADD JAR '/x.jar'": "must be one that Spark reads",
    "": "must be one that Spark reads",
}


@pytest.fixture(scope="module")
def spark(tmp_path_factory):
    """The session of a trainer."""
    scratch = tmp_path_factory.mktemp("spark")
    spark = session.start(TrainerSettings(batch="none", spark_master="local[1]", driver_memory="512m", scratch=scratch))
    yield spark
    spark.stop()


@pytest.mark.parametrize("statement", TAMPERED)
def test_a_statement_that_does_more_than_compute_is_refused(spark, statement):
    """It names another relation, calls Java, holds a query, or is no SELECT at all."""
    with pytest.raises(AssertionError, match=TAMPERED[statement]):
        raise AssertionError(statement_problems(spark, statement))


@pytest.mark.parametrize("name", datasets.names())
def test_the_statements_of_every_dataset_are_fine(spark, name):
    """The first stage of each pipeline, and the check of its training rows."""
    dataset = datasets.get(name)

    assert [] == statement_problems(spark, request_sql(dataset))
    assert [] == statement_problems(spark, training_sql(dataset))


def test_a_variable_in_a_statement_is_a_text(spark):
    """What the environment holds reaches no prediction."""
    assert "${env:HOME}" == spark.sql("SELECT '${env:HOME}'").first()[0]


def test_a_server_loads_no_pipeline_with_such_a_statement(spark, tmp_path):
    """A nested one is found too; the error names the file and what was found."""
    good = SQLTransformer(statement="SELECT *, ln(a) AS b FROM __THIS__")
    bad = SQLTransformer(statement="SELECT * FROM text.`/etc/passwd`")
    models = {}
    for name, stages in (("good", [good]), ("bad", [good, PipelineModel([bad])])):
        models[name] = Model("7", tmp_path / name, url(tmp_path / name))
        PipelineModel(stages).write().save(f"{models[name].location}/{PIPELINE}")

    assert ["a", "b"] == load_pipeline(spark, models["good"]).transform(spark.sql("SELECT 1D AS a")).columns
    with pytest.raises(ModelRefused, match=r"version 7 .* stages/1_.*: its statement must read from __THIS__ alone"):
        load_pipeline(spark, models["bad"])
