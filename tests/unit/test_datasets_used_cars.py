"""Generated listings look like the real file: its shares, gaps, formats and mistakes, and how well a price is told."""

import itertools
import re
from collections import Counter
from datetime import date

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from apps import datasets

USED_CARS = datasets.get("used_cars")
ROWS = 24_000
NULLS = {  # the real file's blocks and their rates
    "vehicle_damage_category combine_fuel_economy is_certified": 1,
    "bed": 0.9935,
    "cabin": 0.9788,
    "is_oemcpo": 0.9549,
    "is_cpo": 0.9390,
    "bed_height bed_length": 0.8570,
    "owner_count": 0.5057,
    "fleet frame_damaged has_accidents isCab salvage theft_title": 0.4755,
    "franchise_make": 0.1909,
    "torque": 0.1726,
    "city_fuel_economy highway_fuel_economy": 0.1638,
    "power": 0.1605,
    "main_picture_url": 0.1230,
    "major_options": 0.0667,
    "engine_displacement horsepower": 0.0575,
    "back_legroom front_legroom fuel_tank_volume height length maximum_seating wheelbase width": 0.0531,
    "wheel_system wheel_system_display": 0.0489,
    "mileage": 0.0481,
    "trim_name": 0.0388,
    "trimId": 0.0386,
    "engine_cylinders engine_type": 0.0335,
    "fuel_type": 0.0276,
    "description": 0.0260,
    "transmission transmission_display": 0.0214,
    "seller_rating": 0.0136,
    "body_type": 0.0045,
    "sp_id": 0,
    "interior_color": 0,
}
FEW = ["body_type", "fuel_type", "wheel_system", "transmission", "engine_cylinders", "listing_color"]
MANY = ["make_name", "model_name", "trim_name", "franchise_make"]


@pytest.fixture(scope="module")
def raw():
    """Generated rows as a table of text."""
    return pd.DataFrame(USED_CARS.generate(ROWS, 22, 0.0))


@pytest.fixture(scope="module")
def typed(raw):
    """The numbers and flags as the declaration reads them, torque and the number of options beside them."""
    read = {
        column.name: number(raw[column.name], column.pattern) for column in USED_CARS.columns if column.kind == "number"
    }
    flags = {
        column.name: raw[column.name].map({"True": 1.0, "False": 0.0})
        for column in USED_CARS.columns
        if column.kind == "flag"
    }
    options = raw.major_options.str.count(",").where(raw.major_options != "") + 1
    return pd.DataFrame(
        {**read, **flags, "torque": number(raw.torque.str.replace(",", ""), r"([0-9]+) lb-ft.*"), "options": options}
    )


@pytest.fixture(scope="module")
def usual(typed):
    """The numbers of the listings that published results speak of: 2010 or newer, without absurd prices and miles."""
    return typed[(typed.year >= 2010) & typed.price.between(500, 148_000) & ~(typed.mileage > 500_000)]


def number(cells, pattern=""):
    """Text as numbers; what is missing, and ``--``, is NaN."""
    return pd.to_numeric(cells.str.extract(f"^{pattern}$")[0] if pattern else cells, errors="coerce")


def test_prices_and_shares_are_those_of_the_real_file(raw, usual):
    """Price quartiles lie within 10 % of the real ones, and new cars, bodies and makes have their shares."""
    quartiles = usual.price.quantile([0.25, 0.5, 0.75])
    bodies, makes = raw.body_type.value_counts(normalize=True), raw.make_name.value_counts(normalize=True)

    assert quartiles.tolist() == pytest.approx([18_800, 26_500, 37_600], rel=0.1)
    assert 0.45 <= usual.is_new.mean() <= 0.52
    assert bodies[["SUV / Crossover", "Sedan", "Pickup Truck"]].tolist() == pytest.approx(
        [0.475, 0.245, 0.16], abs=0.02
    )
    assert makes[["Ford", "Chevrolet", "Toyota", "Nissan"]].tolist() == pytest.approx(
        [0.16, 0.125, 0.077, 0.076], abs=0.01
    )


def test_gaps_come_in_blocks_with_the_real_rates(raw):
    """The null rate of each block is within 1 point of the real one, and its columns are null in the same rows."""
    named = {names: raw[names.split()] == "" for names in NULLS}
    complete = set(raw.columns) - {name for names in NULLS for name in names.split()}

    assert {names: gaps.iloc[:, 0].mean() for names, gaps in named.items()} == pytest.approx(NULLS, abs=0.01)
    assert all((gaps.T == gaps.iloc[:, 0]).all(axis=None) for gaps in named.values())
    assert not (raw[sorted(complete)] == "").any(axis=None)
    assert ((raw.bed_length == "") | (raw.body_type.isin(["Pickup Truck", ""]))).all()


