"""
What a version says to a sample of the requests, by code that shares nothing with the server's.

``rescore`` answers with the server's own functions, so a fault of theirs is on both sides and nobody sees it. Here
Python's JSON reads a request, its cells become columns by their names, and MLlib's own reader loads the model.
"""

import json
import math
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pyspark.ml import PipelineModel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - the name everyone knows it by
from pyspark.sql.types import IntegerType, Row, StringType, StructField, StructType

from apps.common import spark_paths
from apps.common.messages import MAX_TEXT, MAX_VALUE_BYTES, Expected
from apps.common.model_files import CONTRACT, PIPELINE

SAMPLE = 1000  # different requests of which each version is asked
OF_A_KIND = 5  # requests beyond the sample for each kind of rejection
SHOWN = 40  # characters of a value that the shortest sentence of a model shows
PLAIN_ID = "^[ -~]{1,100}$"
_PLACE = "_place"


class _Fraction(str):
    """A JSON number with a fraction or an exponent, as it is written; Spark hands it on as it writes a double."""

    __slots__ = ()

    @property
    def is_rewritten(self) -> bool:
        """Whether that is another text, as ``5000.5`` for ``5000.50``, of the same number."""
        return repr(float(self)) != self


class Rejections:
    """Where some requests of each kind of rejection stand."""

    def __init__(self) -> None:
        """None was seen."""
        self._places: dict[str, list[str]] = defaultdict(list)

    def note(self, line: Expected) -> None:
        """Take in what a version says; a kind is a rejection without the values in it."""
        if line.rejection is not None:
            places = self._places[re.sub(r"got [^;]*", "", line.rejection)]
            if len(places) < OF_A_KIND:
                places.append(f"{line.in_partition}-{line.in_offset}")

    @property
    def places(self) -> list[str]:
        """Partition and offset of each, joined by ``-``."""
        return [place for places in self._places.values() for place in places]


def draw(records: DataFrame, rejections: Rejections) -> list[Row]:
    """
    ``records`` (key, value, partition, offset) -> value and places (partition, offset) of SAMPLE different requests.

    They are drawn by their ids: others in each run, the same from one topic. Those in ``rejections`` come beside them.
    """
    here, place = F.struct("partition", "offset"), F.concat_ws("-", "partition", "offset")
    each = records.where(F.col("key").cast("string").rlike(PLAIN_ID)).groupBy(F.sha2("value", 256))
    different = each.agg(
        F.max(place.isin(rejections.places)).alias("rejected"),
        F.min(F.sha2("key", 256)).alias("draw"),
        F.min(here).alias("one"),
        F.collect_list(here).alias("places"),
    )
    first = different.orderBy(F.desc("rejected"), "draw").limit(SAMPLE + len(rejections.places))
    drawn = F.broadcast(first.select("one.*", "places"))  # or Spark would sort all values to join them
    return list(records.join(drawn, ["partition", "offset"]).select("value", "places").collect())


def cells(value: bytes | None) -> dict[str, str] | None:
    """The fields of a plain request, each as it is written; None for one that is rejected for its form, or may be."""
    if value is None or len(value) > MAX_VALUE_BYTES:
        return None
    try:
        told = json.loads(
            value.decode(), parse_int=str, parse_float=_Fraction, parse_constant=_no, object_pairs_hook=_once
        )
        texts = {name: _text(cell) for name, cell in told.items() if cell is not None}
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None
    return texts if all(len(text) <= MAX_TEXT for text in texts.values()) else None


def _no(constant: str) -> None:
    raise ValueError(constant)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    told = dict(pairs)
    if len(told) < len(pairs):
        raise ValueError(pairs)
    return told


def _text(cell: Any) -> str:
    if isinstance(cell, bool):
        return str(cell).lower()
    if not isinstance(cell, str):
        raise TypeError(cell)
    cell.encode()  # half a surrogate pair is a ValueError
    return cell


def second_opinions(
    spark: SparkSession, sample: list[Row], version: str, folder: Path, manifest: str
) -> Iterator[Expected]:
    """
    What the version whose files lie in ``folder`` says to each place of each plain request in ``sample``.

    Nothing where a rejection shows a number that Spark writes otherwise.
    """
    contract = json.loads((folder / CONTRACT).read_text())
    columns, declared = contract["input_columns"], set(contract.get("columns", contract["input_columns"]))
    asked = [(texts, row["places"]) for row in sample if (texts := cells(row["value"])) and texts.keys() <= declared]
    kinds = [StructField(_PLACE, IntegerType()), *(StructField(name, StringType()) for name in columns)]
    rows = [
        (number, *(None if (text := texts.get(name)) is None else str(text) for name in columns))
        for number, (texts, _) in enumerate(asked)
    ]
    frame = spark.createDataFrame(rows, StructType(kinds)).coalesce(1)
    pipeline = PipelineModel.load(f"{spark_paths.url(folder)}/{PIPELINE}")
    for said in pipeline.transform(frame).select(_PLACE, "prediction", "rejection").collect():
        texts, places = asked[said[_PLACE]]
        rejection, prediction = said["rejection"], said["prediction"]
        rewritten = [text for text in texts.values() if isinstance(text, _Fraction) and text.is_rewritten]
        if rejection is not None and any(text[:SHOWN] in rejection for text in rewritten):
            continue
        if rejection is None and (prediction is None or not math.isfinite(prediction)):
            continue
        for partition, offset in places:
            right = float(prediction) if rejection is None else None
            yield Expected(version, partition, offset, right, rejection, second_opinion=True, manifest=manifest)
