"""The same server, and on SIGTERM it answers all that it holds and hands its socket to its next life, as nginx does."""

import os
import signal
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Echo(BaseHTTPRequestHandler):
    """Answers what it was asked."""

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(0.05)  # its work
        self.send_response(200)
        self.send_header("Content-Length", str(len(asked)))
        self.end_headers()
        self.wfile.write(asked)


class Server(ThreadingHTTPServer):
    """Its end waits for the requests that it holds."""

    daemon_threads = False
    request_queue_size = 128  # so many may wait for its next life


port, *inherited = sys.argv[1:]
server = Server(("127.0.0.1", int(port)), Echo, bind_and_activate=not inherited)
if inherited:
    server.socket = socket.socket(fileno=int(inherited[0]))
kept = os.dup(server.fileno())
os.set_inheritable(kept, True)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever()
server.server_close()  # who comes from here on waits in the socket, which the next life inherits
os.execv(sys.executable, [sys.executable, __file__, port, str(kept)])  # noqa: S606 - not a word of it is a request's
