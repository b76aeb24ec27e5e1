"""
The tables that listings are drawn from, as arrays; they are the same for every seed.

``models.csv`` has a line for each model (how many listings of it there are, its years, its price when new, and its
alternatives written ``A8:60 A6:40``), ``makes.csv`` the share of each make in a model year, ``cities.csv`` where
dealers are. The counts are published aggregates of the real file; what a model is like is common knowledge.
"""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

NOW = 2020
OLDEST_OF_A_YEAR = 2000  # older cars are drawn together, as classics
YEARS: dict[int, float] = {  # percent of the listings; the few older than these are drawn apart
    **{2021: 5.9, 2020: 45.0, 2019: 9.5, 2018: 7.0, 2017: 11.6, 2016: 4.1, 2015: 3.1, 2014: 2.5, 2013: 2.3},
    **{2012: 1.8, 2011: 1.4, 2010: 1.1, 2009: 0.8, 2008: 0.9, 2007: 0.75, 2006: 0.55, 2005: 0.42, 2004: 0.33},
    **{2003: 0.22, 2002: 0.16, 2001: 0.1, 2000: 0.07},
}
CLASSICS = 0.4
BODIES = ("SUV / Crossover", "Sedan", "Pickup Truck", "Hatchback", "Minivan", "Coupe", "Van", "Wagon", "Convertible")
_BODY_WORDS = ("SUV", "Sedan", "Pickup", "Hatchback", "Minivan", "Coupe", "Van", "Wagon", "Convertible")
SUV, _, PICKUP, _, MINIVAN, COUPE, VAN, _, CONVERTIBLE = range(len(BODIES))
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
    layout: tuple[str, ...]
    fuel: tuple[str, ...]

    @classmethod
    def of(cls, texts: tuple[str, ...]) -> "Engines":
        """Read the texts."""
        parts = [text.split("/") for text in texts]
        kinds = [("E", "E") if name == "E" else (name.rstrip("FDBH"), name.lstrip("VIHW0123456789")) for name in
                 (part[0] for part in parts)]
        hybrids = [("H" if part[0][-1] == "H" and len(part[0]) > 2 else fuel) for part, (_, fuel) in
                   zip(parts, kinds, strict=True)]
        return cls(np.array([]), np.array([]), np.array([]), tuple(hybrids), ())
