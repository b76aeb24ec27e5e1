"""
What one column is, by its profile: its kind, what it writes for missing, its unit, its limits, and why.

Whatever is not plainly a number stays a text: a code turned into a number is a wrong model, a number left out is only
a poorer one.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from apps.common.messages import MAX_TEXT
from apps.datasets.declaration import Column
from apps.datasets.guessing.profile import Profile

FEW = 12  # categories that get a column each; more are encoded by the target
REPEATED = 2  # rows to a category at least, on average
PROSE_LETTERS, PROSE_WORDS = 40, 6  # on average, from which a text is no name of a category
FAULTY = 0.005  # share of the cells of a number that may be typing mistakes
CODES = 40  # different whole numbers of a nominal column at most
YEARS = (1500, 2200)
MAGNITUDE = 10
OUTSIDE = 0.01  # share of the rows that limits may cost before they are those of the file
_FALSE_FIRST = (("false", "true"), ("no", "yes"), ("n", "y"), ("f", "t"), ("off", "on"), ("absent", "present"))
FLAGS = {frozenset(pair): pair for pair in _FALSE_FIRST} | {frozenset(("0", "1")): ("0", "1")}
FLAGS |= {frozenset(("0.0", "1.0")): ("0.0", "1.0"), frozenset(("0", "1", "0.0", "1.0")): ("0", "1")}
ALONE = {"true", "yes", "y", "1", "1.0", "t", "x"}  # such a text and gaps are a flag whose gaps mean no
_CODE_NAME = re.compile(
    r"(^|_)(zip|zipcode|zip5|postcode|postal|plz|phone|tel|fips|sic|naics|icd\d*|isbn|ean|upc|gtin|iban|ssn|cusip|sku|"
    r"code|codes|iata|icao|vin|siren|siret)(_|$)"
)
_ID_NAME = re.compile(r"(^|_)(id|ids|key|uuid|guid|identifier|vin|index|rownames?|rowid|unnamed|nr|no|number)$")
PERIOD_NAME = re.compile(r"(^|_)(year|yr|quarter|qtr|month|week|day|date|time|timestamp|hour|period)(_|$)")
_NOMINAL_NAME = re.compile(
    r"(^|_)(occupation|job|profession|region|district|area_type|origin|mode|class|category|species|party|"
    r"religion|race|ethnicity|ethnic|nationality|country|state|county|department|dept|sector|industry|channel|brand|"
    r"make|model|type|kind|cluster|cultivar|segment|store|shop|gender|sex|color|colour|label)(_|$)"
)


@dataclass(frozen=True)
class Guess:
    """What a column is taken for. ``feature``: number, flag, one_hot, target_encoded, date, or nothing: left out."""

    column: Column
    feature: str
    reason: str
    overrule: str = ""  # the option that says otherwise
    check: bool = False  # a person should look at it
    date_order: str = ""
    nearly_id: bool = False
    seen: Profile = field(repr=False, compare=False, default_factory=lambda: Profile(""))

    @property
    def name(self) -> str:
        """The column's."""
        return self.column.name


@dataclass(frozen=True)
class Wishes:
    """What a person said of columns, which beats every guess."""

    numeric: Sequence[str] = ()
    categorical: Sequence[str] = ()
    drop: Sequence[str] = ()
    keep: Sequence[str] = ()
    dates: tuple[tuple[str, str], ...] = ()


def guess(seen: Profile, wishes: Wishes) -> Guess:
    """The kind of one column."""
    found = _told(seen, wishes) or _guessed(seen, wishes)
    gaps = 1 - _values(seen) / max(seen.rows, 1)
    return replace(found, reason=f"{found.reason}; {gaps:.1%} missing") if found.feature and gaps else found


def _guessed(seen: Profile, wishes: Wishes) -> Guess:
    rules = (_nothing, _same_everywhere, _flag, _guess_code, _guess_number, _guess_date)
    found = next((found for rule in rules if (found := rule(seen))), None) or _words(seen)
    if found.feature or seen.name not in wishes.keep:
        return found
    if seen.shapes["number"] == _values(seen) and not is_id_name(seen.name):
        return _number(seen, f"{_what(seen)}: --keep")
    return _category(seen, "a category: --keep", forced=True)


def _told(seen: Profile, wishes: Wishes) -> Guess | None:
    name = seen.name
    if name in wishes.drop:
        return Guess(Column(name), "", "left out: --drop", seen=seen)
    if name in wishes.categorical:
        return _category(seen, "a category: --categorical", forced=True)
    if name in wishes.numeric:
        return _number(seen, f"a number: --numeric{_bad_cells(seen)}")
    order = dict(wishes.dates).get(name)
    return _date(seen, order, f"a date, {order}: --date") if order else None


