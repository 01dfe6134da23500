"""The door as a whole: any text gives a workflow or problems, and workers stay light."""

import subprocess
import sys

from hypothesis import given, settings
from hypothesis import strategies as st

from prodigy.workflow import language, language_steps
from prodigy.workflow.load import Loaded, load_workflow
from prodigy.workflow.neighbours import NEIGHBOURS
from prodigy.workflow.problems import WorkflowInvalid
from prodigy.workflow.vocabulary import Standing, Vocabulary

VOCABULARIES = [
    value
    for module in (language, language_steps)
    for value in vars(module).values()
    if isinstance(value, Vocabulary)
]
SPELLINGS = sorted(
    {text for vocabulary in VOCABULARIES for text in vocabulary.spellings} | {"shel", "x-a", ".a"}
)

scalars = st.sampled_from([
    "a", "'${item.x}'", "'${map.totl} ${'", "true", "5", "-1", "10s", "~", "''", '"\\0"', "mapreduce", "w.json",
    "'$.a[?(@.b=c)]'", "'$['", "[]", "{}", "'shell: x'", "/x", "*a", "&a b", "'$(cat <<E'", "1e999", "none",
])  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | st.dictionaries(st.sampled_from(SPELLINGS), inner, max_size=4).map(
            lambda items: "{" + ", ".join(f"{key}: {value}" for key, value in items.items()) + "}"
        )
    ),
    max_leaves=12,
)
documents = st.dictionaries(st.sampled_from(SPELLINGS), values, max_size=5).map(
    lambda items: "\n".join(f"{key}: {value}" for key, value in items.items())
)


def outcome(data: bytes, name: str) -> Loaded | WorkflowInvalid:
    try:
        return load_workflow(data, name)
    except WorkflowInvalid as error:
        invalid = error
    assert any(problem.severity == "error" for problem in invalid.problems)
    assert invalid.report().startswith(f"{name}:")
    return invalid


@settings(max_examples=600, deadline=None)
@given(documents | values.map(lambda value: f"- {value}") | st.text())
def test_any_text_is_a_workflow_or_problems(text: str) -> None:
    data = text.encode("utf-8", "surrogatepass")
    for name in ("wf.yml", "wf.json"):
        found = outcome(data, name)
        if isinstance(found, Loaded):
            assert all(problem.severity != "error" for problem in found.problems)


@given(st.binary(max_size=100))
def test_any_bytes_are_a_workflow_or_problems(data: bytes) -> None:
    outcome(data, "wf.yml")


def test_every_key_of_a_coming_release_is_refused_by_name() -> None:
    for key in {spelling.key for spelling in language.WORKFLOW.spellings.values()}:
        if key.standing is Standing.LATER:
            for text in (key.name, *key.also):
                found = outcome(f"{text}: 1\ncommands: [shell: a]".encode(), "wf.yml")
                assert isinstance(found, WorkflowInvalid)
                assert [(problem.code, problem.mark.line) for problem in found.problems] == [
                    ("not-yet-supported", 1)
                ]


def test_every_neighbour_is_a_vocabulary_that_exists() -> None:
    titles = {vocabulary.title for vocabulary in VOCABULARIES}
    assert NEIGHBOURS.keys() <= titles
    assert all(other.title in titles for others in NEIGHBOURS.values() for other in others)


def test_a_free_key_is_never_looked_at() -> None:
    found = load_workflow(
        b".anchors: {shel: '${'}\nx-any: [1]\ncommands: [{shell: a, x-b: {c: ~}}]", "wf.yml"
    )
    assert found.problems == ()


def test_workers_render_without_loading_parsers() -> None:
    code = (
        "import sys, prodigy.workflow.model, prodigy.workflow.template, prodigy.workflow.shell_quote\n"
        "print(sorted({'yaml', 'jsonpath', 'trio', 'csv'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
