"""HDFS: one NameNode and one DataNode, on loopback, from their published jars."""

import json
import shutil
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import requests

from apps.common.errors import Unavailable
from stack.embedded.services.spec import HERE, ProcessSpec, StackContext
from stack.environment import HOST
from stack.java import jars, java_command

NAMENODE, DATANODE = "namenode", "datanode"
HEAPS = {NAMENODE: "-Xmx160m", DATANODE: "-Xmx128m"}
ANSWER_S = 2
WEBHDFS = "--add-opens=java.base/java.lang=ALL-UNNAMED"  # its REST library defines classes by reflection

LOGGING = """\
log4j.rootLogger=INFO,out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=%d{ISO8601} %p %c{1}: %m%n
"""


def _settings(context: StackContext, names: str) -> dict[str, object]:
    name, data = context.service(NAMENODE), context.service(DATANODE)
    return {
        "fs.defaultFS": name.address_at(HOST),
        "hadoop.tmp.dir": "tmp",
        "dfs.namenode.rpc-address": f"{HOST}:{name.ports['rpc']}",
        "dfs.namenode.http-address": f"{HOST}:{name.ports['http']}",
        "dfs.namenode.name.dir": names,
        "dfs.datanode.address": f"{HOST}:{data.ports['data']}",
        "dfs.datanode.http.address": f"{HOST}:{data.ports['http']}",
        "dfs.datanode.ipc.address": f"{HOST}:{data.ports['ipc']}",
        "dfs.datanode.data.dir": HERE / "blocks",  # its whole path goes into a pattern of Java's
        # Nothing is resolved by name: a laptop's own name often leads nowhere.
        "dfs.datanode.hostname": HOST,
        "dfs.namenode.datanode.registration.ip-hostname-check": "false",
        # One copy, one user.
        "dfs.replication": 1,
        "dfs.permissions.enabled": "false",
        # A page that a browser shows may not change anything by its visitor's hand.
        "dfs.webhdfs.rest-csrf.enabled": "true",
        # Back in seconds after a restart.
        "dfs.namenode.safemode.extension": 0,
        "dfs.heartbeat.interval": 1,
        "dfs.namenode.heartbeat.recheck-interval": 2000,
        "dfs.blockreport.initialDelay": 0,
        "ipc.client.connect.retry.interval": 200,
        "ipc.client.connect.max.retries": 100,
        # A small machine.
        "dfs.namenode.handler.count": 6,
        "dfs.datanode.handler.count": 3,
        "dfs.datanode.max.transfer.threads": 256,
        "dfs.datanode.directoryscan.interval": "6h",
        "dfs.datanode.du.reserved": 0,
    }


def _configuration(settings: dict[str, object]) -> str:
    rows = (
        f"<property><name>{name}</name><value>{escape(str(value))}</value></property>\n"
        for name, value in settings.items()
    )
    return f"<configuration>\n{''.join(rows)}</configuration>\n"


def _write_configuration(context: StackContext, folder: Path, names: str) -> None:
    # The daemons refuse to start without these folders; the published jars carry no web pages to put into them.
    for pages in ("hdfs", "datanode", "static"):
        (folder / "webapps" / pages).mkdir(parents=True, exist_ok=True)
    settings = _settings(context, names)
    own = {name: value for name, value in settings.items() if name.startswith("dfs.")}
    (folder / "hdfs-site.xml").write_text(_configuration(own))
    (folder / "core-site.xml").write_text(_configuration({k: v for k, v in settings.items() if k not in own}))
    (folder / "log4j.properties").write_text(LOGGING)


def _daemon(name: str, configuration: Path, main: str) -> list[str]:
    """The command line of a daemon, which runs in the folder above its configuration."""
    return java_command(HEAPS[name], [configuration.name, f"{jars('hdfs')}/*"], main, configuration, WEBHDFS)


def _bean(address: str, name: str) -> dict[str, Any]:
    answer = requests.get(f"{address}/jmx", params={"qry": f"Hadoop:{name}"}, timeout=ANSWER_S)
    answer.raise_for_status()
    beans: list[dict[str, Any]] = answer.json()["beans"]
    if not beans:
        raise Unavailable(f"{address} must know the bean {name}; got none; wait")
    return beans[0]


def namenode(context: StackContext) -> ProcessSpec:
    """How to run the NameNode."""
    folder = context.folder("hdfs")
    names, unfinished = folder / "names", folder / "unfinished"
    address = f"http://{HOST}:{context.service(NAMENODE).ports['http']}"

    def program(configuration: Path) -> list[str]:
        return _daemon(NAMENODE, configuration, "org.apache.hadoop.hdfs.server.namenode.NameNode")

    def prepare() -> None:
        _write_configuration(context, folder / NAMENODE, names.name)
        if names.exists():
            return
        shutil.rmtree(unfinished, ignore_errors=True)
        _write_configuration(context, folder / "format", unfinished.name)
        context.run(NAMENODE, [*program(folder / "format"), "-format", "-force", "-nonInteractive"], folder)
        unfinished.rename(names)

    def probe() -> None:
        info = _bean(address, "service=NameNode,name=NameNodeInfo")
        if info["Safemode"]:
            raise Unavailable(f"the NameNode must be out of safe mode; got {info['Safemode']}; wait")
        if not json.loads(info["LiveNodes"]):
            raise Unavailable("the NameNode must have a live DataNode; got none; see the log of datanode")

    return ProcessSpec(lambda: program(folder / NAMENODE), folder, probe=probe, prepare=prepare)


def datanode(context: StackContext) -> ProcessSpec:
    """How to run the DataNode."""
    folder = context.folder("hdfs")
    address = context.service(DATANODE).address_at(HOST)

    def command() -> list[str]:
        return _daemon(DATANODE, folder / DATANODE, "org.apache.hadoop.hdfs.server.datanode.DataNode")

    def prepare() -> None:
        _write_configuration(context, folder / DATANODE, "names")

    def probe() -> None:
        actors = json.loads(_bean(address, "service=DataNode,name=DataNodeInfo").get("BPServiceActorInfo", "[]"))
        if not any(actor["ActorState"] == "RUNNING" for actor in actors):
            raise Unavailable("the DataNode must be registered; got no NameNode; see the log of namenode")

    return ProcessSpec(command, folder, probe=probe, prepare=prepare)
