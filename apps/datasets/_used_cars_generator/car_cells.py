"""What a listing says of the car itself: its ids, its trim, its specification and its measures, as cells."""

# ruff: noqa: PLR2004 - the shares stand where they are used

from dataclasses import dataclass

import numpy as np

from apps.datasets._used_cars_generator.cars import CREW, EXTENDED, REGULAR, Cars
from apps.datasets._used_cars_generator.cells import floats, integers, measures, named
from apps.datasets._used_cars_generator.tables import BODIES, PICKUP, Ints, makes, models

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


def cells(rng: np.random.Generator, cars: Cars, ids: Identities) -> dict[str, list[str]]:
    """The cells of the columns about the car, with nothing missing yet."""
    make = models().make[cars.model]
    return {
        "make_name": named([one.name for one in makes()], make),
        "model_name": named(models().name, cars.model),
        **_identity(rng, cars, make, ids),
        **_trims(cars, make),
        **_specification(rng, cars),
        **_dimensions(cars),
    }


def _identity(rng: np.random.Generator, cars: Cars, make: Ints, ids: Identities) -> dict[str, list[str]]:
    begin, last = named([one.wmi for one in makes()], make), rng.integers(10, 100, len(make)).tolist()
    years = cars.year.tolist()
    return {
        "vin": [
            f"{wmi}{core[:6]}{_YEAR_LETTERS[(year - 1980) % 30]}{core[6:]}{end}"
            if year >= _FIRST_VIN_OF_17
            else f"000000{core}"
            for wmi, core, year, end in zip(begin, ids.vin, years, last, strict=True)
        ],
        "listing_id": integers(ids.listing),
        "year": integers(cars.year),
    }


def _trims(cars: Cars, make: Ints) -> dict[str, list[str]]:
    """The trim, for most models with the drive behind it; the trim's id is of model, year, trim and drive."""
    drives = models().drive.values
    rows = zip(
        make.tolist(), cars.model.tolist(), cars.trim.tolist(), cars.drive.tolist(), cars.body.tolist(), strict=True
    )
    trims = [
        (makes()[m].truck_trims if body == PICKUP else makes()[m].trims)[trim]
        + (f" {drives[drive]}" if model % 4 else "")
        for m, model, trim, drive, body in rows
    ]
    number = (cars.model * 397 + (cars.year - 1900) * 31 + cars.trim * 7 + cars.drive) % 90_000 + 10_000
    return {"trim_name": trims, "trimId": [f"t{one}" for one in number.tolist()]}


def _specification(rng: np.random.Generator, cars: Cars) -> dict[str, list[str]]:
    table, rows = models(), len(cars.model)
    kinds = named(table.engines.kind, cars.engine)
    drives = named(table.drive.values, cars.drive)
    told = cars.horsepower + np.where(rng.random(rows) < 0.07, rng.integers(-9, 10, rows), 0)
    powers = zip(told.astype(int).tolist(), cars.rpm.tolist(), strict=True)
    torques = zip(cars.torque.astype(int).tolist(), (cars.rpm - 2250).tolist(), strict=True)
    codes, displays = _gearboxes(rng, cars)
    return {
        "engine_type": kinds,
        "engine_cylinders": kinds,
        "engine_displacement": floats(table.engines.cc[cars.engine].astype(np.float64)),
        "fuel_type": named(table.engines.fuel, cars.engine),
        "horsepower": floats(cars.horsepower),
        "power": [f"{power:,} hp @ {rpm:,} RPM" for power, rpm in powers],
        "torque": [f"{torque:,} lb-ft @ {rpm:,} RPM" for torque, rpm in torques],
        "city_fuel_economy": floats(cars.city_mpg),
        "highway_fuel_economy": floats(cars.highway_mpg),
        "wheel_system": drives,
        "wheel_system_display": [DRIVE_NAMES[drive] for drive in drives],
        "transmission": codes,
        "transmission_display": displays,
    }


def _gearboxes(rng: np.random.Generator, cars: Cars) -> tuple[list[str], list[str]]:
    kinds = {"A": "Automatic", "M": "Manual", "D": "Dual Clutch", "C": "Continuously Variable Transmission"}
    codes = {"A": "A", "M": "M", "D": "Dual Clutch", "C": "CVT"}
    texts = named(models().gearbox.values, cars.gearbox)
    chance = rng.random(len(texts)).tolist()
    displays = []
    for text, one in zip(texts, chance, strict=True):
        kind = kinds[text[0]]
        if text[0] == "C" or (text[0] == "A" and one < 0.3):
            displays.append(kind)
        else:
            displays.append(f"{text[1:]}-Speed {kind}" + (" Overdrive" if text[0] == "A" and one > 0.75 else ""))
    return [codes[text[0]] for text in texts], displays


def _dimensions(cars: Cars) -> dict[str, list[str]]:
    return {
        "body_type": named(BODIES, cars.body),
        "back_legroom": measures(cars.back_legroom, "in"),
        "front_legroom": measures(cars.front_legroom, "in"),
        "fuel_tank_volume": measures(cars.tank, "gal"),
        "height": measures(np.round(cars.height, 1), "in"),
        "length": measures(np.round(cars.length, 1), "in"),
        "wheelbase": measures(cars.wheelbase, "in"),
        "width": measures(cars.width, "in"),
        "maximum_seating": measures(cars.seats.astype(np.float64), "seats"),
        "bed": [BEDS[cab] for cab in cars.cab.tolist()],
        "cabin": [CABINS[cab] for cab in cars.cab.tolist()],
        "bed_length": measures(np.round(cars.bed_length, 1), "in"),
        "bed_height": measures(np.round(cars.bed_length / 3.2, 1), "in"),
    }
