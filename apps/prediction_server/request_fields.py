"""
A record's value read as the raw fields of a request, and everything that is wrong with it before a model sees it.

Only native expressions, because real-time mode runs no Python; and none that can throw, or take longer than the size
of the value allows.
"""

import re
from collections.abc import Collection, Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name everyone knows it by
from pyspark.sql.types import ArrayType, StringType, StructField, StructType

from apps.common.messages import MAX_KEY_BYTES, MAX_TEXT, MAX_VALUE_BYTES
from apps.common.model import RequestFields
from apps.common.sql_text import literal, quoted

OWN = "_k_"  # our columns beside the raw ones, which may have any other name
SHOWN = 40  # characters of a field's name in a rejection
NOT_JSON = "value must be one JSON object of raw fields in UTF-8; got something else"

_STRICT = {"allowSingleQuotes": "false"}
_MEMBER = "value MAP<STRING, STRING>, end INT"
_BYTE_ORDER_MARK = "\ufeff"
_SCHEMA_REGISTRY = b"\0"  # the first of the five bytes that Confluent's serializers put before a value


def own(name: str) -> Column:
    """One of our columns."""
    return F.col(OWN + name)


def request_id() -> Column:
    """The id in a record's key; NULL where it is none."""
    return F.when(F.length("key").between(1, MAX_KEY_BYTES), _utf8("key"))


def read_fields(records: DataFrame, fields: RequestFields) -> DataFrame:
    """
    ``records`` (key, value: binary; partition: int; offset: long; timestamp) -> the input fields as strings.

    Beside them: the request's key, partition, offset and timestamp, ``undeclared`` (int: how many fields nobody
    declared), ``read`` (boolean: whether there are fields at all) and ``problems`` (string, maybe empty). A text longer
    than any may be is cut, so that no expression of a model meets one without bounds.
    """
    # Each of these is used more than once, and so is computed in a step of its own.
    texts = records.select(
        request_id().alias(f"{OWN}key"),
        *(F.col(name).alias(OWN + name) for name in ("partition", "offset", "timestamp", "value")),
        F.ltrim(F.when(_fits(F.col("value")), _utf8("value")), F.lit(_BYTE_ORDER_MARK)).alias(f"{OWN}text"),
    )
    cells = StructType([StructField(name, StringType()) for name in _told_apart(fields)])
    # The parser stops behind the first value and would not see what else is there. So the text is read twice: as the
    # only element of an array, after which nothing but "]" may follow, and as a member of an object, where "]" may not.
    parsed = texts.select(
        "*",
        F.from_json(F.concat(F.lit("["), own("text"), F.lit("]")), ArrayType(cells), _STRICT).alias(f"{OWN}array"),
        F.from_json(F.concat(F.lit('{"value":'), own("text"), F.lit(',"end":1}')), _MEMBER, _STRICT).alias(
            f"{OWN}object"
        ),
    )
    single = (F.size(own("array")) == 1) & (own("object")["end"] == 1)
    read = parsed.select(
        "*",
        F.when(single, own("array")[0]).alias(f"{OWN}fields"),
        F.when(single, F.map_keys(own("object")["value"])).alias(f"{OWN}names"),
    )
    known = F.expr(f"array({', '.join(map(literal, fields.declared))})")
    ordinary = read.select("*", _ordinary(fields).alias(f"{OWN}ordinary"))
    strangers = F.when(own("ordinary"), F.array().cast("array<string>")).otherwise(F.array_except(own("names"), known))
    sorted_out = ordinary.select("*", strangers.alias(f"{OWN}strangers"))
    return sorted_out.select(
        *(own(name) for name in ("key", "partition", "offset", "timestamp")),
        F.greatest(F.size(own("strangers")), F.lit(0)).alias(f"{OWN}undeclared"),
        own("fields").isNotNull().alias(f"{OWN}read"),
        _problems(fields).alias(f"{OWN}problems"),
        *(F.expr(f"left({_field(name)}, {MAX_TEXT + 1}) AS {quoted(name)}") for name in fields.inputs),
    )


def _ordinary(fields: RequestFields) -> Column:
    """
    Whether every field is a declared one with a value, once: then no list is to be gone through.

    A declared field that has a value was named at least once. So where as many names are there, none is left over.
    """
    filled = _sum([f"int({_field(name)} IS NOT NULL)" for name in _told_apart(fields)])
    return F.expr(f"coalesce(size({OWN}names) = {filled}, FALSE)")


def _sum(terms: Sequence[str]) -> str:
    """By halves: a chain of thousands is deeper than Spark can follow."""
    half = len(terms) // 2
    return f"({_sum(terms[:half])} + {_sum(terms[half:])})" if half else terms[0]


def _field(name: str) -> str:
    return f"{OWN}fields.{quoted(name)}"


def _told_apart(fields: RequestFields) -> Collection[str]:
    """The declared fields, but one of those that differ in case alone: the one that is read. Spark tells them not."""
    return {name.lower(): name for name in (*fields.declared, *fields.inputs)}.values()


def _utf8(name: str) -> Column:
    return F.try_validate_utf8(F.col(name).cast("string"))


def _fits(value: Column) -> Column:
    return (F.length(value) <= MAX_VALUE_BYTES) & ~value.startswith(F.lit(_SCHEMA_REGISTRY))


def _problems(fields: RequestFields) -> Column:
    """What is wrong with the record, whatever its fields hold."""
    value, names, strangers = own("value"), own("names"), own("strangers")
    size = F.length(value)
    too_long = F.concat(F.lit(f"value must have at most {MAX_VALUE_BYTES} bytes; got "), size.cast("string"))
    framed = (
        "value must begin with its JSON object; got a zero byte first, as Confluent's serializers write it for a "
        "schema registry; send plain JSON"
    )
    some = ", ".join(fields.declared[:3])
    return F.concat_ws(
        "; ",
        F.when(own("key").isNull(), f"key must be a request id of 1-{MAX_KEY_BYTES} bytes of UTF-8; got another"),
        F.when(value.isNull(), "value must be a JSON object of raw fields; got nothing"),
        F.when(size > MAX_VALUE_BYTES, too_long)
        .when(value.startswith(F.lit(_SCHEMA_REGISTRY)), framed)
        .when(value.isNotNull() & own("fields").isNull(), NOT_JSON),
        F.when(
            ~own("ordinary") & (F.size(names) > F.size(F.array_distinct(names))),
            "value must name each field once; got one twice",
        ),
        F.when(
            F.when(own("ordinary"), F.size(names)).otherwise(F.size(F.array_except(names, strangers))) == 0,
            f"value must have at least one of the dataset's fields ({some}, ...); got none",
        ),
        F.nullif(F.array_join(F.transform(strangers, lambda name: _renamed(name, fields.declared)), "; "), F.lit("")),
    )


def _renamed(name: Column, declared: Sequence[str]) -> Column:
    """The sentence about a field that looks like a declared one; NULL for any other."""
    by_fold = {folded(known): known for known in declared}  # a map of Spark takes no key twice
    letters = F.lower(F.regexp_replace(name, r"[^\p{L}\p{N}]", ""))
    return F.concat(
        F.element_at(F.expr(f"map({', '.join(literal(text) for pair in by_fold.items() for text in pair)})"), letters),
        F.lit(" must be called so; got '"),
        F.left(name, F.lit(SHOWN)),
        F.lit("'"),
    )


def folded(name: str) -> str:
    """A field's name without what people write differently: its case, as Spark's ``lower`` has it, and punctuation."""
    return re.sub(r"[\W_]", "", name).lower()