def snake(name: str) -> str:
    """A name in lower case, its words joined by ``_``."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return re.sub(r"\W+", "_", parted).strip("_").lower()


def is_id_name(name: str) -> bool:
    """Whether a column is called as identifiers are."""
    return bool(_ID_NAME.search(snake(name)))


def nulls(seen: Profile) -> tuple[str, ...]:
    """The texts of this column that mean missing and are no missing words everywhere."""
    return tuple(sorted(seen.nulls))


def _values(seen: Profile) -> int:
    return seen.present - seen.shapes["null"]


def _left_out(seen: Profile, reason: str, *, check: bool = False, nearly_id: bool = False) -> Guess:
    return Guess(Column(seen.name), "", reason, f"--keep {shell(seen.name)}", check, nearly_id=nearly_id, seen=seen)


def shell(name: str) -> str:
    return name if re.fullmatch(r"[\w.-]+", name) else f"'{name}'"


def _nothing(seen: Profile) -> Guess | None:
    return None if _values(seen) else _left_out(seen, "always missing")


def _same_everywhere(seen: Profile) -> Guess | None:
    texts = seen.values
    if len(texts) != 1 or seen.many:
        return None
    if _values(seen) < seen.rows and texts[0].lower() in ALONE:
        words = None if texts[0].lower() in ("true", "1", "1.0") else (texts[0], f"not {texts[0]}")
        column = Column(seen.name, "flag", nulls=nulls(seen), words=words)
        return Guess(column, "flag", f"{texts[0]!r} or missing, which counts as no", seen=seen)
    return _left_out(seen, f"constant: {texts[0][:30]!r}")


def _flag(seen: Profile) -> Guess | None:
    texts = set(seen.values)
    lower = frozenset(text.lower() for text in texts)
    if (pair := FLAGS.get(lower)) and not seen.many:
        plain = lower <= {"true", "false", "0", "1", "0.0", "1.0"}
        words = None if plain else tuple(next(t for t in texts if t.lower() == word) for word in reversed(pair))
        column = Column(seen.name, "flag", nulls=nulls(seen), words=words)  # type: ignore[arg-type]
        option = "--numeric" if "1" in pair else "--categorical"
        return Guess(column, "flag", " or ".join(pair), f"{option} {shell(seen.name)}", seen=seen)
    two = 2
    if len(texts) == two and seen.shapes["number"] == _values(seen) and not _are_years(seen) and not seen.fractions:
        return _category(seen, f"two codes: {' and '.join(sorted(texts))}", f"--numeric {shell(seen.name)}")
    return None


def _are_years(seen: Profile) -> bool:
    return not seen.fractions and YEARS[0] <= seen.low and seen.high <= YEARS[1]


def _guess_code(seen: Profile) -> Guess | None:
    numbers, values = seen.shapes["number"], _values(seen)
    zeros, long = seen.shapes["zeros"], seen.shapes["long"]
    option = f"--numeric {shell(seen.name)}"
    if zeros and zeros + numbers + long >= (1 - FAULTY) * values:
        return _category(seen, f"code, not a number: {zeros:,} cells begin with 0", option, check=True)
    if long and long + numbers >= (1 - FAULTY) * values:
        return _category(seen, f"code, not a number: {long:,} cells have more than 15 digits", option, check=True)
    if numbers == values and not seen.fractions:
        if _CODE_NAME.search(snake(seen.name)):
            return _category(seen, "code, not a number: so is it called", option, check=True)
        if _is_nominal(snake(seen.name)) and seen.distinct <= CODES:
            return _category(
                seen, f"code of a category: {seen.distinct} whole numbers, and its name", option, check=True
            )
        if is_id_name(seen.name):
            return _left_out(seen, "an identifier: whole numbers, and its name", nearly_id=True, check=not seen.unique)
    return None


def _is_nominal(name: str) -> bool:
    """Whether whole numbers under this name stand for things; a model's year is a number all the same."""
    return bool(_NOMINAL_NAME.search(name)) and not PERIOD_NAME.search(name)


def _guess_number(seen: Profile) -> Guess | None:
    values = _values(seen)
    plain = seen.shapes["number"]
    grouped = seen.shapes["groups,"] + seen.shapes["grouped"]
    if plain + grouped >= (1 - FAULTY) * values and plain + grouped:
        if _are_row_numbers(seen):
            return _left_out(seen, "numbers the rows", nearly_id=True, check=True)
        if _are_group_numbers(seen):
            return _left_out(seen, "numbers groups of as many rows each", nearly_id=True, check=True)
        if _are_days(seen):
            return _date(seen, "compact", "a date, as 20201231")
        return _number(seen, f"{_what(seen)}{_bad_cells(seen)}")
    with_unit = sum(seen.shapes[f"unit {shape}"] for shape in ("number", "groups,", "grouped"))
    if with_unit >= (1 - FAULTY) * values and with_unit:
        return _measure(seen)
    return None


