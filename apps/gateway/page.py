"""The page at /docs: what /openapi.json says, for people, with nothing fetched from anywhere."""

import html
import json
from collections.abc import Iterator, Mapping
from typing import Any

STYLE = (
    "body{font:15px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em}"
    "pre{overflow:auto;padding:.7em;background:#8882}"
)


def page(openapi: Mapping[str, Any]) -> str:
    """Each door with its description, what it answers, and its examples."""
    title = html.escape(openapi["info"]["title"])
    parts = [
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>',
        f"<h1>{title}</h1><p>{html.escape(openapi['info']['description'])}</p>",
        '<p>For programs: <a href="/openapi.json">/openapi.json</a>.</p>',
    ]
    for path, methods in openapi["paths"].items():
        for method, door in methods.items():
            parts += [f"<h2>{method.upper()} {html.escape(path)}</h2>", f"<p>{html.escape(door['description'])}</p>"]
            parts += [f"<h3>{html.escape(kind)}</h3><pre>{html.escape(text)}</pre>" for kind, text in _examples(door)]
            codes = "".join(
                f"<li>{code}: {html.escape(one['description'])}</li>" for code, one in door["responses"].items()
            )
            parts.append(f"<ul>{codes}</ul>")
    return "\n".join([*parts, "</html>"])


def _examples(door: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for kind, content in door.get("requestBody", {}).get("content", {}).items():
        for name, example in content.get("examples", {}).items():
            value = example["value"]
            yield f"{kind}: {name}", value if isinstance(value, str) else json.dumps(value, indent=1)
