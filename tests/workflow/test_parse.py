from collections.abc import Callable
from typing import Any

import pytest
from msgspec import structs

from prodigy.workflow.load import Loaded
from prodigy.workflow.model import Handler, Mark, Step, Workflow

Load = Callable[[str], Loaded]
Codes = Callable[[str], list[str]]


def scripts(steps: tuple[Step, ...]) -> list[str]:
    return [step.action.script for step in steps]


def only_step(loaded: Loaded) -> Step:
    assert loaded.workflow.steps is not None
    (step,) = loaded.workflow.steps.steps
    return step


def test_a_bare_list_is_a_sequential_workflow(load: Load) -> None:
    loaded = load('- shell: echo one > a.txt\n- shell: test "$(cat a.txt)" = one\n')
    workflow = loaded.workflow
    assert (workflow.name, workflow.mode, loaded.problems) == ("wf", "sequential", ())
    assert workflow.steps is not None
    assert scripts(workflow.steps.steps) == ["echo one > a.txt", 'test "$(cat a.txt)" = one']
    assert all(step.auto_commit and step.on_failure is None for step in workflow.steps.steps)
    assert workflow.steps.steps[1].mark == Mark("wf.yml", 2, 3)
    assert workflow.steps.steps[1].action.mark == Mark("wf.yml", 2, 10)


@pytest.mark.parametrize("key", ["commands", "steps"])
def test_steps_under_either_name(load: Load, key: str) -> None:
    assert only_step(load(f"{key}: [{{shell: a}}]")).action.script == "a"


def test_a_whole_mapreduce_workflow(load: Load) -> None:
    loaded = load(
        "name: tidy\nmode: mapreduce\ndescription: d\nversion: 1.10\nauthor: me\ntags: [a, b]\n"
        "timeout: 1h\ngrace: 2s\nauto_commit: false\n"
        "setup: {steps: [{shell: s}], timeout: 5m, auto_commit: true}\n"
        "map:\n"
        "  input: w.json\n  json_path: $.items[*]\n  max_parallel: 4\n  max_items: 3\n  offset: 1\n"
        '  item_id: "${item.p}"\n  input_timeout: none\n  agent_timeout: 90\n'
        "  agent_template: [{shell: 'echo x > ${item.p}', auto_commit: true}]\n"
        "reduce: [{shell: 'test ${map.successful}'}]\n"
    )
    workflow = loaded.workflow
    assert loaded.problems == ()
    assert (workflow.name, workflow.mode, workflow.version, workflow.tags) == (
        "tidy",
        "mapreduce",
        "1.10",
        ("a", "b"),
    )
    assert (workflow.timeout, workflow.grace, workflow.author, workflow.description) == (3600, 2, "me", "d")
    assert workflow.setup is not None
    assert (workflow.setup.timeout, workflow.setup.steps[0].auto_commit) == (300, True)
    phase = workflow.map
    assert phase is not None
    assert (phase.input.source, phase.input.text, phase.json_path) == ("auto", "w.json", "$.items[*]")
    assert (phase.max_parallel, phase.max_items, phase.offset, phase.item_id) == (4, 3, 1, "${item.p}")
    assert (phase.input_timeout, phase.agent_timeout) == (None, 90)
    assert phase.agent_template[0].auto_commit
    assert workflow.reduce is not None
    assert not workflow.reduce.steps[0].auto_commit


@pytest.mark.parametrize(
    ("given", "source", "text", "items"),
    [
        ("w.json", "auto", "w.json", ()),
        ("{file: w.json}", "file", "w.json", ()),
        ('{command: "seq 3"}', "command", "seq 3", ()),
        ("[1, a, {b: [true, ~, 1.5]}]", "list", "", (1, "a", {"b": [True, None, 1.5]})),
        ("{list: [1]}", "list", "", (1,)),
        ("[]", "list", "", ()),
    ],
)
def test_every_form_of_an_input(
    load: Load, given: str, source: str, text: str, items: tuple[Any, ...]
) -> None:
    phase = load(f"mode: mapreduce\nmap: {{input: {given}, agent_template: [shell: a]}}").workflow.map
    assert phase is not None
    assert (phase.input.source, phase.input.text, phase.input.items) == (source, text, items)


