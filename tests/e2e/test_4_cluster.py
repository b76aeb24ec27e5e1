"""What only a cluster can show: who may do what, what survives, and what is said when something is wrong."""

import base64
import json
import re
import secrets
import time
import urllib.request

import pytest
from kubernetes import client as kubernetes

from apps.common.errors import BatonError, SettingsError
from apps.common.waiting import pause, wait_until
from apps.orchestrator.cluster import COMPONENT
from loadtest.ledger import problems
from stack import services
from stack.cluster import charts, docker, images, programs
from stack.cluster.charts import NAMESPACE
from stack.cluster.node import Node
from stack.cluster.runtime import ClusterRuntime

ALONE = services.load().running(())  # a third JVM would slow every other test
COPIED_S = 60
STANDS_BY_S = 120  # it begins anew, and loads what a server loads, on a machine that does the same for the server
LOOK_AROUND = """
import json, pathlib, ssl, urllib.error, urllib.request

def status(url):
    try:
        return urllib.request.urlopen(url, timeout=5, context=ssl._create_unverified_context()).status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError as error:
        return str(error)

print(json.dumps({
    "token": pathlib.Path("/var/run/secrets/kubernetes.io/serviceaccount/token").exists(),
    "secrets": status("https://kubernetes.default.svc/api/v1/namespaces/baton/secrets"),
}))
"""
# Which doors are open; those of a pod that has just started are opened and closed some seconds later.
TRY_DOORS = """
import concurrent.futures, json, socket, sys, time

doors, needed = json.loads(sys.argv[1]), set(json.loads(sys.argv[2]))

def is_open(door):
    try:
        socket.create_connection(doors[door], timeout=3).close()
    except OSError:
        return False
    return True

deadline = time.monotonic() + 60
with concurrent.futures.ThreadPoolExecutor(16) as pool:
    while True:
        found = [door for door, there in zip(doors, pool.map(is_open, doors)) if there]
        if needed == set(found) or time.monotonic() > deadline:
            break
        time.sleep(1)
print(json.dumps(found))
"""
API = "Kubernetes' API"
ELSEWHERE = "elsewhere"  # a namespace beside ours


@pytest.fixture(scope="session")
def node(stack):
    """The cluster's node."""
    return stack.runtime.node


def port(service, name):
    """A port of stack.yaml."""
    return services.load().service(service).ports[name]


def trainer_pod(node):
    """The pod of a training, as the chart says it."""
    batch = kubernetes.BatchV1Api(node.api())
    cron = batch.read_namespaced_cron_job("trainer", NAMESPACE)
    pod = batch.api_client.sanitize_for_serialization(cron.spec.job_template.spec.template)
    return {"metadata": {"labels": pod["metadata"]["labels"]}, "spec": pod["spec"]}


def said_by(node, namespace, pod, *arguments):
    """The last line of what a pod prints that runs Python with ``arguments``, read as JSON; it is removed then."""
    core, name = node.core(), f"looks-around-{secrets.token_hex(3)}"
    pod["spec"]["containers"][0]["args"] = ["python3", "-c", *arguments]
    core.create_namespaced_pod(namespace, {"metadata": {**pod["metadata"], "name": name}, "spec": pod["spec"]})
    try:

        def ended():
            return core.read_namespaced_pod(name, namespace).status.phase in ("Succeeded", "Failed")

        wait_until(ended, 120, f"the pod {name} did not end")
        return json.loads(core.read_namespaced_pod_log(name, namespace).strip().splitlines()[-1])
    finally:
        core.delete_namespaced_pod(name, namespace)


@pytest.fixture(scope="session")
def trainer_sees(node):
    """What a pod with the trainer's rights finds when it looks around."""
    return said_by(node, NAMESPACE, trainer_pod(node), LOOK_AROUND)


@pytest.fixture
def elsewhere(node):
    """A namespace without any policy, while the test runs."""
    node.core().create_namespace({"metadata": {"name": ELSEWHERE}})
    yield ELSEWHERE
    node.core().delete_namespace(ELSEWHERE)


def doors(node):
    """
    Every address and port at which the platform listens, of pods, Services and the node, by ``<component> <port>``.

    Pods are asked by address, so that a name that is not found cannot pass for a door that is closed.
    """
    core, found = node.core(), {}
    platform = {one.name for one in services.load().services if one.kind is services.ServiceKind.PLATFORM}
    for pod in core.list_namespaced_pod(NAMESPACE).items:
        if (name := pod.metadata.labels.get(COMPONENT)) in platform:
            ports = [port for box in pod.spec.containers for port in box.ports]
            found |= {f"{name} {port.name}": (pod.status.pod_ip, port.container_port) for port in ports}
    for service in core.list_namespaced_service(NAMESPACE).items:
        name = service.spec.selector[COMPONENT]
        for port in service.spec.ports:
            if service.spec.cluster_ip != "None":
                found[f"{name} {port.name} by {service.metadata.name}"] = (service.spec.cluster_ip, port.port)
            if port.node_port:
                found[f"{name} {port.name} by the node"] = (node.network().address, port.node_port)
    return found


