"""The plan of a dry run: what is known is filled in, everything that may happen is there."""

import msgspec
import pytest

from prodigy.cli.foresight import AFTER_SETUP, Foresight, foresee
from prodigy.cli.plan_lines import aggregate_lines, budget_line, phase_lines, rule_lines, step_lines
from prodigy.cli.plan_view import PlannedPhase, planned_phases
from prodigy.workflow.load import load_workflow
from prodigy.workflow.model import Workflow


def workflow(text: str) -> Workflow:
    return load_workflow(text.encode(), "w.yml", parameters={}).workflow


def phases(text: str) -> dict[str, PlannedPhase]:
    loaded = workflow(text)
    return {phase.phase: phase for phase in planned_phases(loaded, foresee(loaded, "main", None))}


def lines(text: str) -> list[str]:
    return [line for phase in phases(text).values() for line in (*phase_lines(phase), *rule_lines(phase), *step_lines(phase.steps), *aggregate_lines(phase))]  # fmt: skip


# -- texts ---------------------------------------------------------------------------------------------------------
KNOWN = Foresight({"dir": "a b", "n": 2, "list": ["x", "y"], "data": {"k": 1}}, frozenset({"count", "setup"}))


@pytest.mark.parametrize(
    ("source", "filled"),
    [
        ("ls ${dir} ${n}", "ls a b 2"),
        ("${list} ${list:json} ${data.k}", 'x, y ["x","y"] 1'),
        ("${count} of ${setup.count}", f"{AFTER_SETUP} of {AFTER_SETUP}"),
        ("${item.path} $dir ${unknown:-x}", "${item.path} $dir ${unknown:-x}"),
        (r"\${dir} $${dir}", r"\${dir} $${dir}"),
        ("${dir%.py} ${data.no} ${open", "${dir%.py} ${data.no} ${open"),
        ("${unknown:-${dir}}", "${unknown:-${dir}}"),
    ],
)
def test_what_is_known_is_filled_in(source: str, filled: str) -> None:
    assert KNOWN.fill(source) == filled


def test_what_is_known_before_a_run() -> None:
    text = """
parameters: {p: {default: 1}}
defaults: {q: two}
env: {A: plain, B: {default: dev, prod: live}, C: "$A", D: {command: date}}
secrets: {S: {value: hidden}}
commands: [{shell: ls}]
"""
    loaded = workflow(text)
    known = foresee(loaded, "main", "prod")
    assert known.fill("${p} ${q} ${A} ${B} ${branch} ${workflow.name}") == "1 two plain live main w"
    for later in ("${C}", "${D}", "${S}"):
        assert known.fill(later) == later


def test_the_values_of_a_run() -> None:
    """With several values, each run of a plain workflow has one of them; MapReduce has the first."""
    plain, mapped = workflow("- shell: ls"), workflow("map: {input: [1], agent_template: [{shell: ls}]}")
    text = "${ARG} ${ARG_2} ${INDEX}/${TOTAL}"
    assert foresee(plain, "main", None).fill(text) == text
    assert foresee(plain, "main", None, ["a"]).fill(text) == "a ${ARG_2} 1/1"
    assert foresee(plain, "main", None, ["a", "b"]).fill(text) == "${ARG} b ${INDEX}/2"
    assert foresee(mapped, "main", None, ["a", "b"]).fill(text) == "a b 1/2"


def test_only_later_phases_wait_for_setup() -> None:
    text = """
setup:
  commands: [{shell: ls, capture: files}, {shell: "echo ${files}"}]
  capture_outputs: {count: 0}
commands: [{shell: "echo ${files} ${count} ${setup.count}"}]
"""
    found = phases(text)
    assert found["setup"].steps[1].command == "echo ${files}"
    assert found["steps"].steps[0].command == f"echo {AFTER_SETUP} {AFTER_SETUP} {AFTER_SETUP}"


def test_a_templates_values_are_known_in_its_steps() -> None:
    text = """
parameters: {p: {default: 1}}
templates: {greet: {parameters: [who, mood], commands: [{shell: "echo ${who} ${mood}"}]}}
commands: [{template: greet, with: {who: "${p}", mood: [1]}}]
"""
    assert phases(text)["steps"].steps[0].command == "echo 1 [1]"


# -- steps ---------------------------------------------------------------------------------------------------------
STEPS = """
- id: build
  name: all of it
  shell: |
    make
    make check
  when: "branch == 'main'"
  timeout: 90s
  retry: {attempts: 3, retry_on: [network, {exit_code: [2, 3]}, {pattern: busy}], on_failure: continue}
  limits: {memory: 1MiB, cpu_time: 1m}
  working_dir: sub
  env: {X: 1}
  capture: out
  commit_required: true
  on_exit_code: {"2-4": {shell: echo odd}, "!0": {shell: echo bad}}
  on_failure: {claude: /repair, max_attempts: 2, fail_workflow: false}
  on_success: {shell: echo good}
  validate: {shell: ./score, threshold: 80, on_incomplete: {claude: /more, max_attempts: 3}}
- {shell: sleep 9, detach: agent}
- foreach: [a, b]
  parallel: 2
  do: [{shell: "echo ${item}"}]
- goal_seek: {goal: it passes, shell: ./try, validate: ./score, threshold: 90, max_attempts: 4}
- {shell: a, continue_on_error: true}
- {shell: b, on_failure: {max_attempts: 3}}
- {claude: /x, model: opus}
"""