def test_nested_lists_and_anchors_are_flattened(load: Load) -> None:
    text = ".common: &c [{shell: a}, {shell: b}]\nx-note: free\ncommands: [*c, [[{shell: c}]], {shell: d, x-why: y}]\n"
    workflow = load(text).workflow
    assert workflow.steps is not None
    assert scripts(workflow.steps.steps) == ["a", "b", "c", "d"]


def test_every_option_of_a_step(load: Load) -> None:
    step = only_step(
        load(
            "- {id: a-b, name: N, timeout: {secs: 1, nanos: 500000000}, commit_required: true, auto_commit: false,"
            " shell: x, on_failure: {shell: y}}"
        )
    )
    assert (step.id, step.name, step.timeout, step.commit_required, step.auto_commit) == (
        "a-b",
        "N",
        1.5,
        True,
        False,
    )


NOTHING = Handler(max_attempts=0, fail_workflow=False)


@pytest.mark.parametrize(
    ("options", "handler", "handler_scripts"),
    [
        ("on_failure: false", None, []),
        ("on_failure: true", NOTHING, []),
        ("continue_on_error: true", NOTHING, []),
        ("ignore_failure: true", NOTHING, []),
        ("continue_on_error: false", None, []),
        ("fail_workflow: false", NOTHING, []),
        ("fail_workflow: true", None, []),
        ("on_failure: make fix", Handler(), ["make fix"]),
        ("on_failure: 'shell: make fix'", Handler(), ["make fix"]),
        ("on_failure: [a, {shell: b}, [c]]", Handler(), ["a", "b", "c"]),
        ("on_failure: {shell: a, max_attempts: 2}", Handler(max_attempts=2), ["a"]),
        ("on_failure: {shell: a, timeout: 5}", Handler(timeout=5), ["a"]),
        ("on_failure: {commands: [a, shell: b], fail_workflow: false}", Handler(fail_workflow=False), ["a", "b"]),
        ("on_failure: {steps: {shell: a}, retry_original: false}", Handler(retry_original=False), ["a"]),
        ("on_failure: {max_attempts: 4}", Handler(max_attempts=4), []),
        ("on_failure: {shell: a}, max_attempts: 3, fail_workflow: false, retry_original: false",
         Handler(max_attempts=3, fail_workflow=False, retry_original=False), ["a"]),
        ("on_failure: {shell: a}, continue_on_error: true", Handler(fail_workflow=False), ["a"]),
    ],
)  # fmt: skip
def test_every_form_of_a_handler(
    load: Load, options: str, handler: Handler | None, handler_scripts: list[str]
) -> None:
    loaded = load(f"- {{shell: x, {options}}}")
    found = only_step(loaded).on_failure
    assert loaded.problems == ()
    assert (found and structs.replace(found, steps=())) == handler
    assert scripts(found.steps if found else ()) == handler_scripts


def test_options_beside_a_handler_s_shell_are_its_step_s_and_handlers_nest(load: Load) -> None:
    step = only_step(
        load("- {shell: x, on_failure: {shell: y, name: N, commit_required: true, on_failure: z}}")
    )
    assert step.on_failure is not None
    (inner,) = step.on_failure.steps
    assert (inner.name, inner.commit_required) == ("N", True)
    assert inner.on_failure is not None
    assert scripts(inner.on_failure.steps) == ["z"]


def test_auto_commit_is_inherited_by_handlers(load: Load) -> None:
    step = only_step(load("auto_commit: false\ncommands: [{shell: x, on_failure: [y]}]"))
    assert step.on_failure is not None
    assert not step.on_failure.steps[0].auto_commit