def _what(seen: Profile) -> str:
    if _are_years(seen):
        return f"years, {seen.low:.0f} .. {seen.high:.0f}"
    return f"{'number' if seen.fractions else 'whole number'}, {seen.low:,.6g} .. {seen.high:,.6g}"


def _are_row_numbers(seen: Profile) -> bool:
    ten = 10
    from_start = seen.low in (0, 1) and seen.high - seen.low == seen.rows - 1
    return seen.rows >= ten and from_start and seen.unique and not seen.fractions


def _are_group_numbers(seen: Profile) -> bool:
    """Whether these are 1, 2, 3 ... and each as often as any other: persons who were asked several times."""
    many = 20
    counts = set(seen.texts.values())
    from_start = seen.low in (0, 1) and seen.high - seen.low == seen.distinct - 1
    return from_start and not seen.fractions and seen.distinct >= many and len(counts) == 1 and counts != {1}


def _are_days(seen: Profile) -> bool:
    texts = seen.values
    day = re.compile(r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(\.0)?")
    return bool(texts) and all(map(day.fullmatch, texts))


def _bad_cells(seen: Profile) -> str:
    bad = {text: count for text, count in seen.others.items() if text not in seen.nulls and not _is_grouped(text)}
    if not bad:
        return ""
    shown = ", ".join(map(repr, list(bad)[:3]))
    return f"; {sum(bad.values()):,} cells do not read: {shown}"


def _is_grouped(text: str) -> bool:
    return bool(re.search(r"\d,\d{3}", text))


def _measure(seen: Profile) -> Guess | None:
    """A number with its unit; of two units that mean different things, no number can be made."""
    units = {unit: count for unit, count in seen.units.items() if unit[0] != "missing"}
    befores, afters = {before for before, _ in units}, sorted({after for _, after in units}, key=len)
    singular = afters[0]
    if len(befores) > 1 or any(after not in (singular, f"{singular}s") for after in afters):
        shown = ", ".join(repr((before + after).strip()) for before, after in list(units)[:4])
        return _left_out(seen, f"several units: {shown}", check=True)
    before = next(iter(befores))
    ending = re.escape(singular).replace("\\ ", " ") + ("s?" if len(afters) > 1 else "")
    signed = "[+-]?" if seen.low < 0 else ""
    pattern = f"{re.escape(before).replace(chr(92) + ' ', ' ')}({signed}[0-9.]+){ending}"
    example = next(text for text in seen.others if text not in seen.nulls)
    return _number(seen, f"number with a unit: {example!r}", pattern=pattern)


def _number(seen: Profile, reason: str, pattern: str = "") -> Guess:
    sentinel = _sentinel(seen)
    more = [] if sentinel is None else [f"{sentinel:g}", f"{sentinel:.1f}"]
    low, high = limits(seen, sentinel)
    if sentinel is not None:
        reason += f"; {more[0]} far from the rest counts as missing"
    column = Column(
        seen.name,
        "number",
        pattern=pattern,
        nulls=tuple(dict.fromkeys((*nulls(seen), *(text for text in more if text in seen.texts)))),
        minimum=low,
        maximum=high,
    )
    option = f"--categorical {shell(seen.name)}"
    return Guess(column, "number", reason, option, check=sentinel is not None or "do not read" in reason, seen=seen)


def _sentinel(seen: Profile) -> float | None:
    """A number such as -999 that stands for a missing one: there more than once, and far away from all others."""
    for text in ("-999", "-9999", "-99999", "-99", "999", "9999", "99999", "999999", "-1"):
        value, count = float(text), seen.texts[text] + seen.texts[f"{text}.0"]
        numbers = seen.numbers
        others = numbers[numbers != value]
        if count < 2 or len(others) < 10 or value not in (seen.low, seen.high):  # noqa: PLR2004 - too few to say so
            continue
        low, high = float(others.min()), float(others.max())
        if max(value - high, low - value) > (high - low) and not (value == -1 and low > 1):
            return value
    return None


def limits(seen: Profile, sentinel: float | None = None) -> tuple[float | None, float | None]:
    """
    What may be true of a number: its 0.1 % and 99.9 % quantiles, each moved outwards by half their distance.

    A number that is never below 0 stays so, and one that spans magnitudes gets three times the upper quantile. When
    that would cost more than OUTSIDE of the rows, the limits are those of the file.
    """
    numbers = seen.numbers
    numbers = numbers[numbers != sentinel] if sentinel is not None else numbers
    if not len(numbers):
        return None, None
    # of a thousand rows a single typing mistake does not count
    low = float(np.quantile(numbers, 0.001, method="higher"))
    high = float(np.quantile(numbers, 0.999, method="lower"))
    middle = float(np.median(numbers))
    span = high - low or abs(high) or 1.0
    lower, upper = low - span / 2, high + span / 2
    if numbers.min() >= 0:
        lower = max(lower, 0.0)
        upper = max(upper, 3 * high) if middle > 0 and high > MAGNITUDE * middle else upper
    if float(np.mean((numbers < lower) | (numbers > upper))) > OUTSIDE:
        lower, upper = float(numbers.min()), float(numbers.max())
    unit = 10.0 ** (math.floor(math.log10(span)) - 1)
    unit = unit if seen.fractions else max(unit, 1.0)
    return _rounded(lower, unit, math.floor), _rounded(upper, unit, math.ceil)


def _rounded(value: float, unit: float, direction: Callable[[float], int]) -> float:
    """Outwards to a multiple of ``unit``, a power of ten."""
    return round(direction(round(value / unit, 6)) * unit, max(0, -math.floor(math.log10(unit))))


def _guess_date(seen: Profile) -> Guess | None:
    values = _values(seen)
    orders = [order for order in ("ymd", "xxy", "mon", "dmon", "ym") if seen.shapes[order]]
    if len(orders) != 1 or seen.shapes[orders[0]] < (1 - FAULTY) * values:
        return None
    order = orders[0]
    if order != "xxy":
        said = {"ymd": "year, month, day", "mon": "as Jan 31 2020", "dmon": "as 31 Jan 2020", "ym": "year and month"}
        return _date(seen, order, f"a date: {said[order]}")
    if any(re.match(r"\d+[-/.]\d+[-/.]\d\d(?!\d)", text) for text in seen.others):
        return _left_out(seen, "a date whose year has two digits", check=True)
    says = f"--date {shell(seen.name)}=dmy"
    if seen.day_first and not seen.month_first:
        return _date(seen, "dmy", f"a date, day first: {seen.day_first:,} begin with more than 12")
    if seen.month_first and not seen.day_first:
        return _date(seen, "mdy", f"a date, month first: {seen.month_first:,} have more than 12 in the middle")
    unclear = "both orders occur" if seen.day_first else "all days <= 12"
    return Guess(
        Column(seen.name), "", f"a date, day or month first is unclear ({unclear})", says, check=True, seen=seen
    )


def _date(seen: Profile, order: str, reason: str) -> Guess:
    column = Column(seen.name, "category", nulls=nulls(seen))
    return Guess(column, "date", reason, f"--drop {shell(seen.name)}", date_order=order, seen=seen)


def _words(seen: Profile) -> Guess:
    """A category, an identifier, or prose."""
    values = _values(seen)
    letters, words = seen.letters / max(values, 1), 1 + seen.blanks / max(values, 1)
    numbers = sum(seen.shapes[shape] for shape in ("number", "groups,", "grouped"))
    faulty = f"; {numbers:,} of {values:,} cells are numbers" if numbers > values / 2 else ""
    if seen.longest > MAX_TEXT:
        return _left_out(seen, f"too long for a category: {seen.longest:,} characters")
    if seen.unique and not faulty:
        return _left_out(seen, "different in each row", nearly_id=True)
    if letters > PROSE_LETTERS or words > PROSE_WORDS:
        return _left_out(seen, f"free text: {letters:.0f} characters on average")
    if seen.many or seen.distinct * REPEATED > values:
        many = f"more than {len(seen.texts):,}" if seen.many else f"{seen.distinct:,}"
        return _left_out(seen, f"nearly an identifier: {many} texts in {values:,} rows{faulty}", check=bool(faulty))
    return _category(seen, f"category{faulty}", check=bool(faulty))


def _category(seen: Profile, reason: str, option: str = "", *, check: bool = False, forced: bool = False) -> Guess:
    different = len(seen.values)
    feature = "one_hot" if different <= FEW and not seen.many else "target_encoded"
    if not forced and (seen.unique or (seen.distinct * REPEATED > seen.rows and feature == "target_encoded")):
        why = "different in each row" if seen.unique else "nearly an identifier"
        return Guess(
            Column(seen.name), "", f"{reason}; {why}", f"--keep {shell(seen.name)}", check, nearly_id=True, seen=seen
        )
    if "." in seen.name:  # Spark's indexer takes it for a field of a struct
        return _left_out(seen, f"{reason}; its name must have no dot to be a feature: rename it", check=True)
    count = f"more than {len(seen.texts):,}" if seen.many else f"{different:,}"
    column = Column(seen.name, "category", nulls=nulls(seen))
    told = f"{reason}; {count} values" if reason != "category" else f"category of {count} values"
    return Guess(column, feature, told, option or f"--drop {shell(seen.name)}", check, seen=seen)