def test_missing_values_hide_as_words(raw):
    """A missing colour is the word None and a missing measure two dashes, as often as in the real file."""
    there = raw[raw.back_legroom != ""]

    assert (raw.interior_color == "None").mean() == pytest.approx(0.128, abs=0.01)
    assert (raw.exterior_color == "None").mean() == pytest.approx(0.0167, abs=0.005)
    assert (there.back_legroom == "--").mean() == pytest.approx(0.03, abs=0.015)
    assert (there.front_legroom == "--").mean() == pytest.approx(0.005, abs=0.003)
    assert (raw[raw.bed_height != ""].bed_height == "--").mean() > 0.9


def test_numbers_depend_on_each_other_as_in_the_real_file(usual):
    """The price rises with horsepower and falls with miles, and what belongs together goes together."""
    related = usual.corr()

    assert 0.55 <= related.price.horsepower <= 0.68
    assert -0.55 <= related.price.mileage <= -0.4
    assert related.year.mileage == pytest.approx(-0.75, abs=0.06)
    assert related.horsepower.torque == pytest.approx(0.85, abs=0.06)
    assert related.length.wheelbase == pytest.approx(0.97, abs=0.02)
    assert related.city_fuel_economy.highway_fuel_economy == pytest.approx(0.94, abs=0.03)


def noise(raw, rows, same, numbers):
    """The spread of the log price among cars of the ``same`` kind that ``numbers`` do not explain."""
    rows = rows.assign(log_price=np.log(rows.price)).fillna(rows.median())
    kind = raw.loc[rows.index, same].agg("|".join, axis=1)
    rows = rows[kind.map(kind.value_counts()) >= 4]
    inside = rows - rows.groupby(kind).transform("mean")
    slopes = np.linalg.lstsq(inside[numbers], inside.log_price, rcond=None)[0]
    left = inside.log_price - inside[numbers] @ slopes
    return np.sqrt((left**2).sum() / (len(left) - kind[rows.index].nunique() - len(numbers))), slopes


def test_dealers_agree_on_a_price_as_far_as_real_ones(raw, usual):
    """Log prices scatter by 0.18 given model, age and miles, and by 0.08 to 0.10 given trim and options as well."""
    used = usual[(usual.is_new == 0) & usual.mileage.notna()]
    little, slopes = noise(raw, used, ["make_name", "model_name"], ["year", "mileage"])
    details = ["year", "mileage", "horsepower", "options", "has_accidents", "salvage", "frame_damaged", "back_legroom"]
    much, _ = noise(raw, usual, ["make_name", "model_name", "trim_name", "engine_displacement", "is_new"], details)

    assert little == pytest.approx(0.18, abs=0.02)
    assert slopes.tolist() == pytest.approx([0.068, -0.0000053], rel=0.15)
    assert 0.08 <= much <= 0.1


def averages(cells, price, known):
    """The mean price of each value, seen from the known rows only, drawn to the overall mean where they are few."""
    of = pd.DataFrame({"cell": cells[known], "price": price[known]}).groupby("cell").price
    mean = price[known].mean()
    return cells.map((of.sum() + 10 * mean) / (of.count() + 10)).fillna(mean)


def test_a_price_can_be_told_as_well_as_in_published_results(raw, usual):
    """Ridge, random forest and gradient boosting reach what they reach on the real file, no more and no less."""
    price, chance = usual.price, np.random.default_rng(1)
    known = chance.random(len(usual)) < 0.8
    cells = raw.loc[usual.index]
    numbers = usual.drop(columns=["price", "latitude", "longitude"]).fillna(usual.median()).fillna(0)
    few = pd.concat([numbers, pd.get_dummies(cells[FEW], dtype=float)], axis=1)
    all_of_them = few.assign(**{f"{name} price": averages(cells[name], price, known) for name in MANY})

    def told(model, table):
        with threadpool_limits(1):  # threads that wait for busy cores are slower than one
            fitted = model.fit(table[known].to_numpy(), np.log(price[known]))
            error = np.exp(fitted.predict(table[~known].to_numpy())) - price[~known]
        return 1 - (error**2).mean() / price[~known].var(), np.sqrt((error**2).mean())

    ridge = make_pipeline(StandardScaler(), Ridge(10)).fit(few[known], price[known]).score(few[~known], price[~known])
    forest, _ = told(RandomForestRegressor(16, max_features=0.4, min_samples_leaf=2, random_state=0), all_of_them)
    boosted, wrong_by = told(
        HistGradientBoostingRegressor(max_iter=200, learning_rate=0.1, random_state=0), all_of_them
    )

    assert 0.75 <= ridge <= 0.85
    assert 0.92 <= forest <= 0.96
    assert 0.94 <= boosted <= 0.97
    assert 2_700 <= wrong_by <= 3_400


