"""Every effect that outlives the process stands in a `crash_point` block, so that no moment of dying is left untried."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("store", "git", "steps", "actors", "job")

EFFECTS = {
    "Popen", "copy2", "copyfile", "copytree", "fdatasync", "flock", "fork", "fsync", "ftruncate", "hardlink_to", "link_to",
    "mkdir", "open_process", "pwrite", "rename", "rmdir", "rmtree", "symlink_to", "truncate", "unlink", "write_bytes", "write_text",
}  # fmt: skip
"""Calls, by their last name, that change what another process finds."""

ELSEWHERE = {
    ("git/attributes.py", "_fill"): "a folder aside, in which nobody else looks",
    ("git/local.py", "run"): "git that writes is started within a block",
    ("git/private_folder.py", "_delete"): "its only caller stands in a block",
    ("store/shelf.py", "_put"): "a file without a name, which ends with its process",
    ("steps/keeper.py", "main"): "a process of its own, which outlives everybody",
    ("steps/keeper.py", "_start"): "likewise",
}
"""Functions whose effects have their block around them where they are called."""


def calls_outside(file: Path) -> Iterator[str]:
    """Effects of a file that stand in no block."""
    name = str(file.relative_to(ROOT / "prodigy"))
    yield from _walk(ast.parse(file.read_text()), name, "")


def _walk(node: ast.AST, file: str, function: str) -> Iterator[str]:
    if isinstance(node, ast.With | ast.AsyncWith) and any(map(_is_point, node.items)):
        return
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        function = node.name
        if (file, function) in ELSEWHERE:
            return
    if isinstance(node, ast.Call) and (effect := _effect(node)) is not None:
        yield f"{file}:{node.lineno}: {effect} in {function} stands in no crash_point block"
    for child in ast.iter_child_nodes(node):
        yield from _walk(child, file, function)


def _is_point(item: ast.withitem) -> bool:
    calls = [node for node in ast.walk(item.context_expr) if isinstance(node, ast.Call)]
    return any(isinstance(call.func, ast.Name) and call.func.id == "crash_point" for call in calls)


def _effect(call: ast.Call) -> str | None:
    """The name of the effect that a call is, if it is one."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name in EFFECTS:
        return name
    if (
        name == "replace" and len(call.args) == 1 and not call.keywords
    ):  # a path's, not a text's or a struct's
        return name
    makes = any(isinstance(node, ast.Attribute) and node.attr == "O_CREAT" for node in ast.walk(call))
    return "open" if name == "open" and makes else None


@pytest.mark.parametrize("room", ROOMS)
def test_every_effect_has_its_points(room: str) -> None:
    found = [line for file in sorted((ROOT / "prodigy" / room).rglob("*.py")) for line in calls_outside(file)]
    assert found == []


def test_the_check_sees_what_it_looks_for() -> None:
    tree = ast.parse(
        "import os\ndef f():\n    os.fsync(3)\n    with crash_point('a.b'):\n        os.unlink('x')\n"
    )
    assert list(_walk(tree, "x.py", "")) == ["x.py:3: fsync in f stands in no crash_point block"]
