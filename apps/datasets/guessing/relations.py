"""
What columns say of each other and of the target: a key, the same information twice, and leaks.

A leak is a column that would not be known when a prediction is asked for. No figure proves one; but a column that alone
explains nearly all of the target on rows that it was not fitted on, or whose gaps do, is one more often than not, so it
is left out and said. All of this is measured on a sample of the rows, the same one in every run.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from apps.common.spark import DECIMAL
from apps.datasets.declaration import Column
from apps.datasets.guessing.kinds import PERIOD_NAME, Guess, is_id_name, snake
from apps.datasets.guessing.profile import Table

LEAK, STRONG = 0.95, 0.9  # explained variance on held-out rows
LEAK_AUC, STRONG_AUC = 0.99, 0.97
GAPS, GAPS_AUC = 0.5, 0.85
IDENTITY = 0.999999
ENOUGH = 40  # rows, to hold out some
ALIKE = 0.99  # of the ranks of two numbers that are looked at closely
SAME = 0.99999  # correlation of two numbers that say the same
_NUMBER = re.compile(DECIMAL)
_PERSON = re.compile(r"(^|_)(first|last|sur|given|middle|address|street|title|description|comment|text|url|picture)")

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Cells:
    """The sampled cells of each column as numbers, NaN where missing, and as texts, "" where missing."""

    numbers: Mapping[str, Numbers]
    texts: Mapping[str, npt.NDArray[np.object_]]

    @classmethod
    def of(cls, table: Table, guesses: Sequence[Guess], decimal: str) -> "Cells":
        """Read the sample by what the columns were taken for."""
        texts = {guess.name: _present([row[guess.name] for row in table.sample], guess.column) for guess in guesses}
        numbers = {guess.name: _numbers(guess, texts[guess.name], decimal) for guess in guesses}
        return cls({name: found for name, found in numbers.items() if found is not None}, texts)


def _present(cells: Sequence[str], column: Column) -> npt.NDArray[np.object_]:
    missing = {*column.missing}
    return np.array(["" if cell in missing else cell for cell in cells], dtype=object)


def _numbers(guess: Guess, texts: npt.NDArray[np.object_], decimal: str) -> Numbers | None:
    if guess.feature == "flag":
        yes, no = guess.column.flag_texts
        return np.array([1.0 if t.lower() in yes else 0.0 if t.lower() in no else np.nan for t in texts])
    if guess.feature == "date":
        return None
    mark = "." if decimal == "," else ","
    plain = [str(text).replace(mark, "").replace(decimal, ".") for text in texts]
    if guess.column.pattern:
        found = [re.fullmatch(guess.column.pattern, text) for text in plain]
        plain = [match[1] if match else "" for match in found]
    numbers = np.array(
        [float(text) if _NUMBER.match(text) else np.nan for text in plain]
    )  # pandas' to_numeric may crash
    present = np.array([bool(text) for text in texts])
    readable = np.isfinite(numbers[present]).mean() if present.any() else 0
    is_number = guess.feature == "number" or (not guess.feature and readable > 0.99)  # noqa: PLR2004 - typing mistakes
    return np.where(np.isfinite(numbers), numbers, np.nan) if is_number else None


def key(table: Table, guesses: Sequence[Guess], target: str) -> tuple[tuple[str, ...], str]:
    """The columns that make a row the same row, and why; () when none do."""
    ranked = sorted(
        ((_key_rank(guess), -place, guess.name) for place, guess in enumerate(guesses) if guess.name != target),
        reverse=True,
    )
    if ranked and ranked[0][0] > 0:
        return (ranked[0][2],), "unique"
    if pair := _key_pair(table, guesses, target):
        return pair, "unique together"
    return (), "no column is unique that could be one; the whole row is the key"


def _key_rank(guess: Guess) -> float:
    seen, name = guess.seen, snake(guess.name)
    if not seen.unique or _PERSON.search(name) or seen.fractions or guess.column.kind == "flag":
        return 0
    if is_id_name(guess.name) and not re.fullmatch(r"index|rownames?|unnamed.*", name):
        return 4
    if guess.feature == "date" or PERIOD_NAME.search(name):
        return 2
    if guess.feature == "number" or guess.reason == "numbers the rows":
        return 0
    return 3 if not seen.blanks else 1.5


def _key_pair(table: Table, guesses: Sequence[Guess], target: str) -> tuple[str, str] | None:
    """A period and what it is of, or two parts of a period, as year and quarter."""
    whole = [g for g in guesses if g.name != target and not g.seen.fractions and not g.seen.shapes["missing"]]
    whole = [g for g in whole if not g.seen.unique]  # together with anything it would be unique
    periods = [g.name for g in whole if g.feature == "date" or PERIOD_NAME.search(snake(g.name))]
    things = [g.name for g in whole if g.feature in ("one_hot", "target_encoded") or is_id_name(g.name)]
    ids = [g.name for g in whole if is_id_name(g.name) or g.nearly_id]
    pairs = [(thing, period) for period in periods for thing in things if thing != period]
    pairs += [(a, b) for place, a in enumerate(periods) for b in periods[place + 1 :]]
    pairs += [(a, b) for a in ids for b in things if a != b]
    rows = table.sample
    few = 10
    for pair in pairs:
        if len(rows) >= few and len({(row[pair[0]], row[pair[1]]) for row in rows}) == len(rows):
            return pair
    return None


def same(guesses: Sequence[Guess], cells: Cells, target: str) -> dict[str, str]:
    """The columns that repeat another one, and which: the one that reads better stays."""
    repeats: dict[str, str] = {}
    features = [guess for guess in guesses if guess.feature not in ("", "date") and guess.name != target]
    for first, second in _candidates(features, cells):
        if not {first.name, second.name} & repeats.keys() and _say_the_same(first, second, cells):
            kept, left = (second, first) if _reads_worse(first, second) else (first, second)
            repeats[left.name] = kept.name
    return repeats


def _candidates(features: Sequence[Guess], cells: Cells) -> Iterator[tuple[Guess, Guess]]:
    """The pairs that may say the same: numbers whose ranks agree, others with as many different texts."""
    numbers = [guess for guess in features if guess.feature == "number"]
    if len(numbers) > 1:
        ranks = pd.DataFrame({guess.name: cells.numbers[guess.name] for guess in numbers}).rank()
        with np.errstate(divide="ignore", invalid="ignore"):
            agreeing = np.abs(np.corrcoef(ranks.fillna(ranks.mean()).to_numpy(), rowvar=False)) >= ALIKE
        for place, later in zip(*np.nonzero(np.triu(agreeing, 1)), strict=True):
            yield numbers[place], numbers[later]
    texts = [(guess, len(set(cells.texts[guess.name]))) for guess in features if guess.feature != "number"]
    for place, (first, different) in enumerate(texts):
        yield from ((first, second) for second, others in texts[place + 1 :] if others == different)


def _reads_worse(first: Guess, second: Guess) -> bool:
    coded = re.compile(r"(^|_)(id|code|key|no|nr|log|ln|sq|idx)(_|$)|^(log|ln)")
    return bool(coded.search(snake(first.name))) and not coded.search(snake(second.name))


def _say_the_same(first: Guess, second: Guess, cells: Cells) -> bool:
    a, b = cells.texts[first.name], cells.texts[second.name]
    if len(a) < ENOUGH / 2:
        return False
    if first.feature == "number":
        return _numbers_agree(cells.numbers[first.name], cells.numbers[second.name])
    pairs, firsts, seconds = len(set(zip(a, b, strict=True))), len(set(a)), len(set(b))
    return pairs == firsts == seconds and 1 < pairs <= len(a) / 2


def _numbers_agree(a: Numbers, b: Numbers) -> bool:
    """Equal, in other units, or one a function of the other that only rises or only falls."""
    both = np.isfinite(a) & np.isfinite(b)
    if both.sum() < ENOUGH / 2 or (np.isfinite(a) != np.isfinite(b)).mean() > 0.01:  # noqa: PLR2004 - other gaps tell more
        return False
    a, b = a[both], b[both]
    values = 5
    if min(len(np.unique(a)), len(np.unique(b))) < values:
        return False
    if abs(np.corrcoef(a, b)[0, 1]) >= SAME:
        return True
    ranks = abs(np.corrcoef(pd.Series(a).rank(), pd.Series(b).rank())[0, 1])
    return bool(ranks >= 1 - 1e-9 and len(np.unique(a)) < len(a) * 0.98)  # a trend has no repeats, and is no copy


def leaks(
    guesses: Sequence[Guess], cells: Cells, target: str, task: str, positive: Numbers
) -> dict[str, tuple[str, bool]]:
    """Suspicious columns: why, and whether to leave the column out. ``positive`` is the target as numbers."""
    found: dict[str, tuple[str, bool]] = {}
    known = np.isfinite(positive)
    if known.sum() < ENOUGH or len(np.unique(positive[known])) < 2:  # noqa: PLR2004 - nothing to explain
        return found
    for guess in guesses:
        if guess.name == target or guess.feature == "date":
            continue
        gaps = np.array([not text for text in cells.texts[guess.name]])[known].astype(float)
        said = _gap_leak(gaps, positive[known], target, task) or _score_leak(
            guess, cells, known, positive[known], target, task
        )
        if said:
            found[guess.name] = said
    return found if task == "binary" else found | identity(guesses, cells, target, positive, found)


def _gap_leak(gaps: Numbers, wanted: Numbers, target: str, task: str) -> tuple[str, bool] | None:
    if not 0.01 <= gaps.mean() <= 0.99:  # noqa: PLR2004 - nearly none, or all
        return None
    if task == "binary":
        score, limit, told = _auc(wanted, gaps), GAPS_AUC, "AUC"
    else:
        score, limit, told = float(np.corrcoef(gaps, wanted)[0, 1] ** 2), GAPS, "explained variance"
    return (f"LEAK? what is missing here tells {target}: {told} {score:.2f}", True) if score >= limit else None


def _score_leak(
    guess: Guess, cells: Cells, known: npt.NDArray[np.bool_], wanted: Numbers, target: str, task: str
) -> tuple[str, bool] | None:
    predicted = _held_out(guess, cells, known, wanted)
    if predicted is None:
        return None
    if task == "binary":
        score, leak, strong, told = _auc(wanted, predicted), LEAK_AUC, STRONG_AUC, "alone ranks {} by AUC {:.3f}"
    else:
        score, leak, strong = _explained(wanted, predicted), LEAK, STRONG
        told = "alone explains {1:.2f} of {0}"
    said = told.format(target, score)
    if score >= leak:
        return f"LEAK? {said}", True
    return (f"{said}: is it known before {target} is?", False) if score >= strong else None


def _explained(wanted: Numbers, predicted: Numbers) -> float:
    return 1 - float(((wanted - predicted) ** 2).sum() / ((wanted - wanted.mean()) ** 2).sum())


def _auc(wanted: Numbers, score: Numbers) -> float:
    from sklearn.metrics import roc_auc_score  # noqa: PLC0415 - a second to import

    found = float(roc_auc_score(wanted, score))
    return max(found, 1 - found)


def _held_out(guess: Guess, cells: Cells, known: npt.NDArray[np.bool_], wanted: Numbers) -> Numbers | None:
    """What the column alone predicts for each row, fitted on the half without it; the same halves in each run."""
    half = np.random.default_rng(1).permutation(len(wanted)) % 2 == 0
    predicted = np.zeros(len(wanted))
    numbers = cells.numbers.get(guess.name)
    for held in (half, ~half):
        if numbers is not None:
            predicted[held] = _by_number(numbers[known], wanted, held)
        else:
            by_text = _by_text(cells.texts[guess.name][known], wanted, held)
            if by_text is None:
                return None
            predicted[held] = by_text
    return predicted


def _by_number(numbers: Numbers, wanted: Numbers, held: npt.NDArray[np.bool_]) -> Numbers:
    from sklearn.tree import DecisionTreeRegressor  # noqa: PLC0415 - a second to import

    if not np.isfinite(numbers).any():
        return np.full(held.sum(), wanted[~held].mean())
    filled = np.nan_to_num(numbers, nan=np.nanmin(numbers) - 1)[:, None]
    leaf = max(2, int((~held).sum() ** 0.5 / 4))
    tree = DecisionTreeRegressor(min_samples_leaf=leaf, random_state=0).fit(filled[~held], wanted[~held])
    predicted: Numbers = tree.predict(filled[held])
    line = np.polyfit(filled[~held, 0], wanted[~held], 1) if np.ptp(filled[~held]) else (0.0, wanted[~held].mean())
    straight: Numbers = np.polyval(line, filled[held, 0])
    better = ((wanted[held] - straight) ** 2).sum() < ((wanted[held] - predicted) ** 2).sum()
    return straight if better else predicted


def _by_text(texts: npt.NDArray[np.object_], wanted: Numbers, held: npt.NDArray[np.bool_]) -> Numbers | None:
    frame = pd.DataFrame({"text": texts[~held], "wanted": wanted[~held]})
    means = frame.groupby("text")["wanted"].mean()
    found = pd.Series(texts[held]).map(means)
    if found.isna().mean() > 0.5:  # noqa: PLR2004 - most texts were never seen before: nothing is explained
        return None
    return found.fillna(float(wanted[~held].mean())).to_numpy(dtype=float)


def identity(
    guesses: Sequence[Guess], cells: Cells, target: str, wanted: Numbers, found: Mapping[str, object]
) -> dict[str, tuple[str, bool]]:
    """Numbers that make up the target between them, as its two parts do, which none of them does alone."""
    names = [g.name for g in guesses if g.feature == "number" and g.name not in {target, *found}]
    if len(names) < 2:  # noqa: PLR2004 - no two
        return {}
    table = np.column_stack([cells.numbers[name] for name in names])
    whole = np.isfinite(table).all(axis=1) & np.isfinite(wanted)
    if whole.sum() < max(ENOUGH, 4 * len(names)):
        return {}
    if _linear(table[whole], wanted[whole]) < IDENTITY:
        return {}
    parts = _few_parts(table[whole], wanted[whole])
    told = " and ".join(names[part] for part in parts)
    return {names[part]: (f"LEAK? {told} together make up {target}", True) for part in parts}


def _few_parts(table: Numbers, wanted: Numbers) -> list[int]:
    """The columns without which the rest makes up the target no more."""
    spread = table.std(axis=0)
    weights = np.abs(np.linalg.lstsq(table - table.mean(axis=0), wanted - wanted.mean(), rcond=None)[0] * spread)
    parts = [int(part) for part in np.argsort(weights) if weights[part] > 1e-4 * weights.max()]
    for part in tuple(parts):
        fewer = [other for other in parts if other != part]
        if fewer and _linear(table[:, fewer], wanted) >= IDENTITY:
            parts = fewer
    return sorted(parts)


def _linear(table: Numbers, wanted: Numbers) -> float:
    held = np.random.default_rng(2).permutation(len(wanted)) % 2 == 0
    ones = np.column_stack([table, np.ones(len(table))])
    solution = np.linalg.lstsq(ones[~held], wanted[~held], rcond=None)[0]
    return _explained(wanted[held], ones[held] @ solution)


def left_out(guess: Guess, reason: str, option: str) -> Guess:
    """The same column, kept as text."""
    return replace(guess, column=Column(guess.name), feature="", reason=reason, overrule=option, check=True)
