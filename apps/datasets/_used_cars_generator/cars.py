"""
What each generated car is: model year, make, model, body, engine, drive, trim and measures, all rows at once.

Years and makes follow the counts of the real file; a model is drawn among those its make built in that year.
"""

# ruff: noqa: PLR2004 - the shares stand where they are used

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from apps.datasets._used_cars_generator.tables import (
    BODY_WORDS,
    CLASSICS,
    CONVERTIBLE,
    COUPE,
    MINIVAN,
    NOW,
    PICKUP,
    SUV,
    VAN,
    YEARS,
    Bools,
    Floats,
    Ints,
    makes,
    models,
)

NEW_OF_YEAR = {2021: 0.985, 2020: 0.893, 2019: 0.24, 2018: 0.01}
MORE_PICKUPS = 1.25  # the table of models was read with rows lost, more of them of pickups
TRIM_SHARES = np.array([0.2, 0.38, 0.27, 0.15])
TWO_SEATERS = ("Corvette", "MX-5 Miata", "fortwo", "SL-Class", "488", "Huracan", "Vantage", "Evora", "570S", "Model A")
CARGO = ("Cargo", "ProMaster", "NV200", "Sprinter", "Transit Connect", "Savana")
BUSES = ("Passenger", "E-Series", "Express")
CREW, EXTENDED, REGULAR = range(3)


@dataclass(frozen=True)
class Cars:
    """One array for each property, one entry for each car; names index the tables, measures are in the file's units."""

    model: Ints
    year: Ints
    is_new: Bools
    body: Ints
    engine: Ints
    drive: Ints
    gearbox: Ints
    trim: Ints
    richness: Floats  # how much equipment, about normal (0, 1); the trim follows it
    cab: Ints
    horsepower: Floats
    torque: Floats
    rpm: Ints
    city_mpg: Floats
    highway_mpg: Floats
    wheelbase: Floats
    length: Floats
    width: Floats
    height: Floats
    tank: Floats
    front_legroom: Floats
    back_legroom: Floats  # 0: there is no back seat
    seats: Ints
    bed_length: Floats

    @property
    def age(self) -> Ints:
        """Years since the model year, 0 for next year's."""
        age: Ints = np.maximum(NOW - self.year, 0)
        return age


@lru_cache(maxsize=8)
def _model_shares(drift: float) -> dict[int, Floats]:
    """The cumulated shares of the models in each model year."""
    table = models()
    body = table.body.index[:, 0]
    counted = table.listings * np.where(body == _body(PICKUP), MORE_PICKUPS, 1)
    wanted = counted * np.where(body == _body(SUV), np.exp(0.5 * drift), 1)
    wanted = wanted * np.where(table.electrified, np.exp(2 * drift), 1)
    first, last = np.maximum(table.first_year, min(YEARS) - 1), table.last_year
    built = np.array(
        [sum(share for year, share in _years().items() if a <= year <= b) for a, b in zip(first, last, strict=True)]
    )
    shares = {}
    for year in range(1950, max(YEARS) + 1):
        weight = wanted / np.maximum(built, 0.05) * ((table.first_year <= year) & (year <= last))
        for at, make in enumerate(makes()):
            mine = table.make == at
            total = (weight / wanted * counted)[mine].sum()  # a drift moves shares between makes as well
            weight[mine] *= make.shares.get(year, make.older) / total if total else 0
        shares[year] = np.cumsum(weight) / weight.sum()
    return shares


def _years() -> dict[int, float]:
    return {**YEARS, min(YEARS) - 1: CLASSICS}


def _body(body: int) -> int:
    return models().body.values.index(BODY_WORDS[body])


def _draw_years(rng: np.random.Generator, rows: int) -> Ints:
    years, shares = np.array(list(_years())), np.cumsum(list(_years().values()))
    year = years[np.searchsorted(shares / shares[-1], rng.random(rows), side="right")]
    older = np.maximum(1950, 1999 - np.floor(rng.exponential(8, rows))).astype(np.int64)
    drawn: Ints = np.where(year < min(YEARS), older, year)
    return drawn


def _draw_models(rng: np.random.Generator, year: Ints, drift: float) -> Ints:
    chance, model = rng.random(len(year)), np.zeros(len(year), dtype=np.int64)
    shares = _model_shares(drift)
    for one in np.unique(year):
        mine = year == one
        model[mine] = np.searchsorted(shares[int(one)], chance[mine], side="right")
    ancient = rng.random(len(year)) < 0.0001
    model[ancient], year[ancient] = models().name.index("Model A"), rng.integers(1928, 1932, int(ancient.sum()))
    return model


def _normal_to_chance(value: Floats) -> Floats:
    """The logistic curve nearest to the normal distribution's; it saves a dependency and differs by under 0.01."""
    chance: Floats = 1 / (1 + np.exp(-1.702 * value))
    return chance


