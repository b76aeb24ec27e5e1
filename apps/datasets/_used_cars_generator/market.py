"""
What has become of each car and what is asked for it: miles, history, options, price, days on the market.

Miles by age, the fall of prices with age and miles, and the noise follow listings of 2020: within a model the log of
the price falls by 0.068 a year and by 0.053 for each 10,000 miles, and dealers differ by 6 to 10 % for the same car.
"""

# ruff: noqa: PLR2004 - the shares stand where they are used

from dataclasses import dataclass

import numpy as np

from apps.datasets._used_cars_generator.cars import Cars
from apps.datasets._used_cars_generator.tables import NOW, PICKUP, Bools, Floats, Ints, models
from apps.datasets._used_cars_generator.words import OPTIONS

AGES = (0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 30, 60)
MILES = (7e3, 17.5e3, 30e3, 35e3, 46e3, 66e3, 77e3, 97e3, 112e3, 126e3, 142e3, 145e3, 85e3, 55e3)
MILES_SPREAD = (1.0, 0.85, 0.65, 0.52, 0.58, 0.54, 0.52, 0.48, 0.47, 0.47, 0.47, 0.5, 0.7, 0.9)
PER_YEAR, PER_10_000_MILES, USED = 0.068, 0.053, 0.05
TRIM_EFFECTS = np.array([-0.155, -0.041, 0.072, 0.185])
CAB_EFFECTS = np.array([0.03, -0.06, -0.15])
POWER_EFFECT, ALL_WHEEL_EFFECT, OPTION_EFFECT = 0.35, 0.05, 0.009
NOISE_NEW, NOISE_USED = 0.054, 0.077
TYPICAL = 26_000


@dataclass(frozen=True)
class Offers:
    """One entry for each car, beside ``Cars``; flags of the history mean nothing for a new car."""

    franchise: Bools
    mileage: Floats
    price: Floats
    owners: Ints
    accident: Bools
    fleet: Bools
    cab: Bools
    frame_damaged: Bools
    salvage: Bools
    theft: Bools
    certified: Bools
    maker_certified: Bools
    options: Bools  # one column for each of OPTIONS
    days: Ints
    savings: Ints


def draw(rng: np.random.Generator, cars: Cars, drift: float) -> Offers:
    """Draw what is offered of each car."""
    rows, age, used = len(cars.model), cars.age, ~cars.is_new
    mileage = _miles(rng, cars)
    options = _options(rng, cars)
    wear = np.log1p(mileage / 30_000)
    franchise = ~used | (rng.random(rows) < 1 / (1 + np.exp(-(2.15 - 1.6 * wear))))
    franchise &= rng.random(rows) < np.where(used, 1, 0.995)
    accident = used & (rng.random(rows) < 0.1 + 0.075 * wear)
    salvage = used & (rng.random(rows) < 0.0012 * (1 + age))
    frame = used & (rng.random(rows) < np.where(salvage, 0.2, 0.006))
    fleet = used & (rng.random(rows) < np.where(age <= 3, 0.27, 0.12))
    certified = used & franchise & (age <= 5) & (rng.random(rows) < 0.235)
    faults = -0.06 * accident - 0.35 * salvage - 0.15 * frame - 0.03 * fleet
    value = _value(cars, mileage, options) + faults + 0.02 * certified
    agreed = np.clip(np.exp(0.3 * (value - np.log(TYPICAL))), 0.75, 1.4)  # dearer cars are priced with more care
    noise = rng.normal(0, 1, rows) * np.where(used, NOISE_USED, NOISE_NEW) / agreed
    return Offers(
        franchise=franchise,
        mileage=mileage,
        price=_as_asked(rng, np.exp(value + noise - 0.1 * drift), used),
        owners=1 + rng.poisson(np.minimum(0.13 * age, 2.5)),
        accident=accident,
        fleet=fleet,
        cab=fleet & (rng.random(rows) < 0.8) | (used & (rng.random(rows) < 0.013)),
        frame_damaged=frame,
        salvage=salvage,
        theft=used & (rng.random(rows) < np.where(salvage, 0.3, 0.001)),
        certified=certified,
        maker_certified=certified & (rng.random(rows) < 0.74),
        options=options,
        days=np.minimum(np.floor(rng.lognormal(np.log(36.5), 1.27, rows)), 2499).astype(np.int64),
        savings=np.where(used & (rng.random(rows) < 0.67), np.round(rng.lognormal(np.log(1250), 0.75, rows)), 0).astype(
            np.int64
        ),
    )


def _miles(rng: np.random.Generator, cars: Cars) -> Floats:
    rows, age = len(cars.model), cars.age
    garaged = np.minimum(1, (60_000 / models().price[cars.model]) ** 0.9)  # the dearer, the less driven
    driven = garaged * np.interp(age, AGES, MILES) * np.exp(np.interp(age, AGES, MILES_SPREAD) * rng.normal(0, 1, rows))
    shown = rng.integers(2, 20, rows) + np.where(rng.random(rows) < 0.06, rng.lognormal(6, 1.5, rows), 0)
    miles = np.round(np.where(cars.is_new, np.minimum(shown, 9000), np.clip(driven, 20, 390_000)))
    return miles.astype(np.float64)


def _options(rng: np.random.Generator, cars: Cars) -> Bools:
    """Richer trims and newer cars have more of everything."""
    share = np.array([share for _, share in OPTIONS])
    lean = np.log(share / (1 - share)) * 1.25
    more = 1.1 * cars.richness - 0.12 * (cars.age - 2.5)
    has: Bools = rng.random((len(cars.model), len(OPTIONS))) < 1 / (1 + np.exp(-(lean + more[:, None])))
    return has


def _value(cars: Cars, mileage: Floats, options: Bools) -> Floats:
    """The log of the price that everything a listing says would give."""
    table = models()
    age = np.where(cars.is_new, np.where(cars.year >= NOW, 0, 1), cars.age)
    aging = np.minimum(PER_YEAR * age, 1.7) - 0.03 * np.maximum(age - 30, 0) + USED * ~cars.is_new
    power = np.log(table.engines.horsepower[cars.engine] / table.mean_power[cars.model])
    drives = np.array([name in ("AWD", "4WD") for name in table.drive.values])
    value: Floats = (
        np.log(table.price[cars.model])
        + TRIM_EFFECTS[cars.trim]
        + POWER_EFFECT * power
        + ALL_WHEEL_EFFECT * (drives[cars.drive] - 0.5)
        + OPTION_EFFECT * (options.sum(axis=1) - 6.5)
        + np.where(cars.body == PICKUP, CAB_EFFECTS[cars.cab], 0)
        - aging
        - PER_10_000_MILES * np.minimum(mileage, 250_000) / 10_000
    )
    return value


def _as_asked(rng: np.random.Generator, price: Floats, used: Bools) -> Floats:
    """Most used cars end in 5 or 95; a new one has any price, and a few have cents."""
    rows = len(price)
    rounded = np.where(rng.random(rows) < 0.6, np.round(price / 500) * 500 - 5, np.round(price / 10) * 10 + 5)
    asked = np.where(used & (rng.random(rows) < 0.75), rounded, np.round(price))
    cents: Floats = np.maximum(asked, 300) + np.where(rng.random(rows) < 0.004, 0.5, 0)
    return cents
