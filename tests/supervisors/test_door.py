"""The public door: everything that users meet is there, is documented, and costs nothing before it is used."""

import ast
import importlib
import inspect
import subprocess
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import supervisors
import supervisors.testing

DOOR = Path(str(supervisors.__file__))
MADE_BY_THE_LIBRARY = {
    "ActorRef", "FakeSlots", "Monitor", "ProcessTree", "Reply", "Root", "Slot", "SlotPool",
}  # fmt: skip
"""Users are given these, and never make one: how they are made is ours to change."""
FOR_THE_RUNTIME = {
    "Actor.live", "DynamicSupervisor.child_up", "DynamicSupervisor.handle", "Root.child_down", "Root.child_up",
}  # fmt: skip
"""Public for the modules next door; their docstrings say so."""
doors = pytest.mark.parametrize("door", [supervisors, supervisors.testing], ids=lambda door: door.__name__)


def type_checked_imports() -> dict[str, set[str]]:
    """What type checkers see: the names that the door imports for them, by module."""
    [block] = [node for node in ast.parse(DOOR.read_text()).body if isinstance(node, ast.If)]
    return {
        str(node.module): {alias.name for alias in node.names}
        for node in block.body
        if isinstance(node, ast.ImportFrom)
    }


def loaded_by(statement: str) -> set[str]:
    """Modules that a fresh interpreter has loaded after a statement."""
    program = f"{statement}\nimport sys\nprint(*sys.modules)"
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(output.stdout.split())


# What is there ------------------------------------------------------------------------------------------------------


def test_the_lists_agree() -> None:
    """What type checkers see, what is found at run time, and what is promised are the same."""
    seen = {f"supervisors.{home}": set(names.split()) for home, names in supervisors.HOMES.items()}  # type: ignore[attr-defined]
    assert seen == type_checked_imports()
    assert supervisors.__all__ == sorted(set().union(*seen.values()))


@doors
def test_every_name_is_there(door: ModuleType) -> None:
    for name in door.__all__:
        assert getattr(door, name) is not None
        assert name in dir(door)


def test_names_come_from_where_the_door_says() -> None:
    for home, names in type_checked_imports().items():
        for name in names:
            assert getattr(supervisors, name) is getattr(importlib.import_module(home), name)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'supervisors' has no attribute 'Genserver'"):
        supervisors.Genserver  # type: ignore[attr-defined] # noqa: B018 - looking is the point
    with pytest.raises(ImportError):
        from supervisors import Genserver  # type: ignore[attr-defined] # noqa: F401


def test_every_error_is_public() -> None:
    """Whoever calls the library can name whatever it raises."""
    for module in ("supervisors.errors", "supervisors.process_errors"):
        for name, value in vars(importlib.import_module(module)).items():
            if inspect.isclass(value) and issubclass(value, Exception):
                assert name in supervisors.__all__


@doors
def test_signatures_speak_of_nothing_private(door: ModuleType) -> None:
    """A type of ours in a public signature is public itself, or nobody could write it down."""
    known = {*supervisors.__all__, *supervisors.testing.__all__}
    for label, function in public_functions(door):
        for kind in types_in(typing.get_type_hints(function).values()):
            if kind.__module__.startswith("supervisors"):
                assert kind.__name__ in known, f"{label} speaks of {kind.__qualname__}"


def public_functions(door: ModuleType) -> Iterator[tuple[str, object]]:
    for name in door.__all__:
        value = getattr(door, name)
        if inspect.isclass(value):
            yield from public_methods(name, value)
        elif inspect.isfunction(value):
            yield name, value


def public_methods(owner: str, kind: type) -> Iterator[tuple[str, object]]:
    for name, member in vars(kind).items():
        function = member.fget if isinstance(member, property) else member
        made = name == "__init__" and owner not in MADE_BY_THE_LIBRARY
        public = not name.startswith("_") and f"{owner}.{name}" not in FOR_THE_RUNTIME
        if inspect.isfunction(function) and (made or public):
            yield f"{owner}.{name}", function


def types_in(hints: typing.Iterable[object]) -> Iterator[type]:
    """The classes that annotations are made of."""
    for hint in hints:
        if isinstance(hint, list):
            yield from types_in(hint)
        elif isinstance(hint, type) and not typing.get_args(hint):
            yield hint
        elif (origin := typing.get_origin(hint)) is not None:
            yield from types_in([origin, *typing.get_args(hint)])


# What is written ----------------------------------------------------------------------------------------------------


@doors
def test_everything_public_is_documented(door: ModuleType) -> None:
    """With one sentence first, as a whole line."""
    for label, value in documented(door):
        text = inspect.getdoc(value)
        assert text, f"{label} has no docstring"
        first, _, rest = text.partition("\n")
        assert first.endswith((".", ":")), f"{label}: {first}"
        assert not rest or rest.startswith("\n") or label.endswith("Info"), label


def documented(door: ModuleType) -> Iterator[tuple[str, object]]:
    yield door.__name__, door
    yield from ((name, getattr(door, name)) for name in door.__all__ if inspect.isclass(getattr(door, name)))
    yield from (pair for pair in public_functions(door) if not pair[0].endswith("__init__"))


# What it costs ------------------------------------------------------------------------------------------------------


def test_opening_the_door_imports_nothing() -> None:
    assert not loaded_by("import supervisors") & {"trio", "msgspec", "psutil", "supervisors._actor"}


@pytest.mark.parametrize("module", ["specs", "signals", "errors", "worker_events", "process_errors", "wire"])
def test_what_is_only_data_is_importable_without_trio(module: str) -> None:
    assert "trio" not in loaded_by(f"import supervisors.{module}")


@pytest.mark.parametrize("module", ["_spawn", "_worker", "_reaper"])
def test_what_is_to_start_quickly_imports_nothing_slow(module: str) -> None:
    """A worker starts its zygote before it imports trio and msgspec, so that both boot at once."""
    assert not loaded_by(f"import supervisors.{module}") & {"trio", "msgspec", "psutil"}


def test_the_tools_for_tests_are_not_loaded_without_need() -> None:
    assert "supervisors.testing" not in loaded_by("from supervisors import *")
