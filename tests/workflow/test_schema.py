"""The JSON Schema accepts what the loader accepts, and knows every key that it knows."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from prodigy.workflow import language, language_steps, parse_env, parse_env_values, scalars, subworkflows
from prodigy.workflow.load import load_workflow
from prodigy.workflow.nodes import value_of
from prodigy.workflow.problems import Problems, WorkflowInvalid
from prodigy.workflow.schema import workflow_schema
from prodigy.workflow.source import read
from prodigy.workflow.vocabulary import Standing, Vocabulary

ROOT = Path(__file__).parents[2]
SCHEMA = workflow_schema()
WHOLE = Draft202012Validator(SCHEMA)
VOCABULARIES = {
    f"{module.__name__}.{name}": value
    for module in (language, language_steps, parse_env, parse_env_values, subworkflows)
    for name, value in vars(module).items()
    if isinstance(value, Vocabulary)
}
UNREAD = {"on_item_failure", "max_failures", "failure_threshold", "error_collection", "circuit_breaker",
          "error_policy", "max_parallel"}  # fmt: skip
"""Keys about items; where there are none, what stands under them is not read."""


def part(name: str) -> Draft202012Validator:
    """The validator of one definition."""
    return Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": SCHEMA["$defs"]})


def data(text: str) -> Any:
    root = read(text, Problems("w.yml"))
    return None if root is None else value_of(root)


def loads(text: str) -> bool:
    try:
        load_workflow(text.encode(), "w.yml")
    except WorkflowInvalid:
        return False
    return True


def texts() -> Iterator[str]:
    """Everything in the repository that could be a workflow or a part of one."""
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for block in page.read_text().split("```yaml")[1:]:
            yield block.partition("\n")[2].partition("```")[0]
    yield from (file.read_text() for file in sorted((ROOT / "examples").rglob("*.yml")))
    yield (ROOT / "prodigy/init/example.yml").read_text()
    yield from (
        file.read_text(encoding="utf-8-sig") for file in sorted((ROOT / "tests/workflow/corpus").iterdir())
    )
    for file in sorted((ROOT / "tests/workflow").glob("test_parse*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and ":" in node.value:
                text = node.value.strip()
                yield text
                yield f"- {text}".replace("\n", "\n  ")
                yield f"- shell: ls\n  {text}".replace("\n", "\n  ").replace(
                    "- shell: ls\n    ", "- shell: ls\n  "
                )
                yield f"commands: [{{shell: ls}}]\n{text}"
                yield f"map:\n  input: [1]\n  agent_template: [{{shell: ls}}]\n{text}".replace("\n", "\n  ")


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_every_reference_leads_somewhere() -> None:
    def references(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            if isinstance(node.get("$ref"), str):
                yield node["$ref"]
            for value in node.values():
                yield from references(value)
        elif isinstance(node, list):
            for value in node:
                yield from references(value)

    used = {reference.split("/")[2] for reference in references(SCHEMA)}
    assert used <= SCHEMA["$defs"].keys()
    assert SCHEMA["$defs"].keys() <= used, "a definition that nothing uses"


def test_whatever_loads_fits() -> None:
    """Stricter it may be only about keys that are not even read."""
    checked = 0
    for text in dict.fromkeys(texts()):
        if not loads(text):
            continue
        checked += 1
        found = data(text)
        if isinstance(found, dict) and "map" not in found:
            found = {key: value for key, value in found.items() if key not in UNREAD}
        assert [error.message for error in WHOLE.iter_errors(found)] == [], text
    assert checked > 200


@pytest.mark.parametrize("name", VOCABULARIES)
def test_every_key_is_in_it(name: str) -> None:
    """A mapping of the schema has exactly the spellings of the vocabulary, and says what each means."""
    spelled = set(VOCABULARIES[name].spellings)
    found = [
        definition
        for schema in SCHEMA["$defs"].values()
        for definition in (schema, *schema.get("anyOf", ()))
        if spelled <= definition.get("properties", {}).keys()
    ]
    if name.endswith("BACKOFF"):  # its two forms are two mappings
        found = SCHEMA["$defs"]["backoff"]["anyOf"]
        assert spelled == {key for form in found for key in form["properties"]} - BACKOFF_VALUES
        return
    assert found, "no mapping has all its keys"
    for key in spelled:
        entry = found[0]["properties"][key]
        if "$ref" in entry:
            entry = SCHEMA["$defs"]["step"]["properties"][key]
        assert entry["description"].endswith("."), key


BACKOFF_VALUES = {
    text
    for keys in language_steps.BACKOFF_KEYS.values()
    for key in keys
    for text in (key.name, *key.also, *key.old)
}


def test_what_comes_later_is_refused_as_the_loader_refuses_it() -> None:
    later = [
        key for key, found in language.WORKFLOW.spellings.items() if found.key.standing is Standing.LATER
    ]
    assert later
    for key in later:
        text = f"{{{key}: {{a: 1}}, commands: [{{shell: ls}}]}}"
        assert not loads(text)
        assert not WHOLE.is_valid(data(text))


@pytest.mark.parametrize(
    "text",
    [
        "commands: [{shel: ls}]",
        "commands: [{}]",
        "comands: [{shell: ls}]",
        "- {shell: ls, timeout: soon}",
        "- {shell: ls, timeout: -1}",
        "- {shell: ls, retry: 0}",
        "- {shell: ls, on_exit_code: {bad: x}}",
        "- {shell: ls, parallel: 2}",
        "- {shell: ls, detach: later}",
        "- {shell: ls, outputs: {a: b}}",
        "- {write_file: {path: a}}",
        "- {foreach: {do: [{shell: ls}]}}",
        "map: {input: [1]}",
        "map: {agent_template: [{shell: ls}]}",
        "map: {input: [1], agent_template: [{shell: ls}], max_paralel: 2}",
        "map: {input: [1], agent_template: [{shell: ls}], failure_threshold: 2}",
        "map: {input: [1], agent_template: [{shell: ls}], timeout_config: {command_timeouts: {shel: 2}}}",
        "{commands: [{shell: ls}], on_conflict: give_up}",
        "{commands: [{shell: ls}], secrets: {A: {provider: vault, key: k}}}",
        "{commands: [{shell: ls}], budget: {usd: -1}}",
        "shell",
    ],
)
def test_mistakes_of_shape_are_found(text: str) -> None:
    assert not loads(text)
    assert not WHOLE.is_valid(data(text))


def test_the_authors_own_keys_are_free() -> None:
    text = "{x-a: {b: c}, .anchors: [1], commands: [{shell: ls, x-note: 1}]}"
    assert loads(text)
    assert WHOLE.is_valid(data(text))
    assert not WHOLE.is_valid(data("[{shell: ls, .a: 1}]"))


def test_a_file_that_others_complete_may_lack_what_they_give() -> None:
    assert WHOLE.is_valid(data("{extends: base, map: {max_parallel: 2}}"))
    assert not WHOLE.is_valid(data("{map: {max_parallel: 2}}"))


# -- kinds of values -----------------------------------------------------------------------------------------------
WORDS = st.text("0123456789.eE+-% smhdkMiGB\t", max_size=12)


@given(WORDS)
def test_durations(text: str) -> None:
    try:
        scalars.duration(text)
    except scalars.ScalarError:
        return
    assert part("duration").is_valid(text)


@given(WORDS)
def test_sizes(text: str) -> None:
    try:
        scalars.size(text)
    except scalars.ScalarError:
        return
    assert part("size").is_valid(text)


@given(WORDS)
def test_fractions(text: str) -> None:
    try:
        scalars.share(text)
    except scalars.ScalarError:
        return
    assert part("fraction").is_valid(text)


@pytest.mark.parametrize("word", ["per_agent", "per-agent", "PerAgent", "PER_AGENT", " hybrid "])
def test_words_in_every_style(word: str) -> None:
    text = (
        f"map: {{input: [1], agent_template: [{{shell: ls}}], timeout_config: {{timeout_policy: '{word}'}}}}"
    )
    assert loads(text)
    assert WHOLE.is_valid(data(text))
