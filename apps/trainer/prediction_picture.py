"""A version's predictions for its test rows as a picture: beside what is true, and by how much they differ."""

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

SHORT = EngFormatter(places=1, sep="")  # 12.3k
BANDS = 10  # of the actual values, with as many test rows in each
Values = npt.NDArray[np.float64]


def draw(task: str, target: str, labels: Values, predictions: Values) -> Figure:
    """What was predicted for each test row beside what is true, and by how much that differs in each band."""
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    with mpl.rc_context({"text.parse_math": False}):  # a $ in a target's name is a $
        left, right = figure.subplots(1, 2)
        if task == "binary":
            _by_share(left, labels, predictions)
            _by_class(right, labels, predictions)
        else:
            _by_value(left, target, labels, predictions)
            _by_band(right, target, labels, predictions)
    return figure


def _by_value(axes: Axes, target: str, labels: Values, predictions: Values) -> None:
    ends = [float(labels.min()), float(labels.max())]
    axes.scatter(labels, predictions, s=4, alpha=0.4, linewidths=0)
    axes.plot(ends, ends, color="black", linewidth=0.8)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.yaxis.set_major_formatter(EngFormatter(sep=""))
    axes.set(xlabel=f"actual {target}", ylabel=f"predicted {target}", title=f"{len(labels):,} test rows")


def _by_band(axes: Axes, target: str, labels: Values, predictions: Values) -> None:
    bands = _bands(labels)
    names = [SHORT(labels[band].max()) for band in bands]
    axes.boxplot([(predictions - labels)[band] for band in bands], tick_labels=names, showfliers=False)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.tick_params(axis="x", labelsize=7)
    axes.set(xlabel=f"actual {target}, up to", ylabel="predicted - actual", title="error in each tenth of the rows")


def _by_share(axes: Axes, labels: Values, predictions: Values) -> None:
    bands = _bands(predictions)
    axes.plot([0, 1], [0, 1], color="black", linewidth=0.8)
    axes.plot([predictions[band].mean() for band in bands], [labels[band].mean() for band in bands], marker="o")
    axes.set(xlabel="predicted probability", ylabel="share of class 1", title=f"{len(labels):,} test rows")


def _by_class(axes: Axes, labels: Values, predictions: Values) -> None:
    edges = np.linspace(0, 1, 21).tolist()
    for value in (0, 1):
        axes.hist(predictions[labels == value], edges, alpha=0.6, label=f"class {value}")
    axes.legend()
    axes.set(xlabel="predicted probability", ylabel="test rows", title="what each class was given")


def _bands(values: Values) -> list[npt.NDArray[np.intp]]:
    """The places of the smallest tenth of the values, of the next one, and so on."""
    return [band for band in np.array_split(np.argsort(values, kind="stable"), BANDS) if len(band)]
