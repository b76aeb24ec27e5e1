"""The routes of the page, who may press its buttons, and how it ends."""

import json
import re
import signal
import socket
import subprocess
import sys

import pytest
from fastapi.testclient import TestClient

from apps.common.errors import BatonError, Unavailable
from stack.cli.page import guard
from stack.cli.page.flow import Flow
from stack.cli.page.server import FILES, STATIC, application, bound
from stack.cli.page.traffic import MOST_PER_S, MOST_S, PageTraffic
from stack.cli.page.watch import Increment
from stack.environment import ROOT
from tests.unit.sample_page import NASTY, KnownByHand

HOST = "http://127.0.0.1:15080"


class PressedButtons:
    """Remembers which were pressed."""

    def __init__(self):
        """None yet."""
        self.pressed, self.watch = [], self

    def soon(self):
        """The stack would be looked at."""

    def drop(self):
        """As if."""
        self.pressed.append("drop")
        return "dropped"

    def traffic(self, rate, seconds):
        """As if."""
        self.pressed.append(("traffic", rate, seconds))
        return "sent"

    def stop_traffic(self):
        """As if."""
        self.pressed.append("stop")
        return "stopped"

    def roll_back(self):
        """There is nothing before."""
        raise BatonError("a version must have been champion before; none is known; name one")


@pytest.fixture
def known():
    """What the page knows."""
    return KnownByHand()


@pytest.fixture
def buttons():
    """Its buttons."""
    return PressedButtons()


@pytest.fixture
def client(known, buttons):
    """A browser on this machine."""
    return TestClient(application(known, buttons, lambda: True), base_url=HOST)


def token(client):
    """The token in the page's text."""
    return re.search(r'name="baton-token" content="(.*)"', client.get("/").text)[1]


def test_the_page_and_its_files_come_from_this_process_alone(client):
    """HTML, style and scripts are served with a policy that lets nothing else in, and none of them names a host."""
    page = client.get("/")
    for name in FILES:
        assert 200 == client.get(f"/static/{name}").status_code, name
    own = [STATIC / name for name in ("index.html", "page.css", "page.js", "charts.js")]

    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]
    assert [] == re.findall(r"<script(?![^>]* src=)|\son\w+=|style=|https?:", page.text)
    assert [] == [file.name for file in own if re.search(r"https?://(?!www\.w3\.org/2000/svg)", file.read_text())]
    assert 404 == client.get("/static/../server.py").status_code == client.get("/static/server.py").status_code


def test_no_text_of_a_user_becomes_html():
    """The scripts know no way to put a text in as HTML."""
    said = "".join((STATIC / name).read_text() for name in ("page.js", "charts.js"))

    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", said)


def test_uplot_comes_with_its_licence():
    """MIT asks for it."""
    assert "Permission is hereby granted" in (STATIC / "uPlot.LICENSE").read_text()
    assert "v1.6.32" in (STATIC / "uPlot.iife.min.js").read_text()[:200]


def test_a_browser_is_told_all_once_and_then_what_changed(known):
    """The second time nothing of the hour, no state and no event comes again; a new flow begins afresh."""
    known.events.append({"number": 1, "at": 5.0, "kind": "batch", "text": NASTY})
    increment = Increment(known)
    first, second = increment.next(10.0), increment.next(11.0)
    known.flow.answer(0, 10, 11_000, 11_005, 2, "2")
    third = increment.next(12.0)
    known.flow = Flow(0.0)

    assert (True, 10, 1) == (first["fresh"], len(first["seconds"]), len(first["events"]))
    assert NASTY == first["state"]["refused"][0]["batch"]
    assert (False, [], [], False) == (second["fresh"], second["seconds"], second["events"], "state" in second)
    assert ([11], [[1, "1"], [2, "2"]]) == (
        [row[0] for row in third["seconds"]],
        [one[:2] for one in third["releases"]],
    )
    assert increment.next(13.0)["fresh"]


def test_what_changes_is_sent_as_events_of_a_stream(known):
    """Each is one line of JSON, until the page is closed."""
    asked = iter([False, True])
    client = TestClient(application(known, None, lambda: next(asked)), base_url=HOST)
    answer = client.get("/events")
    lines = answer.text.strip().split("\n\n")

    assert "text/event-stream" in answer.headers["content-type"]
    assert [10] == [len(json.loads(line.removeprefix("data: "))["seconds"]) for line in lines]


