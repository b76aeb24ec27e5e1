"""What only a cluster can show: who may do what, what survives, and what is said when something is wrong."""

import base64
import json
import re
import secrets
import urllib.request
import warnings

import pytest
from kubernetes import client as kubernetes

from apps.common.errors import BatonError, SettingsError
from apps.common.waiting import pause, wait_until
from loadtest.ledger import problems
from stack import services
from stack.cluster import charts, docker, images, programs
from stack.cluster.charts import NAMESPACE
from stack.cluster.node import Node
from stack.cluster.runtime import ClusterRuntime

COPIED_S = 60
LOOK_AROUND = """
import json, pathlib, socket, ssl, urllib.error, urllib.request

def status(url):
    try:
        return urllib.request.urlopen(url, timeout=5, context=ssl._create_unverified_context()).status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError as error:
        return str(error)

def connects(host, port):
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError:
        return False
    return True

secrets = "https://kubernetes.default.svc/api/v1/namespaces/baton/secrets"
print(json.dumps({
    "token": pathlib.Path("/var/run/secrets/kubernetes.io/serviceaccount/token").exists(),
    "secrets": status(secrets),
    "mlflow": connects("mlflow", PORT_MLFLOW),
    "postgres": connects("postgres", PORT_POSTGRES),
}))
"""


@pytest.fixture(scope="session")
def node(stack):
    """The cluster's node."""
    return stack.runtime.node


def port(service, name):
    """A port of stack.yaml."""
    return services.load().service(service).ports[name]


@pytest.fixture(scope="session")
def trainer_sees(node):
    """What a pod with the trainer's rights finds when it looks around."""
    script = LOOK_AROUND.replace("PORT_MLFLOW", str(port("mlflow", "http")))
    script = script.replace("PORT_POSTGRES", str(port("postgres", "sql")))
    batch, core = kubernetes.BatchV1Api(node.api()), node.core()
    cron = batch.read_namespaced_cron_job("trainer", NAMESPACE)
    template = batch.api_client.sanitize_for_serialization(cron.spec.job_template.spec.template)
    template["spec"]["containers"][0]["args"] = ["python3", "-c", script]
    name = f"looks-around-{secrets.token_hex(3)}"
    pod = {"metadata": {"name": name, "labels": template["metadata"]["labels"]}, "spec": template["spec"]}
    core.create_namespaced_pod(NAMESPACE, pod)
    try:

        def ended():
            return core.read_namespaced_pod(name, NAMESPACE).status.phase in ("Succeeded", "Failed")

        wait_until(ended, 60, f"the pod {name} did not end")
        yield json.loads(core.read_namespaced_pod_log(name, NAMESPACE).strip().splitlines()[-1])
    finally:
        core.delete_namespaced_pod(name, NAMESPACE)


def test_a_pod_that_would_run_as_root_is_refused(node):
    """
    The namespace admits only pods of the profile ``restricted``.
    """
    container = {"name": "root", "image": "debian:bookworm-slim", "securityContext": {"runAsUser": 0}}

    with pytest.raises(kubernetes.ApiException) as refused:
        node.core().create_namespaced_pod(
            NAMESPACE, {"metadata": {"name": "root"}, "spec": {"containers": [container]}}
        )

    assert refused.value.status == 403
    assert "PodSecurity" in refused.value.body


def test_the_trainer_can_neither_read_secrets_nor_use_the_api(node, trainer_sees):
    """
    It has no token, is nobody to the API, and its service account may do nothing there.
    """
    asked = kubernetes.V1ResourceAttributes(namespace=NAMESPACE, verb="get", resource="secrets")
    user = f"system:serviceaccount:{NAMESPACE}:trainer"
    review = kubernetes.V1SubjectAccessReview(
        spec=kubernetes.V1SubjectAccessReviewSpec(user=user, resource_attributes=asked)
    )
    decision = kubernetes.AuthorizationV1Api(node.api()).create_subject_access_review(review)

    assert not decision.status.allowed
    assert trainer_sees["token"] is False
    assert trainer_sees["secrets"] != 200


