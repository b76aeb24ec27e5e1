"""Questions to rendered objects, asked by more than one test."""

from pathlib import Path

import yaml

FOLDER = Path(__file__).parents[2] / "charts"
KUBERNETES = yaml.safe_load((FOLDER.parent / "stack/kind_from_source/versions.yaml").read_text())["kubernetes"]
CHARTS = ("postgres", "mlflow", "kafka", "hdfs", "pipeline")
API = "egress.kubernetes[0].ipBlock.cidr=172.18.0.2/32"  # the one value that the pipeline has no default for
HOST_PORTS = ("hostPorts.enabled=true", "hostPorts.from={172.18.0.1/32}")
EXECUTORS = ("trainer.executors=2", "server.executors=1")
DEVELOPMENT = ("development=true",)
ALONE = ("standby=off",)
LIVE_METRICS = ("liveMetrics=on",)
GATEWAY = ("gateway=on", "gatewayServer.from[0].podSelector.matchLabels.app=shop")
CACHE = (*GATEWAY[:1], "cache=on")
CACHE_ELSEWHERE = (
    *CACHE,
    "addresses.cache=rediss://redis.example.org:6380/2",
    "egress.cache[0].ipBlock.cidr=192.0.2.7/32",
    "cacheAccess.user=cars",
    "cacheAccess.passwordSecret.name=redis",
    "cacheAccess.caSecret.name=redis-ca",
)
ALL_APPS = (*LIVE_METRICS, *CACHE)
SCRAPED = (*ALL_APPS, "scrape.from[0].namespaceSelector.matchLabels.team=watching")
SECURED = (
    "kafka.protocol=SASL_SSL",
    "kafka.user=cars",
    "kafka.passwordSecret.name=cars",
    "kafka.caSecret.name=my-cluster-cluster-ca-cert",
    "mlflow.tokenSecret.name=mlflow",
)
VARIANTS = [
    *((chart, ()) for chart in CHARTS),
    ("postgres", ("existingSecret=mine",)),
    ("postgres", ("persistence.storageClass=fast",)),
    (
        "mlflow",
        (
            "database.host=db.example.org",
            "database.passwordSecret.name=db",
            "egress.database[0].ipBlock.cidr=192.0.2.9/32",
        ),
    ),
    ("mlflow", (*HOST_PORTS, "persistence.storageClass=fast", "image.repository=example.org/mlflow")),
    ("kafka", (*HOST_PORTS, "persistence.storageClass=fast")),
    ("hdfs", (*HOST_PORTS, "datanode.persistence.storageClass=fast")),
    ("hdfs", ("datanode.replicas=3", "replication=2")),
    ("pipeline", SECURED),
    ("pipeline", (*EXECUTORS, *SECURED)),
    ("pipeline", EXECUTORS),
    ("pipeline", LIVE_METRICS),
    ("pipeline", GATEWAY),
    ("pipeline", (*GATEWAY, *SECURED)),
    ("pipeline", CACHE),
    ("pipeline", (*CACHE_ELSEWHERE, *SECURED)),
    ("pipeline", SCRAPED),
    ("pipeline", (*SCRAPED, *EXECUTORS)),
    ("pipeline", ("trainer.executors=1",)),
    ("pipeline", DEVELOPMENT),
    ("pipeline", ALONE),
    ("pipeline", (*EXECUTORS, *DEVELOPMENT, "dropper.everySeconds=30")),
    (
        "pipeline",
        (
            "addresses.kafka=a.example.org:9092\\,b.example.org:9093",
            "egress.kafka[0].ipBlock.cidr=192.0.2.0/28",
            "addresses.hdfs=hdfs://n.example.org:8020",
            "egress.hdfs[0].namespaceSelector.matchLabels.kubernetes\\.io/metadata\\.name=data",
        ),
    ),
    (
        "pipeline",
        (
            "addresses.mlflow=https://mlflow.example.org:443",
            "egress.mlflow[0].ipBlock.cidr=192.0.2.7/32",
            "dropper.persistence.storageClass=fast",
        ),
    ),
]


def of_kind(objects, *kinds):
    """Those objects by name."""
    return {one["metadata"]["name"]: one for one in objects if one["kind"] in kinds}


def config(objects, name):
    """The data of a ConfigMap."""
    return of_kind(objects, "ConfigMap")[name]["data"]


def template(one):
    """The pod that an object makes, or None."""
    if one["kind"] == "Pod":
        return one
    if one["kind"] == "CronJob":
        return one["spec"]["jobTemplate"]["spec"]["template"]
    return one["spec"].get("template") if one["kind"] in ("Deployment", "StatefulSet", "Job") else None


def pods(objects):
    """Every pod that may come of the objects, by its component; that of Spark's executors is text in a ConfigMap."""
    found = [pod for one in objects if (pod := template(one))]
    found += [
        yaml.safe_load(one["data"]["executor.yaml"])
        for one in of_kind(objects, "ConfigMap").values()
        if "executor.yaml" in one["data"]
    ]
    return {component(pod): pod for pod in found}


def component(pod):
    """What the pod is a part of."""
    return pod["metadata"]["labels"]["app.kubernetes.io/component"]


def environment(container):
    """The variables of a container that have a plain value."""
    return {one["name"]: one["value"] for one in container.get("env", []) if "value" in one}


def is_test(one):
    """Whether an object serves ``helm test`` only."""
    return one["metadata"]["name"].endswith("-test")
