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
from prodigy.configuration.settings import SETTINGS
from prodigy.events import ErrorClass, StepEvent
from prodigy.rehearsal import reading as rehearsals
from prodigy.steps.asking import OF_CHANGES
from prodigy.workflow import language, language_steps, parse_env, parse_env_values, subworkflows
from prodigy.workflow.expression_functions import EACH, FUNCTIONS, plain_word
from prodigy.workflow.refs import AGGREGATES, FILTERS, MODIFIERS
from prodigy.workflow.variables import OUTCOME, RESERVED, VARIABLES, Variable
from prodigy.workflow.vocabulary import Key, Standing, Vocabulary

TABLES = tables()
LANGUAGE = "".join(
    (ROOT / "docs" / name).read_text() for name in ("steps.md", "variables.md", "workflow-language.md")
)
VOCABULARIES = {
    name: value
    for module in (language, language_steps, parse_env, parse_env_values, subworkflows)
    for name, value in vars(module).items()
    if isinstance(value, Vocabulary)
}
Spelt = dict[str, tuple[frozenset[str], frozenset[str]]]


# -- keys ----------------------------------------------------------------------------------------------------------
def keys(vocabulary: Vocabulary, standing: Standing = Standing.ACTING) -> dict[str, Key]:
    found = (spelling.key for spelling in vocabulary.spellings.values())
    return {key.name: key for key in found if key.standing is standing}


def spellings(vocabulary: Vocabulary, name: str) -> tuple[frozenset[str], frozenset[str]]:
    """The other texts that name a key: equal ones, and those that warn."""
    found = {text: one for text, one in vocabulary.spellings.items() if one.key.name == name != text}
    old = frozenset(text for text, one in found.items() if one.deprecated)
    return frozenset(found) - old, old


def spelt(rows: list[Row]) -> Spelt:
    return {name: (frozenset(code(row[1])), frozenset(code(row[2]))) for row in rows for name in code(row[0])}


OWN = {
    "HANDLER": language_steps.HANDLER_NAMES,
    "GOAL_SEEK": language_steps.GOAL_SEEK_NAMES,
    "INCOMPLETE": language_steps.INCOMPLETE_NAMES,
    "CLAUDE": {"prompt"},
}
"""What the tables of mappings say that also take the keys of others: only what is their own."""
WITH_FOREACH = ("STEP", "HANDLER", "INCOMPLETE")


@pytest.mark.parametrize(
    "name", [name for name in VOCABULARIES if not name.startswith("FOREACH_") or name == "FOREACH_INPUT"]
)
def test_keys(name: str) -> None:
    """Every key that acts is in the table with all its spellings, and nothing else is."""
    own = OWN.get(name, keys(VOCABULARIES[name]).keys())
    assert spelt(TABLES[f"keys {name}"]) == {key: spellings(VOCABULARIES[name], key) for key in own}


def test_the_kinds_of_backoff() -> None:
    rows = {code(row[0])[0]: set(code(row[3])) for row in TABLES["keys BACKOFF"]}
    for kind, taken in language_steps.BACKOFF_KEYS.items():
        names = {text for key in taken for text in (key.name, *key.also)}
        assert rows[kind] <= names
        assert {key.name for key in taken} <= rows[kind]


def test_mappings_with_an_action_take_every_key_of_a_step() -> None:
    step = keys(language_steps.STEP).keys()
    for vocabulary in (language_steps.HANDLER, language_steps.INCOMPLETE):
        assert step - keys(vocabulary).keys() <= {"fail_workflow", "max_attempts", "retry_original"}
    assert keys(language.CLAUDE_OPTIONS).keys() <= keys(language_steps.CLAUDE).keys()


@pytest.mark.parametrize("name", WITH_FOREACH)
def test_options_of_foreach_may_stand_beside_it(name: str) -> None:
    plain, extended = VOCABULARIES[name], VOCABULARIES[f"FOREACH_{name}"]
    assert (
        keys(extended).keys() - keys(plain).keys() == set(language_steps.FOREACH_OPTIONS) - keys(plain).keys()
    )


def test_settings() -> None:
    """All of them, by what this release does with them."""
    for name, standing in (
        ("settings", Standing.ACTING), ("settings later", Standing.LATER), ("settings inert", Standing.INERT),
    ):  # fmt: skip
        own = [setting.name for setting in SETTINGS if setting.standing is standing]
        assert column(TABLES[name]) == own


