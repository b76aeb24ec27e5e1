"""What an MLflow server that asks for a token is shown; the rest is tried against a real MLflow."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from apps.common import registry
from apps.common.errors import Unavailable


class Guarded(BaseHTTPRequestHandler):
    """Knows no model, and says so to whoever shows the token."""

    def do_GET(self):
        """Answer."""
        knows = self.headers.get("Authorization") == "Bearer open-sesame"
        body = b'{"error_code": "RESOURCE_DOES_NOT_EXIST"}' if knows else b'{"error_code": "PERMISSION_DENIED"}'
        self.send_response(404 if knows else 401)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Nothing."""


@pytest.fixture
def guarded():
    """The address of a server that asks for a token."""
    server = HTTPServer(("127.0.0.1", 0), Guarded)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_the_token_of_mlflows_own_client_is_shown(guarded, monkeypatch):
    """One variable for both; without it the server says what is missing, and that is no empty answer."""
    with pytest.raises(Unavailable, match="401 PERMISSION_DENIED"):
        registry.champion(guarded, "cars")

    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "open-sesame")
    assert registry.champion(guarded, "cars") is None
