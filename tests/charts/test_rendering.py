"""The charts render to objects that Kubernetes takes, and refuse values that it would not."""

import re

import kubernetes_validate
import pytest

from apps.common.target import Target
from apps.orchestrator import cluster
from tests.charts.rendered import (
    ALONE,
    CHARTS,
    DEVELOPMENT,
    EXECUTORS,
    FOLDER,
    HOST_PORTS,
    KUBERNETES,
    VARIANTS,
    of_kind,
    template,
)

PAGE = (FOLDER.parent / "docs/production.md").read_text()
EXAMPLES = re.findall(r"```yaml\n# (\w+)\n(.*?)```", PAGE, re.DOTALL)
FIXED = {
    "postgres": {"postgres"},
    "mlflow": {"mlflow"},
    "kafka": {"kafka"},
    "hdfs": {"namenode", "datanode"},
    "pipeline": {"batch-dropper", "new-data-watcher", "trainer", "new-model-watcher", "prediction-server", "standby"},
}


@pytest.mark.parametrize("chart", CHARTS)
def test_helm_finds_no_fault(helm, chart):
    """
    ``helm lint --strict`` accepts the chart.
    """
    done = helm("lint", chart)

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(("chart", "values"), VARIANTS)
def test_every_object_fits_kubernetes_own_schema(render, chart, values):
    """
    Whatever the values, each object is valid in Kubernetes 1.34, without fields that it does not know.
    """
    for one in render(chart, *values):
        kubernetes_validate.validate(one, KUBERNETES, strict=True)


@pytest.mark.parametrize("chart", CHARTS)
def test_objects_are_called_by_fixed_words_in_the_releases_namespace(render, chart):
    """
    What runs is named after its service, and every object says which namespace it is for.
    """
    objects = render(chart)
    runs = of_kind(objects, "Deployment", "StatefulSet", "CronJob")

    assert FIXED[chart] == set(runs)
    assert {"baton"} == {one["metadata"]["namespace"] for one in objects}


@pytest.mark.parametrize(("chart", "values"), VARIANTS)
def test_a_selector_names_only_labels_that_never_change(render, chart, values):
    """
    A selector finds the pods of its own object by name, instance and component, which no upgrade changes.
    """
    stable = {f"app.kubernetes.io/{label}" for label in ("name", "instance", "component")}

    for one in of_kind(render(chart, *values), "Deployment", "StatefulSet").values():
        wanted = one["spec"]["selector"]["matchLabels"]
        assert stable == set(wanted)
        assert wanted.items() <= template(one)["metadata"]["labels"].items()


@pytest.mark.parametrize("chart", CHARTS)
@pytest.mark.parametrize(
    ("value", "named"),
    [("speling=1", "speling"), ("image.speling=x", "speling"), ("image.tag=true", "/image/tag")],
)
def test_a_value_that_the_chart_does_not_know_is_refused_by_name(helm, chart, value, named):
    """
    An unknown value, at the top or below it, and one of another type are refused, and the refusal names them.
    """
    done = helm("template", chart, value)

    assert done.returncode != 0
    assert named in done.stderr


