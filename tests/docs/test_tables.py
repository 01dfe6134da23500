"""The tables of the documentation say what the program's own tables say."""

import ast
import importlib
import re
import typing
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from pages import ROOT, Row, code, column, tables

from prodigy import errors, events
from prodigy.cli.printer import ErrorDocument
from prodigy.events import ErrorClass, StepEvent
from prodigy.workflow import language
from prodigy.workflow.language import Key, Standing, Vocabulary
from prodigy.workflow.refs import FILTERS, MODIFIERS
from prodigy.workflow.variables import VARIABLES, Variable

TABLES = tables()
VOCABULARIES = {name: value for name, value in vars(language).items() if isinstance(value, Vocabulary)}
Spelt = dict[str, tuple[frozenset[str], frozenset[str]]]


# -- keys ----------------------------------------------------------------------------------------------------------
def keys(vocabulary: Vocabulary, standing: Standing = Standing.ACTING) -> dict[str, Key]:
    found = (spelling.key for spelling in vocabulary.spellings.values())
    return {key.name: key for key in found if key.standing is standing}


def spelt(rows: list[Row]) -> Spelt:
    return {name: (frozenset(code(row[1])), frozenset(code(row[2]))) for row in rows for name in code(row[0])}


@pytest.mark.parametrize("name", VOCABULARIES)
def test_keys(name: str) -> None:
    """Every key that acts is in the table with all its spellings, and nothing else is."""
    acting = keys(VOCABULARIES[name])
    if name == "HANDLER":
        of_a_step = {key for key in keys(language.STEP) if key not in language.HANDLER_OPTIONS}
        acting = {key: value for key, value in acting.items() if key not in of_a_step}
    wanted = {key.name: (frozenset(key.also), frozenset(key.old)) for key in acting.values()}
    assert spelt(TABLES[f"keys {name}"]) == wanted


def test_a_step_inside_on_failure_takes_every_key_of_a_step() -> None:
    assert keys(language.STEP).keys() <= keys(language.HANDLER).keys()


def test_keys_without_effect_are_named() -> None:
    page = (ROOT / "docs/workflow-language.md").read_text()
    for vocabulary in VOCABULARIES.values():
        for name in keys(vocabulary, Standing.INERT):
            assert f"`{name}`" in page


# -- variables -----------------------------------------------------------------------------------------------------
def where(variable: Variable) -> str:
    if variable.in_handlers_only:
        return "handlers"
    if variable.of_earlier_step:
        return "steps, after a step"
    known = {
        frozenset({"agents", "item id"}): "agents, `item_id`",
        frozenset({"agents"}): "agents",
        frozenset({"reduce"}): "reduce",
        frozenset({"setup", "steps", "agents", "reduce", "input", "item id"}): "everywhere",
    }
    return known[frozenset(map(str, variable.phases))]


def test_variables() -> None:
    documented = {code(row[0])[0]: (row[1], row[2]) for row in TABLES["variables"]}
    assert documented.keys() == VARIABLES.keys()
    for name, variable in VARIABLES.items():
        place, fields = documented[name]
        assert place == where(variable), name
        if variable.fields is not None:
            assert set(code(fields)) == variable.fields, name


def test_modifiers() -> None:
    named = {text.removeprefix(":") for text in column(TABLES["modifiers"]) if text[1:].isalpha()}
    assert named == MODIFIERS


def test_filters() -> None:
    assert {text.partition(":")[0] for text in column(TABLES["filters"])} == FILTERS


# -- records and documents -----------------------------------------------------------------------------------------
FIELDS = [mark.removeprefix("fields ") for mark in TABLES if mark.startswith("fields ")]


def fields_of(struct: type[msgspec.Struct]) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(struct)}


@pytest.mark.parametrize("path", FIELDS)
def test_fields_of_a_document(path: str) -> None:
    module, _, name = path.rpartition(".")
    documented = column(TABLES[f"fields {path}"])
    assert len(documented) == len(set(documented))
    assert set(documented) == fields_of(getattr(importlib.import_module(module), name))


def test_events() -> None:
    documented = {code(row[0])[0]: set(code(row[2])) for row in TABLES["events"]}
    of_steps = fields_of(StepEvent)
    for event in typing.get_args(events.AnyEvent):
        shared = of_steps if issubclass(event, StepEvent) else set()
        assert documented.pop(str(event.__struct_config__.tag)) == fields_of(event) - shared
    assert documented == {}


def test_error_classes() -> None:
    assert set(column(TABLES["error classes"])) == set(typing.get_args(ErrorClass))


# -- codes ---------------------------------------------------------------------------------------------------------
def calls(package: str) -> Iterator[tuple[str, list[str]]]:
    """Every call in a package: the function's last name, and the texts among its arguments."""
    for file in sorted((ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                values = [*node.args, *(keyword.value for keyword in node.keywords if keyword.arg == "code")]
                yield name, [text for value in values for text in texts(value)]


def texts(value: ast.expr) -> Iterator[str]:
    """A literal text; of a choice between two, both."""
    if isinstance(value, ast.IfExp):
        yield from texts(value.body)
        yield from texts(value.orelse)
    elif isinstance(value, ast.Constant) and isinstance(value.value, str):
        yield value.value


def literals(package: str) -> set[str]:
    found = (ast.walk(ast.parse(file.read_text())) for file in (ROOT / package).rglob("*.py"))
    constants = (node for nodes in found for node in nodes if isinstance(node, ast.Constant))
    return {node.value for node in constants if isinstance(node.value, str)}


def test_codes_of_problems() -> None:
    documented = set(column(TABLES["diagnostics"]))
    reported = {
        given[0]
        for name, given in calls("prodigy/workflow")
        if name in {"error", "warning", "note"} and given
    }
    reported |= {
        given[0] for name, given in calls("prodigy/workflow") if name in {"Refusal", "ScalarError"} and given
    }
    severities = {"error", "warning", "note"}
    reported |= {
        given[1] for _, given in calls("prodigy/workflow") if len(given) > 1 and given[0] in severities
    }
    assert reported - {"bad-size"} <= documented, "sizes are read, but no key takes one yet"
    assert documented <= literals("prodigy/workflow")


def test_codes_of_errors() -> None:
    documented = set(column(TABLES["error codes"]))
    raised = {"UsageError", "MachineError", "RunError", "InternalError", "StorageFailed"}
    reported = {given[0] for name, given in calls("prodigy") if name in raised and given}
    assert reported <= documented
    assert documented <= literals("prodigy")


def test_exit_codes() -> None:
    listed = {int(row[0]) for row in TABLES["exit codes"]}
    of_errors = {
        error.exit_code
        for error in vars(errors).values()
        if isinstance(error, type) and issubclass(error, errors.ProdigyError)
    }
    assert listed == of_errors | {0, 129, 130, 143}


def test_schemas() -> None:
    """A document names its schema in a default or in its tag; both are texts in the source."""
    documented = set(column(TABLES["schemas"]))
    assert str(ErrorDocument.__struct_config__.tag) in documented
    written = {text for text in literals("prodigy") if text.startswith("prodigy.") and text.endswith("/1")}
    assert documented == written


def test_links_lead_somewhere() -> None:
    """Pages and headings that are linked to exist."""
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\((?!https?:)([^)]+)\)", page.read_text()):
            path, _, anchor = target.partition("#")
            file = (page.parent / path).resolve() if path else page
            assert file.exists(), f"{page.name}: {target}"
            if anchor:
                assert anchor in anchors(file), f"{page.name}: {target}"


def anchors(page: Path) -> set[str]:
    """What the headings of a page are called in links."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
