"""Numbers as the real file writes them: units, thousands commas, Python lists, capitalised booleans, ISO dates."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from apps.datasets._used_cars_generator.cars import CREW, EXTENDED, REGULAR, Cars
from apps.datasets._used_cars_generator.gaps import NONE_EXTERIOR, NONE_INTERIOR
from apps.datasets._used_cars_generator.market import Offers
from apps.datasets._used_cars_generator.sellers import dealers
from apps.datasets._used_cars_generator.tables import BODIES, PICKUP, Bools, Floats, Ints, makes, models
from apps.datasets._used_cars_generator.words import COLOURS, INTERIORS, OPTIONS, describe

COLUMNS = tuple(
    """vin back_legroom bed bed_height bed_length body_type cabin city city_fuel_economy combine_fuel_economy
    daysonmarket dealer_zip description engine_cylinders engine_displacement engine_type exterior_color fleet
    frame_damaged franchise_dealer franchise_make front_legroom fuel_tank_volume fuel_type has_accidents height
    highway_fuel_economy horsepower interior_color isCab is_certified is_cpo is_new is_oemcpo latitude length
    listed_date listing_color listing_id longitude main_picture_url major_options make_name maximum_seating mileage
    model_name owner_count power price salvage savings_amount seller_rating sp_id sp_name theft_title torque
    transmission transmission_display trimId trim_name vehicle_damage_category wheel_system wheel_system_display
    wheelbase width year""".split()
)
DRIVE_NAMES = {
    "AWD": "All-Wheel Drive",
    "FWD": "Front-Wheel Drive",
    "4WD": "Four-Wheel Drive",
    "RWD": "Rear-Wheel Drive",
    "4X2": "4X2",
}
CABINS = {CREW: "Crew Cab", EXTENDED: "Extended Cab", REGULAR: "Regular Cab"}
BEDS = {CREW: "Short Bed", EXTENDED: "Standard Bed", REGULAR: "Long Bed"}
_LETTERS = np.array(list("0123456789ABCDEFGHJKLMNPRSTUVWXYZ"))  # a VIN has no I, O and Q
_YEAR_LETTERS = "ABCDEFGHJKLMNPRSTVWXY123456789"  # from 1980 on, again each 30 years
_ID_BITS = 52  # a listing id stays exact as a double
_ROW_BITS = 22
_SCRAMBLE = 0x9E3779B97F4A7 | 1  # odd: multiplying by it is one-to-one
_FIRST_VIN_OF_17 = 1981


@dataclass(frozen=True)
class Identities:
    """The ids of the rows: different for every row of a seed and drift, and all but surely between those."""

    listing: Ints
    vin: list[str]  # 11 characters each

    @classmethod
    def of(cls, first: int, rows: int, seed: int, drift: float) -> "Identities":
        """The ids of ``rows`` rows from row number ``first`` on."""
        source = np.random.SeedSequence([seed % 2**63, int(np.float64(drift).view(np.uint64))])
        base = (int(source.generate_state(1)[0]) >> 2 | 1 << 29) << _ROW_BITS
        listing = base + np.arange(first, first + rows)
        scrambled = listing * _SCRAMBLE % 2**_ID_BITS
        digits = scrambled[:, None] // len(_LETTERS) ** np.arange(11) % len(_LETTERS)
        return cls(listing, ["".join(letters) for letters in _LETTERS[digits].tolist()])


def where(cells: Sequence[str], replaced: Bools, by: str) -> list[str]:
    """The cells, with ``by`` in the rows that are replaced."""
    return [by if gone else cell for cell, gone in zip(cells, replaced.tolist(), strict=True)]


def _measures(values: Floats, unit: str) -> list[str]:
    return [f"{value:g} {unit}" for value in values.tolist()]


def _floats(values: Floats) -> list[str]:
    return [repr(float(value)) for value in values.tolist()]


def _integers(values: Ints) -> list[str]:
    return [str(value) for value in values.tolist()]


def _flags(values: Bools) -> list[str]:
    return ["True" if value else "False" for value in values.tolist()]


def _named(names: Sequence[str], index: Ints) -> list[str]:
    return [names[at] for at in index.tolist()]


def columns(rng: np.random.Generator, cars: Cars, offers: Offers, ids: Identities) -> dict[str, list[str]]:
    """The cells of every column, with nothing missing yet."""
    table = models()
    make = table.make[cars.model]
    names, model_names = _named([one.name for one in makes()], make), _named(table.name, cars.model)
    return {
        **_identity(rng, cars, make, ids),
        **_specification(rng, cars),
        **_dimensions(cars),
        **_offer(rng, cars, offers),
        **_seller(rng, cars, offers, make),
        **_colours(rng, len(make)),
        **_text(rng, cars, names, model_names),
        "make_name": names,
        "model_name": model_names,
        "vehicle_damage_category": [""] * len(make),
        "combine_fuel_economy": [""] * len(make),
        "is_certified": [""] * len(make),
    }


def _identity(rng: np.random.Generator, cars: Cars, make: Ints, ids: Identities) -> dict[str, list[str]]:
    begin, last = _named([one.wmi for one in makes()], make), rng.integers(10, 100, len(make)).tolist()
    years = cars.year.tolist()
    return {
        "vin": [
            f"{wmi}{core[:6]}{_YEAR_LETTERS[(year - 1980) % 30]}{core[6:]}{end}"
            if year >= _FIRST_VIN_OF_17
            else f"000000{core}"
            for wmi, core, year, end in zip(begin, ids.vin, years, last, strict=True)
        ],
        "listing_id": _integers(ids.listing),
        "year": _integers(cars.year),
        **_trims(cars, make),
    }


def _trims(cars: Cars, make: Ints) -> dict[str, list[str]]:
    """The trim, for most models with the drive behind it; the trim's id is of model, year, trim and drive."""
    drives = models().drive.values
    rows = zip(make.tolist(), cars.model.tolist(), cars.trim.tolist(), cars.drive.tolist(), cars.body.tolist(), strict=True)
    trims = [
        (makes()[m].truck_trims if body == PICKUP else makes()[m].trims)[trim] + (f" {drives[drive]}" if model % 4 else "")
        for m, model, trim, drive, body in rows
    ]
    number = (cars.model * 397 + (cars.year - 1900) * 31 + cars.trim * 7 + cars.drive) % 90_000 + 10_000
    return {"trim_name": trims, "trimId": [f"t{one}" for one in number.tolist()]}