def plain_pod(node):
    """A pod that belongs to nothing, of the apps' image."""
    (container,) = trainer_pod(node)["spec"]["containers"]
    kept = {name: container[name] for name in ("name", "image", "securityContext")}
    secure = {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}}
    spec = {"containers": [kept], "securityContext": secure, "restartPolicy": "Never"}
    return {"metadata": {}, "spec": {**spec, "automountServiceAccountToken": False, "terminationGracePeriodSeconds": 1}}


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


def test_nobody_of_another_namespace_reaches_the_platform(node, elsewhere):
    """
    No service answers a pod of another namespace: not at its own address, not at its Service's, not at a NodePort.
    """
    asked = {**doors(node), API: (node.network().address, 6443)}

    found = said_by(node, elsewhere, plain_pod(node), TRY_DOORS, json.dumps(asked), json.dumps([API]))

    assert {one.name for one in services.load().services if one.kind is services.ServiceKind.PLATFORM} <= {
        name.split()[0] for name in asked
    }
    assert [API] == found  # it has a network, and may go out


def test_a_pod_of_the_namespace_without_a_part_in_the_flow_reaches_nobody(node):
    """
    Without the labels of a component neither a service of the platform answers nor Kubernetes' API.
    """
    asked = {**doors(node), API: (node.network().address, 6443)}

    assert [] == said_by(node, NAMESPACE, plain_pod(node), TRY_DOORS, json.dumps(asked), "[]")


def test_a_component_reaches_what_the_flow_sends_it_to_and_nothing_else(node):
    """
    The trainer reaches HDFS and MLflow, and neither Kafka nor Postgres nor Kubernetes' API.
    """
    asked = {name: door for name, door in doors(node).items() if not name.endswith("by the node")}
    needed = [name for name in asked if name.split()[0] in ("namenode", "datanode", "mlflow")]
    asked[API] = (node.network().address, 6443)

    assert needed == said_by(node, NAMESPACE, trainer_pod(node), TRY_DOORS, json.dumps(asked), json.dumps(needed))


@pytest.fixture(scope="module")
def standby_pod(stack, node, first_version):
    """A standby, installed while the module's tests of it run."""
    runtime = ClusterRuntime(stack.state, {**stack.settings, "BATON_STANDBY": "on"}, node.name)
    runtime.up(services.load().running(("standby",)), lambda *_: None)
    yield StandbyPod(node)
    stack.runtime.up(ALONE, lambda *_: None)


@pytest.fixture
def standby(standby_pod, pipeline):
    """It, standing by for the release that serves."""
    standby_pod.wait_until_it_stands_by(pipeline.served().serving.release)
    return standby_pod


class StandbyPod:
    """What a test sees of the standby's pod."""

    def __init__(self, node):
        """``node`` is the cluster's."""
        self.node = node

    def wait_until_it_stands_by(self, release):
        """Wait until it is loaded and proven, with a release."""
        wait_until(
            lambda: (self.told("release"), self.told("state")) == (release, "standby"),
            STANDS_BY_S,
            lambda: f"the standby must stand by for release {release}:\n{log(self.node, 'standby')[-2000:]}",
        )

    def told(self, name):
        """A part of what it wrote down of itself."""
        words = ("exec", "deployment/standby", "--", "cat", "/run/baton/ready.json")
        return json.loads(programs.run("kubectl", *self.node.access(), "--namespace", NAMESPACE, *words))[name]

    def pod(self):
        """Its name, and how often it was started anew."""
        (pod,) = pods(self.node, "standby")
        return pod.metadata.name, pod.status.container_statuses[0].restart_count


@pytest.mark.faults
def test_a_standby_answers_while_the_server_is_frozen_and_makes_room_for_it(standby, node, faults, pipeline, ledger):
    """
    Its answers are right and of the release that serves, and nothing is lost; its own container is not started anew.
    """
    serving, pod = pipeline.served().serving, standby.pod()
    with ledger.traffic(rate=20, settle=120):
        pause(5)
        before = {one.process for one in ledger.answers()}
        old = faults.freeze_jvm("prediction-server")
        frozen = time.time()
        wait_until(lambda: faults.instance("prediction-server") not in (None, old), 60, "the server runs on, frozen")
        restarted = time.time()
        wait_until(
            lambda: standby.told("state") != "serving", STANDS_BY_S, lambda: f"it answers on:\n{log(node, 'standby')}"
        )
    during = [one for one in ledger.answers() if frozen < one.seen_at < restarted and one.process not in before]

    assert len({one.process for one in during}) == 1
    assert {serving.release} == {one.release for one in during}
    assert [] == problems(ledger.verdict(pipeline.expected([serving.version])), must_compare=True)
    standby.wait_until_it_stands_by(serving.release)
    assert pod == standby.pod()