def test_old_forms_work_and_say_what_replaces_them(load: Load) -> None:
    loaded = load(
        "mode: mapreduce\nparallel: 3\n"
        "map: {input: [1], limit: 5, timeout_per_agent: 60, agent_template: {commands: [{shell: a, timeout_secs: 5}]}}\n"
        "reduce: {commands: [{shell: b, allow_failure: true}], timeout: 9}\n"
        "max_iterations: 3\n"
    )
    phase, reduce = loaded.workflow.map, loaded.workflow.reduce
    assert phase is not None
    assert reduce is not None
    assert (phase.max_parallel, phase.max_items, phase.agent_timeout) == (3, 5, 60)
    assert (phase.agent_template[0].timeout, reduce.timeout) == (5, 9)
    assert reduce.steps[0].on_failure == NOTHING
    assert [(found.code, found.hints[0]) for found in loaded.problems] == [
        ("deprecated-key", "write `map.max_parallel`"),
        ("deprecated-key", "write `max_items`"),
        ("deprecated-key", "write `agent_timeout_secs`"),
        ("deprecated-key", "put the steps right under `agent_template:`"),
        ("deprecated-key", "write `timeout`"),
        ("deprecated-key", "put the steps right under `reduce:`"),
        ("deprecated-key", "write `continue_on_error`"),
        ("no-effect", "use `prodigy run -n N`"),
    ]


def test_json_is_the_same_language() -> None:
    from prodigy.workflow.load import load_workflow

    loaded = load_workflow(b'{"steps": [{"shell": "a", "timeout": "5s"}]}', "flows/x.json")
    assert (loaded.workflow.name, only_step(loaded).timeout) == ("x", 5)


