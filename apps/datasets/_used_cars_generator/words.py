"""The words of a generated listing: options, colours, and the dealer's text with its commas, quotes and breaks."""

# ruff: noqa: PLR2004 - the shares stand where they are used

import random

OPTIONS = (  # with the share of listings that name it
    ("Leather Seats", 0.41),
    ("Sunroof/Moonroof", 0.36),
    ("Navigation System", 0.48),
    ("Adaptive Cruise Control", 0.39),
    ("Alloy Wheels", 0.50),
    ("Third Row Seating", 0.11),
    ("Bluetooth", 0.70),
    ("Backup Camera", 0.77),
    ("Remote Start", 0.41),
    ("Blind Spot Monitoring", 0.31),
    ("Parking Sensors", 0.30),
    ("Heated Seats", 0.39),
    ("CarPlay", 0.22),
    ("Android Auto", 0.20),
    ("Quick Order Package", 0.20),
    ("Multi Zone Climate Control", 0.12),
    ("Premium Package", 0.10),
    ("Technology Package", 0.09),
    ("Convenience Package", 0.09),
    ("Cold Weather Package", 0.05),
    ("Tow Package", 0.06),
    ("Sport Package", 0.04),
    ("Driver's Assistance Package", 0.03),
    ("Adaptive Suspension", 0.03),
)
COLOURS = {  # the group in capitals, its share, and the brochures' names of it
    "WHITE": (
        22,
        ("Oxford White", "Summit White", "Bright White Clearcoat", "WHITE", "Pearl White Tricoat", "Super White"),
    ),
    "BLACK": (20, ("Black", "Narvik Black", "Agate Black Metallic", "BLACK", "Crystal Black Pearl", "Jet Black")),
    "UNKNOWN": (13, ("Iconic", "Magnetic Metallic", "Stone", "Kaikoura", "Granite Crystal Metallic", "Dual Tone")),
    "SILVER": (12.5, ("Ingot Silver Metallic", "Silver Ice Metallic", "Billet Silver", "SILVER", "Classic Silver")),
    "GRAY": (12.5, ("MACHINE GRAY", "Gun Metallic", "Nightfall Gray", "Gray", "Modern Steel Metallic")),
    "BLUE": (8.5, ("Velocity Blue", "Blue Jeans Metallic", "BLUE", "Aegean Blue (Pearl)", "Deep Sea Blue")),
    "RED": (8.5, ("Rapid Red Metallic Tinted Clearcoat", "RED", "Redline Pearl", "Soul Red Crystal", "Cajun Red")),
    "GREEN": (0.7, ("Guard Metallic Green", "Sarge Green", "GREEN")),
    "BROWN": (0.7, ("Mocha Bronze", "BROWN", "Walnut Brown Crystal")),
    "ORANGE": (0.6, ("Twister Orange", "Burnt Orange")),
    "GOLD": (0.5, ("Desert Gold", "GOLD")),
    "TEAL": (0.1, ("Teal", "Real Teal Pearl")),
    "YELLOW": (0.2, ("Solar Yellow", "Triple Yellow")),
    "PURPLE": (0.1, ("Plum Crazy", "Amethyst")),
    "PINK": (0.02, ("Pink", "Rose")),
}
INTERIORS = (
    "Black",
    "Gray",
    "Jet Black",
    "Ebony",
    "Beige",
    "Charcoal",
    "Black (Ebony)",
    "Gray (Light / Dark)",
    "Tan",
    "BLACK",
    "Medium Ash Gray w/Premium Cloth",
    "Brown (Saddle, Perforated)",
)
MARKER = "[!@@Additional Info@@!]"
_GREETINGS = (
    'Clean history, one owner, "like new" inside and out.',
    "Recent arrival! Serviced, inspected and ready to go.",
    "We offer financing for everyone, even with no credit.",
    'Local trade-in with 19" wheels, and priced to sell.',
    "Why pay more? Call, click or come by.\nOpen Monday to Saturday, 9 to 8",
    "Odometer is below the market average,\n  * one key\n  * floor mats",
    "Prices do not include tax, title, tags, or the $599 dealer fee.",
    'Our customers say: "Easy to buy, easy to drive", so ask us.',
    "Priced below market;\r\ncar's history is on file",
    "Come see this {year} {make} {model} today!",
    "{make} {model} {year}, drives as it should, and no accidents that we know of",
)
_EQUIPMENT = (
    "Keyless Entry",
    "Engine: 2.0L, turbocharged",
    "Wheels: 18' Aluminum",
    "Tires: 235/65R17, All-Season",
    "Floor Mats",
    "GVWR: 6,900 lbs",
    "Power Liftgate",
    "Fog Lights",
    "Cargo Net",
    "Roof Rails",
    "Trailer Hitch",
    'Radio w/8" Touchscreen',
    "Full Size Spare Tire",
    "Premium Paint",
    "50 State Emissions",
    "Splash Guards",
    "Heated Steering Wheel",
    "Rear Parking Aid",
    "Manufacturer's Statement of Origin",
)


def describe(chance: random.Random, make: str, model: str, year: int, is_new: bool) -> str:
    """A dealer's text, then the marker, then a list of equipment; a new car's often has no text."""
    chosen = [] if is_new and chance.random() < 0.55 else chance.sample(_GREETINGS, chance.randint(1, 3))
    text = " ".join(chosen).replace("{make}", make).replace("{model}", model).replace("{year}", str(year))
    return f"{text}{MARKER}{','.join(chance.sample(_EQUIPMENT, chance.randint(3, 8)))}"
