"""
An archive of Spark's classes as Java has them once they are read and checked, made once, mapped by each server's JVM.

Half of what a server's JVM does at its start is reading classes. Java takes an archive of another Java or of other jars
for none, and says little of it; one that is damaged ends it. So what is handed on is whole, and was tried.

``python -m apps.prediction_server.class_archive <folder of the connector's jars> <file>`` makes one. An image is made
from this file alone: it imports Spark, and nothing of Baton. What it does stands for what a server does; a class that
it does not meet is read by the server as ever.
"""

import fcntl
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from contextlib import suppress
from pathlib import Path

import pyspark
from py4j.protocol import Py4JJavaError
from pyspark import SparkContext
from pyspark.errors import PySparkException
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.feature import OneHotEncoder, SQLTransformer, StringIndexer, TargetEncoder, VectorAssembler
from pyspark.ml.regression import GBTRegressor, LinearRegression
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - the name everyone knows it by

LONGEST = 100_000  # characters of a class path: Linux takes 131,072 in one argument
PLAIN = re.compile(r"[A-Za-z0-9/_.+&@=~-]+")  # of a jar whose path is another as a URL Java archives nothing
HEAP = "768m"  # below 32 GiB any other maps the same archive
JAVA = ("-XX:+UseSerialGC", "-Xss4m")
QUICK_COMPILER = "-XX:TieredStopAtLevel=1"  # a JVM with any compiler maps what one with another has archived
SILENT = ("-Xlog:cds=error", "-Xlog:cds+dynamic=error")  # of hundreds of classes that no archive can hold
PROC = Path("/proc")  # Linux tells there which files a process has mapped
LOOPBACK, NOBODYS_PORT = "127.0.0.1", 9
QUICK = {"kafka.default.api.timeout.ms": "1000", "kafka.request.timeout.ms": "500", "kafka.max.block.ms": "500"}
CLEAN = """
SELECT *, try_cast(area AS DOUBLE) AS n, coalesce(trim(town), '(missing)') AS c,
  CASE WHEN area IS NULL THEN 'nothing' WHEN NOT area RLIKE '^[0-9]++$' THEN concat('got ', area) END AS rejection
FROM __THIS__"""
PREDICT = """
SELECT *, CASE WHEN rejection IS NULL THEN exp(greatest(least(0.5D * y + z, 3D), 0D)) END AS prediction FROM __THIS__"""


def class_path(connector: Path) -> str:
    """
    The connector's jars, then Spark's, one by one.

    Spark would say ``jars/*``, which Java reads in the order of the file system: in another copy of an image that is
    another order, and an archive is of one order. Where the folders have too long a path for a command line, ``*`` is
    what is left.
    """
    own = sorted(map(str, connector.glob("*.jar")))
    jars = sorted(map(str, _sparks_jars().glob("*.jar")))
    every = ":".join([*own, *jars])
    return every if len(every) <= LONGEST else ":".join(own)


def _sparks_jars() -> Path:
    return Path(pyspark.__file__).parent / "jars"


def java_option(archive: Path | None) -> str:
    """The option that makes a JVM map ``archive``; none where it is not there, or not whole."""
    return f" {shlex.quote(f'-XX:SharedArchiveFile={archive}')}" if archive and is_whole(archive) else ""


def is_whole(archive: Path) -> bool:
    """Whether the file has the size that was written beside it; a JVM that maps one cut short is killed by it."""
    try:
        return archive.stat().st_size == int(_size(archive).read_text())
    except (OSError, ValueError):
        return False


def is_mapped(archive: Path) -> bool:
    """Whether this process's JVM has mapped ``archive``; where the system does not tell, whether it was told to."""
    maps = PROC / str(SparkContext._gateway.proc.pid) / "maps"  # noqa: SLF001 - pyspark names it nowhere else
    return bytes(archive.resolve()) in maps.read_bytes() if maps.exists() else is_whole(archive)


def _size(archive: Path) -> Path:
    return archive.with_name(f"{archive.name}.size")