def test_only_the_edges_of_the_flow_are_open_where_the_cluster_enforces_it(node, trainer_sees):
    """
    The trainer reaches MLflow; it reaches Postgres only where the pod network enforces no policies, which is said.
    """
    daemons = kubernetes.AppsV1Api(node.api()).list_namespaced_daemon_set("kube-system").items
    enforces = any(one.metadata.name == "kindnet" for one in daemons)
    found = "enforces" if not trainer_sees["postgres"] else "does not enforce"
    warnings.warn(f"this cluster's pod network {found} network policies", stacklevel=1)

    assert trainer_sees["mlflow"]
    assert trainer_sees["postgres"] is not enforces


@pytest.mark.parametrize("chart", ["postgres", "kafka", "hdfs", "mlflow", "pipeline"])
def test_a_charts_own_test_is_green(node, chart):
    """
    ``helm test`` proves each service from another pod.
    """
    said = programs.run("helm", "test", chart, "--namespace", NAMESPACE, *node.access(), "--timeout", "120s")

    assert "Succeeded" in said


def test_up_again_changes_nothing_that_serves(stack, pipeline, first_version):
    """
    Charts write no release, so installing them again leaves the one that serves, pod and all.
    """
    wait_until(lambda: len(server_pods(stack)) == 1, 30, "the server before must go")
    before = pipeline.served(), server_pods(stack)

    stack.runtime.up(services.load().services, lambda *_: None)

    assert before == (pipeline.served(), server_pods(stack))


def test_postgres_password_is_drawn_once(stack, node):
    """
    Installing again keeps it, and so does what makes it for Tilt, which draws one where there is none.
    """

    def password():
        return base64.b64decode(node.core().read_namespaced_secret("postgres", NAMESPACE).data["password"]).decode()

    before = node.core().read_namespaced_secret("postgres", NAMESPACE)
    drawn = [password()]
    stack.runtime.up(services.load().services, lambda *_: None)
    charts.make_password(node)
    drawn.append(password())
    node.core().delete_namespaced_secret("postgres", NAMESPACE)
    try:
        charts.make_password(node)
        drawn.append(password())
    finally:  # the database has the one before
        node.core().delete_namespaced_secret("postgres", NAMESPACE)
        before.metadata.resource_version = None
        node.core().create_namespaced_secret(NAMESPACE, before)

    assert all(re.fullmatch("[A-Za-z0-9]{32}", one) for one in drawn)
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_missing_image_is_named_and_the_next_up_mends_it(stack):
    """
    A pod that cannot get its image ends ``up`` early, with its name and the reason.
    """
    broken = ClusterRuntime(
        stack.state,
        stack.settings,
        stack.runtime.node.name,
        {"kafka": {"image": {"repository": "baton/kafka", "tag": "absent"}}},
    )

    try:
        with pytest.raises(BatonError, match=r"kafka: stuck: kafka-0: \w*Image"):
            broken.up(services.load().services, lambda *_: None)
    finally:  # the tests after this one need the broker
        stack.runtime.up(services.load().services, lambda *_: None)

    assert all(one.state in ("ready", "scheduled") for one in stack.runtime.status())


def test_a_value_of_the_wrong_type_is_named(stack):
    """
    The chart's schema refuses it before anything changes.
    """
    broken = ClusterRuntime(stack.state, stack.settings, stack.runtime.node.name, {"kafka": {"partitions": "many"}})

    with pytest.raises(BatonError, match="partitions"):
        broken.up(services.load().services, lambda *_: None)


def test_a_cluster_of_the_same_name_that_is_not_ours_is_left_alone():
    """
    A node without our ports is named, with what to do, and stays.
    """
    engine = docker.client()
    name = f"baton-other-{secrets.token_hex(3)}"
    stranger = engine.containers.create(images.references()["baton/postgres"], name=f"{name}-control-plane")
    try:
        with pytest.raises(SettingsError, match=f"kind delete cluster --name {name}"):
            Node(name).up(lambda _: None)
        with pytest.raises(SettingsError):
            Node(name).delete()
        assert engine.containers.get(stranger.id)
    finally:
        stranger.remove()


def test_a_node_that_restarts_loses_no_acknowledged_request(stack, node, pipeline, first_version, ledger):
    """
    Everything comes back by itself, with its data, and answers what it owes.
    """
    versions = pipeline.versions()

    with ledger.traffic(rate=20, settle=180):
        pause(5)
        node.container.restart(timeout=10)
        stack.runtime.up(services.load().services, lambda *_: None)
        pause(5)

    assert set() == ledger.missing()
    assert versions == pipeline.versions()


