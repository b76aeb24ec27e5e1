"""What ``./baton datasets new`` guesses: on public sets with a truth written by hand, and on files that are hard."""

import csv
import importlib.util
import random
import subprocess
import sys

import pandas as pd
import pytest

from apps.common.errors import SettingsError
from apps.datasets.declaration import Dialect
from apps.datasets.guessing import draft, remembered, writing
from apps.datasets.guessing.draft import GuessOptions
from apps.datasets.guessing.kinds import Wishes
from apps.trainer.judging import judge
from tests.unit.public_tables import HELD_OUT, TABLES

WORDS = {"one_hot": "category", "target_encoded": "category", "": "left"}


def word(guess):
    """A guess in the words of the truth."""
    return WORDS.get(guess.feature, guess.feature)


def made(path, target, **asked):
    """The draft for a file."""
    return draft.make(path, GuessOptions(target, **asked))


def loaded(found, tmp_path):
    """The dataset that the written module declares."""
    path = tmp_path / f"{found.dataset.name}_written.py"
    path.write_text(writing.module(found, "file.csv"), encoding="utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.DATASET


@pytest.fixture
def table(tmp_path):
    """Writes a CSV file; ``columns`` are name -> cells, or a function of the row's number."""

    def write(rows=200, separator=",", encoding="utf-8", name="file.csv", **columns):
        path = tmp_path / name
        cells = {
            key: made if isinstance(made, list) else [made(n) for n in range(rows)] for key, made in columns.items()
        }
        with path.open("w", encoding=encoding, newline="") as file:
            out = csv.writer(file, delimiter=separator)
            out.writerow(cells)
            out.writerows(zip(*cells.values(), strict=True))
        return path

    return write


def noise(seed):
    """A number that nothing else explains, for the row of a number."""
    return lambda n: f"{random.Random(f'{seed} {n}').uniform(10, 90):.2f}"


def graded(tables, folder):
    """Every column: its set, its name, whether it is right, what was guessed; and the drafts."""
    grades, drafts = [], {}
    for one in tables:
        path = one.write(folder)
        found = drafts[one.name] = made(path, one.target, **one.options)
        for guess in found.guesses:
            as_key = (guess.name in found.dataset.key) == (guess.name in one.key)
            right = word(guess) in one.kinds[guess.name].split() and as_key
            grades.append((one.name, guess.name, right, word(guess), guess.reason))
        assert {guess.name for guess in found.guesses} == {*one.kinds}, one.name
    return grades, drafts


@pytest.fixture(scope="module")
def public(tmp_path_factory):
    """The grades and drafts of the public sets."""
    return graded((*TABLES, *HELD_OUT), tmp_path_factory.mktemp("public"))


def test_nearly_every_column_of_public_sets_is_taken_for_what_it_is(public):
    """Of all columns 95 % have the right kind and place in the key, of no set fewer than two thirds."""
    grades, _ = public
    wrong = [grade for grade in grades if not grade[2]]

    assert len(wrong) <= 0.05 * len(grades), wrong
    for one in (*TABLES, *HELD_OUT):
        mine = [grade for grade in grades if grade[0] == one.name]
        assert sum(grade[2] for grade in mine) >= 2 / 3 * len(mine), mine


def test_no_code_of_a_public_set_becomes_a_number(public):
    """A column whose truth is a category or an identifier is no number."""
    grades, _ = public
    truths = {(one.name, name): truth for one in (*TABLES, *HELD_OUT) for name, truth in one.kinds.items()}

    assert [] == [grade for grade in grades if grade[3] == "number" and "number" not in truths[grade[:2]]]


def test_the_task_of_each_public_set_is_guessed(public):
    """Two values are binary, amounts a regression."""
    _, drafts = public

    assert {one.name: one.task for one in (*TABLES, *HELD_OUT)} == {
        n: found.dataset.task for n, found in drafts.items()
    }


PLANTED = {
    "boston": ("usd", lambda frame: (frame["medv"] * 1000).round(-2)),
    "cars": ("litres_per_100_km", lambda frame: (235.2 / frame["Miles_per_Gallon"]).round(1)),
    "breast_cancer": (
        "biopsy",
        lambda frame: (frame.index % 2).map({0: "left", 1: "right"}).where(frame["target"] == 0),
    ),
    "anes96": ("ballot", lambda frame: frame["vote"].map({0: "left", 1: "right"})),
    "stocks": ("shares_for_1000", lambda frame: (1000 / frame["price"]).round(3)),
    "statecrime": ("per_million", lambda frame: (frame["violent"] * 10 + frame["urban"] / 10).round(1)),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_leak_planted_into_a_public_set_is_no_feature_and_said(name, tmp_path):
    """The target in other words: another unit, its inverse, what is done only to one class, the same code."""
    (one,) = (table for table in TABLES if table.name == name)
    path, (leak, made_of) = one.write(tmp_path), PLANTED[name]
    frame = pd.read_csv(path)
    frame.assign(**{leak: made_of(frame)}).to_csv(path, index=False)
    found = made(path, one.target, **one.options)

    assert [""] == [guess.feature for guess in found.guesses if guess.name == leak]
    assert leak not in found.dataset.numeric
    assert any(guess.name == leak and "LEAK?" in guess.reason for guess in found.checks)


def test_each_written_module_declares_the_draft_and_is_well_formed(public, tmp_path):
    """Read back it is the same dataset, and neither the linter nor the formatter would change it."""
    _, drafts = public
    (tmp_path / "__init__.py").write_text('"""A package."""\n')
    for found in drafts.values():
        assert loaded(found, tmp_path) == found.dataset
    for command in (["check", "--quiet"], ["format", "--check", "--quiet"]):
        config = ["--config", "pyproject.toml"]
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, *config, tmp_path], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout[:2000]


def test_few_rows_of_a_public_set_are_quarantined_by_its_own_limits(public, tmp_path):
    """The limits come from the file, so that they cost at most one row in a hundred, beside those without a target."""
    _, drafts = public
    for one in (*TABLES, *HELD_OUT):
        dataset = drafts[one.name].dataset
        judged = judge(dataset, draft.rows(one.write(tmp_path), dataset))
        no_target = judged.rules[f"{one.target} must be given"]
        assert judged.quarantined - no_target <= 0.01 * judged.rows, (one.name, judged.rules)


def test_a_code_with_leading_zeros_is_never_a_number(table):
    """One cell that begins with 0 makes a column a code, and so do a name and more digits than a number holds."""
    path = table(
        zip=lambda n: f"{n % 90 + 5:05d}",
        plz=lambda n: str(10000 + n % 50),
        account=lambda n: f"{10**17 + n % 60}",
        shop=lambda n: "007" if n == 9 else str(100 + n % 40),
        y=noise(1),
        x=noise(2),
    )
    found = {guess.name: guess for guess in made(path, "y").guesses}

    assert {"zip", "plz", "account", "shop"} == {n for n, g in found.items() if word(g) == "category"}
    assert "cells begin with 0" in found["zip"].reason
    assert found["zip"].overrule == "--numeric zip"


def test_units_become_numbers_with_their_pattern(table, tmp_path):
    """Behind the number, before it, glued to it, in singular and plural; two different units are left out and said."""
    path = table(
        legroom=lambda n: "--" if n % 20 == 0 else f"{33 + n % 9}.{n % 10} in",
        rent=lambda n: f"${n % 37 + 700:,}",
        share=lambda n: f"{n % 91}%",
        rooms=lambda n: f"{n % 4 + 1} bedroom{'s' if n % 4 else ''}",
        weight=lambda n: f"{n % 50} {'kg' if n % 3 else 'lb'}",
        y=noise(1),
    )
    found = made(path, "y")
    columns = {column.name: column for column in loaded(found, tmp_path).columns}
    judged = judge(found.dataset, draft.rows(path, found.dataset))

    assert columns["legroom"].pattern == "([0-9.]+) in"
    assert "--" in columns["legroom"].nulls
    assert columns["rent"].pattern == r"\$([0-9.]+)"
    assert columns["share"].pattern == "([0-9.]+)%"
    assert columns["rooms"].pattern == "([0-9.]+) bedrooms?"
    assert columns["weight"].kind == "text"
    assert "several units" in next(guess.reason for guess in found.checks if guess.name == "weight")
    assert (judged.rows, judged.quarantined) == (200, 0)


def test_semicolons_decimal_commas_and_an_older_encoding_are_read(table):
    """A file as a spreadsheet in Europe writes it comes out as plain numbers, and its dialect is declared."""
    path = table(
        separator=";",
        encoding="cp1252",
        ort=lambda n: ["Köln", "Zürich", "Paris €"][n % 3],
        fläche=lambda n: f"{n % 83 + 20},{n % 10}",
        miete=lambda n: f"{random.Random(n).randint(1, 9)}.{random.Random(n).randint(100, 999)},{n % 10}5",
    )
    found = made(path, "miete")
    first = next(iter(draft.rows(path, found.dataset)))

    assert found.dataset.dialect == Dialect(";", "cp1252", ",", ".")
    assert {"ort": "category", "fläche": "number", "miete": "number"} == {g.name: word(g) for g in found.guesses}
    assert (first["ort"], first["fläche"]) == ("Köln", "20.0")
    assert 1000 < float(first["miete"]) < 10000
    assert judge(found.dataset, draft.rows(path, found.dataset)).quarantined == 0


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_no_part_of_a_name(table, encoding):
    """The first column is called as in the header."""
    found = made(table(encoding=encoding, y=noise(1), x=noise(2)), "y")

    assert found.dataset.column_names == ("y", "x")
    assert found.dataset.dialect == Dialect()


def test_quotes_line_breaks_and_thousands_shift_no_cell(table):
    """A text with all marks of CSV stays one cell, and 12,345 is a number where its groups say so."""
    path = table(note=lambda n: f'he said "{n}",\nthen; left', price=lambda n: f"{n * 137 + 1000:,}", y=noise(1))
    found = made(path, "y")
    rows = list(draft.rows(path, found.dataset))

    assert {"note": "left", "price": "number", "y": "number"} == {g.name: word(g) for g in found.guesses}
    assert found.dataset.dialect.thousands == ","
    assert (rows[5]["price"], rows[5]["note"]) == ("1685", 'he said "5",\nthen; left')


def test_dates_have_the_order_that_a_day_above_12_proves(table):
    """Unclear ones are left out, and said with the option that settles them."""
    path = table(
        iso=lambda n: f"2021-{n % 12 + 1:02d}-{n % 28 + 1:02d}",
        german=lambda n: f"{n % 28 + 1}.{n % 12 + 1}.2021",
        american=lambda n: f"{n % 12 + 1}/{n % 28 + 1}/2021",
        unclear=lambda n: f"{n % 12 + 1}/{n % 11 + 1}/2021",
        short=lambda n: f"{n % 28 + 1}/{n % 12 + 1}/21",
        words=lambda n: f"{['Jan', 'Feb', 'May'][n % 3]} {n % 28 + 1} 2021",
        y=noise(1),
    )
    found = {guess.name: guess for guess in made(path, "y").guesses}
    told = {g.name: g for g in made(path, "y", wishes=Wishes(dates=(("unclear", "dmy"),))).guesses}

    assert {"iso": "ymd", "german": "dmy", "american": "mdy", "words": "mon"} == {
        name: guess.date_order for name, guess in found.items() if guess.feature == "date"
    }
    assert found["unclear"].check
    assert found["unclear"].overrule == "--date unclear=dmy"
    assert told["unclear"].date_order == "dmy"


def test_leaks_are_left_out_and_said(table):
    """The target in another unit, nearly the target, and what is missing; a person may keep one."""
    price = [float(noise("p")(n)) for n in range(400)]
    path = table(
        price=[f"{p:.2f}" for p in price],
        cents=[f"{p * 100:.0f}" for p in price],
        savings=[f"{p / 10 + random.Random(n).gauss(0, 0.1):.2f}" for n, p in enumerate(price)],
        sold_to=[["Ann", "Bo", "Cy"][n % 3] if p > 50 else "" for n, p in enumerate(price)],
        x=noise(3),
        rows=400,
    )
    found = made(path, "price")
    kept = made(path, "price", wishes=Wishes(keep=("savings",)))

    assert {"cents", "savings", "sold_to"} == {g.name for g in found.checks if "LEAK?" in g.reason}
    assert {"x": "x"} == found.dataset.numeric
    assert {"savings", "x"} == {*kept.dataset.numeric}


def test_parts_that_add_up_to_the_target_are_a_leak(table):
    """None of the two explains it, both together are it."""
    first, second = ([int(float(noise(seed)(n)) * 10) for n in range(300)] for seed in "ab")
    path = table(
        count=[str(a + b) for a, b in zip(first, second, strict=True)],
        casual=list(map(str, first)),
        registered=list(map(str, second)),
        x=noise(3),
        rows=300,
    )
    reasons = {guess.name: guess.reason for guess in made(path, "count").checks}

    assert reasons == dict.fromkeys(("casual", "registered"), "LEAK? casual and registered together make up count")


def test_a_leak_of_a_class_is_seen_too(table):
    """A figure that only one class has is left out of a binary dataset."""
    path = table(
        churned=lambda n: "yes" if n % 3 == 0 else "no",
        refund=lambda n: str(n % 7 + 10) if n % 3 == 0 else "",
        score=lambda n: f"{(n % 3 == 0) * 5 + random.Random(n).random():.3f}",
        x=noise(3),
    )
    found = made(path, "churned")

    assert {"refund", "score"} == {guess.name for guess in found.checks if "LEAK?" in guess.reason}
    assert ("binary", "yes") == (found.dataset.task, found.positive)


def test_the_same_information_is_taken_once(table):
    """Of an id and its name the name stays, of two units the first."""
    path = table(
        trim_id=lambda n: f"t{n % 9}",
        trim=lambda n: ["S", "SE", "SEL", "LX", "EX", "L", "M", "GT", "R"][n % 9],
        kg=lambda n: str(n * 7 % 911),
        lb=lambda n: f"{n * 7 % 911 * 2.20462:.1f}",
        y=noise(1),
    )
    reasons = {guess.name: guess.reason for guess in made(path, "y").checks}

    assert reasons == {"trim_id": "same information as trim", "lb": "same information as kg"}


def test_constants_row_numbers_and_ids_are_no_features(table):
    """Each is left out with its reason; a unique id is the key, a number of the row is not."""
    path = table(
        row=lambda n: str(n + 1),
        customer_id=lambda n: str(n * 7919 % 100003),
        country=lambda _: "FR",
        empty=lambda _: "",
        y=noise(1),
        x=noise(2),
    )
    found = made(path, "y")
    reasons = {guess.name: guess.reason for guess in found.guesses if not guess.feature}

    assert found.dataset.key == ("customer_id",)
    assert {*reasons} == {"row", "customer_id", "country", "empty"}
    assert reasons["row"] == "numbers the rows"
    assert reasons["country"] == "constant: 'FR'"


def test_flags_in_words_and_classes_have_a_named_positive(table, tmp_path):
    """Yes and No are a flag; of two other classes the rarer one is meant, unless a person says which."""
    path = table(
        garage=lambda n: ["Yes", "No", "?"][n % 3], outcome=lambda n: "late" if n % 5 == 0 else "in time", x=noise(2)
    )
    found = made(path, "outcome")
    garage, outcome, _ = loaded(found, tmp_path).columns

    assert (garage.kind, garage.words, garage.nulls) == ("flag", ("Yes", "No"), ("?",))
    assert (outcome.words, found.positive) == (("late", "in time"), "late")
    assert made(path, "outcome", positive="in time").positive == "in time"


def test_a_sentinel_far_away_counts_as_missing(table):
    """-999 among small numbers is said and declared a null."""
    path = table(depth=lambda n: "-999" if n % 10 == 0 else str(n % 30), y=noise(1))
    (depth,) = made(path, "y").checks

    assert "-999" in depth.column.nulls
    assert "counts as missing" in depth.reason


def test_typing_mistakes_in_a_number_are_said_and_do_not_change_its_kind(table):
    """Two cells of a thousand that do not read cost two rows, not the column."""
    path = table(rows=1000, size=lambda n: "n0t" if n in (5, 700) else str(n % 83), y=noise(1))
    found = made(path, "y")

    assert [("size", "number")] == [(guess.name, word(guess)) for guess in found.checks]
    assert "2 cells do not read: 'n0t'" in found.checks[0].reason
    assert judge(found.dataset, draft.rows(path, found.dataset)).columns == {"size": 2}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must have a header and rows; got an empty file"),
        ("x,y\n", "must have at least 5 rows to guess from; got 0"),
        ("x,y\n1,2\n", "must have at least 5 rows to guess from; got 1"),
        ("x,z\n1,2\n", "--target must be a column of .*; got 'y'; it has x, z"),
        ("x,X,y\n1,2,3\n", "column names must differ by more than case; got 'x', 'X' twice"),
        (",x,y\n0,1,2\n", "each column must have a name; got none for column 1"),
        ("# of May\nx,y\n1,2\n", "the first line must be the header; got a comment, '# of May'"),
        ("sep=;\nx;y\n1;2\n", "got 'sep=;', which is for Excel; remove it"),
        ("5.1,3.5\n4.9,3.0\n", "the first line must be the header; got numbers"),
        ("x,y\n1,2\n3\n", "line 3 must have 2 cells; got 1"),
        ("x,y\n" + "".join(f"{n},c{n % 3}\n" for n in range(30)), "more classes than two are not served yet"),
        ("x,y\n" + "".join(f"{n},{n % 3}\n" for n in range(30)), "3 whole numbers, which may be amounts or classes"),
        ("x,y\n" + "1,2\n" * 30, "the target must have two different values"),
        ("x,y\n" + "".join(f"a,{n / 2}\n" for n in range(30)), "must have a column to learn from; got none"),
    ],
)
def test_a_file_that_cannot_be_guessed_is_refused_by_its_reason(tmp_path, text, message):
    """Empty, a header alone, no target, names twice, short lines, more classes than two, nothing to learn from."""
    path = tmp_path / "file.csv"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(SettingsError, match=message):
        made(path, "y")


