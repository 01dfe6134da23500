"""The floors: a module imports only floors below its own, and pure floors touch nothing."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

PRODIGY_FLOORS = [
    {"errors", "ids", "events", "paths", "crash_points", "decoding"},
    {"workflow"},
    {"job", "configuration"},
    {"git", "store"},
    {"steps"},
    {"rehearsal"},
    {"actors"},
    {"cli"},
    {"__main__"},
]
PURE = {"errors", "ids", "events", "paths", "workflow", "job", "configuration"}
IMPURE_MODULES = {
    "asyncio", "multiprocessing", "os", "psutil", "pygit2", "random", "secrets", "select", "signal", "socket",
    "subprocess", "threading", "time", "trio",
}  # fmt: skip
BANNED = {
    "supervisors": {"prodigy", "yaml", "pygit2", "cyclopts", "rich"},
    "prodigy/steps": {"yaml", "pygit2", "cyclopts", "rich"},
    "prodigy/rehearsal": {"yaml", "pygit2", "cyclopts", "rich"},
}
"""What a worker process must not import, and what the library must not know."""


def imports(file: Path) -> Iterator[str]:
    """Every module that a file names in an import, dotted; ``TYPE_CHECKING`` blocks count too."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def files(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def floor_of(name: str) -> int | None:
    return next((number for number, names in enumerate(PRODIGY_FLOORS) if name in names), None)


@pytest.mark.parametrize("file", files("prodigy"), ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_go_down(file: Path) -> None:
    parts = file.relative_to(ROOT / "prodigy").with_suffix("").parts
    if parts == ("__init__",):
        return
    own = floor_of(parts[0])
    assert own is not None, f"{file} stands on no floor"
    for name in imports(file):
        head, *rest = name.split(".")
        if head == "prodigy" and rest and (floor := floor_of(rest[0])) is not None:
            same_room = rest[0] == parts[0]
            assert floor < own or same_room or own == 0, (
                f"{file} imports {name}, which stands on floor {floor}"
            )
        if parts[0] in PURE:
            assert head not in IMPURE_MODULES, f"{file} is pure and imports {name}"


@pytest.mark.parametrize(("place", "banned"), BANNED.items())
def test_banned_imports(place: str, banned: set[str]) -> None:
    for file in files(place):
        found = {name.split(".")[0] for name in imports(file)} & banned
        assert not found, f"{file} imports {found}"


def test_no_circles() -> None:
    """No module reaches itself through imports inside the two packages."""
    modules = {
        ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file
        for package in ("prodigy", "supervisors")
        for file in files(package)
    }
    graph = {
        name: {target for target in imports(file) if target in modules and target != name}
        for name, file in modules.items()
    }
    for (
        name,
        targets,
    ) in graph.items():  # a package door imports its rooms; rooms may not import their own door
        graph[name] = {
            target for target in targets if not name.startswith(f"{target}.") or target not in graph
        }
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join((*path, name))
        if name not in done:
            for target in graph[name]:
                visit(target, (*path, name))
            done.add(name)

    for name in graph:
        visit(name, ())
