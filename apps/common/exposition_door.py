"""The door at ``/metrics``, by Prometheus' own library; whoever tells figures need not wait until it is imported."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from apps.common.exposition import FAMILIES, Figure

KINDS = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily, "histogram": HistogramMetricFamily}


@dataclass(frozen=True)
class ToldFigures(Collector):
    """Asks ``told`` at each scrape."""

    told: Callable[[], Iterable[Figure]]

    def collect(self) -> Iterator[Metric]:
        """The figures of now; raises KeyError for one that was not declared, and the scrape fails then."""
        found: dict[str, CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily] = {}
        for figure in self.told():
            family = FAMILIES[figure.family]
            if family.name not in found:
                found[family.name] = KINDS[family.kind](family.name, family.meaning, labels=family.labels)
            metric, labels = found[family.name], [figure.labels[name] for name in family.labels]
            if isinstance(metric, HistogramMetricFamily):
                metric.add_metric(labels, figure.buckets, figure.value)
            else:
                metric.add_metric(labels, figure.value)
        yield from found.values()

    def describe(self) -> list[Metric]:
        """Nothing: otherwise it would be asked for its figures when it is registered."""
        return []


def open_door(host: str, port: int, told: Callable[[], Iterable[Figure]]) -> None:
    """Answer from now on, in threads; raises OSError where the port cannot be had."""
    registry = CollectorRegistry()
    registry.register(ToldFigures(told))
    ProcessCollector(registry=registry)  # the memory and the files of this process; its JVM's are not among them
    start_http_server(port, host, registry)
