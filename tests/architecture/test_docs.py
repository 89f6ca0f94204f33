"""The documents: links lead somewhere, decisions are complete, named commands exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.architecture import tree

DECISION_PARTS = ("## Context", "## Choices", "## Decision", "## What would change our mind")
_DECISIONS = sorted((tree.ROOT / "docs/decisions").glob("*.md"))
_LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)\s]*)?\)")
_MAKE = re.compile(r"(?:^|[`\s])make ([a-z][a-z-]+)(?=[`\s,.:;)]|$)", re.MULTILINE)
_CODE = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)


def _documents() -> list[tuple[str, str]]:
    return [(name, text) for name, text in tree.texts() if name.endswith(".md")]


def test_links_lead_to_files_of_this_tree() -> None:
    """Every relative link of every document names a file or folder that exists."""
    dead = [
        f"{name}: {target}"
        for name, text in _documents()
        for target in _LINK.findall(text)
        if "://" not in target
        and not target.startswith("mailto:")
        and not (tree.ROOT / Path(name).parent / target).exists()
    ]
    assert dead == []


def test_named_make_targets_exist() -> None:
    """Every `make TARGET` in a document's code is a target of the Makefile."""
    makefile = (tree.ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = {
        f"{name}: make {target}"
        for name, text in _documents()
        for code in _CODE.findall(text)
        for target in _MAKE.findall(code)
        if target not in targets
    }
    assert named == set()


def test_every_target_is_listed_by_help() -> None:
    """Each phony target says in one line what it does."""
    makefile = (tree.ROOT / "Makefile").read_text().replace("\\\n", " ")
    (phony,) = re.findall(r"^\.PHONY:(.*)$", makefile, re.MULTILINE)
    explained = set(re.findall(r"^([a-z-]+):.*## \S", makefile, re.MULTILINE))
    assert set(phony.split()) == explained


def test_decisions_are_numbered_without_gaps() -> None:
    """docs/decisions holds NNNN-title.md, counted from 1."""
    names = [path.name for path in _DECISIONS]
    assert names
    assert [name[:5] for name in names] == [f"{n:04d}-" for n in range(1, len(names) + 1)]


@pytest.mark.parametrize("path", _DECISIONS, ids=lambda path: path.name)
def test_decision_says_what_would_change_it(path: Path) -> None:
    """A decision has a context, choices, the decision, and what would change our mind, in order."""
    text = path.read_text()
    assert re.match(rf"# {int(path.name[:4])}\. \S", text)
    places = [text.find(f"\n{part}\n") for part in DECISION_PARTS]
    assert -1 not in places
    assert places == sorted(places)


def test_changelog_is_kept() -> None:
    """CHANGELOG.md begins with what is unreleased, in sections of Keep a Changelog."""
    text = (tree.ROOT / "CHANGELOG.md").read_text()
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    allowed = {"Removed", "Deprecated", "Added", "Changed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.+)$", text, re.MULTILINE)) <= allowed
