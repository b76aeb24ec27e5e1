"""What Baton says: the texts of its modules, and its documents."""

import ast

from stack.environment import ROOT

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
SCRIPTS = [ROOT / "Tiltfile", *(ROOT / "scripts").iterdir(), *(ROOT / "charts").rglob("NOTES.txt")]


def modules():
    """Every module of the project with its syntax tree."""
    for folder in ("apps", "stack", "loadtest"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            yield file, ast.parse(file.read_text())


def texts(tree):
    """The texts of a module, docstrings too; what an f-string fills in is {}."""
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            yield node.value


def messages(tree):
    """The texts that are no docstrings."""
    docstrings = {
        node.body[0].value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
        and isinstance(node.body[0].value, ast.Constant)
    }
    return (text for text in texts(tree) if text not in docstrings)
