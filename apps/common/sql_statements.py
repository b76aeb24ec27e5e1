"""
Whether the SQL in a pipeline can do no more than compute columns of the row that it is given.

Spark's own parser reads it, so that what is checked is what will run. A statement may otherwise read files, run
programs of a shell and call any method of Java: it comes with a model, and a model may come from anybody.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

ROWS = "__THIS__"  # what a SQLTransformer puts its input in place of

_CATALYST = "org.apache.spark.sql.catalyst"
_RELATION, _CALL = f"{_CATALYST}.analysis.UnresolvedRelation", f"{_CATALYST}.analysis.UnresolvedFunction"
_PLANS = {f"{_CATALYST}.plans.logical.{name}" for name in ("Project", "SubqueryAlias")}
_NAMES = {
    f"{_CATALYST}.analysis.Unresolved{name}"
    for name in ("Alias", "Attribute", "ExtractValue", "NamedLambdaVariable", "Star", "StarExceptOrReplace")
}
_EXPRESSIONS = f"{_CATALYST}.expressions."
_QUERIES = re.compile(r"Subquery|\.(Exists|ListQuery)$")  # expressions that hold a query of their own
# Kinds of functions, as Spark groups them, whose outcome is one value for each row and comes from that row alone.
# Among the rest are those that call Java, read files, end the query, and make more or fewer rows.
_KINDS = frozenset(
    f"{kind}_funcs"
    for kind in (
        *("array", "bitwise", "collection", "conditional", "conversion", "datetime", "hash", "json", "lambda"),
        *("map", "math", "predicate", "string", "struct", "url"),
    )
)


def statement_problems(spark: Any, statement: str) -> list[str]:
    """What ``statement`` must be and is not, each as the end of a sentence; ``spark`` is the session that runs it."""
    state = spark._jsparkSession.sessionState()  # noqa: SLF001 - pyspark has no other way to the parser
    try:
        tree = json.loads(state.sqlParser().parsePlan(statement).toJSON())
    except Exception as error:  # noqa: BLE001 - whatever Spark says, it is no statement that may run
        said, *_ = str(error).strip().splitlines() or [repr(error)]
        return [f"must be one that Spark reads; got {said}"]
    kinds: dict[str, str] = {}
    problems = [problem for node in _nodes(tree) if (problem := _problem(node, state, kinds))]
    return list(dict.fromkeys(problems))


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Every plan and expression in the tree that Spark wrote, at whatever depth."""
    if isinstance(tree, dict):
        if "class" in tree:
            yield tree
        for value in tree.values():
            yield from _nodes(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _nodes(value)


def _problem(node: dict[str, Any], state: Any, kinds: dict[str, str]) -> str | None:
    name = str(node["class"])
    if name == _RELATION:
        relation = str(node["multipartIdentifier"])
        return None if relation == f"[{ROWS}]" else f"must read from {ROWS} alone; got {relation[1:-1]}"
    if name == _CALL:
        return _call_problem(str(node["nameParts"])[1:-1].lower(), state, kinds)
    if name in _PLANS | _NAMES or (name.startswith(_EXPRESSIONS) and not _QUERIES.search(name)):
        return None
    return f"must be a plain SELECT without other queries; got {name.rpartition('.')[2]}"


def _call_problem(function: str, state: Any, kinds: dict[str, str]) -> str | None:
    if function not in kinds:
        kinds[function] = _kind(function, state)
    if kinds[function] in _KINDS:
        return None
    return f"must call functions that compute a value from a row's values; got {function}"


def _kind(function: str, state: Any) -> str:
    """The group that Spark lists a function in; empty for one that is none of its own."""
    if not re.fullmatch(r"\w+", function):
        return ""
    try:
        identifier = state.sqlParser().parseFunctionIdentifier(function)
        return str(state.catalog().lookupFunctionInfo(identifier).getGroup())
    except Exception:  # noqa: BLE001 - Spark knows no such function
        return ""
