"""
Public sets that packages ship, each with a truth written by hand, by what the data mean and not by what a guess said.

A column's truth is its kind: number, flag, category, date, or left (kept as text: an identifier, a name, a constant,
the same information twice). Two words are two right answers. ``HELD_OUT`` were first run when everything else was
finished: 47 of their 50 columns were right then, and the two rules that failed were mended afterwards.
"""

import gzip
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import BytesIO, StringIO
from pathlib import Path

import mlxtend.data
import pandas as pd
import statsmodels.api as sm
from sklearn import datasets as scikit
from vega_datasets import local_data


@dataclass(frozen=True)
class PublicTable:
    """A set, its target, and the truth of each column."""

    name: str
    csv: Callable[[], str]
    target: str
    kinds: Mapping[str, str]
    task: str = "regression"
    key: tuple[str, ...] = ()
    options: Mapping[str, object] = field(default_factory=dict)

    def write(self, folder: Path) -> Path:
        """The set as a CSV file in ``folder``."""
        path = folder / f"{self.name}.csv"
        path.write_text(self.csv(), encoding="utf-8")
        return path


def _frame(load: Callable[[], pd.DataFrame], label: str = "") -> Callable[[], str]:
    """``label`` is the name of the index, where it holds what rows are called."""
    return lambda: load().to_csv(index=bool(label), index_label=label or None)


def _vega(name: str) -> Callable[[], str]:
    """The file itself, as it is shipped, or its JSON as CSV."""

    def read() -> str:
        shipped = getattr(local_data, name)
        text = Path(shipped.filepath).read_text(encoding="utf-8")
        if Path(shipped.filepath).suffix == ".csv":
            return text
        return pd.read_json(StringIO(text), convert_dates=False, dtype=False).to_csv(index=False)

    return read


def _scikit(name: str, **options: object) -> Callable[[], str]:
    return _frame(lambda: getattr(scikit, f"load_{name}")(as_frame=True, **options).frame)


def _statsmodels(name: str, label: str = "") -> Callable[[], str]:
    return _frame(lambda: getattr(sm.datasets, name).load_pandas().data, label)


AUTO_MPG = [
    "cylinders",
    "displacement",
    "horsepower",
    "weight",
    "acceleration",
    "model_year",
    "origin",
    "car_name",
    "mpg",
]


def _auto_mpg() -> str:
    path = Path(mlxtend.data.__file__).parent / "data" / "autompg.csv.gz"
    return pd.read_csv(BytesIO(gzip.decompress(path.read_bytes())), names=AUTO_MPG).to_csv(index=False)


def _boston() -> str:
    names = ["crim", "zn", "indus", "chas", "nox", "rm", "age", "dis", "rad", "tax", "ptratio", "b", "lstat"]
    rows, prices = mlxtend.data.boston_housing_data()
    return pd.DataFrame(rows, columns=names).assign(medv=prices).to_csv(index=False)


def _numbers(names: str, **others: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), "number") | others


CANCER = "radius texture perimeter area smoothness compactness concavity concave_points symmetry fractal_dimension"
WORKERS = (
    "nonfarm private goods_producing service_providing private_service_providing mining_and_logging construction "
    "manufacturing durable_goods nondurable_goods trade_transportation_utilties wholesale_trade retail_trade "
    "transportation_and_warehousing utilities information financial_activities professional_and_business_services "
    "education_and_health_services leisure_and_hospitality other_services government nonfarm_change"
)