def draw(rng: np.random.Generator, rows: int, drift: float) -> Cars:
    """Draw ``rows`` cars."""
    table = models()
    year = _draw_years(rng, rows)
    model = _draw_models(rng, year, drift)
    new_share = np.array([NEW_OF_YEAR.get(one, 0.0) for one in range(1900, max(YEARS) + 1)])
    is_new = rng.random(rows) < new_share[year - 1900]
    words = [BODY_WORDS.index(word) for word in table.body.values]
    body = np.array(words)[table.body.pick(model, rng.random(rows))]
    richness = rng.normal(0, 1, rows)
    engine = table.engine.pick(model, _normal_to_chance(0.4 * richness + 0.917 * rng.normal(0, 1, rows)))
    trim = np.searchsorted(np.cumsum(TRIM_SHARES), _normal_to_chance(0.9 * richness + 0.436 * rng.normal(0, 1, rows)))
    age = np.maximum(NOW - year, 0)
    fading = 1 - 0.006 * np.minimum(age, 30)
    horsepower = np.round(table.engines.horsepower[engine] * fading)
    thirst = (table.mean_power[model] / table.engines.horsepower[engine]) ** 0.3 * fading
    drive = table.drive.pick(model, rng.random(rows))
    cab = np.searchsorted([0.72, 0.93], rng.random(rows))
    return Cars(
        model=model,
        year=year,
        is_new=is_new,
        body=body,
        engine=engine,
        drive=drive,
        gearbox=table.gearbox.pick(model, rng.random(rows)),
        trim=np.minimum(trim, len(TRIM_SHARES) - 1),
        richness=richness,
        cab=cab,
        horsepower=horsepower,
        torque=np.round(table.engines.torque[engine] * fading),
        rpm=5000 + 250 * np.round(4 * table.own[model, 7]).astype(np.int64),
        city_mpg=np.round(table.city_mpg[model] * thirst),
        highway_mpg=np.round(table.highway_mpg[model] * thirst),
        seats=_seats_of(model, body, cab),
        **_measures(model, body, cab, horsepower),
    )


def _measures(model: Ints, body: Ints, cab: Ints, horsepower: Floats) -> dict[str, Floats]:
    """The measures of each car: those of its model, and for a pickup also of its cab."""
    table = models()
    own, pickup, van = table.own[model], body == PICKUP, body == VAN
    length, height = table.length[model] + np.round(own[:, 0], 1), table.height[model] + np.round(own[:, 1], 1)
    wheelbase = 115.3 + 0.7 * (length - 193.7) + 4.5 * own[:, 2] - 3 * (body == MINIVAN)
    width = 72.8 + 0.22 * (length - 180) + 6 * own[:, 3] + 3 * (body == SUV) + 5 * (pickup | van)
    hybrid = table.city_mpg[model] > 35
    tank = 12.8 + 0.185 * (length - 165) + 0.012 * (horsepower - 200) + own[:, 4] + 1.5 * pickup - 2 * hybrid
    open_or_coupe = (body == COUPE) | (body == CONVERTIBLE)
    back = (
        37.0 + 1.8 * own[:, 5] + 1.2 * (body == SUV) - 6.5 * open_or_coupe + 6 * pickup - 9 * (pickup & (cab != CREW))
    )
    back = np.where(_two_seats()[model] | (van & (_seats()[model] == 2)) | (pickup & (cab == REGULAR)), 0, back)
    return {
        "wheelbase": np.round(wheelbase, 1),
        "length": length,
        "width": np.round(width, 1),
        "height": height,
        "tank": np.round(np.clip(tank, 7, 48), 1),
        "front_legroom": np.round(42 + 2.2 * own[:, 6] + pickup, 1),
        "back_legroom": np.round(back, 1),
        "bed_length": np.array([66.5, 78.9, 97.2])[cab] + np.round(own[:, 2], 1),
    }


def _seats_of(model: Ints, body: Ints, cab: Ints) -> Ints:
    usual = _seats()[model]
    closed = np.where((body == COUPE) | (body == CONVERTIBLE), np.minimum(usual, 4), usual)
    seats: Ints = np.where(body == PICKUP, np.array([6, 5, 3])[cab], closed)
    return seats


@lru_cache(maxsize=1)
def _two_seats() -> Bools:
    return np.array([name in TWO_SEATERS for name in models().name])


@lru_cache(maxsize=1)
def _seats() -> Ints:
    """The seats of each model, from its body and size."""
    table, seats = models(), []
    for at, name in enumerate(table.name):
        body = BODY_WORDS.index(table.body.values[table.body.index[at, 0]])
        long = {SUV: 7 if table.length[at] > 190 and table.height[at] > 66 else 5, MINIVAN: 7, VAN: 8}
        seats.append(2 if name in TWO_SEATERS else long.get(body, 5))
        if any(word in name for word in CARGO):
            seats[-1] = 2
        elif any(word in name for word in BUSES):
            seats[-1] = 12
    return np.array(seats)