def test_keys_of_a_rehearsal() -> None:
    """All three kinds of mappings; what an act does is named with a value."""
    acts = {text.partition(":")[0] for text in column(TABLES["keys act"])}
    assert acts == {key.name for key in rehearsals.ACTIONS}
    options = set(column(TABLES["keys act options"]))
    assert acts | options == keys(rehearsals.ACT).keys()
    assert set(column(TABLES["keys scene"])) == keys(rehearsals.SCENE).keys()
    assert set(column(TABLES["keys rehearsal"])) == keys(rehearsals.SCRIPT).keys()


def test_keys_without_effect_are_named() -> None:
    for vocabulary in VOCABULARIES.values():
        for name in keys(vocabulary, Standing.INERT):
            assert f"`{name}`" in LANGUAGE


def test_keys_of_later_releases_are_named() -> None:
    text = LANGUAGE[LANGUAGE.index("## Not supported yet") : LANGUAGE.index("## Known limits")]
    for vocabulary in VOCABULARIES.values():
        for name in keys(vocabulary, Standing.LATER):
            assert f"`{name}`" in text


# -- variables -----------------------------------------------------------------------------------------------------
def where(variable: Variable) -> str:
    """The places that know a variable, as the table names them."""
    if variable.after is not None:
        known = {"last": "after any step", "validation": "after a check"}
        after = known.get(variable.after, "after such a step")
        return ", ".join([after, *map(_context, sorted(variable.contexts))])
    phases = set(map(str, variable.phases))
    if len(phases) > 4:  # one of two large sets
        return "everywhere" if "input" in phases else "steps"
    order = ("reduce", "merge", "on_success", "on_failure", "agents", "item id")
    spelt = {"item id": "`item_id`"}
    places = [spelt.get(name, name) for name in order if name in phases]
    return ", ".join([*places, *map(_context, sorted(variable.contexts))])


def _context(name: str) -> str:
    return {
        "handler": "handlers",
        "test handler": "handlers of scripts",
        "incomplete": "`on_incomplete`",
    }.get(name, f"`{name}`")


def test_variables() -> None:
    documented = {code(row[0])[0]: (row[1], row[2]) for row in TABLES["variables"]}
    assert documented.keys() == VARIABLES.keys()
    shared = {"results": OUTCOME | {"attempt"}, "changes": OF_CHANGES - {"files"}}
    for name, variable in VARIABLES.items():
        place, fields = documented[name]
        assert place == where(variable), name
        if variable.fields is not None:
            assert set(code(fields)) | shared.get(fields.partition(",")[0], set()) == variable.fields, name


def test_fields_that_variables_share() -> None:
    assert set(column(TABLES["results"])) == OUTCOME | {"attempt"}
    assert set(column(TABLES["changes"])) == OF_CHANGES - {"files"}


def test_reserved_names() -> None:
    [sentence] = re.findall(r"^These names cannot be given.*?\.\s", LANGUAGE, flags=re.MULTILINE | re.DOTALL)
    assert set(code(sentence)) - {"reserved-name"} == RESERVED


def test_functions() -> None:
    documented = {plain_word(text.partition("(")[0]) for text in column(TABLES["functions"])}
    assert documented == FUNCTIONS.keys() | EACH


def test_modifiers() -> None:
    named = {text.removeprefix(":") for text in column(TABLES["modifiers"]) if text[1:].isalpha()}
    assert named == MODIFIERS


def test_aggregates() -> None:
    assert set(column(TABLES["aggregates"])) == set(AGGREGATES)


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


METHODS = [mark.removeprefix("methods ") for mark in TABLES if mark.startswith("methods ")]


@pytest.mark.parametrize("path", METHODS)
def test_methods_of_a_port(path: str) -> None:
    module, _, name = path.rpartition(".")
    port = getattr(importlib.import_module(module), name)
    own = [method for method in vars(port) if not method.startswith("_")]
    assert column(TABLES[f"methods {path}"]) == own


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
    assert reported <= documented
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


@pytest.mark.parametrize("package", ["events", "workflow", "job", "steps", "configuration", "rehearsal"])
def test_modules(package: str) -> None:
    """The architecture names every module of a package once."""
    documented = column(TABLES[f"modules {package}"])
    there = [file.stem for file in (ROOT / "prodigy" / package).glob("*.py") if file.stem != "__init__"]
    assert sorted(documented) == sorted(there)


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