def test_the_buttons_do_what_they_say(client, buttons):
    """Each with the token that stands in the page; an error of Baton's is told in its words."""
    headers = {guard.TOKEN: token(client), "origin": HOST}
    told = [
        client.post(path, headers=headers, json=body)
        for path, body in (
            ("/drop", {}),
            ("/traffic", {"rate": 50, "seconds": 60}),
            ("/traffic/stop", {}),
            ("/rollback", {}),
        )
    ]

    assert ["drop", ("traffic", 50, 60), "stop"] == buttons.pressed
    assert [200, 200, 200, 409] == [one.status_code for one in told]
    assert "must have been champion before" in told[-1].json()["error"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({guard.TOKEN: ""}, "token"),
        ({guard.TOKEN: "guessed"}, "token"),
        ({"origin": "http://evil.example"}, "origin"),
        ({"origin": "null"}, "origin"),
        ({"sec-fetch-site": "cross-site"}, "another site"),
        ({"host": "evil.example:15080", "origin": "http://evil.example:15080"}, "host"),
        ({"host": "127.0.0.1.evil.example"}, "host"),
        ({"host": "[::1"}, "host"),
    ],
)
def test_nobody_else_presses_a_button(client, buttons, changes, why):
    """Without the token, from another origin, or by another name of this machine it is 403, and nothing is done."""
    headers = {guard.TOKEN: token(client), "origin": HOST, **changes}
    answer = client.post("/drop", headers=headers)

    assert 403 == answer.status_code
    assert why in answer.json()["error"]
    assert [] == buttons.pressed


def test_another_name_reads_nothing_either(client):
    """A site that lets its own name lead here (DNS rebinding) is not told what is known, nor the token."""
    answers = [client.get(path, headers={"host": "evil.example"}) for path in ("/", "/state", "/events")]

    assert [403] * 3 == [answer.status_code for answer in answers]
    assert all("token" not in answer.text for answer in answers)


def test_a_page_that_is_read_only_has_no_token_and_no_buttons(known):
    """It shows the same, and whatever is posted is refused."""
    client = TestClient(application(known, None, lambda: True), base_url=HOST)

    assert "" == token(client)
    assert 403 == client.post("/drop", headers={guard.TOKEN: ""}).status_code


@pytest.mark.parametrize(
    ("rate", "seconds"), [(0, 10), (MOST_PER_S + 1, 10), (50, 0), (50, MOST_S + 1), (1, float("nan"))]
)
def test_traffic_of_the_page_is_bounded(tmp_path, rate, seconds):
    """What goes further is for ./baton traffic; nothing is started."""
    traffic = PageTraffic()
    with pytest.raises(BatonError, match="must be 1 to"):
        traffic.start({}, tmp_path, rate, seconds)

    assert traffic.told() is None


def test_a_port_that_is_taken_is_said(known):
    """With what to do about it."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(Unavailable, match=r"must be free; got .*; end what has it, or name another: --port"):
            bound(other.getsockname()[1])


def test_without_a_stack_the_command_says_what_to_do(checkout):
    """Nothing is served, and the exit code is 1."""
    code, out, err = checkout.run("page", "--port", "0")

    assert (1, "") == (code, out)
    assert "./baton up" in err


SERVES = """
from stack.cli import interruption
from stack.cli.page.server import PageServer, bound
from tests.unit.sample_page import KnownByHand
interruption.catch()
listening = bound(0)
print(listening.getsockname()[1], flush=True)
try:
    PageServer(KnownByHand(), None).run([listening])
except KeyboardInterrupt:
    print("ended")
"""


def test_ctrl_c_ends_it_while_a_browser_listens():
    """A stream that is open does not hold it up, and nothing is said on standard error."""
    command = [sys.executable, "-c", SERVES]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True, start_new_session=True)
    try:
        port = int(process.stdout.readline())
        with socket.create_connection(("127.0.0.1", port), 60) as browser:
            browser.sendall(f"GET /events HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
            seen = b""
            while b"data: " not in seen:
                more = browser.recv(4096)
                assert more, seen
                seen += more
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
    finally:
        process.kill()

    assert ("ended\n", "", 0) == (out, err, process.returncode)
