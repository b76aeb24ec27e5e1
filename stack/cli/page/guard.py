"""
Who may do what: only a browser on this machine that shows this very page presses a button.

Another site in the same browser can send requests here, and by DNS rebinding under a name of its own. So the host must
be a loopback one and the origin this page's, and a button needs the token that only the page's own text carries.
"""

import secrets
from collections.abc import Mapping
from urllib.parse import urlsplit

LOOPBACK = ("127.0.0.1", "localhost", "::1")
TOKEN = "x-baton-token"  # noqa: S105 - the name of the header
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


def refusal(method: str, headers: Mapping[str, str], token: str) -> str:
    """Why a request is refused, empty when it is not; an empty ``token`` lets nobody press a button."""
    host, origin = headers.get("host", ""), headers.get("origin")
    if _name(f"//{host}") not in LOOPBACK:
        return f"the host must be 127.0.0.1 or localhost; got {host!r}; open the address that ./baton page prints"
    if origin not in (None, f"http://{host}"):
        return f"the origin must be this page's; got {origin!r}"
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return "the request must come from this page; got another site's"
    return "" if method in ("GET", "HEAD") else _unproven(headers.get(TOKEN, ""), token)


def _unproven(shown: str, token: str) -> str:
    if not token:
        return "the page must be started without --read-only for its buttons; got one that is read-only"
    if not secrets.compare_digest(shown.encode(), token.encode()):
        return f"the header {TOKEN} must be the token of this page; got another; load the page anew"
    return ""


def _name(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