@pytest.mark.parametrize(
    ("chart", "value", "named"),
    [
        ("kafka", "ports.broker=abc", "/ports/broker"),
        ("kafka", "hostPorts.nodePorts.broker=80", "/hostPorts/nodePorts/broker"),
        ("kafka", "hostPorts.enabled=true", "/hostPorts/from"),
        ("hdfs", "hostPorts.enabled=true", "/hostPorts/from"),
        ("mlflow", "hostPorts.enabled=true", "/hostPorts/from"),
        ("kafka", "hostPorts.from={0.0.0.0/0}", "/hostPorts/from/0"),
        ("mlflow", "database.host=db.example.org", "egress.database must be where database.host leads"),
        ("hdfs", "datanode.replicas=0", "/datanode/replicas"),
        ("mlflow", "resources.limits.memory=lots", "/resources/limits/memory"),
        ("pipeline", "delivery.trigger=sometimes", "/delivery/trigger"),
        ("pipeline", "settings.PATH=x", "PATH"),
        ("pipeline", "standby=perhaps", "/standby"),
        ("pipeline", "addresses.mlflow=mlflow", "/addresses/mlflow"),
        ("pipeline", "addresses.kafka=kafka:19092\\,b:9092", "egress.kafka must be where kafka:19092,b:9092 leads"),
        ("pipeline", "addresses.hdfs=hdfs://n:8020", "egress.hdfs must be where hdfs://n:8020 leads"),
        ("pipeline", "addresses.mlflow=http://m:5000", "egress.mlflow must be where http://m:5000 leads"),
        ("pipeline", "egress.hdfs[0].ipBlock.cidr=0.0.0.0/0", "/egress/hdfs/0"),
        ("pipeline", "delivery.answerRetentionHours=25", "answerRetentionHours must be more than 25"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_by_name(helm, chart, value, named):
    """
    A value of the right type that cannot work is refused before anything is installed, and the refusal names it.
    """
    done = helm("template", chart, value)

    assert done.returncode != 0
    assert named in done.stderr


@pytest.mark.parametrize(("chart", "example"), EXAMPLES)
def test_the_examples_of_the_page_for_production_are_values_that_the_charts_take(render, tmp_path, chart, example):
    """
    Each example alone is enough to put something of a company's in place of ours.
    """
    file = tmp_path / "values.yaml"
    file.write_text(example)

    assert render(chart, file)


def test_the_pipeline_is_told_where_kubernetes_api_is(helm):
    """
    No chart can know it, and no policy opens the way to everywhere instead: without it nothing is installed.
    """
    done = helm("template", "pipeline", api=None)

    assert done.returncode != 0
    assert "egress.kubernetes must be where kubernetes.default.svc leads" in done.stderr


def test_a_changed_setting_starts_what_reads_it_anew(render):
    """
    The pods of every app carry a checksum of their settings, so that a change of one reaches them.
    """
    before, after = (
        {
            name: template(one)["metadata"]["annotations"]["checksum/config"]
            for name, one in of_kind(render("pipeline", *values), "Deployment", "CronJob").items()
        }
        for values in ((), ("settings.BATON_TREES=forty",))
    )

    assert before.keys() == after.keys()
    assert not set(before.values()) & set(after.values())


@pytest.mark.parametrize("value", ["delivery.partitions=4", "image.tag=other", "addresses.kafka=kafka:9092"])
def test_other_topic_settings_make_another_job(render, value):
    """
    A Job cannot be changed, so its name changes with the settings and with the image, and only then.
    """
    jobs = [of_kind(render("pipeline", *values), "Job") for values in ((), ("server.executors=1",), (value,))]
    names = [next(iter(one)) for one in jobs]

    assert names[0] == names[1]
    assert names[0] != names[2]


def test_three_datanodes_are_three_pods_with_names_of_their_own(render):
    """
    More DataNodes are one value: each has a name in the headless Service, a volume and a place in ``helm test``.
    """
    objects = render("hdfs", "datanode.replicas=3")
    datanode = of_kind(objects, "StatefulSet")["datanode"]["spec"]

    assert datanode["replicas"] == 3
    assert of_kind(objects, "Service")[datanode["serviceName"]]["spec"]["clusterIP"] == "None"
    asked = [one["command"][-1] for one in of_kind(objects, "Pod")["hdfs-test"]["spec"]["containers"]]
    assert [f"http://datanode-{number}.datanode:19864" for number in range(3)] == asked[1:]


def test_a_namenode_that_is_not_ready_is_reached_by_who_administers_it(render):
    """
    In safe mode it is not ready, and whoever takes it out of that reaches it from the host as from within.
    """
    services = of_kind(render("hdfs", *HOST_PORTS), "Service")

    assert services["namenode"]["spec"]["publishNotReadyAddresses"]
    assert services["namenode-host"]["spec"]["publishNotReadyAddresses"]


def test_in_development_watchers_go_on_for_ever_and_apps_can_be_started_anew(render):
    """
    For Tilt a watcher is a Deployment that loops; it, server and standby are run by the script that starts them anew.
    """
    objects = render("pipeline", *DEVELOPMENT)
    deployments = of_kind(objects, "Deployment")

    assert {"trainer"} == set(of_kind(objects, "CronJob"))
    for name in ("new-data-watcher", "new-model-watcher", "prediction-server", "standby"):
        container = template(deployments[name])["spec"]["containers"][0]
        assert container["args"][0] == "/opt/baton/rerun"
        assert "BATON_TICK_FOR_S" not in {one["name"] for one in container["env"]}


@pytest.mark.parametrize(("chart", "values"), VARIANTS)
def test_the_image_keeps_its_entrypoint(render, chart, values):
    """
    Nothing that stays sets ``command``, which would replace the image's tini, and with it the passing on of signals.
    """
    for one in of_kind(render(chart, *values), "Deployment", "StatefulSet", "CronJob", "Job").values():
        assert not [box["name"] for box in template(one)["spec"]["containers"] if "command" in box]


@pytest.mark.parametrize(("chart", "values"), VARIANTS)
def test_no_chart_says_what_is_served(render, chart, values):
    """
    The annotations that make a release are written by whoever rolls out, so that installing again leaves them.
    """
    for one in render(chart, *values):
        for metadata in (one["metadata"], (template(one) or one)["metadata"]):
            assert not [name for name in metadata.get("annotations", {}) if name.startswith("baton.dev/")]


def test_a_training_is_tried_once_and_a_drained_node_is_no_try(render):
    """
    Kubernetes starts a trainer again only when its node made it leave, and keeps the end of its log as the reason.
    """
    job = of_kind(render("pipeline"), "CronJob")["trainer"]["spec"]["jobTemplate"]["spec"]
    (rule,) = job["podFailurePolicy"]["rules"]

    assert 0 == job["backoffLimit"]
    assert ("Ignore", [{"type": "DisruptionTarget", "status": "True"}]) == (rule["action"], rule["onPodConditions"])
    (container,) = job["template"]["spec"]["containers"]
    assert "FallbackToLogsOnError" == container["terminationMessagePolicy"]


def test_the_server_is_made_before_the_old_one_breaks(render):
    """
    A roll-out adds one pod and takes none away until that one is ready; what it serves comes from its annotations.
    """
    server = of_kind(render("pipeline"), "Deployment")["prediction-server"]["spec"]
    told = {one["name"]: one.get("valueFrom") for one in server["template"]["spec"]["containers"][0]["env"]}
    del told["BATON_METRICS_HOST"]  # the pod's address

    assert server["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    variables = {name: value["fieldRef"]["fieldPath"] for name, value in told.items() if value and "fieldRef" in value}
    annotations = cluster._annotations(1, Target("m", "1"))  # noqa: SLF001 - what a roll-out writes
    assert {f"metadata.annotations['{name}']" for name in annotations} == set(variables.values())
    assert {"BATON_RELEASE", *Target("m", "1").variables()} == set(variables)
    assert "metadata.annotations['baton.dev/run-id']" == variables["BATON_RUN_ID"]


def test_a_standby_is_told_no_release_and_is_never_two(render):
    """
    It reads in Kafka what serves, so a roll-out leaves its pod alone; executors it never has.
    """
    standby = of_kind(render("pipeline", *EXECUTORS), "Deployment")["standby"]["spec"]
    (container,) = standby["template"]["spec"]["containers"]

    assert (1, {"type": "Recreate"}) == (standby["replicas"], standby["strategy"])
    own = {"BATON_READY_FILE", "BATON_SCRATCH", "BATON_METRICS_PORT", "BATON_METRICS_HOST"}
    assert own == {one["name"] for one in container["env"]}


def test_a_standby_that_is_off_leaves_nothing(render):
    """
    Neither a pod nor a policy nor an account is there for it, and all else is as it was.
    """

    def named(*values):
        return {(one["kind"], one["metadata"]["name"]) for one in render("pipeline", *values)}

    standby = {(kind, "standby") for kind in ("Deployment", "NetworkPolicy", "ServiceAccount")}
    assert named() - named(*ALONE) == standby
    assert set() == named(*ALONE) - named()


@pytest.mark.parametrize(
    ("chart", "volumes"),
    [("postgres", 1), ("mlflow", 1), ("kafka", 1), ("hdfs", 2), ("pipeline", 1)],
)
def test_what_must_last_is_on_a_volume_that_helm_uninstall_keeps(render, chart, volumes):
    """
    Each service with state has a volume, made by its StatefulSet or marked to be kept.
    """
    objects = render(chart)
    claims = of_kind(objects, "PersistentVolumeClaim").values()
    templates = [
        claim
        for one in of_kind(objects, "StatefulSet").values()
        for claim in one["spec"]["volumeClaimTemplates"]
        if one["spec"]["persistentVolumeClaimRetentionPolicy"]["whenDeleted"] == "Retain"
    ]

    assert volumes == len(claims) + len(templates)
    assert {"keep"} >= {claim["metadata"]["annotations"]["helm.sh/resource-policy"] for claim in claims}