TABLES = (
    PublicTable(
        "boston", _boston, "medv", _numbers("crim zn indus nox rm age dis rad tax ptratio b lstat medv", chas="flag")
    ),
    PublicTable(
        "breast_cancer",
        _scikit("breast_cancer"),
        "target",
        {
            (f"mean {n}" if kind == "mean" else f"worst {n}" if kind == "worst" else f"{n} error"): "number"
            for kind in ("mean", "error", "worst")
            for n in (name.replace("_", " ") for name in CANCER.split())
        }
        | {"target": "flag"},
        task="binary",
    ),
    PublicTable(
        "diabetes",
        _scikit("diabetes", scaled=False),
        "target",
        _numbers("age bmi bp s1 s2 s3 s4 s5 s6 target", sex="category flag"),  # 1 and 2
    ),
    PublicTable(
        "iris",
        _vega("iris"),
        "petalWidth",
        _numbers("sepalLength sepalWidth petalLength petalWidth", species="category"),
    ),
    PublicTable(
        "wine",
        _frame(lambda: scikit.load_wine(as_frame=True).frame.rename(columns={"target": "cultivar"})),
        "alcohol",
        _numbers(
            "alcohol malic_acid ash alcalinity_of_ash magnesium total_phenols flavanoids nonflavanoid_phenols "
            "proanthocyanins color_intensity hue od280/od315_of_diluted_wines proline",
            cultivar="category",
        ),
    ),
    PublicTable(
        "linnerud",
        _scikit("linnerud"),
        "Chins",
        _numbers("Chins Situps Jumps Weight Waist Pulse"),
        options={"task": "regression"},
    ),
    PublicTable(
        "cars",
        _vega("cars"),
        "Miles_per_Gallon",
        _numbers(
            "Miles_per_Gallon Cylinders Displacement Horsepower Weight_in_lbs Acceleration",
            Name="left category",
            Year="date",
            Origin="category",
        ),
    ),
    PublicTable(
        "barley",
        _vega("barley"),
        "yield",
        _numbers("yield", variety="category", year="number category", site="category"),
    ),
    PublicTable(
        "seattle_weather",
        _vega("seattle_weather"),
        "temp_max",
        _numbers("precipitation temp_max temp_min wind", date="date", weather="category"),
        key=("date",),
    ),
    PublicTable("seattle_temps", _vega("seattle_temps"), "temp", _numbers("temp", date="date"), key=("date",)),
    PublicTable(
        "stocks", _vega("stocks"), "price", _numbers("price", symbol="category", date="date"), key=("symbol", "date")
    ),
    PublicTable(
        "iowa_electricity",
        _vega("iowa_electricity"),
        "net_generation",
        _numbers("net_generation", year="date", source="category"),
        key=("source", "year"),
    ),
    PublicTable(
        "us_employment", _vega("us_employment"), "nonfarm_change", _numbers(WORKERS, month="date"), key=("month",)
    ),
    PublicTable("driving", _vega("driving"), "gas", _numbers("year miles gas", side="category"), key=("year",)),
    PublicTable(
        "fair",
        _statsmodels("fair"),
        "affairs",
        _numbers(
            "rate_marriage age yrs_married children religious educ affairs",
            occupation="category",
            occupation_husb="category",
        ),
    ),
    PublicTable(
        "grunfeld",
        _statsmodels("grunfeld"),
        "invest",
        _numbers("invest value capital year", firm="category"),
        key=("firm", "year"),
    ),
    PublicTable(
        "macrodata",
        _statsmodels("macrodata"),
        "unemp",
        _numbers(
            "year realgdp realcons realinv realgovt realdpi cpi m1 tbilrate unemp pop infl realint",
            quarter="number category",
        ),
        key=("year", "quarter"),
    ),
    PublicTable(
        "interest_inflation",
        _statsmodels("interest_inflation"),
        "R",
        _numbers("year Dp R", quarter="number category"),
        key=("year", "quarter"),
    ),
    PublicTable("stackloss", _statsmodels("stackloss"), "STACKLOSS", _numbers("STACKLOSS AIRFLOW WATERTEMP ACIDCONC")),
    PublicTable(
        "anes96",
        _statsmodels("anes96"),
        "vote",
        _numbers(
            "popul TVnews selfLR ClinLR DoleLR PID age educ income",
            vote="flag",
            logpopul="left",  # the same as popul
        ),
        task="binary",
    ),
    PublicTable(
        "ccard", _statsmodels("ccard"), "AVGEXP", _numbers("AVGEXP AGE INCOME", INCOMESQ="left", OWNRENT="flag")
    ),
    PublicTable("co2", _statsmodels("co2", "date"), "co2", _numbers("co2", date="date"), key=("date",)),
    PublicTable(
        "cpunish",
        _statsmodels("cpunish"),
        "EXECUTIONS",
        _numbers("EXECUTIONS INCOME PERPOVERTY PERBLACK VC100k96 DEGREE", SOUTH="flag"),
        options={"task": "regression"},
    ),
    PublicTable(
        "modechoice",
        _statsmodels("modechoice"),
        "choice",
        _numbers("ttme invc invt gc hinc psize", individual="left category", mode="category", choice="flag"),
        task="binary",
        key=("individual", "mode"),
    ),
    PublicTable(
        "spector", _statsmodels("spector"), "GRADE", _numbers("GPA TUCE", PSI="flag", GRADE="flag"), task="binary"
    ),
    PublicTable(
        "statecrime",
        _statsmodels("statecrime", "state"),
        "violent",
        _numbers("violent murder hs_grad poverty single white urban", state="left"),
        key=("state",),
    ),
    PublicTable("heart", _statsmodels("heart"), "survival", _numbers("survival age", censors="flag")),
    PublicTable("nile", _statsmodels("nile"), "volume", _numbers("year volume"), key=("year",)),
    PublicTable(
        "fertility",
        _statsmodels("fertility"),
        "2011",
        {
            "Country Name": "left",
            "Country Code": "left",
            "Indicator Name": "left",
            "Indicator Code": "left",
            **{str(year): "number left" for year in range(1960, 2011)},  # last year's value nearly is this year's
            "2011": "number",
            "2012": "left",
            "2013": "left",  # always missing
        },
        key=("Country Code",),
    ),
)

HELD_OUT = (
    PublicTable(
        "airports",
        _vega("airports"),
        "latitude",
        _numbers(
            "latitude longitude", iata="left", name="left", city="left category", state="category", country="category"
        ),
        key=("iata",),
    ),
    PublicTable(
        "la_riots",
        _vega("la_riots"),
        "age",
        _numbers(
            "age longitude latitude",
            first_name="left",
            last_name="left",
            gender="category flag",
            race="category",
            death_date="date",
            address="left",
            neighborhood="category left",
            type="category",
        ),
    ),
    PublicTable(
        "randhie",
        _statsmodels("randhie"),
        "mdvis",
        _numbers("mdvis lncoins lpi fmde physlm disea", idp="flag", hlthg="flag", hlthf="flag", hlthp="flag"),
    ),
    PublicTable(
        "auto_mpg",
        _auto_mpg,
        "mpg",
        _numbers(
            "cylinders displacement horsepower weight acceleration model_year mpg",
            origin="category",
            car_name="left category",
        ),
    ),
    PublicTable(
        "burtin",
        _vega("burtin"),
        "Penicillin",
        _numbers("Penicillin Streptomycin Neomycin", Bacteria="left", Gram_Staining="category flag", Genus="category"),
        key=("Bacteria",),
    ),
    PublicTable(
        "ohlc",
        _vega("ohlc"),
        "ret",
        _numbers("open high low close ret", date="date", signal="category flag"),
        key=("date",),
    ),
)
