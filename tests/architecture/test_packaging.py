"""What the distribution consists of, and that Python loads it from here."""

from __future__ import annotations

import importlib
import re
from importlib.metadata import distribution, entry_points, packages_distributions
from pathlib import Path

import pytest
from setuptools import find_packages

from tests.architecture import tree


def _distribution_names(lines: list[str]) -> set[str]:
    """Take the names out of requirement lines, without comments, options, ranges."""
    stripped = (line.split("#")[0].strip() for line in lines)
    return {
        re.split(r"[<>=!~\[; ]", line)[0].lower() for line in stripped if line and line[0] != "-"
    }


@pytest.mark.parametrize("name", tree.PACKAGES)
def test_package_loads_from_this_tree(name: str) -> None:
    """Each of the four names is this tree's package, not another one of that name."""
    module = importlib.import_module(name)
    assert module.__file__ is not None
    assert Path(module.__file__).resolve() == tree.ROOT / name / "__init__.py"


def test_no_other_distribution_claims_our_names() -> None:
    """Nothing else that is installed owns a top-level name of ours."""
    owners = packages_distributions()
    claims = {name: set(owners.get(name, [])) for name in tree.PACKAGES}
    assert claims == {name: {"fillonce"} for name in tree.PACKAGES}


def test_wheel_holds_the_four_packages_and_all_of_each() -> None:
    """Every folder with Python files under the four is a package, and nothing else is shipped."""
    find = tree.configuration()["tool"]["setuptools"]["packages"]["find"]
    shipped = set(find_packages(where=str(tree.ROOT), include=find["include"]))
    folders = {str(Path(name).parent).replace("/", ".") for name, _ in tree.sources(*tree.PACKAGES)}
    assert {name.split(".")[0] for name in shipped} == set(tree.PACKAGES)
    assert folders - shipped == set(), "no __init__.py there"
    assert find["namespaces"] is False


def test_package_data_is_there() -> None:
    """Each pattern of package data matches a file, and every other file of a package has one."""
    patterns = tree.configuration()["tool"]["setuptools"]["package-data"]
    matched = set[Path]()
    for package, globs in patterns.items():
        folder = tree.ROOT / package.replace(".", "/")
        for glob in globs:
            found = set(folder.glob(glob))
            assert found, f"{package}: nothing matches {glob}"
            matched |= found
    others = {
        path
        for path in tree.files()
        if path.relative_to(tree.ROOT).parts[0] in tree.PACKAGES and path.suffix != ".py"
    }
    assert others - matched == set(), "files in a package that the wheel would leave out"


def test_console_script_is_the_command_line() -> None:
    """`fillonce` is our one command, and the installed one."""
    assert tree.configuration()["project"]["scripts"] == {"fillonce": "streams.cli.main:main"}
    (script,) = entry_points(group="console_scripts", name="fillonce")
    assert script.value == "streams.cli.main:main"
    assert distribution("fillonce").version == tree.configuration()["project"]["version"]


def test_dependencies_are_those_that_are_locked() -> None:
    """pyproject.toml and requirements/app.in name the same distributions, and the lock has them."""
    declared = _distribution_names(tree.configuration()["project"]["dependencies"])
    wanted = (tree.ROOT / "requirements/app.in").read_text().splitlines()
    assert declared == _distribution_names(wanted)
    locked = set(
        re.findall(r"^([\w.-]+)==", (tree.ROOT / "requirements/app.txt").read_text(), re.MULTILINE)
    )
    assert declared - locked == set()


@pytest.mark.parametrize("lock", ["app", "bench", "dev"])
def test_lock_is_hashed_and_names_no_address(lock: str) -> None:
    """Every pinned distribution has a hash; the file says `make lock` and no index."""
    text = (tree.ROOT / f"requirements/{lock}.txt").read_text()
    assert "make lock" in text.splitlines()[1]
    assert "://" not in text
    pins = re.split(r"^(?=[\w.-]+==)", text, flags=re.MULTILINE)[1:]
    assert len(pins) > 10
    assert [pin.split()[0] for pin in pins if "--hash=sha256:" not in pin] == []