def _specification(rng: np.random.Generator, cars: Cars) -> dict[str, list[str]]:
    table, rows = models(), len(cars.model)
    kinds = _named(table.engines.kind, cars.engine)
    drives = _named(table.drive.values, cars.drive)
    told = cars.horsepower + np.where(rng.random(rows) < 0.07, rng.integers(-9, 10, rows), 0)
    powers = zip(told.astype(int).tolist(), cars.rpm.tolist(), strict=True)
    torques = zip(cars.torque.astype(int).tolist(), (cars.rpm - 2250).tolist(), strict=True)
    codes, displays = _gearboxes(rng, cars)
    return {
        "engine_type": kinds,
        "engine_cylinders": kinds,
        "engine_displacement": _floats(table.engines.cc[cars.engine].astype(np.float64)),
        "fuel_type": _named(table.engines.fuel, cars.engine),
        "horsepower": _floats(cars.horsepower),
        "power": [f"{power:,} hp @ {rpm:,} RPM" for power, rpm in powers],
        "torque": [f"{torque:,} lb-ft @ {rpm:,} RPM" for torque, rpm in torques],
        "city_fuel_economy": _floats(cars.city_mpg),
        "highway_fuel_economy": _floats(cars.highway_mpg),
        "wheel_system": drives,
        "wheel_system_display": [DRIVE_NAMES[drive] for drive in drives],
        "transmission": codes,
        "transmission_display": displays,
    }


def _gearboxes(rng: np.random.Generator, cars: Cars) -> tuple[list[str], list[str]]:
    kinds = {"A": "Automatic", "M": "Manual", "D": "Dual Clutch", "C": "Continuously Variable Transmission"}
    codes = {"A": "A", "M": "M", "D": "Dual Clutch", "C": "CVT"}
    texts = _named(models().gearbox.values, cars.gearbox)
    chance = rng.random(len(texts)).tolist()
    displays = []
    for text, one in zip(texts, chance, strict=True):
        kind = kinds[text[0]]
        if text[0] == "C" or (text[0] == "A" and one < 0.3):  # noqa: PLR2004 - a share
            displays.append(kind)
        else:
            displays.append(f"{text[1:]}-Speed {kind}" + (" Overdrive" if text[0] == "A" and one > 0.75 else ""))  # noqa: PLR2004
    return [codes[text[0]] for text in texts], displays