def test_every_cell_is_written_as_in_the_real_file(raw):
    """Units, commas, floats, lists, dates and codes have the real file's forms."""
    forms = {
        "vin": r"[0-9A-HJ-NPR-Z]{17}",
        "back_legroom": r"--|\d\d(\.[1-9])? in",
        "fuel_tank_volume": r"--|\d+(\.[1-9])? gal",
        "maximum_seating": r"--|\d+ seats",
        "power": r"\d+ hp @ \d,\d{3} RPM",
        "torque": r"(\d,)?\d{2,3} lb-ft @ \d,\d{3} RPM",
        "price": r"\d+\.\d",
        "mileage": r"\d+\.0",
        "owner_count": r"\d+\.0",
        "daysonmarket": r"\d+",
        "dealer_zip": r"\d{5}",
        "listed_date": r"20[012]\d-\d\d-\d\d",
        "major_options": r"\[(('[^']+'|\"[^\"]+\")(, )?)+\]",
        "is_cpo": "True",
        "trimId": r"t\d{5}",
        "seller_rating": r"[1-5]\.\d+",
        "description": r"(?s).*\[!@@Additional Info@@!\].+",
    }
    wrong = {
        name: next((cell for cell in raw[name] if cell and not re.fullmatch(form, cell)), None)
        for name, form in forms.items()
    }

    assert set(wrong.values()) == {None}, wrong
    assert raw.dealer_zip.str.startswith("0").any()
    assert raw.torque.str.startswith("1,").any()
    assert all(raw.description.str.contains(part, regex=False).any() for part in ('"', ",", "\n", "\r\n"))
    assert date.fromisoformat(raw.listed_date.max()) <= date(2020, 9, 13)


def test_a_few_listings_are_mistyped_and_the_declaration_sees_them(raw, typed):
    """Between 0.1 and 0.5 % of the rows lie outside the declared limits, and nearly no other cell is refused."""
    outside = {
        column.name: (typed[column.name] < column.minimum) | (typed[column.name] > column.maximum)
        for column in USED_CARS.columns
        if column.kind == "number"
    }
    refused = {name for name, rows in outside.items() if rows.any()}

    assert refused == {"price", "mileage", "year"}
    assert 0.001 <= np.any(list(outside.values()), axis=0).mean() <= 0.006
    assert typed.mileage.max() > 1_000_000
    assert typed.year.min() < 1940
    assert not (raw[[column.name for column in USED_CARS.columns if column.required]] == "").any(axis=None)


def test_the_same_seed_gives_the_same_rows():
    """Rows depend on seed and drift only, and a longer run begins with the shorter one."""
    rows = list(USED_CARS.generate(3000, 5, 0.0))

    assert list(USED_CARS.generate(100, 5, 0.0)) == rows[:100]
    assert list(USED_CARS.generate(3000, 5, 0.0)) == rows
    assert [row["price"] for row in USED_CARS.generate(100, 6, 0.0)] != [row["price"] for row in rows[:100]]
    assert tuple(rows[0]) == USED_CARS.column_names


def test_no_two_listings_have_one_id():
    """Listing ids and VINs differ within a seed, between seeds and between drifts."""
    runs = [USED_CARS.generate(4000, seed, drift) for seed in (0, 1, 2) for drift in (0.0, 0.5)]
    rows = list(itertools.chain.from_iterable(runs))

    for name in ("listing_id", "vin"):
        assert Counter(row[name] for row in rows).most_common(1)[0][1] == 1


def test_drift_moves_the_market_by_the_known_amount(raw):
    """With drift 1 the same kind of car costs exp(-0.1) as much, and SUVs and electric cars are more frequent."""
    later = pd.DataFrame(USED_CARS.generate(ROWS, 22, 1.0))

    def price(rows):
        mine = rows[(rows.model_name == "F-150") & (rows.year == "2020") & (rows.is_new == "True")]
        return mine.price.astype(float).median()

    assert price(later) / price(raw) == pytest.approx(np.exp(-0.1), rel=0.03)
    assert (later.body_type == "SUV / Crossover").mean() > (raw.body_type == "SUV / Crossover").mean() + 0.05
    assert (later.fuel_type == "Electric").mean() > 2 * (raw.fuel_type == "Electric").mean()


@pytest.mark.parametrize("drift", [-10.0, 10.0])
def test_rows_come_however_far_the_market_has_moved(drift):
    """At either end of what drift may be there are cars, with prices that a training takes."""
    prices = [float(row["price"]) for row in USED_CARS.generate(500, 1, drift) if row["price"]]

    assert len(prices) > 400
    assert np.mean([500 <= price <= 200_000 for price in prices]) > 1 - USED_CARS.quarantine_limit
