"""What the documents link to is there."""

import re
from pathlib import Path

import pytest

from stack.environment import ROOT
from tests.unit.texts import DOCUMENTS

PATH = re.compile(r"`((?:apps|charts|docs|loadtest|scripts|stack|tests)/[\w./-]*)`")
TO_BE_WRITTEN = {"docs/decisions/NNNN-title.md", "apps/datasets/loan_approval.py"}
TO_BE_WRITTEN |= {"apps/datasets/cars.py", "apps/datasets/cars.seen.json"}
LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors(document: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_link_of_a_document_leads_somewhere(document):
    """
    A link names a file of the checkout, and a heading that is in it.
    """
    broken = []
    for link in LINK.findall(document.read_text()):
        file, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = (document.parent / file).resolve() if file else document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)

    assert broken == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_path_that_a_document_names_is_there(document):
    """
    A path of the checkout in backticks exists, unless the reader is to write that file.
    """
    named = set(PATH.findall(document.read_text())) - TO_BE_WRITTEN

    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_the_list_of_known_issues_is_that_of_its_headings():
    """
    Each issue is listed under its group, by its own words and in the order in which it stands below.
    """
    head, body = (ROOT / "docs" / "known-issues.md").read_text().split("\n## ", 1)
    listed = [group or link for group, link in re.findall(r"^\*\*(.+)\*\*$|^- \[(.+)\]\(", head, re.MULTILINE)]

    assert listed == re.findall(r"^##+ (.+)$", f"## {body}", re.MULTILINE)
