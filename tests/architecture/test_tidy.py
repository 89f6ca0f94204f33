"""Sizes, banned words and calls: style as a test."""

from __future__ import annotations

import ast
import re

from tests.architecture import tree

MAX_FILE_LINES = 450
MAX_FUNCTION_LINES = 80

MONEY_MODULES = frozenset(
    f"processors/{name}.py"
    for name in ("account", "funds", "money", "orders", "positions", "risk", "sizing")
)

# In pieces, so that this file passes its own tests.
_UNFINISHED = re.compile(
    r"\b(?:" + "|".join(("TO" + "DO", "FIX" + "ME", "X" * 3, "HA" + "CK")) + r")\b"
)
_MACHINE_PATH = re.compile(
    r"(?<![\w.})\-])/(?:" + "|".join(("wo" + "rk", "r" + "oot", "opt/wh" + "eels", "ho" + "me", "Us" + "ers"))
    + r")(?:/[\w.]|\s|$|[\"'`])"
)  # fmt: skip
_REGISTRY_HOSTS = re.compile(
    "|".join(
        re.escape(f"{host}.{domain}")
        for host, domain in (
            ("py" + "pi", "org"),
            ("python" + "hosted", "org"),
            ("repo.maven", "apache.org"),
            ("repo1.maven", "org"),
            ("oss.sona" + "type", "org"),
            ("registry.npm" + "js", "org"),
            ("proxy.go" + "lang", "org"),
            ("crates", "io"),
            ("docker", "io"),
            ("qu" + "ay", "io"),
            ("gh" + "cr", "io"),
        )
    )
)


def _found(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{name}:{number}: {line.strip()[:120]}"
        for name, text in tree.texts()
        for number, line in enumerate(text.splitlines(), start=1)
        if pattern.search(line)
    ]


def test_files_are_short() -> None:
    """No Python file is longer than 450 lines (300 is the aim): a growing one is split by nouns."""
    long = {
        name: len(text.splitlines())
        for name, text in tree.sources()
        if len(text.splitlines()) > MAX_FILE_LINES
    }
    assert long == {}


def test_functions_are_short() -> None:
    """No function is longer than 80 lines (60 is the aim), its docstring included."""
    long = {
        f"{name}:{node.lineno} {node.name}": length
        for name, text in tree.sources()
        for node in ast.walk(ast.parse(text, filename=name))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or node.lineno) - node.lineno + 1) > MAX_FUNCTION_LINES
    }
    assert long == {}


def test_money_is_never_a_float() -> None:
    """The modules that handle money neither call float nor hold a float literal."""
    wrong = [
        f"{name}:{node.lineno}"
        for name, text in tree.sources("processors")
        if name in MONEY_MODULES
        for node in ast.walk(ast.parse(text, filename=name))
        if (isinstance(node, ast.Name) and node.id == "float")
        or (isinstance(node, ast.Constant) and isinstance(node.value, float))
    ]
    assert wrong == []


def test_nothing_is_left_to_do() -> None:
    """No file has a note that something is unfinished: open work is an issue, not a comment."""
    assert _found(_UNFINISHED) == []


def test_no_path_of_one_machine() -> None:
    """No file names a folder that only one machine has."""
    assert _found(_MACHINE_PATH) == []


def test_no_registry_is_named() -> None:
    """No file names the host of a package registry: every machine has its own way there."""
    assert _found(_REGISTRY_HOSTS) == []


def test_core_sleeps_nowhere_and_tests_wait_for_conditions() -> None:
    """No test calls time.sleep: it waits for a condition, with a deadline."""
    wrong = [
        f"{name}:{node.lineno}"
        for name, text in tree.sources("tests")
        for node in ast.walk(ast.parse(text, filename=name))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "sleep"
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "time"
        and not name.startswith("tests/bench/")
    ]
    assert wrong == []


def test_every_package_says_what_it_is() -> None:
    """Every __init__.py and module of the wheel begins with a docstring."""
    silent = [
        name
        for name, text in tree.sources(*tree.PACKAGES)
        if ast.get_docstring(ast.parse(text, filename=name)) is None
    ]
    assert silent == []
