"""A class name means one thing in the whole project, so that a reader need not look at the import to know which."""

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
ROOMS = ("apps", "loadtest", "stack", "tests")


def test_a_class_name_is_unique():
    """
    No two classes of the project share a name.
    """
    places = defaultdict(list)
    for path in (path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(str(path.relative_to(ROOT)))

    assert {} == {name: files for name, files in places.items() if len(files) > 1}
