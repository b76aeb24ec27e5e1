"""A NameNode and a DataNode, as whoever reaches their ports finds them."""

import pytest
import requests

from stack.embedded.services import hdfs
from tests.adapters.conftest import free_context, running

BROWSER = {"User-Agent": "Mozilla/5.0", "Origin": "http://elsewhere.example"}


@pytest.fixture(scope="module")
def addresses(tmp_path_factory):
    """Where WebHDFS answers, on either."""
    context = free_context(tmp_path_factory.mktemp("hdfs"))
    specs = {"namenode": hdfs.namenode(context), "datanode": hdfs.datanode(context)}
    with running(context, specs):
        ports = {name: context.service(name).ports["http"] for name in specs}
        yield {name: f"http://127.0.0.1:{port}/webhdfs/v1/x" for name, port in ports.items()}


@pytest.mark.parametrize("name", ["namenode", "datanode"])
def test_a_page_that_a_browser_shows_cannot_change_a_file(addresses, name):
    """A POST that needs no leave of the browser is refused; a program's own header is what a page cannot send."""
    truncate = {"op": "TRUNCATE", "newlength": "0"} if name == "namenode" else {"op": "APPEND"}
    refused = requests.post(addresses[name], params=truncate, headers=BROWSER, timeout=10)
    program = requests.post(addresses[name], params=truncate, headers={**BROWSER, "X-XSRF-HEADER": '""'}, timeout=10)

    assert (400, True) == (refused.status_code, "Missing Required Header for CSRF" in refused.text + refused.reason)
    assert "CSRF" not in program.text + program.reason


def test_a_browser_may_look_at_folders(addresses):
    """What ``./baton open hdfs`` shows."""
    folder = addresses["namenode"].removesuffix("x")
    listing = requests.get(folder, params={"op": "LISTSTATUS"}, headers=BROWSER, timeout=10)

    assert "FileStatuses" in listing.json()
