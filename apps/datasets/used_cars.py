"""
Used cars: the 66 raw columns of the Kaggle file ananaymital/us-used-cars-dataset, and what predicts the price.

The file may not be shipped: rows come from a generator that follows its published aggregates, or from the person's
own copy. The limits of a column take nearly all that the file means and leave out its typing mistakes, such as 999,995
for a sedan; a few cars lie beyond them and are refused on purpose: those above 200,000 and those from before 1980.
"""

from apps.datasets._used_cars_generator import generate
from apps.datasets.declaration import Column, Dataset, Kind

INCHES, GALLONS, SEATS = "([0-9.]+) in", "([0-9.]+) gal", "([0-9]+) seats"
DASHES = ("--",)


def _measure(name: str, pattern: str, low: float, high: float) -> Column:
    return Column(name, "number", pattern=pattern, nulls=DASHES, minimum=low, maximum=high)


def _number(name: str, low: float, high: float, required: bool = False) -> Column:
    return Column(name, "number", required=required, minimum=low, maximum=high)


def _category(name: str, required: bool = False) -> Column:
    return Column(name, "category", required=required)


def _text(name: str, kind: Kind = "text") -> Column:
    return Column(name, kind)


COLUMNS = (
    _text("vin"),
    _measure("back_legroom", INCHES, 0, 100),
    _category("bed"),
    _measure("bed_height", INCHES, 0, 100),
    _measure("bed_length", INCHES, 0, 200),
    _category("body_type"),
    _category("cabin"),
    _category("city"),
    _number("city_fuel_economy", 1, 200),
    _number("combine_fuel_economy", 1, 200),
    _number("daysonmarket", 0, 10_000),
    _text("dealer_zip"),  # 00960: text, for its zeros
    _text("description"),
    _category("engine_cylinders"),
    _number("engine_displacement", 0, 20_000),
    _category("engine_type"),
    _category("exterior_color"),
    Column("fleet", "flag"),
    Column("frame_damaged", "flag"),
    Column("franchise_dealer", "flag", required=True),
    _category("franchise_make"),
    _measure("front_legroom", INCHES, 0, 100),
    _measure("fuel_tank_volume", GALLONS, 0, 200),
    _category("fuel_type"),
    Column("has_accidents", "flag"),
    _measure("height", INCHES, 20, 200),
    _number("highway_fuel_economy", 1, 200),
    _number("horsepower", 10, 2_500),
    _category("interior_color"),
    Column("isCab", "flag"),
    _text("is_certified"),
    Column("is_cpo", "flag"),
    Column("is_new", "flag", required=True),
    Column("is_oemcpo", "flag"),
    _number("latitude", -90, 90),
    _measure("length", INCHES, 50, 500),
    _text("listed_date"),
    _category("listing_color"),
    _text("listing_id"),
    _number("longitude", -180, 180),
    _text("main_picture_url"),
    _category("major_options"),  # a Python list, of which only the length is used
    _category("make_name", required=True),
    _measure("maximum_seating", SEATS, 1, 60),
    _number("mileage", 0, 500_000),
    _category("model_name", required=True),
    _number("owner_count", 0, 50),
    _text("power"),  # "177 hp @ 5,750 RPM": its number is in horsepower
    _number("price", 500, 200_000),
    Column("salvage", "flag"),
    _number("savings_amount", 0, 1_000_000),
    _number("seller_rating", 0, 5),
    _text("sp_id"),
    _category("sp_name"),
    Column("theft_title", "flag"),
    _category("torque"),  # "1,050 lb-ft @ 1,600 RPM": its comma makes it no number, so that a feature reads it
    _category("transmission"),
    _category("transmission_display"),
    _text("trimId"),
    _category("trim_name"),
    _text("vehicle_damage_category"),
    _category("wheel_system"),
    _category("wheel_system_display"),
    _measure("wheelbase", INCHES, 40, 300),
    _measure("width", INCHES, 30, 200),
    _number("year", 1980, 2022, required=True),
)

NUMERIC = {
    "age": "2021 - year",
    "miles": "CASE WHEN is_new = 1 THEN coalesce(mileage, 10) ELSE mileage END",
    "miles_a_year": "CASE WHEN is_new = 1 THEN 0 ELSE mileage / (2022 - least(year, 2021)) END",
    "log_horsepower": "ln(horsepower)",
    "horsepower": "horsepower",
    "torque": "try_cast(replace(regexp_extract(torque, '^([0-9,]+) lb-ft', 1), ',', '') AS DOUBLE)",
    "displacement": "engine_displacement",
    "city_mpg": "city_fuel_economy",
    "highway_mpg": "highway_fuel_economy",
    "wheelbase": "wheelbase",
    "length": "length",
    "width": "width",
    "height": "height",
    "back_legroom": "back_legroom",
    "tank": "fuel_tank_volume",
    "seats": "maximum_seating",
    "new": "is_new",
    "franchise": "franchise_dealer",
    "owners": "coalesce(owner_count, CASE WHEN is_new = 1 THEN 0 ELSE 1 END)",
    "accidents": "coalesce(has_accidents, 0)",
    "title_faults": "coalesce(salvage, 0) + coalesce(frame_damaged, 0) + coalesce(theft_title, 0)",
    "options": "CASE WHEN major_options IS NOT NULL THEN size(split(major_options, '[\\'\"], [\\'\"]')) END",
}

DATASET = Dataset(
    name="used_cars",
    task="regression",
    target="price",
    key=("listing_id",),
    columns=COLUMNS,
    numeric=NUMERIC,
    one_hot=("body_type", "fuel_type", "wheel_system", "transmission", "engine_cylinders"),
    target_encoded=("make_name", "model_name", "trim_name", "franchise_make"),
    log_target=True,
    generate=generate,
)
