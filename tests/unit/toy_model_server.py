"""
A small server of the Open Inference Protocol, sound but for one fault that a test plants between it and its client.

Its model adds the cells of x in each row, and repeats the text of word.
"""

import json
import math
import struct
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

MODEL, VERSION = "toy", "v1"
ROOT = f"/v2/models/{MODEL}"
LENGTH = "Inference-Header-Content-Length"
HEALTHY = {"/v2/health/live": {"live": True}, "/v2/health/ready": {"ready": True}}
SERVER = {"name": "toys", "version": "1.0", "extensions": ["binary_tensor_data"]}
OUTPUTS = [{"name": "sum", "datatype": "FP64", "shape": [-1]}, {"name": "echo", "datatype": "BYTES", "shape": [-1]}]
LONGEST = 1_000_000


class ToyRequest(NamedTuple):
    """What was asked, and what the server answers where nothing is planted."""

    method: str
    path: str
    body: bytes
    status: int
    headers: dict
    said: bytes

    @property
    def asked(self):
        """The JSON that was sent, None where none was."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


class Refusal(Exception):
    """A status and a reason."""


def cells_of(tensor, part):
    """The cells of an input, flat."""
    shape, datatype = tensor.get("shape"), tensor.get("datatype")
    if not isinstance(shape, list) or min(shape, default=-1) < 0 or datatype not in ("FP64", "BYTES"):
        raise Refusal(400, "shape and datatype must be of the protocol")
    cells = tensor.get("data", []) if part is None else unpacked(datatype, part)
    cells = [cell for row in cells for cell in (row if isinstance(row, list) else [row])]
    if len(cells) != math.prod(shape) or not cells:
        raise Refusal(400, "data must be as many as the shape says, one or more")
    if not all(isinstance(cell, str if datatype == "BYTES" else int | float) for cell in cells):
        raise Refusal(400, "data must be of the datatype")
    return cells


def unpacked(datatype, part):
    """Binary data as cells."""
    if datatype == "FP64":
        if len(part) % 8:
            raise Refusal(400, "binary data must be whole")
        return [number for (number,) in struct.iter_unpack("<d", part)]
    found = []
    while part:
        size = int.from_bytes(part[:4], "little")
        found.append(part[4 : 4 + size].decode())
        part = part[4 + size :]
    return found


def packed(output):
    """The data of an output in binary."""
    if output["datatype"] == "FP64":
        return struct.pack(f"<{len(output['data'])}d", *output["data"])
    return b"".join(len(text.encode()).to_bytes(4, "little") + text.encode() for text in output["data"])


def inferred(body, length):
    """The answer to an infer: headers and bytes."""
    size = len(body) if length is None else int(length)
    if size > len(body) or len(body) > LONGEST:
        raise Refusal(413 if len(body) > LONGEST else 400, "a body must be of its length, and not too long")
    try:
        asked, place, columns = json.loads(body[:size]), size, {}
        for tensor in asked["inputs"]:
            more = tensor.get("parameters", {}).get("binary_data_size")
            part = None if more is None else body[place : place + more]
            if part is not None and len(part) != more:
                raise Refusal(400, "binary data must be of its size")
            place += more or 0
            columns[tensor["name"]] = cells_of(tensor, part)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Refusal(400, f"a body must be an inference request: {error!r}") from error
    if {"x", "word"} != columns.keys():
        raise Refusal(400, "inputs must be x and word")
    texts = columns["word"]
    each = len(columns["x"]) // len(texts)
    sums = [float(sum(columns["x"][row * each : row * each + each])) for row in range(len(texts))]
    data = {"sum": sums, "echo": texts}
    outputs = [{**one, "shape": [len(texts)], "data": data[one["name"]]} for one in OUTPUTS]
    if wanted := [one["name"] for one in asked.get("outputs", [])]:
        outputs = [one for one in outputs if one["name"] in wanted]
        if len(outputs) < len(wanted):
            raise Refusal(400, "outputs must be sum or echo")
    return answer(asked, outputs)


def answer(asked, outputs):
    """Headers and bytes of outputs."""
    told = {"model_name": MODEL, "model_version": VERSION, "outputs": outputs}
    told |= {"id": asked["id"]} if "id" in asked else {}
    if not asked.get("parameters", {}).get("binary_data_output"):
        return {}, json.dumps(told).encode()
    parts = [packed(one) for one in outputs]
    for one, part in zip(outputs, parts, strict=True):
        del one["data"]
        one["parameters"] = {"binary_data_size": len(part)}
    head = json.dumps(told).encode()
    return {LENGTH: str(len(head)), "Content-Type": "application/octet-stream"}, head + b"".join(parts)


class ToyHandler(BaseHTTPRequestHandler):
    """Answers one connection; ``self.server.fault`` may change an answer, or make it None."""

    server: "ToyServer"
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        """Nothing."""

    def _body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _said(self, body):
        """Status, headers and bytes."""
        path = self.path.replace(f"/versions/{VERSION}", "")
        shape = [-1, 2] if self.server.wide else [-1]
        inputs = [
            {"name": "x", "datatype": "FP64", "shape": shape},
            {"name": "word", "datatype": "BYTES", "shape": [-1]},
        ]
        model = {"name": MODEL, "versions": [VERSION], "platform": "toy_adder", "inputs": inputs, "outputs": OUTPUTS}
        told = HEALTHY | {"/v2": SERVER, ROOT: model, f"{ROOT}/ready": {"name": MODEL, "ready": True}}
        if path == f"{ROOT}/infer":
            if self.command != "POST":
                return 405, {"Allow": "POST"}, b'{"error": "POST it"}'
            return 200, *inferred(body, self.headers.get(LENGTH))
        if path not in told:
            raise Refusal(404, "nothing is there")
        return 200, {}, json.dumps(told[path]).encode()

    def do_GET(self):
        """Answer."""
        body = self._body()
        try:
            said = self._said(body)
        except Refusal as refusal:
            said = refusal.args[0], {}, json.dumps({"error": refusal.args[1]}).encode()
        changed = self.server.fault(ToyRequest(self.command, self.path, body, *said)) if self.server.fault else said
        if changed is None:
            self.close_connection = True
            return
        status, headers, content = changed
        self.send_response(status)
        headers = {"Content-Type": "application/json", "Content-Length": str(len(content)), **headers}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else content)

    do_POST = do_HEAD = do_GET  # noqa: N815 - so they are called


class ToyServer(ThreadingHTTPServer):
    """Takes many connections at once."""

    request_queue_size = 64
    fault, wide = None, False


@contextmanager
def serving(fault=None, *, wide=False):
    """The URL of such a server, as long as the block runs; ``fault`` takes a ToyRequest, and says what is answered."""
    with ToyServer(("127.0.0.1", 0), ToyHandler) as server:
        server.fault, server.wide = fault, wide
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
