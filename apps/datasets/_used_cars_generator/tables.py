"""
The tables that listings are drawn from, as arrays; they are the same for every seed.

``models.csv`` has a line for each model (how many listings of it there are, its years, its price when new, and its
alternatives written ``A8:60 A6:40``), ``makes.csv`` the share of each make in a model year, ``cities.csv`` where
dealers are. The counts are published aggregates of the real file; what a model is like is common knowledge.
"""

import csv
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

NOW = 2020
YEARS: dict[int, float] = dict(  # percent of the listings; the few older than these are drawn apart
    zip(
        range(2021, 1999, -1),
        (
            5.9,
            45,
            9.5,
            7,
            11.6,
            4.1,
            3.1,
            2.5,
            2.3,
            1.8,
            1.4,
            1.1,
            0.8,
            0.9,
            0.75,
            0.55,
            0.42,
            0.33,
            0.22,
            0.16,
            0.1,
            0.07,
        ),
        strict=True,
    )
)
CLASSICS = 0.4
BODIES = ("SUV / Crossover", "Sedan", "Pickup Truck", "Hatchback", "Minivan", "Coupe", "Van", "Wagon", "Convertible")
BODY_WORDS = ("SUV", "Sedan", "Pickup", "Hatchback", "Minivan", "Coupe", "Van", "Wagon", "Convertible")
SUV, SEDAN, PICKUP, HATCHBACK, MINIVAN, COUPE, VAN, WAGON, CONVERTIBLE = range(len(BODIES))
FUELS = {
    "": ("Gasoline", ""),
    "F": ("Flex Fuel Vehicle", " Flex Fuel Vehicle"),
    "D": ("Diesel", " Diesel"),
    "B": ("Biodiesel", " Biodiesel"),
    "H": ("Hybrid", " Hybrid"),
    "E": ("Electric", ""),
}


def _read(name: str) -> list[dict[str, str]]:
    with (Path(__file__).parent / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@dataclass(frozen=True)
class Choices:
    """The alternatives of each model: ``index`` into ``values``, with cumulated shares beside it."""

    values: tuple[str, ...]
    index: Ints
    cumulated: Floats

    @classmethod
    def of(cls, cells: list[str]) -> "Choices":
        """Read cells such as ``A8:60 A6:40``, one for each model."""
        parsed = [[part.rsplit(":", 1) for part in cell.split()] for cell in cells]
        values = tuple(dict.fromkeys(value for parts in parsed for value, _ in parts))
        width = max(map(len, parsed))
        index, cumulated = np.zeros((len(cells), width), dtype=np.int64), np.full((len(cells), width), 2.0)
        for at, parts in enumerate(parsed):
            shares = np.array([float(share) for _, share in parts])
            index[at, : len(parts)] = [values.index(value) for value, _ in parts]
            cumulated[at, : len(parts) - 1] = (np.cumsum(shares) / shares.sum())[:-1]
        return cls(values, index, cumulated)

    def pick(self, model: Ints, chance: Floats) -> Ints:
        """For each model and chance (0 to 1) the index of a value."""
        place = (chance[:, None] >= self.cumulated[model]).sum(axis=1)
        picked: Ints = self.index[model, place]
        return picked


@dataclass(frozen=True)
class Engines:
    """What an engine such as ``V6F/3500/375/470`` (layout and fuel, cc, hp, lb-ft) is; one entry for each."""

    cc: Ints
    horsepower: Floats
    torque: Floats
    kind: tuple[str, ...]  # "V6 Flex Fuel Vehicle"; nothing for an electric motor
    fuel: tuple[str, ...]

    @classmethod
    def of(cls, texts: tuple[str, ...]) -> "Engines":
        """Read the texts."""
        parts = [text.split("/") for text in texts]
        matches = [re.fullmatch(r"([IVHW]\d+|)([FDBHE]?)", part[0]) for part in parts]
        kinds = [match.groups() for match in matches if match]
        numbers = np.array([part[1:] for part in parts], dtype=np.float64)
        return cls(
            cc=numbers[:, 0].astype(np.int64),
            horsepower=numbers[:, 1],
            torque=numbers[:, 2],
            kind=tuple(layout + FUELS[letter][1] for layout, letter in kinds),
            fuel=tuple(FUELS[letter][0] for _, letter in kinds),
        )


@dataclass(frozen=True)
class Models:
    """One entry for each model, in the order of ``models.csv``; ``make`` is a place in ``makes()``."""

    make: Ints
    name: tuple[str, ...]
    listings: Floats
    first_year: Ints
    last_year: Ints
    price: Floats
    city_mpg: Floats  # 0: none is published
    highway_mpg: Floats
    length: Floats
    height: Floats
    own: Floats  # some numbers from -1 to 1 that are the model's own, for what the table does not say
    body: Choices
    engine: Choices
    gearbox: Choices
    drive: Choices
    engines: Engines
    mean_power: Floats
    electrified: Bools  # mostly electric


@dataclass(frozen=True)
class Make:
    """A make: what a VIN of it begins with, the trims from plain to rich, and its share of each model year."""

    name: str
    wmi: str
    trims: tuple[str, ...]
    truck_trims: tuple[str, ...]
    shares: dict[int, float]
    older: float


@cache
def makes() -> tuple[Make, ...]:
    """Every make."""
    return tuple(
        Make(
            name=row["make"],
            wmi=row["wmi"],
            trims=tuple(row["trims"].split("/")),
            truck_trims=tuple(row["truck_trims"].split("/")),
            shares={int(key[-4:]): float(row[key]) for key in row if key[-4:].isdigit()},
            older=float(row["share_older"]),
        )
        for row in _read("makes.csv")
    )


@cache
def models() -> Models:
    """Every model."""
    rows = _read("models.csv")
    order = [make.name for make in makes()]
    engine = Choices.of([row["engines"] for row in rows])
    engines = Engines.of(engine.values)
    shares = np.diff(np.minimum(engine.cumulated, 1), axis=1, prepend=0)
    numbers = {
        name: np.array([float(row[name] or 0) for row in rows])
        for name in ("listings", "first_year", "last_year", "price", "city_mpg", "highway_mpg", "length", "height")
    }
    return Models(
        make=np.array([order.index(row["make"]) for row in rows]),
        name=tuple(row["model"] for row in rows),
        listings=numbers["listings"],
        first_year=numbers["first_year"].astype(np.int64),
        last_year=numbers["last_year"].astype(np.int64),
        price=numbers["price"],
        city_mpg=numbers["city_mpg"],
        highway_mpg=numbers["highway_mpg"],
        length=numbers["length"],
        height=numbers["height"],
        own=np.random.default_rng(2020).uniform(-1, 1, (len(rows), 8)),
        body=Choices.of([row["body"] for row in rows]),
        engine=engine,
        gearbox=Choices.of([row["gears"] for row in rows]),
        drive=Choices.of([row["drives"] for row in rows]),
        engines=engines,
        mean_power=(engines.horsepower[engine.index] * shares).sum(axis=1),
        electrified=np.array([row["engines"].startswith("E") for row in rows]),
    )


def cities() -> list[dict[str, str]]:
    """The places where dealers are."""
    return _read("cities.csv")
