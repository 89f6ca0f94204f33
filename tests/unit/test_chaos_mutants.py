"""The planted bugs of the chaos ring fit the code as it is, and a patch that does not is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.architecture import tree
from tests.chaos import mutants, patching
from tests.chaos.mutants import MUTANTS, PATCHES

TEXT = "first\nsecond\n\nthird\nsecond\nfourth\n"
PATCH = "--- a/file\n+++ b/file\n@@ -1,3 +1,3 @@\n first\n-second\n+changed\n\n"


def test_fourteen_bugs_are_planted() -> None:
    """There are fourteen mutants, each with a patch of its name, and no patch without a mutant."""
    assert len(MUTANTS) == 14
    assert {one.name for one in MUTANTS} == {path.stem for path in PATCHES.glob("*.patch")}


@pytest.mark.parametrize("name", [one.name for one in MUTANTS])
def test_patch_fits_the_code(name: str) -> None:
    """Each patch fits the tree as it is, without fuzz, and what it makes is Python."""
    (mutant,) = (one for one in MUTANTS if one.name == name)
    files = patching.patched(name, mutant.patch, tree.ROOT)
    assert files
    for path, text in files.items():
        assert path.startswith("streams/")
        assert text != tree.ROOT.joinpath(path).read_text()
        compile(text, path, "exec")


def test_copy_has_the_bug_and_the_tree_has_not(tmp_path: Path) -> None:
    """A mutant lives in a copy of the code; the tree is left as it was."""
    mutant = MUTANTS[-1]
    before = {path: path.read_text() for path in tree.ROOT.glob("streams/engine/*.py")}
    copy = mutants.mutated(mutant, tmp_path)
    changed = [
        path.name
        for path in before
        if copy.joinpath(path.relative_to(tree.ROOT)).read_text() != before[path]
    ]
    assert len(changed) == 1
    assert all(path.read_text() == text for path, text in before.items())


def test_patch_is_applied_where_its_lines_stand(tmp_path: Path) -> None:
    """A hunk is found by its lines, wherever they stand, a blank one without its blank included."""
    tmp_path.joinpath("file").write_text("new first line\n" + TEXT)
    patching.apply("p", PATCH, tmp_path)
    assert tmp_path.joinpath("file").read_text() == "new first line\n" + TEXT.replace(
        "first\nsecond", "first\nchanged", 1
    )


@pytest.mark.parametrize(
    ("text", "patch", "said"),
    [
        (TEXT.replace("first", "other"), PATCH, "p: a hunk fits file at 0 places"),
        (TEXT + TEXT, PATCH, "p: a hunk fits file at 2 places"),
        (TEXT, PATCH.replace("b/file", "b/gone"), "p: gone is not there any more"),
        (TEXT, "no patch", "p: no hunk in it"),
    ],
)
def test_patch_that_does_not_fit_is_named(tmp_path: Path, text: str, patch: str, said: str) -> None:
    """A patch that fits nowhere, or at two places, is an error with its name, and changes nothing."""
    tmp_path.joinpath("file").write_text(text)
    with pytest.raises(patching.PatchError, match=said):
        patching.apply("p", patch, tmp_path)
    assert tmp_path.joinpath("file").read_text() == text
