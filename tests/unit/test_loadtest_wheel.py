"""The prover's wheel holds what the prover imports, and nothing else."""

import ast
import tomllib
from importlib.util import find_spec
from pathlib import Path

from stack.environment import ROOT

LOADTEST = ROOT / "loadtest"
TOLD = tomllib.loads((LOADTEST / "pyproject.toml").read_text())
BESIDES_CODE = {"baton_prove/__init__.py", "baton_prove/LICENSE"}


def packed():
    """Place in the wheel -> the file that is put there."""
    included = TOLD["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    return {place: (LOADTEST / file).resolve() for file, place in included.items()}


def imports(file):
    """The modules that a file imports: whole names, and what is taken from them."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own_file(module):
    """The file of a module of ours, or None."""
    path = ROOT / Path(*module.split("."))
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    own = module.split(".")[0] in ("apps", "loadtest", "stack")
    return next((file for file in candidates if own and file.is_file()), None)


def needed():
    """Every file of ours that the prover imports, however indirectly, with the packages that they lie in."""
    found, rest = set(), list((LOADTEST / "prover").glob("*.py"))
    while rest:
        file = rest.pop()
        if file not in found:
            found.add(file)
            rest += [other for module in imports(file) if (other := own_file(module))]
    packages = {parent / "__init__.py" for file in found for parent in file.relative_to(ROOT).parents}
    return found | {ROOT / package for package in packages if (ROOT / package).is_file()}


def test_the_wheel_holds_what_the_prover_imports():
    """A module that is forgotten would be missed only where it is installed alone; one too many is dead weight."""
    files = {file for place, file in packed().items() if place not in BESIDES_CODE and file.is_file()}
    folder = {file for file in needed() if file.parent == LOADTEST / "prover"}

    assert needed() - folder == files
    assert packed()["baton_prove/loadtest/prover"] == LOADTEST / "prover"


def test_each_module_lies_in_the_wheel_under_the_name_it_is_imported_by():
    """Below baton_prove, and nothing beside it."""
    for place, file in packed().items():
        if place not in BESIDES_CODE:
            assert place == f"baton_prove/{file.relative_to(ROOT)}"


def test_the_wheel_asks_for_the_packages_that_the_prover_imports():
    """And for no others: it is installed by people who have nothing else of ours."""
    own = {"apps", "loadtest", "stack"}
    heads = {module.split(".")[0] for file in needed() for module in imports(file)} - own
    installed = {head for head in heads if "site-packages" in str((find_spec(head) or find_spec("os")).origin)}

    assert {"confluent_kafka", "jinja2"} == installed
    assert ["confluent-kafka", "jinja2"] == [line.split(">")[0] for line in TOLD["project"]["dependencies"]]
