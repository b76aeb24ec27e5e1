"""stack.yaml is read strictly, and its needs give an order."""

import copy

import pytest
import yaml

from apps.common.errors import SettingsError
from stack import services
from stack.services import FILE, ServiceKind

RAW = yaml.safe_load(FILE.read_text())


@pytest.fixture
def raw():
    """A copy of the real file's content, to be broken."""
    return copy.deepcopy(RAW)


def service(raw, name):
    """The raw entry of a service."""
    return next(one for one in raw["services"] if one["name"] == name)


def problems(raw):
    """What parse says is wrong."""
    with pytest.raises(SettingsError) as caught:
        services.parse(raw, "stack.yaml")
    return str(caught.value).splitlines()


def test_the_file_lists_the_platform_first_and_then_the_apps_in_the_order_of_the_flow():
    """stack.yaml itself is valid, and reads from the platform to the server."""
    names = [one.name for one in services.load().services]

    assert names[:5] == ["postgres", "mlflow", "kafka", "namenode", "datanode"]
    assert names[5:] == [
        "batch-dropper",
        "new-data-watcher",
        "trainer",
        "new-model-watcher",
        "prediction-server",
        "standby",
        "live-metrics",
        "gateway",
        "cache",
        "prometheus",
    ]


def test_each_service_starts_after_what_it_needs():
    """The start order of everything never puts a service before one of its needs."""
    stack = services.load()
    order = [one.name for one in stack.start_order([one.name for one in stack.services])]

    assert len(order) == len(stack.services)
    assert all(order.index(need) < order.index(one.name) for one in stack.services for need in one.needs)


def test_the_order_of_the_file_does_not_matter_to_the_start(raw):
    """Listed backwards, each service still starts after what it needs."""
    raw["services"].reverse()
    stack = services.parse(raw, "stack.yaml")
    order = [one.name for one in stack.start_order([one.name for one in stack.services])]

    assert all(order.index(need) < order.index(one.name) for one in stack.services for need in one.needs)


def test_asking_for_one_service_brings_what_it_needs_and_nothing_else():
    """The closure of a service follows its needs' needs."""
    assert {"mlflow", "postgres", "new-model-watcher"} == services.load().closure(["new-model-watcher"])


@pytest.mark.parametrize(
    ("ready", "may"),
    [
        ({"kafka", "mlflow"}, True),
        ({"kafka", "namenode"}, True),
        ({"kafka", "namenode", "mlflow"}, True),
        ({"kafka", "postgres", "datanode"}, False),
        ({"namenode", "mlflow"}, False),
        (set(), False),
    ],
)
def test_the_server_starts_with_kafka_and_either_hdfs_or_mlflow(ready, may):
    """What serves can be started again while one of the two that have its files is away."""
    assert may is services.load().service("prediction-server").may_start(ready)


def test_nothing_waits_for_a_kafka_that_somebody_else_runs():
    """Without settings that name one it is the stack's own; with them neither it nor a need of it is left."""
    own = services.own({"BATON_KAFKA": "elsewhere:9092"})
    names = {one.name for one in services.load().services}

    assert names == {one.name for one in services.own({"BATON_DATASET": "cars"}).services}
    assert names - {"kafka"} == {one.name for one in own.services}
    assert own.service("prediction-server").may_start({"mlflow"})
    assert "kafka" not in own.closure(names - {"kafka"})


def test_what_is_needed_instead_of_each_other_is_brought_up_all_the_same():
    """A stack with a server has HDFS and MLflow, and starts it after both; a need that is none is named."""
    stack = services.load()
    order = [one.name for one in stack.start_order(["prediction-server"])]

    assert {"postgres", "mlflow", "kafka", "namenode", "prediction-server"} == set(order)
    assert "prediction-server" == order[-1]


def test_an_address_is_made_of_the_host_and_the_named_port():
    """An address follows the port that stack.yaml gives."""
    stack = services.load()
    port = stack.service("namenode").ports["rpc"]

    assert stack.service("namenode").address_at("example") == f"hdfs://example:{port}"


def test_every_problem_is_reported_at_once(raw):
    """A file with five mistakes gives five sentences, each naming its place."""
    service(raw, "kafka")["ports"]["broker"] = "abc"
    service(raw, "mlflow")["kind"] = "daemon"
    del service(raw, "trainer")["memory_mib"]
    service(raw, "namenode")["color"] = "red"
    raw["delivery"]["partitions"] = True

    found = problems(raw)

    assert len(found) == 5
    for place in ("kafka.ports", "mlflow.kind", "trainer.memory_mib", "namenode.color", "delivery.partitions"):
        assert any(f"stack.yaml: {place} must be " in line for line in found), place


@pytest.mark.parametrize(
    ("name", "field", "value", "sentence"),
    [
        ("mlflow", "needs", ["postgrse"], "mlflow.needs must be one of"),
        ("prediction-server", "needs_one_of", ["hdfs"], "prediction-server.needs_one_of must be one of"),
        ("mlflow", "needs_one_of", ["prediction-server"], "mlflow.needs must be free of cycles"),
        ("postgres", "needs", ["mlflow"], "postgres.needs must be free of cycles"),
        ("kafka", "ports", {"broker": 15432}, "kafka.ports.broker must be free; postgres.ports.sql has it"),
        ("kafka", "ports", {"broker": 70000}, "kafka.ports.broker must be 1-65535"),
        ("kafka", "name", "mlflow", "mlflow.name must be unique"),
        ("trainer", "module", "", "trainer.module must be the app's Python module"),
    ],
)
def test_services_that_contradict_each_other_are_refused(raw, name, field, value, sentence):
    """Unknown needs, cycles, taken ports and repeated names are refused, with the place named."""
    service(raw, name)[field] = value

    assert any(sentence in line for line in problems(raw))


def test_an_answer_must_outlive_its_request(raw):
    """Retention that would let a request outlive its answer is refused: it would be answered again."""
    delivery = raw["delivery"]
    delivery["answer_retention_hours"] = delivery["request_retention_hours"] + delivery["segment_hours"]

    assert [line.split()[1] for line in problems(raw)] == ["delivery.answer_retention_hours"]


@pytest.mark.parametrize("raw", [None, [], "text", {}, {"machine": {}, "delivery": {}, "services": []}])
def test_a_file_that_is_no_stack_is_refused(raw):
    """Whatever YAML holds, the answer is a SettingsError and no traceback."""
    assert problems(raw)


def test_only_a_service_that_a_person_starts_is_on_request():
    """Everything but the batch dropper is kept running."""
    assert [one.name for one in services.load().services if one.kind is ServiceKind.ON_REQUEST] == ["batch-dropper"]