def test_all_problems_of_a_header_come_together(tmp_path):
    """A name twice, none, and one of the pipeline's own are told at once."""
    path = tmp_path / "file.csv"
    path.write_text("a,A,,prediction\n1,2,3,4\n")

    with pytest.raises(SettingsError) as refused:
        made(path, "a")

    assert 3 == len(str(refused.value).splitlines())


def test_wrong_options_come_together(table):
    """Columns that are not there, a task and a name that cannot be are told at once."""
    asked = {"task": "ranking", "key": ("id",), "name": "2 Bad", "wishes": Wishes(drop=("gone",))}
    with pytest.raises(SettingsError) as refused:
        made(table(y=noise(1), x=noise(2)), "y", **asked)

    assert 4 == len(str(refused.value).splitlines())


@pytest.mark.parametrize(
    ("file", "name"),
    [("US used-cars 2021.csv.gz", "us_used_cars_2021"), ("2021.csv", "data_2021"), ("class.CSV", "data_class")],
)
def test_a_dataset_is_called_as_its_file(tmp_path, file, name):
    """The name is one that a Python module may have."""
    assert draft.name_for(tmp_path / file) == name


def test_a_name_that_is_no_word_of_sql_stands_in_backticks(table):
    """Names with blanks and marks, and words of SQL, are expressions all the same."""
    path = table(**{"a b (cm)": noise(1), "order": noise(2), "y": noise(3)})

    assert made(path, "y").dataset.numeric == {"a_b_cm": "`a b (cm)`", "order": "`order`"}


