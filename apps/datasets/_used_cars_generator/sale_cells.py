"""What a listing says of the sale: price, history, options, dealer, colours and the dealer's text, as cells."""

# ruff: noqa: PLR2004 - the shares stand where they are used

import random
from datetime import date, timedelta

import numpy as np

from apps.datasets._used_cars_generator.cars import Cars
from apps.datasets._used_cars_generator.cells import flags, floats, integers, named, where
from apps.datasets._used_cars_generator.gaps import NONE_EXTERIOR, NONE_INTERIOR
from apps.datasets._used_cars_generator.market import Offers
from apps.datasets._used_cars_generator.sellers import dealers
from apps.datasets._used_cars_generator.tables import makes, models
from apps.datasets._used_cars_generator.words import COLOURS, INTERIORS, OPTIONS, describe


def cells(rng: np.random.Generator, cars: Cars, offers: Offers) -> dict[str, list[str]]:
    """The cells of the columns about the sale, with nothing missing yet."""
    return {
        **_offer(rng, cars, offers),
        **_seller(rng, cars, offers),
        **_colours(rng, len(cars.model)),
        **_text(rng, cars),
        **dict.fromkeys(("vehicle_damage_category", "combine_fuel_economy", "is_certified"), [""] * len(cars.model)),
    }


def _offer(rng: np.random.Generator, cars: Cars, offers: Offers) -> dict[str, list[str]]:
    names = [name for name, _ in OPTIONS]
    captured = np.where(rng.random(len(cars.model)) < 0.9, 9, rng.integers(9, 14, len(cars.model)))
    listed = [
        date(2020, 9, day) - timedelta(days=ago)
        for day, ago in zip(captured.tolist(), offers.days.tolist(), strict=True)
    ]
    return {
        "price": floats(offers.price),
        "mileage": floats(offers.mileage),
        "is_new": flags(cars.is_new),
        "owner_count": floats(offers.owners.astype(np.float64)),
        "has_accidents": flags(offers.accident),
        "fleet": flags(offers.fleet),
        "isCab": flags(offers.cab),
        "frame_damaged": flags(offers.frame_damaged),
        "salvage": flags(offers.salvage),
        "theft_title": flags(offers.theft),
        "is_cpo": flags(offers.certified),
        "is_oemcpo": flags(offers.maker_certified),
        "major_options": [
            repr([name for name, has in zip(names, row, strict=True) if has]) for row in offers.options.tolist()
        ],
        "daysonmarket": integers(offers.days),
        "listed_date": [day.isoformat() for day in listed],
        "savings_amount": integers(offers.savings),
    }


def _seller(rng: np.random.Generator, cars: Cars, offers: Offers) -> dict[str, list[str]]:
    everyone = dealers()
    dealer = everyone.pick(rng, models().make[cars.model], offers.franchise, cars.is_new)
    kind = dealer % everyone.width
    return {
        "franchise_dealer": flags(offers.franchise),
        "franchise_make": [makes()[at].name if at < len(makes()) else "" for at in kind.tolist()],
        "city": named(everyone.towns, dealer),
        "dealer_zip": named(everyone.zips, dealer),
        "latitude": named(everyone.latitudes, dealer),
        "longitude": named(everyone.longitudes, dealer),
        "sp_id": integers(dealer * 67 + 40_013),
        "sp_name": named(everyone.names, dealer),
        "seller_rating": named(everyone.ratings, dealer),
    }


def _colours(rng: np.random.Generator, rows: int) -> dict[str, list[str]]:
    groups, shares = list(COLOURS), np.cumsum([share for share, _ in COLOURS.values()])
    group = named(groups, np.searchsorted(shares / shares[-1], rng.random(rows), side="right"))
    paint, seat = rng.random(rows).tolist(), rng.integers(0, len(INTERIORS), rows)
    exterior = [COLOURS[one][1][int(at * len(COLOURS[one][1]))] for one, at in zip(group, paint, strict=True)]
    unknown = np.array([one == "UNKNOWN" for one in group])
    return {
        "listing_color": group,
        "exterior_color": where(exterior, unknown & (rng.random(rows) < NONE_EXTERIOR / 0.13), "None"),
        "interior_color": where(named(INTERIORS, seat), rng.random(rows) < NONE_INTERIOR, "None"),
    }


def _text(rng: np.random.Generator, cars: Cars) -> dict[str, list[str]]:
    table = models()
    make = named([one.name for one in makes()], table.make[cars.model])
    model = named(table.name, cars.model)
    chance = random.Random(int(rng.integers(2**62)))
    years, fresh = cars.year.tolist(), cars.is_new.tolist()
    slugs = [f"{y}_{a}_{b}".lower().replace(" ", "_") for y, a, b in zip(years, make, model, strict=True)]
    numbers = rng.integers(10**17, 10**18, len(make)).tolist()
    rows = zip(make, model, years, fresh, strict=True)
    return {
        "description": [describe(chance, *row) for row in rows],
        "main_picture_url": [
            f"https://pictures.example.com/forsale/{slug}-pic-{number}-152x114.jpeg"
            for slug, number in zip(slugs, numbers, strict=True)
        ],
    }
