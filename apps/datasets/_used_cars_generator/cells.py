"""How the real file writes its cells: units behind numbers, floats with .0, capitalised booleans, in this order."""

from collections.abc import Sequence

from apps.datasets._used_cars_generator.tables import Bools, Floats, Ints

COLUMNS = (
    *("vin", "back_legroom", "bed", "bed_height", "bed_length", "body_type", "cabin", "city", "city_fuel_economy"),
    *("combine_fuel_economy", "daysonmarket", "dealer_zip", "description", "engine_cylinders"),
    *("engine_displacement", "engine_type", "exterior_color", "fleet", "frame_damaged", "franchise_dealer"),
    *("franchise_make", "front_legroom", "fuel_tank_volume", "fuel_type", "has_accidents", "height"),
    *("highway_fuel_economy", "horsepower", "interior_color", "isCab", "is_certified", "is_cpo", "is_new", "is_oemcpo"),
    *("latitude", "length", "listed_date", "listing_color", "listing_id", "longitude", "main_picture_url"),
    *(
        "major_options",
        "make_name",
        "maximum_seating",
        "mileage",
        "model_name",
        "owner_count",
        "power",
        "price",
        "salvage",
    ),
    *("savings_amount", "seller_rating", "sp_id", "sp_name", "theft_title", "torque", "transmission"),
    *("transmission_display", "trimId", "trim_name", "vehicle_damage_category", "wheel_system"),
    *("wheel_system_display", "wheelbase", "width", "year"),
)


def where(cells: Sequence[str], replaced: Bools, by: str) -> list[str]:
    """The cells, with ``by`` in the rows that are replaced."""
    return [by if gone else cell for cell, gone in zip(cells, replaced.tolist(), strict=True)]


def measures(values: Floats, unit: str) -> list[str]:
    """``35.1 in``, and ``68 in`` without a zero."""
    return [f"{value:g} {unit}" for value in values.tolist()]


def floats(values: Floats) -> list[str]:
    """``23141.0``."""
    return [repr(float(value)) for value in values.tolist()]


def integers(values: Ints) -> list[str]:
    """``522``."""
    return [str(value) for value in values.tolist()]


def flags(values: Bools) -> list[str]:
    """``True`` or ``False``."""
    return ["True" if value else "False" for value in values.tolist()]


def named(names: Sequence[str], index: Ints) -> list[str]:
    """The name at each index."""
    return [names[at] for at in index.tolist()]