def _dimensions(cars: Cars) -> dict[str, list[str]]:
    return {
        "body_type": _named(BODIES, cars.body),
        "back_legroom": _measures(cars.back_legroom, "in"),
        "front_legroom": _measures(cars.front_legroom, "in"),
        "fuel_tank_volume": _measures(cars.tank, "gal"),
        "height": _measures(np.round(cars.height, 1), "in"),
        "length": _measures(np.round(cars.length, 1), "in"),
        "wheelbase": _measures(cars.wheelbase, "in"),
        "width": _measures(cars.width, "in"),
        "maximum_seating": _measures(cars.seats.astype(np.float64), "seats"),
        "bed": [BEDS[cab] for cab in cars.cab.tolist()],
        "cabin": [CABINS[cab] for cab in cars.cab.tolist()],
        "bed_length": _measures(np.round(cars.bed_length, 1), "in"),
        "bed_height": _measures(np.round(cars.bed_length / 3.2, 1), "in"),
    }


def _offer(rng: np.random.Generator, cars: Cars, offers: Offers) -> dict[str, list[str]]:
    names = [name for name, _ in OPTIONS]
    captured = np.where(rng.random(len(cars.model)) < 0.9, 9, rng.integers(9, 14, len(cars.model)))
    listed = [date(2020, 9, day) - timedelta(days=ago) for day, ago in zip(captured.tolist(), offers.days.tolist(), strict=True)]
    return {
        "price": _floats(offers.price),
        "mileage": _floats(offers.mileage),
        "is_new": _flags(cars.is_new),
        "owner_count": _floats(offers.owners.astype(np.float64)),
        "has_accidents": _flags(offers.accident),
        "fleet": _flags(offers.fleet),
        "isCab": _flags(offers.cab),
        "frame_damaged": _flags(offers.frame_damaged),
        "salvage": _flags(offers.salvage),
        "theft_title": _flags(offers.theft),
        "is_cpo": _flags(offers.certified),
        "is_oemcpo": _flags(offers.maker_certified),
        "major_options": [repr([name for name, has in zip(names, row, strict=True) if has]) for row in offers.options.tolist()],
        "daysonmarket": _integers(offers.days),
        "listed_date": [day.isoformat() for day in listed],
        "savings_amount": _integers(offers.savings),
    }


def _seller(rng: np.random.Generator, cars: Cars, offers: Offers, make: Ints) -> dict[str, list[str]]:
    everyone = dealers()
    dealer = everyone.pick(rng, make, offers.franchise, cars.is_new)
    kind = dealer % everyone.width
    return {
        "franchise_dealer": _flags(offers.franchise),
        "franchise_make": [makes()[at].name if at < len(makes()) else "" for at in kind.tolist()],
        "city": _named(everyone.towns, dealer),
        "dealer_zip": _named(everyone.zips, dealer),
        "latitude": _named(everyone.latitudes, dealer),
        "longitude": _named(everyone.longitudes, dealer),
        "sp_id": _integers(dealer * 67 + 40_013),
        "sp_name": _named(everyone.names, dealer),
        "seller_rating": _named(everyone.ratings, dealer),
    }


def _colours(rng: np.random.Generator, rows: int) -> dict[str, list[str]]:
    groups, shares = list(COLOURS), np.cumsum([share for share, _ in COLOURS.values()])
    group = _named(groups, np.searchsorted(shares / shares[-1], rng.random(rows), side="right"))
    paint, seat = rng.random(rows).tolist(), rng.integers(0, len(INTERIORS), rows)
    exterior = [COLOURS[one][1][int(at * len(COLOURS[one][1]))] for one, at in zip(group, paint, strict=True)]
    unknown = np.array([one == "UNKNOWN" for one in group])
    return {
        "listing_color": group,
        "exterior_color": where(exterior, unknown & (rng.random(rows) < NONE_EXTERIOR / 0.13), "None"),
        "interior_color": where(_named(INTERIORS, seat), rng.random(rows) < NONE_INTERIOR, "None"),
    }


def _text(rng: np.random.Generator, cars: Cars, make: list[str], model: list[str]) -> dict[str, list[str]]:
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