def test_another_file_is_compared_with_the_first(table, tmp_path):
    """Other columns, new categories, shifted numbers and more gaps are told; the same file differs in nothing."""
    columns = {"make": lambda n: "ABC"[n % 3], "km": noise(1), "y": noise(2)}
    first = table(rows=500, **columns)
    found = made(first, "y")
    remembered.place(tmp_path, "file").write_text(remembered.text(found.table), encoding="utf-8")
    columns |= {"make": lambda n: "ABX"[n % 3], "km": lambda n: f"{float(noise(5)(n)) * 3:.1f}"}
    columns |= {"y": lambda n: "" if n % 4 == 0 else noise(2)(n), "colour": lambda _: "red"}
    other = table(rows=500, name="other.csv", **columns)
    lines = remembered.differences(tmp_path, found.dataset, other)

    assert remembered.differences(tmp_path, found.dataset, first) == []
    assert ["columns that are new: colour"] == [line for line in lines if "new:" in line]
    assert "make: 1 new categories in 166 rows: 'X' (166)" in lines
    assert any(line.startswith("km: shifted (PSI") for line in lines)
    assert "y: 25.0% missing, was 0.0%" in lines


def test_limits_leave_room_and_keep_what_cannot_be(table):
    """Half the span on both sides, never below 0 where nothing is, whole where all is, thrice where magnitudes are."""
    path = table(
        rows=1000,
        year=lambda n: str(2000 + n % 21),
        share=lambda n: f"{n % 100 / 100}",
        rooms=lambda n: str(n % 4 + 1),
        balance=lambda n: str(n % 201 - 100),
        income=lambda n: f"{1.02 ** (n % 500):.2f}",
        typo=lambda n: "999999" if n == 7 else str(n % 90),
        y=noise(1),
    )
    columns = {guess.name: guess.column for guess in made(path, "y").guesses}

    assert {
        "year": (1990, 2030),
        "share": (0, 1.49),
        "rooms": (0, 6),
        "balance": (-200, 200),
        "income": (0, 59000),
        "typo": (0, 134),
    } == {name: (columns[name].minimum, columns[name].maximum) for name in columns if name != "y"}