def test_the_lines_of_steps() -> None:
    limits = "memory limit 1,048,576, cpu_time limit 1m 00s"
    assert lines(STEPS) == [
        "steps: 7 steps",
        (
            "  1. shell: all of it (if branch == 'main', timeout 1m 30s, up to 3 runs, exponential delays for network, "
            "exit 2/3, /busy/, then it goes on, memory limit 1,048,576, cpu_time limit 1m 00s, in sub, sets X, captures "
            "out, must commit)"
        ),
        "     make …",
        "     must be 80 % complete by:",
        f"      1. shell: ./score ({limits})",
        "     if not, up to 3 times:",
        f"      1. claude: /more ({limits})",
        "     on exit code 2-4:",
        "      1. shell: echo odd",
        "     on exit code !0:",
        "      1. shell: echo bad",
        "     on failure (up to 2 rounds, then it goes on):",
        "      1. claude: /repair",
        "     on success:",
        "      1. shell: echo good",
        "  2. shell: sleep 9 (until the agent ends)",
        "  3. foreach: foreach of 2 items (parallel 2)",
        "      1. shell: echo ${item}",
        "  4. goal_seek: it passes (threshold 90, max_attempts 4)",
        "      1. shell: ./try",
        "     scored by:",
        "      1. shell: ./score",
        "  5. shell: a",
        "     on failure it goes on",
        "  6. shell: b",
        "     on failure run again, up to 3 rounds",
        "  7. claude: /x (model opus)",
    ]


def test_aggregates_are_shown() -> None:
    text = (
        "mode: mapreduce\nmap: {input: [1], agent_template: [shell: ls], variables: {n: count,"
        " t: {type: group_by, by: item.team, value: item.path, where: item.n > 2}}}"
    )
    assert lines(text)[2:] == [
        "  then `n` is count",
        "  then `t` is group_by of item.path by item.team where item.n > 2",
    ]


def test_a_script_reads_the_same() -> None:
    """The document has everything that the lines have, and can be written as JSON."""
    [phase] = phases(STEPS).values()
    step = msgspec.json.decode(msgspec.json.encode(phase.steps[0]))
    assert step["id"] == "build"
    assert step["timeout_ms"] == 90_000
    assert step["retry"]["retry_on"] == ["network", "exit 2/3", "/busy/"]
    assert step["limits"] == {"memory": 1024**2, "cpu_time_ms": 60_000}
    assert [codes["codes"] for codes in step["on_exit_code"]] == ["2-4", "!0"]
    assert step["check"]["on_incomplete"][0]["command"] == "/more"
    assert step["on_failure"]["max_attempts"] == 2


def test_a_fallback_is_shown() -> None:
    found = lines("- {shell: a, retry: {on_failure: {fallback: {command: 'shell: b'}}}}")
    assert found[-2:] == ["     instead, if it stays failed:", "      1. shell: b"]


# -- phases --------------------------------------------------------------------------------------------------------
WHOLE = """
name: tidy
parameters: {n: {default: 4}}
worktree: {setup: [{shell: make deps}]}
setup: {commands: [{shell: ls, capture: width}], timeout: 1m}
map:
  input: items.json
  json_path: "$.items[*]"
  filter: item.n > 3
  sort_by: item.n DESC
  max_items: "${n}"
  max_parallel: "${width}"
  agent_timeout_secs: 600
  max_failures: 2
  agent_template: [{shell: "echo ${item}", timeout: "${width}"}]
reduce: [{shell: "echo ${map.total}"}]
merge: {commands: [{shell: git log}], target: release}
verify: [{shell: make check}]
on_success: [{shell: echo good}]
on_failure: [{shell: echo bad}]
"""


def test_every_phase_is_there_in_order() -> None:
    assert lines(WHOLE) == [
        "each worktree, when it is made: 1 step",
        "  1. shell: make deps",
        "setup: 1 step, at most 1m 00s",
        "  1. shell: ls (captures width)",
        (
            f"map: 1 step per item, up to {AFTER_SETUP} at a time, failed items: dlq, ends after 2 failures, each "
            "attempt at most 10m 00s"
        ),
        "  path $.items[*], only if item.n > 3, sorted by item.n DESC, at most 4",
        f"  1. shell: echo ${{item}} (timeout {AFTER_SETUP})",
        "reduce: 1 step",
        "  1. shell: echo ${map.total}",
        "when all has succeeded: 1 step",
        "  1. shell: echo good",
        "when something has failed: 1 step",
        "  1. shell: echo bad",
        "merge, if you want it: 1 step, at most 30m 00s, into `release`",
        "  1. shell: git log",
        "verify, before the merge: 1 step",
        "  1. shell: make check",
    ]


def test_the_budget() -> None:
    assert (
        budget_line({"usd": 5.0, "wall_ms": 3_600_000, "soft": 0.9})
        == "budget: usd 5.0, wall 1h 00m, soft 0.9"
    )