def make(connector: Path, archive: Path) -> None:
    """
    Make ``archive`` of a JVM's whole life, and write its size beside it once another JVM has taken it.

    Exits with the reason when none takes it; at once, and as if all were done, when another process makes the same.
    ``connector`` must be the folder that the server is told.
    """
    if odd := [str(place) for place in (connector, _sparks_jars()) if not PLAIN.fullmatch(str(place))]:
        sys.exit(f"jars must lie in a path of plain characters for Java to archive them; got {', '.join(odd)}")
    archive.parent.mkdir(parents=True, exist_ok=True)
    alone = os.open(archive.parent, os.O_RDONLY)
    try:
        fcntl.flock(alone, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the kernel frees it however this process ends
    except BlockingIOError:
        return
    folder = archive.parent / "unfinished"
    shutil.rmtree(folder, ignore_errors=True)  # of one that was killed
    folder.mkdir()
    made = folder / archive.name
    home, path = _live(connector, folder, made)
    tried = _try(home, path, folder, made)
    if tried.returncode:
        sys.exit(f"Java must take its archive of classes; got {tried.stdout}{tried.stderr}; servers start without")
    with made.open("rb") as file:
        os.fsync(file.fileno())
    made.replace(archive)
    _size(archive).write_text(str(archive.stat().st_size))
    shutil.rmtree(folder)


def _live(connector: Path, folder: Path, made: Path) -> tuple[str, str]:
    """Do all that a server does but for Kafka's part; return the JVM's home and class path. It writes as it ends."""
    spark = _start(connector, folder, made)
    java = spark._jvm.java.lang.System.getProperty  # noqa: SLF001 - the only way to all that pyspark has no name for
    home, path = java("java.home"), java("java.class.path")
    pipeline = _pipeline(spark, folder)
    _answers(_requests(spark, folder), pipeline).select("value").collect()
    _reach_for_kafka(spark, pipeline, folder)
    _load(spark, connector)
    spark.stop()
    process = SparkContext._gateway.proc  # noqa: SLF001 - as above
    process.stdin.close()  # the end of its input is the JVM's end, in order
    process.wait()
    return home, path


def _try(home: str, path: str, folder: Path, made: Path) -> subprocess.CompletedProcess[str]:
    """Start a JVM that ends when it cannot map ``made``. Its class path is in a file: it may be too long to be told."""
    quoted = path.replace("\\", "\\\\").replace('"', '\\"')
    told = folder / "options"
    told.write_text(f'-cp "{quoted}"')
    command = [f"{home}/bin/java", "-Xshare:on", f"-XX:SharedArchiveFile={made}", *JAVA, f"@{told}", "-version"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _start(connector: Path, folder: Path, archive: Path) -> SparkSession:
    """A session like the server's, in whose JVM nothing is archived yet."""
    java = [f"-Djava.io.tmpdir={folder}", *JAVA, QUICK_COMPILER, *SILENT, f"-XX:ArchiveClassesAtExit={archive}"]
    options = {
        "spark.master": "local[2]",
        "spark.authenticate": "true",
        "spark.driver.extraClassPath": class_path(connector),
        "spark.driver.memory": HEAP,
        "spark.driver.host": LOOPBACK,
        "spark.driver.bindAddress": LOOPBACK,
        "spark.driver.extraJavaOptions": shlex.join(java),
        "spark.local.dir": str(folder),
        "spark.log.level": "OFF",  # that nobody answers is meant to be
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.hadoop.fs.defaultFS": "file:///",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.ansi.enabled": "false",
        "spark.sql.shuffle.partitions": "1",
        "spark.sql.streaming.metricsEnabled": "false",
        "spark.task.maxFailures": "1",
    }
    builder = SparkSession.builder.appName("class-archive")
    for name, value in options.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def _pipeline(spark: SparkSession, folder: Path) -> PipelineModel:
    """One with every kind of stage that the trainer makes, fitted, saved and loaded, in both formats."""
    rows = spark.range(64).selectExpr(
        "CAST(id AS STRING) AS area", "CAST(id % 3 AS STRING) AS town", "CAST(id % 2 AS DOUBLE) AS label"
    )
    keep = {"handleInvalid": "keep"}
    linear = {"featuresCol": "linear", "labelCol": "label", "predictionCol": "y"}
    trees = {"featuresCol": "trees", "labelCol": "label", "predictionCol": "z", "maxIter": 2, "maxDepth": 2, "seed": 1}
    stages = [
        SQLTransformer(statement=CLEAN),
        StringIndexer(inputCols=["c"], outputCols=["i"], **keep),
        TargetEncoder(inputCols=["i"], outputCols=["m"], labelCol="label", targetType="continuous", **keep),
        OneHotEncoder(inputCols=["i"], outputCols=["h"], **keep),
        SQLTransformer(statement="SELECT *, coalesce(n, 0D) AS f, m + 0D AS e FROM __THIS__"),
        VectorAssembler(inputCols=["f", "h"], outputCol="linear", **keep),
        VectorAssembler(inputCols=["f", "e"], outputCol="trees", **keep),
        LinearRegression(solver="normal", regParam=0.1, **linear),
        GBTRegressor(**trees),
        SQLTransformer(statement=PREDICT),
    ]
    place = f"file://{folder}/pipeline"
    fitted = Pipeline(stages=stages).fit(rows.coalesce(1))
    fitted.write().save(place)
    fitted._to_java().write().saveToLocal(f"{folder}/local")  # noqa: SLF001 - public in the JVM only
    PipelineModel.load(place)
    jvm = spark._jvm.org.apache.spark.ml  # noqa: SLF001 - as above
    return PipelineModel._from_java(jvm.PipelineModel.read().loadFromLocal(f"{folder}/local"))  # noqa: SLF001


def _requests(spark: SparkSession, folder: Path) -> DataFrame:
    """Records as Kafka has them, out of a file as golden rows are."""
    lines = [json.dumps({"fields": {"area": str(area), "town": "1"}}) for area in range(20)]
    (folder / "golden").write_text("\n".join(lines))
    fields = F.get_json_object("value", "$.fields")
    read = spark.read.text(f"file://{folder}/golden").coalesce(1)
    return read.where(fields != "{}").select(
        F.lit(b"key").alias("key"),
        fields.cast("binary").alias("value"),
        F.lit(0).alias("partition"),
        F.monotonically_increasing_id().alias("offset"),
        F.timestamp_millis(F.lit(0)).alias("timestamp"),
    )


def _answers(records: DataFrame, pipeline: PipelineModel) -> DataFrame:
    """What a server makes of records, by the same kinds of expressions."""
    value = F.col("value").cast("string")
    text = F.ltrim(F.when(F.length("value") < len(CLEAN), F.try_validate_utf8(value)), F.lit("-"))
    array = F.from_json(F.concat(F.lit("["), text, F.lit("]")), "array<struct<area: string, town: string>>")
    whole = F.from_json(F.concat(F.lit('{"value":'), text, F.lit(',"end":1}')), "value map<string, string>, end int")
    single = (F.size("array") == 1) & (F.col("whole")["end"] == 1)
    read = records.select("*", array.alias("array"), whole.alias("whole")).select(
        "*", F.when(single, F.col("array")[0]).alias("fields")
    )
    strangers = F.array_except(F.map_keys(F.col("whole")["value"]), F.array(F.lit("area"), F.lit("town")))
    letters = F.transform(strangers, lambda name: F.concat(F.left(F.lower(name), F.lit(9)), F.lit("'")))
    fields = [F.left(F.col("fields")[name], F.lit(99)).alias(name) for name in ("area", "town")]
    scored = pipeline.transform(read.select("*", F.array_join(letters, "; ").alias("problems"), *fields))
    place = F.concat_ws("-", F.col("partition").cast("string"), F.col("offset").cast("string"))
    body = F.struct(
        F.coalesce(F.col("key").cast("string"), place).alias("request_id"),
        F.when(F.abs("prediction") < float("inf"), F.col("prediction")).alias("prediction"),
        F.nullif(F.concat_ws("; ", "problems", "rejection"), F.lit("")).alias("rejection"),
    )
    time = F.unix_millis("timestamp").cast("string").cast("binary")
    return scored.select(
        F.col("key").cast("binary").alias("key"),
        F.to_json(body, {"ignoreNullFields": "false"}).cast("binary").alias("value"),
        F.array(F.struct(F.lit("in_timestamp").alias("key"), time.alias("value"))).alias("headers"),
        "partition",
    )


def _reach_for_kafka(spark: SparkSession, pipeline: PipelineModel, folder: Path) -> None:
    """Plan and start the query as far as it goes where no broker answers."""
    nobody = {"kafka.bootstrap.servers": f"{LOOPBACK}:{NOBODYS_PORT}", **QUICK}
    asked = {"assign": '{"requests":[0]}', "startingOffsets": '{"requests":{"0":0}}'}
    records = spark.readStream.format("kafka").options(**nobody, **asked).load()
    told = {"topic": "answers", "includeHeaders": "true", "checkpointLocation": f"file://{folder}/checkpoint"}
    answers = _answers(records, pipeline).writeStream.format("kafka").options(**nobody, **told)
    with suppress(PySparkException):
        answers.outputMode("update").trigger(realTime="5 minutes").start().awaitTermination()


def _load(spark: SparkSession, connector: Path) -> None:
    """Have Java read every class of the connector: most of them a server meets only when a broker answers."""
    java = spark._jvm.java.lang  # noqa: SLF001 - as above
    loader = java.Thread.currentThread().getContextClassLoader()
    for jar in sorted(connector.glob("*.jar")):
        with zipfile.ZipFile(jar) as packed:
            names = [name.removesuffix(".class") for name in packed.namelist() if name.endswith(".class")]
        for name in names:
            with suppress(Py4JJavaError):  # it needs what the server does without
                java.Class.forName(name.replace("/", "."), False, loader)


if __name__ == "__main__":
    make(Path(sys.argv[1]), Path(sys.argv[2]).resolve())