def test_many_rows_without_a_target_do_not_refuse_the_batch(table, tmp_path):
    """They are quarantined, and the declaration says that so many may be."""
    path = table(y=lambda n: "" if n % 3 else noise(1)(n), x=noise(2))
    found = made(path, "y")
    judged = judge(found.dataset, draft.rows(path, found.dataset))

    assert judged.quarantined == 133
    assert judged.quarantined < loaded(found, tmp_path).quarantine_limit * judged.rows


def test_a_category_whose_name_has_a_dot_is_left_out_and_said(table):
    """Spark's indexer would look for a field; a number of such a name is no harm."""
    path = table(**{"a.make": lambda n: "ABC"[n % 3], "a.size": noise(2), "y": noise(1)})
    found = made(path, "y")

    assert ["a.make"] == [guess.name for guess in found.checks]
    assert {"a_size": "`a.size`"} == found.dataset.numeric


def test_a_large_file_is_counted_in_bounded_memory(table, monkeypatch):
    """Beyond the bounds texts are no longer counted one by one, and the guesses stay the same."""
    from apps.datasets.guessing import profile  # noqa: PLC0415

    path = table(rows=3000, vin=lambda n: f"V{n:07d}", make=lambda n: f"m{n % 20}", x=noise(1), y=noise(2))
    whole = made(path, "y").dataset
    for name, bound in {"BLOCK": 250, "DISTINCT": 100, "NUMBERS": 500, "SAMPLE": 400}.items():
        monkeypatch.setattr(profile, name, bound)
    bounded = made(path, "y")

    assert {len(bounded.table.sample), bounded.table.rows} == {400, 3000}
    assert {"vin", "x", "y"} == {name for name, column in bounded.table.columns.items() if column.many}
    assert max(len(column.texts) for column in bounded.table.columns.values()) == 100
    assert max(len(column.numbers) for column in bounded.table.columns.values()) <= 1000
    assert (bounded.dataset.key, bounded.dataset.numeric) == (whole.key, whole.numeric)
