"""No pod may do more than its work: not as a user, not in the network, not with Kubernetes, not with the machine."""

import base64
import re

import pytest
import yaml

from stack import services
from stack.cluster.charts import ON_THIS_MACHINE
from tests.charts.rendered import (
    ALL_APPS,
    CHARTS,
    DEVELOPMENT,
    EXECUTORS,
    FOLDER,
    HOST_PORTS,
    SCRAPED,
    VARIANTS,
    component,
    is_test,
    of_kind,
    pods,
    template,
)

WATCHERS = {"new-data-watcher", "new-model-watcher"}
DRIVERS = {"trainer", "prediction-server"}
SPARK = [
    {
        "apiGroups": [""],
        "resources": ["pods"],
        "verbs": ["create", "get", "list", "watch", "delete", "deletecollection", "patch"],
    }
]
RULES = {
    "new-data-watcher": [
        {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["list", "get", "create"]},
        {"apiGroups": ["batch"], "resources": ["cronjobs"], "resourceNames": ["trainer"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
    ],
    "new-model-watcher": [
        {
            "apiGroups": ["apps"],
            "resources": ["deployments"],
            "resourceNames": ["prediction-server"],
            "verbs": ["get", "patch"],
        },
        {"apiGroups": ["apps"], "resources": ["replicasets"], "verbs": ["list", "get"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
    ],
}
CORES, MEMORY_MIB = 2000, 8 * 1024
STANDBY_MIB = 1536
UNITS = {"Mi": 1, "Gi": 1024}


def mib(quantity):
    """A memory quantity in MiB."""
    return int(quantity[:-2]) * UNITS[quantity[-2:]]


def total(resources, kind, name, number):
    """The sum of one resource over the stack at its largest: a training, and two servers for as long as a roll-out."""
    largest = [*resources.values(), resources["prediction-server"]]
    return sum(number(one[kind][name]) for one in largest)


def lacking(pod, *, writable):
    """What keeps a pod from being restricted."""
    spec = pod["spec"]
    mine, boxes = spec["securityContext"], spec["containers"] + spec.get("initContainers", [])
    allowed = {"configMap", "secret", "projected", "emptyDir", "persistentVolumeClaim", "downwardAPI"}
    rules = {
        "a user": mine["runAsNonRoot"] is True and mine["runAsUser"] == mine["runAsGroup"] == mine["fsGroup"] == 10001,
        "seccomp": mine["seccompProfile"] == {"type": "RuntimeDefault"},
        "no namespace of the host": not any(spec.get(name) for name in ("hostNetwork", "hostPID", "hostIPC")),
        "no port of the host": not any("hostPort" in port for box in boxes for port in box.get("ports", [])),
        "volumes": all(set(volume) - {"name"} <= allowed for volume in spec.get("volumes", [])),
        "no service links": spec["enableServiceLinks"] is False,
    }
    of_each = {
        "capabilities": lambda its: its["capabilities"] == {"drop": ["ALL"]},
        "no escalation": lambda its: its["allowPrivilegeEscalation"] is False and not its.get("privileged"),
        "a read-only root": lambda its: its["readOnlyRootFilesystem"] is not writable,
        "the pod's user": lambda its: not {"runAsUser", "runAsNonRoot", "seccompProfile"} & set(its),
    }
    rules |= {rule: all(kept(box["securityContext"]) for box in boxes) for rule, kept in of_each.items()}
    rules["/tmp"] = all("/tmp" in [one["mountPath"] for one in box["volumeMounts"]] for box in boxes)  # noqa: S108
    return {rule for rule, kept in rules.items() if not kept}


@pytest.mark.parametrize(("chart", "values"), VARIANTS)
def test_every_pod_is_restricted(render, chart, values):
    """
    Each pod fits the pod security standard ``restricted`` and more; only in development may code be replaced.
    """
    development = set(DEVELOPMENT) <= set(values)
    for name, pod in pods(render(chart, *values)).items():
        writable = development and name in WATCHERS | {"prediction-server", "standby", "batch-dropper"}
        assert set() == lacking(pod, writable=writable), name


@pytest.mark.parametrize(("chart", "values"), VARIANTS)
def test_only_who_asks_kubernetes_has_a_token(render, chart, values):
    """
    The two watchers mount a token, and a Spark driver that makes executors; each pod says so itself.
    """
    objects = render(chart, *values)
    found = {name for name, pod in pods(objects).items() if pod["spec"]["automountServiceAccountToken"] is not False}
    accounts = of_kind(objects, "ServiceAccount")
    wanted = WATCHERS if chart == "pipeline" else set()
    wanted = wanted | {"trainer"} if any(value.startswith("trainer.executors") for value in values) else wanted
    wanted = wanted | {"prediction-server"} if any(value.startswith("server.executors") for value in values) else wanted

    assert wanted == found
    assert {False} == {one["automountServiceAccountToken"] for one in accounts.values()}
    assert {pod["spec"]["serviceAccountName"] for pod in pods(objects).values()} == set(accounts)


@pytest.mark.parametrize(("chart", "values"), VARIANTS)
def test_nobody_may_do_more_with_kubernetes_than_these_rules_say(render, chart, values):
    """
    The rules are exactly those of the watchers, and of Spark drivers with executors; each is bound to its own account.
    """
    objects = render(chart, *values)
    wanted = dict(RULES) if chart == "pipeline" else {}
    wanted |= {"trainer": SPARK} if any(value.startswith("trainer.executors") for value in values) else {}
    wanted |= {"prediction-server": SPARK} if any(value.startswith("server.executors") for value in values) else {}
    bound = of_kind(objects, "RoleBinding")

    assert wanted == {name: one["rules"] for name, one in of_kind(objects, "Role").items()}
    assert {} == of_kind(objects, "ClusterRole", "ClusterRoleBinding")
    assert wanted.keys() == bound.keys()
    for name, one in bound.items():
        assert one["roleRef"]["name"] == name
        assert [{"kind": "ServiceAccount", "name": name, "namespace": "baton"}] == one["subjects"]


@pytest.mark.parametrize(("chart", "values"), VARIANTS)
def test_every_component_has_a_policy_that_denies_by_default(render, chart, values):
    """
    The pods of each component are selected by a policy of its name that covers both directions and opens none wholly.
    """
    objects = render(chart, *values)
    policies = of_kind(objects, "NetworkPolicy")

    for name, pod in pods(objects).items():
        spec = policies[name]["spec"]
        assert ["Ingress", "Egress"] == spec["policyTypes"]
        assert spec["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
        assert {} not in spec.get("ingress", []) + spec.get("egress", [])


def test_the_namespace_denies_what_no_policy_allows(render):
    """
    A pod that nobody thought of reaches nobody.
    """
    deny = of_kind(render("pipeline"), "NetworkPolicy")["default-deny"]["spec"]

    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def admitted(policy):
    """The components that a policy lets in, by port."""
    found = {}
    for rule in policy["spec"].get("ingress", []):
        for peer in rule["from"]:
            for expression in peer.get("podSelector", {}).get("matchExpressions", []):
                for port in rule.get("ports", [{"port": "any"}]):
                    found.setdefault(port["port"], set()).update(expression["values"])
    return found


def test_the_edges_are_those_of_the_flow(render):
    """
    Each service admits the components that the flow sends there, on its ports, and nobody else.
    """
    policies = {}
    for chart in CHARTS:
        policies |= of_kind(render(chart), "NetworkPolicy")
    found = {
        name: {port: {one for one in who if not one.endswith("-test")} for port, who in admitted(policy).items()}
        for name, policy in policies.items()
        if not is_test(policy) and admitted(policy)
    }
    servers = {"prediction-server", "standby", "live-metrics"}
    files = {"batch-dropper", "new-data-watcher", "trainer", *servers, "executor", "namenode", "datanode"}

    assert found == {
        "postgres": {15432: {"mlflow"}},
        "mlflow": {15000: {"new-data-watcher", "trainer", "new-model-watcher", *servers}},
        "kafka": {19092: {*servers, "gateway", "topics", "batch-dropper", "executor", "kafka"}},
        "namenode": {18020: files, 19870: files},
        "datanode": {19866: files, 19864: files, 19867: files},
    }


@pytest.mark.parametrize("chart", CHARTS)
def test_by_default_nothing_outside_the_cluster_comes_in(render, chart):
    """
    There is no NodePort, and no rule of a policy lets an address in.
    """
    objects = render(chart)

    assert {"ClusterIP"} >= {one["spec"]["type"] for one in of_kind(objects, "Service").values()}
    assert "ipBlock" not in str([one["spec"].get("ingress") for one in of_kind(objects, "NetworkPolicy").values()])


def test_postgres_password_is_drawn_and_kept(render):
    """
    Two installs have two passwords of 32 letters and digits, and ``helm uninstall`` keeps Secret and volume.
    """
    drawn = [of_kind(render("postgres", value), "Secret")["postgres"] for value in ("ports.sql=1", "ports.sql=2")]
    passwords = [base64.b64decode(one["data"]["password"]).decode() for one in drawn]

    assert all(re.fullmatch("[A-Za-z0-9]{32}", one) for one in passwords)
    assert passwords[0] != passwords[1]
    assert {"helm.sh/resource-policy": "keep"} == drawn[0]["metadata"]["annotations"]


@pytest.mark.parametrize(("chart", "values"), VARIANTS)
def test_a_password_stands_in_a_secret_and_nowhere_else(render, chart, values):
    """
    No value of a chart is a password, and a pod gets one only from a Secret: as a file, or as libpq's variable.
    """
    objects = render(chart, *values)
    boxes = [box for pod in pods(objects).values() for box in pod["spec"]["containers"]]
    given = [one for box in boxes for one in box.get("env", []) if "PASSWORD" in one["name"]]

    assert '"password"' not in (FOLDER / chart / "values.schema.json").read_text()
    assert all("secretKeyRef" in one.get("valueFrom", {}) or one["name"].endswith("_FILE") for one in given)
    assert not re.search(r"://[^/\s]*:[^/\s]*@", yaml.safe_dump(objects))


def lacking_ends(policy):
    """The rules of a policy without an end: no peer, or one that is every address."""
    rules = [rule.get("from") for rule in policy["spec"].get("ingress", [])]
    rules += [rule.get("to") for rule in policy["spec"].get("egress", [])]
    return [
        peers
        for peers in rules
        if not peers or any(peer.get("ipBlock", {}).get("cidr", "").endswith("/0") or peer == {} for peer in peers)
    ]


@pytest.mark.parametrize(("chart", "values"), VARIANTS)
def test_no_rule_leads_everywhere(render, chart, values):
    """
    Whatever the values, each rule of each policy names its peers, and none of them is every address.
    """
    policies = of_kind(render(chart, *values), "NetworkPolicy")

    assert {} == {name: found for name, policy in policies.items() if (found := lacking_ends(policy))}


def test_a_scraper_comes_in_only_where_it_is_let_in_and_to_figures_only(render):
    """
    By default no policy of an app opens its port; scrape.from opens that port of each, and no other.
    """
    ports = {one.name: one.ports["metrics"] for one in services.load().services if "metrics" in one.ports}
    opened = {}
    for values in (ALL_APPS, SCRAPED):
        policies = of_kind(render("pipeline", *values), "NetworkPolicy")
        opened[values] = {name: one["spec"]["ingress"] for name, one in policies.items() if "ingress" in one["spec"]}

    watching = [{"namespaceSelector": {"matchLabels": {"team": "watching"}}}]
    assert {} == {name: rules for name, rules in opened[ALL_APPS].items() if name in ports}
    assert {name: [{"from": watching, "ports": [{"port": port}]}] for name, port in ports.items()} == {
        name: rules for name, rules in opened[SCRAPED].items() if "watching" in str(rules)
    }


def test_this_machine_comes_in_only_from_where_it_is_said_to(render):
    """
    With hostPorts.enabled the addresses of hostPorts.from reach the ports that the NodePorts lead to.
    """
    opened = {}
    for chart in ON_THIS_MACHINE:
        for name, policy in of_kind(render(chart, *HOST_PORTS), "NetworkPolicy").items():
            for rule in policy["spec"].get("ingress", []):
                if "ipBlock" in str(rule):
                    opened[name] = rule["from"], [port["port"] for port in rule["ports"]]

    machine = [{"ipBlock": {"cidr": "172.18.0.1/32"}}]
    assert opened == {"kafka": (machine, [19094]), "mlflow": (machine, [15000]), "namenode": (machine, [18020, 19870])}


@pytest.mark.parametrize("values", [(), EXECUTORS])
def test_only_who_has_a_token_reaches_kubernetes_api(render, values):
    """
    The way to the API's ports is open to those who mount a token, and to nobody else.
    """
    policies = of_kind(render("pipeline", *values), "NetworkPolicy")
    open_to = {
        name
        for name, policy in policies.items()
        if {443, 6443} & {port["port"] for rule in policy["spec"].get("egress", []) for port in rule.get("ports", [])}
    }

    assert open_to == WATCHERS | (DRIVERS if values else set())


@pytest.mark.parametrize(
    ("standby", "count", "memory_mib"), [("off", 11, MEMORY_MIB), ("on", 12, MEMORY_MIB + STANDBY_MIB)]
)
def test_the_whole_stack_fits_a_small_machine(render, standby, count, memory_mib):
    """
    Even while a training runs and a server hands over: 2 cores are asked for at most, and without a standby 8 GiB are
    the limit.
    """
    resources = {
        component(template(one)): template(one)["spec"]["containers"][0]["resources"]
        for chart in CHARTS
        for one in render(chart, *([f"standby={standby}"] if chart == "pipeline" else []))
        if one["kind"] in ("Deployment", "StatefulSet", "CronJob", "Job")
    }

    assert len(resources) == count
    assert total(resources, "requests", "cpu", lambda quantity: int(quantity.removesuffix("m"))) <= CORES
    assert total(resources, "limits", "memory", mib) <= memory_mib
    assert not [name for name, one in resources.items() if "cpu" in one["limits"]]


@pytest.mark.parametrize("chart", CHARTS)
def test_a_test_pod_asks_from_outside_and_stays_to_be_read(render, chart):
    """
    ``helm test`` runs another pod, which asks again until its policies let it through, and stays until the next run.
    """
    test = of_kind(render(chart), "Pod")[f"{chart}-test"]

    assert test["metadata"]["annotations"] == {
        "helm.sh/hook": "test",
        "helm.sh/hook-delete-policy": "before-hook-creation",
    }
    assert ("OnFailure", 90) == (test["spec"]["restartPolicy"], test["spec"]["activeDeadlineSeconds"])