MAP = "map: {input: [1], agent_template: [shell: a]}"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ["1:1 no-steps"]),
        ("~", ["1:1 no-steps"]),
        ("just text", ["1:1 wrong-type"]),
        ("[]", ["1:1 no-steps"]),
        ("name: x", ["1:1 no-steps"]),
        ("commands: []", ["1:1 no-steps"]),
        ("comands: [{shell: a}]", ["1:1 unknown-key"]),
        ("mode: mapreduce", ["1:1 missing-key"]),
        (f"mode: sequential\n{MAP}", ["1:7 bad-mode"]),
        (f"mode: mapredduce\n{MAP}", ["1:7 bad-enum"]),
        (MAP, ["1:1 mode-implied"]),
        (f"mode: mapreduce\n{MAP}\ncommands: [shell: b]", ["3:1 conflicting-keys"]),
        ("commands: [shell: b]\nreduce: [shell: c]", ["2:1 conflicting-keys"]),
        ("commands: [shell: b]\nsteps: [shell: c]", ["2:1 conflicting-keys"]),
        ("mode: mapreduce\nmap: {}", ["2:1 missing-key", "2:1 missing-key"]),
        ("mode: mapreduce\nmap: [a]", ["2:6 wrong-type"]),
        ("mode: mapreduce\nmap: {input: [1], agent_templat: [shell: a]}", ["2:19 unknown-key"]),
        ("mode: mapreduce\nmap: {input: [1], agent_template: []}", ["2:19 no-steps"]),
        ("mode: mapreduce\nmap: {input: {list: 1}, agent_template: [shell: a]}", ["2:21 wrong-type"]),
        ("mode: mapreduce\nmap: {input: {file: a, command: b}, agent_template: [shell: a]}", ["2:24 conflicting-keys"]),
        ("mode: mapreduce\nmap: {input: {}, agent_template: [shell: a]}", ["2:14 missing-key"]),
        ("mode: mapreduce\nmap: {input: '', agent_template: [shell: a]}", ["2:14 bad-value"]),
        (f"mode: mapreduce\nmax_parallel: 2\n{MAP[:-1]}, max_parallel: 3}}",
         ["2:1 conflicting-keys", "2:1 deprecated-key"]),
        ("setup: {timeout: 5}\ncommands: [shell: a]", ["1:1 missing-key"]),
        ("setup: {shel: a}\ncommands: [shell: a]", ["1:9 unknown-key"]),
        ("setup: {comands: [shell: a]}\ncommands: [shell: a]", ["1:9 unknown-key"]),
        ("- {}", ["1:3 no-action"]),
        ("- {name: a}", ["1:3 no-action"]),
        ("- {shell: }", ["1:4 empty-key", "1:3 no-action"][::-1]),
        ("- {shell: ''}", ["1:11 bad-value"]),
        ("- {shell: [a]}", ["1:11 wrong-type"]),
        ('- {shell: "a\\0"}', ["1:11 bad-value"]),
        ("- 5\n- ~\n", ["1:3 not-yet-supported", "2:3 wrong-type"]),
        ("- {shell: a, claude: /b}", ["1:3 multiple-actions", "1:14 not-yet-supported"]),
        ("- {shell: a, validate: b}", ["1:14 not-yet-supported"]),
        ("- {foreach: [1], do: {shell: a}, parallel: 2}", ["1:4 not-yet-supported"]),
        ("- {shell: a, parallel: 2}", ["1:14 unknown-key"]),
        ("- {shell: a, timeout: 5x}", ["1:23 bad-duration"]),
        ("- {shell: a, timeout: 0}", ["1:23 bad-value"]),
        ("- {shell: a, timeout: -5}", ["1:23 bad-value"]),
        ("- {shell: a, timeout: '${T}'}", ["1:23 not-yet-supported"]),
        ("- {shell: a, timeout: {sec: 1}}", ["1:24 unknown-key", "1:23 bad-value"][::-1]),
        ("- {shell: a, commit_required: yes}", ["1:31 wrong-type"]),
        ("- {shell: a, id: 1a}", ["1:18 bad-value"]),
        ("- {shell: a, max_attempts: 3}", ["1:14 not-yet-supported"]),
        ("- {shell: a, retry_original: true}", ["1:14 no-effect"]),
        ("- {shell: a, on_failure: []}", ["1:26 no-steps"]),
        ("- {shell: a, on_failure: /fix}", ["1:26 not-yet-supported"]),
        ("- {shell: a, on_failure: {claude: /fix}}", ["1:27 not-yet-supported"]),
        ("- {shell: a, on_failure: {shell: b, max_attempts: 0}}", ["1:51 bad-value"]),
        ("- {shell: a, on_failure: {shell: b, max_attempts: 2}, max_attempts: 3}", ["1:55 conflicting-keys"]),
        ("- {shell: a, on_failure: {shell: b, fail_workflow: true}, continue_on_error: true}",
         ["1:59 conflicting-keys"]),
        ("- {shell: a, on_failure: {commands: [b], shell: c}}", ["1:42 conflicting-keys"]),
        ("- {shell: a, on_failure: {commands: [b], name: c}}", ["1:42 conflicting-keys"]),
        ("- {shell: a, on_failure: {name: c}}", ["1:27 conflicting-keys"]),
        ("- {shell: a, on_failure: {strategy: fallback, shell: b}}", ["1:27 not-yet-supported"]),
        ("- {shell: a, temporary: true}", ["1:14 no-effect"]),
        ("name:\ncommands: [shell: a]", ["1:1 empty-key"]),
        ("grace: none\ncommands: [shell: a]", ["1:8 bad-duration"]),
        ("env: {A: b}\nmerge: []\ncommands: [shell: a]", ["1:1 not-yet-supported", "2:1 not-yet-supported"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_where_it_stands(codes: Codes, text: str, found: list[str]) -> None:
    assert codes(text) == found


def test_an_unknown_key_says_where_it_belongs(problems_of: Callable[[str], Any]) -> None:
    hints = {problem.message: problem.hints for problem in problems_of(
        "json_path: x\nstorage: x\nmax_itms: 2\nqqqqqq: 1\ncommands: [{shell: a, max_paralel: 1, agent_template: []}]\n"
    )}  # fmt: skip
    assert hints == {
        "unknown key `json_path` in the workflow": ("`json_path` belongs under `map:`",),
        "unknown key `storage` in the workflow": (
            "settings belong in the configuration file: see `prodigy config show`",
        ),
        "unknown key `max_itms` in the workflow": (),
        "unknown key `qqqqqq` in the workflow": (),
        "unknown key `max_paralel` in a step": (),
        "unknown key `agent_template` in a step": ("`agent_template` belongs under `map:`",),
    }


def test_defaults_are_those_of_the_model() -> None:
    from prodigy.workflow.load import load_workflow

    workflow = load_workflow(b"- shell: a", "x").workflow
    assert structs.replace(workflow, steps=None, mark=Mark()) == Workflow(name="x", mode="sequential")