def test_down_and_up_keep_every_kind_of_data(stack, pipeline, first_version, ledger):
    """
    Batches in HDFS, versions in MLflow on Postgres, and requests in Kafka are there after ``down`` and ``up``.
    """
    before = pipeline.versions(), pipeline.served(), pipeline.store.names("used")

    stack.runtime.down()
    assert not stack.running()
    stack.runtime.up(services.load().services, lambda *_: None)
    with ledger.traffic(rate=20, seconds=3):
        pause(3)

    assert before == (pipeline.versions(), pipeline.served(), pipeline.store.names("used"))
    assert set() == ledger.missing()


@pytest.fixture
def scaled_out(stack):
    """The trainer with two executors and the server with one, as pods beside their drivers."""
    values = {"pipeline": {"trainer": {"executors": 2}, "server": {"executors": 1}}}
    wide = ClusterRuntime(stack.state, stack.settings, stack.runtime.node.name, values)
    wide.up(services.load().services, lambda *_: None)
    yield wide
    stack.runtime.up(services.load().services, lambda *_: None)


def test_training_and_serving_scale_out_to_executors(pipeline, first_version, scaled_out, node, ledger):
    """
    Executors as pods train a version and answer with it, and what they answer is what the version predicts.

    Kubernetes refuses nothing that the drivers ask for, to the end of the training and before.
    """
    seen = set()

    def look(_):
        seen.update(pod.metadata.labels["spark-app-name"] for pod in executors(node))

    batch = pipeline.drop_batch()
    after = pipeline.wait_for_version_trained_on(batch, progress=look)
    pipeline.wait_until_served(after)
    look(None)
    with ledger.traffic(rate=20):
        pause(10)
    verdict = ledger.verdict(pipeline.expected([after]))

    assert len(seen) == 2, seen
    assert [] == problems(verdict, 1, must_compare=True)
    assert [] == [line for app in ("trainer", "prediction-server") for line in refusals(node, app)]
    assert [] == [pod.metadata.name for pod in executors(node) if pod.metadata.name.startswith("trainer")]


@pytest.fixture
def three_datanodes(stack):
    """HDFS with three DataNodes, each of which has a copy of what is written now."""
    values = {"hdfs": {"datanode": {"replicas": 3}, "replication": 3}}
    wide = ClusterRuntime(stack.state, stack.settings, stack.runtime.node.name, values)
    wide.up(services.load().services, lambda *_: None)
    yield wide
    stack.runtime.up(services.load().services, lambda *_: None)


@pytest.mark.long
def test_a_file_with_three_copies_is_read_after_two_datanodes_are_gone(three_datanodes, faults):
    """
    Each copy is on another DataNode, so the last one answers.
    """
    files, data = three_datanodes.attach().apps.files(), secrets.token_bytes(5 * 2**20)
    path = f"/three-copies-{secrets.token_hex(3)}"
    files.upload(path, [data[:1000], data[1000:]])
    try:
        wait_until(lambda: "Live_repl=3" in checked(path), COPIED_S, lambda: checked(path))
        for number in (1, 2):
            faults.kill_pod(f"datanode-{number}")
        read = files.read(path)
    finally:
        files.delete(path)

    assert read == data


def checked(path):
    """What the NameNode's fsck says of a file: a DataNode that registered just now gets its copy a little later."""
    url = f"http://127.0.0.1:{port('namenode', 'http')}/fsck?ugi=baton&files=1&blocks=1&path={path}"
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def executors(node):
    """The pods of Spark's executors."""
    return node.core().list_namespaced_pod(NAMESPACE, label_selector="spark-role=executor").items


def refusals(node, app):
    """What an app's newest pod logged of a request that Kubernetes refused."""
    pods = node.core().list_namespaced_pod(NAMESPACE, label_selector=f"app.kubernetes.io/component={app}").items
    newest = max(pods, key=lambda pod: pod.metadata.creation_timestamp)
    said = node.core().read_namespaced_pod_log(newest.metadata.name, NAMESPACE).splitlines()
    return [line for line in said if "forbidden" in line.lower() or "code=403" in line]


def server_pods(stack):
    """The names of the server's pods."""
    return next(list(one.instances) for one in stack.runtime.status() if one.service == "prediction-server")
