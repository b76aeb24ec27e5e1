"""The dealers: in each city one of each make and some that sell everything; the same for every seed."""

# ruff: noqa: PLR2004 - the shares stand where they are used

from dataclasses import dataclass
from functools import cache

import numpy as np

from apps.datasets._used_cars_generator.tables import Bools, Floats, Ints, cities, makes

INDEPENDENT = 8  # dealers of no make in each city
_SURNAMES = ("Baker", "Castillo", "Dawson", "Ellis", "Foster", "Grant", "Hale", "Ingram")
_UNRATED = 0.0136


@dataclass(frozen=True)
class Dealers:
    """The dealer of city c and make m is number c * width + m; those of no make come after the last make."""

    width: int
    cities: Floats  # cumulated weights
    names: tuple[str, ...]
    ratings: tuple[str, ...]
    zips: tuple[str, ...]
    towns: tuple[str, ...]
    latitudes: tuple[str, ...]
    longitudes: tuple[str, ...]

    def pick(self, rng: np.random.Generator, make: Ints, franchise: Bools, is_new: Bools) -> Ints:
        """A dealer for each car; a used one often stands at the dealer of another make."""
        rows, weights = len(make), np.array([m.shares[2018] + 0.5 for m in makes()])
        city = np.searchsorted(self.cities, rng.random(rows), side="right")
        other = np.searchsorted(np.cumsum(weights) / weights.sum(), rng.random(rows), side="right")
        own = is_new | (rng.random(rows) < 0.6)
        sold = np.where(own, make, other)
        dealer: Ints = city * self.width + np.where(franchise, sold, len(makes()) + rng.integers(0, INDEPENDENT, rows))
        return dealer


def _name(town: str, make: str | None, at: int) -> str:
    if make is None:
        return f"{_SURNAMES[at]} {('Auto Sales', 'Motors', 'Cars & Trucks')[at % 3]} of {town}"
    surname = _SURNAMES[(len(town) + len(make)) % len(_SURNAMES)]
    return (f"{make} of {town}", f"{town} {make}", f"{surname} {make}")[(len(town) * 7 + len(make)) % 3]


def _rating(rng: np.random.Generator) -> str:
    """A mean of whole stars, so that it has all its decimals; nothing for a dealer nobody has rated."""
    voters = int(rng.integers(3, 200))
    stars = round(voters * float(np.clip(rng.normal(4.32, 0.5), 1, 5)))
    return "" if rng.random() < _UNRATED else repr(min(stars / voters, 5.0))


@cache
def dealers() -> Dealers:
    """Every dealer."""
    rng = np.random.default_rng(66)
    kinds = [*((make.name, at) for at, make in enumerate(makes())), *((None, at) for at in range(INDEPENDENT))]
    all_cities = cities()
    weights = np.array([float(city["weight"]) for city in all_cities])
    places = [(city, make, at) for city in all_cities for make, at in kinds]
    return Dealers(
        width=len(kinds),
        cities=np.cumsum(weights) / weights.sum(),
        names=tuple(_name(city["city"], make, at) for city, make, at in places),
        ratings=tuple(_rating(rng) for _ in places),
        zips=tuple(city["zip"] for city, _, _ in places),
        towns=tuple(city["city"] for city, _, _ in places),
        latitudes=tuple(f"{float(city['latitude']) + rng.normal(0, 0.03):.4f}" for city, _, _ in places),
        longitudes=tuple(f"{float(city['longitude']) + rng.normal(0, 0.03):.4f}" for city, _, _ in places),
    )
