"""
Cars and offers as listings: 66 cells of text each, in the file's formats, with its gaps and its typing mistakes.

Rows are made in chunks of a fixed size with a random generator each, so that a longer run begins with the shorter one.
"""

import itertools
from collections.abc import Iterator

import numpy as np

from apps.datasets._used_cars_generator import car_cells, gaps, market, sale_cells
from apps.datasets._used_cars_generator import cars as drawn_cars
from apps.datasets._used_cars_generator.car_cells import Identities
from apps.datasets._used_cars_generator.cells import COLUMNS, where
from apps.datasets._used_cars_generator.market import Offers
from apps.datasets._used_cars_generator.tables import Ints

CHUNK = 2048
MISTAKES = 0.002
_PRICE_TYPOS = np.array([999_995.0, 999_999.0, 164_980.0, 484.0, 349.0, 1.0, 2_698_500.0, 1_390_000.0])
_MILE_TYPOS = np.array([1_234_567.0, 1_000_000.0, 9_999_999.0, 2_450_000.0])


def generate(rows: int, seed: int, drift: float) -> Iterator[dict[str, str]]:
    """
    Yield ``rows`` listings: the same ones for the same seed and drift, and the first of them for fewer rows.

    ``drift`` moves the market by a known amount, 0 for none and 1 for a strong one: every price is multiplied by
    exp(-0.1 * drift), the share of SUV models among those offered by exp(0.5 * drift) and that of electric ones by
    exp(2 * drift), before the shares are made to add up again. Ids never repeat between seeds or drifts.
    """
    chunks = (_chunk(number, seed, drift) for number in itertools.count())
    yield from itertools.islice(itertools.chain.from_iterable(chunks), rows)


def _chunk(number: int, seed: int, drift: float) -> Iterator[dict[str, str]]:
    rng = np.random.default_rng([seed % 2**63, number])
    cars = drawn_cars.draw(rng, CHUNK, drift)
    offers = market.draw(rng, cars, drift)
    missing, hidden = gaps.masks(rng, cars, offers), gaps.dashes(rng, cars)
    year = _mistake(rng, cars.year, offers)
    ids = Identities.of(number * CHUNK, CHUNK, seed, drift)
    columns = {**car_cells.cells(rng, cars, ids), **sale_cells.cells(rng, cars, offers)}
    columns["year"] = [str(one) for one in year.tolist()]
    for name, gone in hidden.items():
        columns[name] = where(columns[name], gone, "--")
    for block, names in gaps.BLOCKS.items():
        for name in names:
            columns[name] = where(columns[name], missing[block], "")
    for values in zip(*(columns[name] for name in COLUMNS), strict=True):
        yield dict(zip(COLUMNS, values, strict=True))


def _mistake(rng: np.random.Generator, year: Ints, offers: Offers) -> Ints:
    """Let a few sellers mistype the price or the mileage (in place) or the year (returned)."""
    rows = len(year)
    which = rng.choice(4, rows, p=[1 - MISTAKES, 0.6 * MISTAKES, 0.3 * MISTAKES, 0.1 * MISTAKES])
    price, miles, old = which == 1, which == 2, which == 3  # noqa: PLR2004 - a place in the line above
    offers.price[price] = rng.choice(_PRICE_TYPOS, rows)[price]
    offers.mileage[miles] = rng.choice(_MILE_TYPOS, rows)[miles]
    wrong: Ints = np.where(old, rng.integers(1915, 1930, rows), year)
    return wrong