@pytest.mark.faults
def test_a_standby_answers_for_as_long_as_there_is_no_server(standby, faults, pipeline, ledger):
    """
    The server is killed and does not come back for a while: the standby alone answers, each request in its turn.
    """
    serving = pipeline.served().serving
    with ledger.traffic(rate=50, settle=120):
        pause(5)
        before = {one.process for one in ledger.answers()}
        faults.kill("prediction-server")
        with faults.kept_down("prediction-server"):
            pause(5)
            alone = time.time()
            pause(20)
            back = time.time()
        wait_until(lambda: standby.told("state") != "serving", STANDS_BY_S, "it answers on")
        pause(5)
    during = [one for one in ledger.answers() if alone < one.seen_at < back]
    last = {one.process for one in ledger.answers()[-50:]}

    assert len(during) > 0.9 * 50 * (back - alone)
    (process,) = {one.process for one in during}
    assert process not in before | last
    assert [] == problems(ledger.verdict(pipeline.expected([serving.version])), must_compare=True)
    standby.wait_until_it_stands_by(serving.release)


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

    stack.runtime.up(ALONE, lambda *_: None)

    assert before == (pipeline.served(), server_pods(stack))


def test_postgres_password_is_drawn_once(stack, node):
    """
    Installing again keeps it, and so does what makes it for Tilt, which draws one where there is none.
    """

    def password():
        return base64.b64decode(node.core().read_namespaced_secret("postgres", NAMESPACE).data["password"]).decode()

    before = node.core().read_namespaced_secret("postgres", NAMESPACE)
    drawn = [password()]
    stack.runtime.up(ALONE, lambda *_: None)
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
            broken.up(ALONE, lambda *_: None)
    finally:  # the tests after this one need the broker
        stack.runtime.up(ALONE, lambda *_: None)

    assert all(one.state in ("ready", "scheduled") for one in stack.runtime.status())


def test_a_value_of_the_wrong_type_is_named(stack):
    """
    The chart's schema refuses it before anything changes.
    """
    broken = ClusterRuntime(stack.state, stack.settings, stack.runtime.node.name, {"kafka": {"partitions": "many"}})

    with pytest.raises(BatonError, match="partitions"):
        broken.up(ALONE, lambda *_: None)


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
        stack.runtime.up(ALONE, lambda *_: None)
        pause(5)

    verdict = ledger.verdict(pipeline.expected([pipeline.served_version()]))
    assert [] == problems(verdict, must_compare=True, broker_stops=True)
    assert versions == pipeline.versions()


@pytest.mark.long  # a node that restarts keeps the same
def test_down_and_up_keep_every_kind_of_data(stack, pipeline, first_version, ledger):
    """
    Batches in HDFS, versions in MLflow on Postgres, and requests in Kafka are there after ``down`` and ``up``.
    """
    before = pipeline.versions(), pipeline.served(), pipeline.store.names("used")

    stack.runtime.down()
    assert not stack.running()
    stack.runtime.up(ALONE, lambda *_: None)
    with ledger.traffic(rate=20, seconds=3):
        pause(3)

    assert before == (pipeline.versions(), pipeline.served(), pipeline.store.names("used"))
    assert [] == problems(ledger.verdict(pipeline.expected([pipeline.served_version()])), must_compare=True)


@pytest.fixture
def scaled_out(stack):
    """The trainer with two executors and the server with one, as pods beside their drivers."""
    values = {"pipeline": {"trainer": {"executors": 2}, "server": {"executors": 1}}}
    wide = ClusterRuntime(stack.state, stack.settings, stack.runtime.node.name, values)
    wide.up(ALONE, lambda *_: None)
    yield wide
    stack.runtime.up(ALONE, lambda *_: None)


@pytest.mark.long  # a training by executors beside all else that two cores do
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
    verdict = ledger.verdict(pipeline.expected([after]), executors=True)

    assert len(seen) == 2, seen
    assert [] == problems(verdict, 1, must_compare=True)
    assert [] == [line for app in ("trainer", "prediction-server") for line in refusals(node, app)]
    assert [] == [pod.metadata.name for pod in executors(node) if pod.metadata.name.startswith("trainer")]


@pytest.fixture
def three_datanodes(stack):
    """HDFS with three DataNodes, each of which has a copy of what is written now."""
    values = {"hdfs": {"datanode": {"replicas": 3}, "replication": 3}}
    wide = ClusterRuntime(stack.state, stack.settings, stack.runtime.node.name, values)
    wide.up(ALONE, lambda *_: None)
    yield wide
    stack.runtime.up(ALONE, lambda *_: None)


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


def pods(node, app):
    """The pods of an app."""
    return node.core().list_namespaced_pod(NAMESPACE, label_selector=f"{COMPONENT}={app}").items


def log(node, app):
    """What an app's newest pod logged."""
    newest = max(pods(node, app), key=lambda pod: pod.metadata.creation_timestamp)
    return node.core().read_namespaced_pod_log(newest.metadata.name, NAMESPACE)


def refusals(node, app):
    """What an app's newest pod logged of a request that Kubernetes refused."""
    return [line for line in log(node, app).splitlines() if "forbidden" in line.lower() or "code=403" in line]


def server_pods(stack):
    """The names of the server's pods."""
    return next(list(one.instances) for one in stack.runtime.status() if one.service == "prediction-server")
