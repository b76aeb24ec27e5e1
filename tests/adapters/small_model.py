"""
A small stacked model with the trainer's contract, for the tests of the server: two raw fields, one price.

And files that are no model, but all that a server looks at before Spark does.
"""

import json

from mlflow import MlflowClient
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.feature import OneHotEncoder, SQLTransformer, StringIndexer, VectorAssembler
from pyspark.ml.regression import LinearRegression, RandomForestRegressor

from apps.common.files import sha256
from apps.common.model_files import CONTRACT, GOLDEN, MANIFEST, PIPELINE
from apps.common.names import StackNames
from apps.common.registry import MANIFEST_SHA256
from apps.trainer.artifacts import checksums, save_model, write

NAME = "flats"
NAMES = StackNames("baton", NAME)
COLUMNS = ("area", "town")
DECLARED = (*COLUMNS, "price", "note")
CLEAN = """
SELECT *,
  CASE WHEN area IS NULL THEN 'area must be given; got nothing'
       WHEN coalesce(try_cast(area AS DOUBLE) BETWEEN 1D AND 1000D, FALSE) = FALSE
       THEN concat('area must be a number of 1-1000; got ', left(area, 40)) END AS rejection,
  coalesce(CASE WHEN try_cast(area AS DOUBLE) BETWEEN 1D AND 1000D THEN try_cast(area AS DOUBLE) END, 0D) AS _b_area,
  coalesce(town, '(missing)') AS _b_town
FROM __THIS__"""
PREDICT = """
SELECT * EXCEPT (_b_area, _b_town, _b_index, _b_hot, _b_features, _b_linear, _b_forest, _b_stack, _b_stacked),
  CASE WHEN rejection IS NULL THEN _b_stacked END AS prediction
FROM __THIS__"""


def trained(spark, factor):
    """A pipeline whose prices are ``factor`` times the area, more or less."""
    rows = [(str(area), "north" if area % 2 else "south", factor * area + area % 2) for area in range(1, 400)]
    frame = spark.createDataFrame(rows, "area STRING, town STRING, price DOUBLE")
    learners = [
        SQLTransformer(statement=CLEAN),
        StringIndexer(inputCol="_b_town", outputCol="_b_index", handleInvalid="keep"),
        OneHotEncoder(inputCol="_b_index", outputCol="_b_hot", handleInvalid="keep"),
        VectorAssembler(inputCols=["_b_area", "_b_hot"], outputCol="_b_features", handleInvalid="keep"),
        LinearRegression(featuresCol="_b_features", labelCol="price", predictionCol="_b_linear", regParam=0.01),
        RandomForestRegressor(
            featuresCol="_b_features", labelCol="price", predictionCol="_b_forest", numTrees=5, maxDepth=4, seed=1
        ),
        VectorAssembler(inputCols=["_b_linear", "_b_forest"], outputCol="_b_stack", handleInvalid="keep"),
        LinearRegression(featuresCol="_b_stack", labelCol="price", predictionCol="_b_stacked", regParam=0.01),
    ]
    fitted = Pipeline(stages=learners).fit(frame)
    return PipelineModel([*fitted.stages, SQLTransformer(statement=PREDICT)])


def golden(spark, pipeline):
    """Golden rows as the trainer stores them, two of them rejected."""
    asked = [{"area": "50", "town": "north"}, {"area": "7.5"}, {"town": "south"}, {"area": "big", "town": "east"}]
    cells = [tuple(fields.get(name) for name in COLUMNS) for fields in asked]
    rows = pipeline.transform(spark.createDataFrame(cells, "area STRING, town STRING").coalesce(1)).collect()
    return [
        {"fields": fields, "prediction": row["prediction"], "rejection": row["rejection"]}
        for fields, row in zip(asked, rows, strict=True)
    ]


def save(spark, folder, factor):
    """Write a version's files as the trainer does."""
    pipeline = trained(spark, factor)
    folder.mkdir(parents=True)
    contract = {"dataset": NAME, "task": "regression", "input_columns": list(COLUMNS), "columns": list(DECLARED)}
    save_model(folder, pipeline, str(folder.parent / "saving"))
    write(folder, contract, golden(spark, pipeline))
    return pipeline


def publish(mlflow, folder, names=NAMES):
    """Log a version's files and register it; its number."""
    client = MlflowClient(tracking_uri=mlflow, registry_uri=mlflow)
    found = client.get_experiment_by_name(names.model)
    if found is None:
        client.create_registered_model(names.model)
    run = client.create_run(found.experiment_id if found else client.create_experiment(names.model))
    client.log_artifacts(run.info.run_id, str(folder))
    tags = {MANIFEST_SHA256: sha256(folder / MANIFEST)}
    source = f"{run.info.artifact_uri}/model"
    return client.create_model_version(names.model, source, run.info.run_id, tags=tags).version


def write_bare_files(folder, golden=""):
    """The files of a version without a model in them."""
    metadata = folder / PIPELINE / "metadata" / "part-00000"
    metadata.parent.mkdir(parents=True)
    metadata.write_text(json.dumps({"class": "pyspark.ml.pipeline.PipelineModel"}))
    (folder / MANIFEST).parent.mkdir()
    (folder / CONTRACT).write_text('{"input_columns": []}')
    (folder / GOLDEN).write_text(golden)
    vouch(folder)
    return folder


def vouch(folder):
    """Write the manifest of what is there."""
    (folder / MANIFEST).unlink(missing_ok=True)
    (folder / MANIFEST).write_text(json.dumps(checksums(folder)))


def registered(run, folder):
    """The version that the trainer makes of the files in ``folder`` in a training ``run``."""
    run_id = run.begin()
    run.upload(run_id, folder)
    return run.register(run_id, sha256(folder / MANIFEST))


def request(area, town="north", **more):
    """The value of a request."""
    return json.dumps({"area": area, "town": town, **more}).encode()
