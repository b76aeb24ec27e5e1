"""
What a listing lacks: one mask for each block of columns that are missing together, and the values that hide a gap.

The rates are exact counts of the real file (3,000,040 rows).
"""

# ruff: noqa: PLR2004 - the shares stand where they are used

import numpy as np

from apps.datasets._used_cars_generator.cars import Cars
from apps.datasets._used_cars_generator.market import Offers
from apps.datasets._used_cars_generator.tables import PICKUP, Bools, Floats, models

BLOCKS: dict[str, tuple[str, ...]] = {
    "always": ("vehicle_damage_category", "combine_fuel_economy", "is_certified"),
    "bed": ("bed",),
    "cabin": ("cabin",),
    "maker_certified": ("is_oemcpo",),
    "certified": ("is_cpo",),
    "bed_size": ("bed_height", "bed_length"),
    "owners": ("owner_count",),
    "history": ("fleet", "frame_damaged", "has_accidents", "isCab", "salvage", "theft_title"),
    "franchise": ("franchise_make",),
    "torque": ("torque",),
    "economy": ("city_fuel_economy", "highway_fuel_economy"),
    "power": ("power",),
    "picture": ("main_picture_url",),
    "options": ("major_options",),
    "engine": ("engine_displacement", "horsepower"),
    "dimensions": (
        *("back_legroom", "front_legroom", "fuel_tank_volume", "height", "length", "maximum_seating", "wheelbase"),
        "width",
    ),
    "drive": ("wheel_system", "wheel_system_display"),
    "mileage": ("mileage",),
    "trim": ("trim_name",),
    "trim_id": ("trimId",),
    "cylinders": ("engine_cylinders", "engine_type"),
    "fuel": ("fuel_type",),
    "text": ("description",),
    "gearbox": ("transmission", "transmission_display"),
    "body": ("body_type",),
    "seller": ("sp_id",),
}
NEW_WITHOUT_HISTORY, USED_WITHOUT_HISTORY = 0.942, 0.036
NEW_WITHOUT_MILEAGE, USED_WITHOUT_MILEAGE = 0.085, 0.013
HIDDEN_BACK, HIDDEN_FRONT, HIDDEN_MEASURE = 0.002, 0.005, 0.0001
NONE_INTERIOR, NONE_EXTERIOR = 0.128, 0.0167


def _missing(chance: Floats, rate: float, forced: Bools) -> Bools:
    """Missing where it is forced, and elsewhere as often as gives ``rate`` in all."""
    certain = float(forced.mean())
    gone: Bools = forced | (chance * (1 - certain) < rate - certain)
    return gone


def masks(rng: np.random.Generator, cars: Cars, offers: Offers) -> dict[str, Bools]:
    """For each block, the rows that lack it; what an electric car does not have is a gap as well."""
    rows, table = len(cars.model), models()
    chance = {name: rng.random(rows) for name in BLOCKS}
    never = np.zeros(rows, dtype=np.bool_)
    electric = np.array([fuel == "Electric" for fuel in table.engines.fuel])[cars.engine]
    # A listing whose specification sheet is unknown lacks several blocks at once: the rarer gap lies in the larger.
    sheet = np.where(electric, 0, chance["engine"])
    fuel = _missing(chance["fuel"], 0.0276, never)
    history = chance["history"] < np.where(cars.is_new, NEW_WITHOUT_HISTORY, USED_WITHOUT_HISTORY)
    no_bed = _missing(chance["bed_size"], 0.8570, cars.body != PICKUP)
    trim = _missing(chance["trim"], 0.0386, never)
    rates = {"picture": 0.1230, "drive": 0.0489, "text": 0.0260, "gearbox": 0.0214, "body": 0.0045, "seller": 3.2e-5}
    return {
        "always": ~never,
        "bed": _missing(chance["bed"], 0.9935, no_bed),
        "cabin": _missing(chance["cabin"], 0.9788, no_bed),
        "maker_certified": ~offers.maker_certified,
        "certified": ~offers.certified,
        "bed_size": no_bed,
        "owners": _missing(chance["owners"], 0.5057, history),
        "history": history,
        "franchise": _missing(chance["franchise"], 0.1909, ~offers.franchise),
        "torque": _missing(sheet, 0.1726, electric),
        "economy": _missing(chance["economy"], 0.1638, cars.city_mpg == 0),
        "power": _missing(sheet, 0.1605, electric),
        "options": _missing(chance["options"], 0.0667, offers.options.sum(axis=1) == 0),
        "engine": _missing(sheet, 0.0575, electric),
        "dimensions": _missing(sheet, 0.0531, electric),
        "mileage": chance["mileage"] < np.where(cars.is_new, NEW_WITHOUT_MILEAGE, USED_WITHOUT_MILEAGE),
        "trim": trim | (chance["trim_id"] < 0.0002),
        "trim_id": trim,
        "cylinders": fuel | electric,
        "fuel": fuel,
        **{name: _missing(chance[name], rate, never) for name, rate in rates.items()},
    }


def dashes(rng: np.random.Generator, cars: Cars) -> dict[str, Bools]:
    """For each measure, the rows that say ``--`` in place of it."""
    names = (*BLOCKS["dimensions"], "bed_height", "bed_length")
    rates = {"back_legroom": HIDDEN_BACK, "front_legroom": HIDDEN_FRONT, "bed_height": 0.97}
    hidden = {name: rng.random(len(cars.model)) < rates.get(name, HIDDEN_MEASURE) for name in names}
    hidden["back_legroom"] |= cars.back_legroom == 0
    return hidden
