"""Configuration: what sources say, which of them counts, what becomes of a workflow, and what is wrong with a file."""

from typing import Any

import pytest
import yaml

from prodigy.configuration.diagnosis import diagnose
from prodigy.configuration.effective import DEFAULT, Configuration
from prodigy.configuration.reading import Layer, read_layer, read_variable
from prodigy.configuration.setting import Setting
from prodigy.configuration.settings import SETTINGS
from prodigy.configuration.template import configuration_text
from prodigy.configuration.variables import VARIABLE, in_order, unread
from prodigy.workflow.load import load_workflow
from prodigy.workflow.model import Foreach, Workflow
from prodigy.workflow.problems import Problems, render
from prodigy.workflow.vocabulary import Standing

ACTING = [setting for setting in SETTINGS if setting.standing is Standing.ACTING]
PLAIN = "name: x\ncommands:\n  - claude: go\n"
MAPPED = "name: x\nmode: mapreduce\nmap:\n  input: [a]\n  agent_template: [{claude: go}]\n"


def layer(text: str, source: str = "config.yml") -> Layer:
    problems = Problems(source)
    read = read_layer(text.encode(), source, problems)
    assert problems.sorted() == ()
    return read


def variable(name: str, text: str) -> Layer:
    problems = Problems(name)
    read = read_variable(f"{VARIABLE}{name}", text, problems)
    assert problems.sorted() == ()
    return read


def found(text: str) -> list[str]:
    problems = Problems("config.yml")
    read_layer(text.encode(), "config.yml", problems)
    return [str(problem) for problem in problems.sorted()]


def workflow(text: str, *layers: Layer) -> Workflow:
    configuration = Configuration(layers)
    loaded = load_workflow(
        text.encode(), "flow.yml", around=configuration.around, standards=configuration.standards
    )
    assert not [problem for problem in loaded.problems if problem.severity == "warning"], loaded.problems
    return configuration.completed(loaded.workflow)


# -- sources -------------------------------------------------------------------------------------------------------------
def test_defaults() -> None:
    configuration = Configuration()
    assert configuration.get("dlq.circuit") == 5
    assert configuration.given("dlq.circuit") is None
    assert [setting.source for setting in configuration.every()] == [DEFAULT] * len(ACTING)


def test_a_later_source_counts_key_by_key() -> None:
    first = layer("budget: {usd: 1, launches: 2}\nclaude: {extra_args: [a, b]}", "user")
    second = layer("budget: {usd: 3}\nclaude: {extra_args: [c]}", "project")
    configuration = Configuration([first, second, variable("BUDGET__USD", "4")])
    assert configuration.get("budget.launches") == 2
    assert configuration.get("claude.extra_args") == ("c",)
    effective = configuration.effective("budget.usd")
    assert (effective.value, effective.source) == (4, "PRODIGY__BUDGET__USD")
    assert effective.chain == (("PRODIGY__BUDGET__USD", 4), ("project", 3), ("user", 1), (DEFAULT, None))


def test_values_are_typed() -> None:
    read = layer(
        "limits: {memory: 1GiB, wall: none, grace: 90}\nclaude: {command: npx claude, linger: 1m30s}"
    )
    assert read.entries["limits.memory"].value == 2**30
    assert read.entries["limits.wall"].value is None
    assert read.entries["claude.command"].value == ("npx claude",)
    assert read.entries["claude.linger"].value == 90


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("budgte: {usd: 1}", "config.yml:1:1: warning[unknown-key]: there is no setting `budgte`"),
        ("budget:\n  uds: 1", "config.yml:2:3: warning[unknown-key]: there is no setting `budget.uds`"),
        ("budget: {usd: lots}", "config.yml:1:15: error[wrong-type]: `budget.usd` is `lots`: expected a number"),
        ("budget: 5", "config.yml:1:9: error[wrong-type]: `budget` must be a mapping, not a value"),
        ("- a", "config.yml:1:1: error[wrong-type]: a configuration is a mapping"),
        ("dlq: {circuit: 0}", "config.yml:1:16: error[bad-value]: `dlq.circuit` is `0`: must be at least 1"),
        ("ui: {progress: dots}", "config.yml:1:16: error[bad-enum]: `dots` is no value of `ui.progress`"),
        ("timeouts: {agent: 0}", "config.yml:1:19: error[bad-value]: `timeouts.agent` of 0 lets nothing run"),
        ("worktree: {path: w}", "config.yml:1:12: error[not-yet-supported]: `worktree.path` is not supported yet"),
        ("project: {variables: {api_token: x}}", "config.yml:1:23: error[secret-recorded]: `api_token` looks like a secret, and these values are recorded"),
        ("project: {variables: [a]}", "config.yml:1:22: error[wrong-type]: `project.variables` must be a mapping, not a list"),
        ("claude: {env: {a-b: x}}", "config.yml:1:16: error[bad-value]: `a-b` cannot be a variable"),
        ("claude_api_key: x", "config.yml:1:1: warning[deprecated-key]: a file is no place for a key"),
        ("default_editor: vi", "config.yml:1:1: warning[no-effect]: `default_editor` has no effect"),
        ("claude: {max_tokens: 1}", "config.yml:1:10: warning[no-effect]: `claude.max_tokens` has no effect"),
        ("claude: {model: }", "config.yml:1:10: warning[empty-key]: `model` has no value and counts as absent"),
    ],
)  # fmt: skip
def test_what_is_wrong_has_its_place(text: str, problem: str) -> None:
    assert found(text) == [problem]


@pytest.mark.parametrize("text", ["", "# nothing\n", "budget:\n"])
def test_an_empty_file(text: str) -> None:
    assert found(text) == []


def test_a_variable_that_is_wrong() -> None:
    problems = Problems("PRODIGY__BUDGET__USD")
    read_variable("PRODIGY__BUDGET__USD", "much", problems)
    assert [problem.code for problem in problems.sorted()] == ["wrong-type"]


# -- workflows -----------------------------------------------------------------------------------------------------------
VALUES: dict[str, tuple[str, Any]] = {
    "auto_commit": ("false", False),
    "claude.model": ("haiku", "haiku"),
    "claude.fallback_model": ("opus", "opus"),
    "claude.permission_mode": ("acceptEdits", "acceptEdits"),
    "claude.max_turns": ("7", 7),
    "claude.extra_args": ("[--one, --two]", ("--one", "--two")),
    "claude.idle_timeout": ("9m", 540.0),
    "worktree.max_parallel": ("3", 3),
    "merge.on_conflict": ("dlq", "dlq"),
    "timeouts.workflow": ("2h", 7200.0),
    "timeouts.agent": ("20m", 1200.0),
    "limits.memory": ("1GiB", 2**30),
    "limits.cpu_time": ("5m", 300.0),
    "limits.wall": ("6m", 360.0),
    "limits.processes": ("99", 99),
    "limits.output": ("1MB", 10**6),
    "limits.open_files": ("64", 64),
    "limits.max_capture": ("2MB", 2 * 10**6),
    "limits.grace": ("8s", 8.0),
    "governor.max_concurrent_starts": ("2", 2),
    "budget.usd": ("5", 5.0),
    "budget.tokens": ("2M", 2_000_000),
    "budget.wall": ("3h", 10800.0),
    "budget.launches": ("40", 40),
    "budget.soft": ("0.5", 0.5),
}


def configured(name: str, text: str) -> str:
    *sections, key = name.split(".")
    beside = "usd: 9, " if name == "budget.soft" else ""
    return f"{sections[0]}: {{{beside}{key}: {text}}}" if sections else f"{key}: {text}"


def reached(made: Workflow, name: str) -> Any:
    """Where a setting has arrived in a workflow with a map phase."""
    assert made.map is not None
    step = made.map.agent_template[0]
    section, _, key = name.rpartition(".")
    places: dict[str, Any] = {
        "auto_commit": step.auto_commit,
        "claude.idle_timeout": step.idle_timeout,
        "worktree.max_parallel": made.map.max_parallel,
        "merge.on_conflict": made.on_conflict,
        "timeouts.workflow": made.timeout,
        "timeouts.agent": made.map.agent_timeout,
        "limits.max_capture": made.max_capture,
        "limits.grace": made.grace,
        "governor.max_concurrent_starts": made.max_concurrent_starts,
    }
    if name in places:
        return places[name]
    of_section = {"claude": step.claude, "limits": step.limits, "budget": made.budget}
    return getattr(of_section[section], key, None)


def test_every_default_of_a_workflow_is_tested() -> None:
    of_workflows = {setting.name for setting in ACTING if setting.workflow}
    assert {name for name in of_workflows if not name.startswith("project.")} == VALUES.keys()


@pytest.mark.parametrize("name", VALUES)
def test_a_setting_reaches_a_workflow_that_does_not_say_it(name: str) -> None:
    text, value = VALUES[name]
    assert reached(workflow(MAPPED), name) != value
    assert reached(workflow(MAPPED, layer(configured(name, text))), name) == value


def test_a_workflow_without_a_map_phase_gets_none() -> None:
    made = workflow(PLAIN, layer("worktree: {max_parallel: 3}\ntimeouts: {agent: 5m}"))
    assert made.map is None


def test_a_bare_list_of_steps_is_configured_too() -> None:
    made = workflow("- claude: go\n", layer("claude: {model: haiku}"))
    assert made.steps is not None
    assert made.steps.steps[0].claude.model == "haiku"


def test_what_the_workflow_says_counts_before_files() -> None:
    own = f"{MAPPED}  max_parallel: 9\nmodel: opus\nauto_commit: true\n"
    made = workflow(own, layer("claude: {model: haiku}\nauto_commit: false\nworktree: {max_parallel: 2}"))
    assert made.map is not None
    assert (made.map.max_parallel, made.map.agent_template[0].auto_commit) == (9, True)
    assert made.map.agent_template[0].claude.model == "opus"


def test_variables_count_before_the_workflow() -> None:
    own = f"{MAPPED}auto_commit: true\nclaude_options: {{model: opus}}\n"
    made = workflow(own, variable("AUTO_COMMIT", "false"), variable("CLAUDE__MODEL", "haiku"))
    assert made.map is not None
    assert made.map.agent_template[0].auto_commit is False
    assert made.map.agent_template[0].claude.model == "haiku"


def test_the_tighter_bound_holds() -> None:
    """Of budgets and limits, wherever in the workflow they stand; a bound that only one of them has holds anyway."""
    own = "budget: {usd: 9, tokens: 5}\ncommands:\n  - {shell: a, limits: {memory: 8GiB, wall: 1s}}\n  - shell: b\n"
    made = workflow(own, layer("budget: {usd: 2, tokens: 7}\nlimits: {memory: 1GiB, wall: 1m}"))
    assert made.budget is not None
    assert (made.budget.usd, made.budget.tokens) == (2, 5)
    assert made.steps is not None
    first, second = (step.limits for step in made.steps.steps)
    assert first is not None
    assert second is not None
    assert (first.memory, first.wall) == (2**30, 1)
    assert (second.memory, second.wall) == (2**30, 60)


# -- what workflows leave open ---------------------------------------------------------------------------------------------
STEPS = """name: x
setup: {timeout: 3m, commands: [{shell: a, timeout: 1m}, {shell: b, timeout: none}, {shell: c}]}
commands: [{shell: d, detach: forever}, {foreach: [1], do: [{claude: e}]}]
merge: [{shell: f}]
"""


def test_times_that_a_workflow_leaves_open() -> None:
    made = workflow(STEPS, layer("timeouts: {step: 5m, phase: 1h}\nmerge: {timeout: 2m}"))
    assert made.setup is not None
    assert made.steps is not None
    assert made.merge is not None
    assert [step.timeout for step in made.setup.steps] == [60, None, 300]
    left, loop = made.steps.steps
    assert (left.timeout, loop.timeout) == (None, None)
    assert isinstance(loop.action, Foreach)
    assert loop.action.steps[0].timeout == 300
    assert (made.setup.timeout, made.steps.timeout) == (180, 3600)
    assert (made.merge.timeout, made.merge_timeout) == (120, 120)


def test_times_of_a_map_phase() -> None:
    made = workflow(MAPPED, layer("timeouts: {phase: 1h, merge: none}"))
    assert made.map is not None
    assert (made.map.timeout, made.merge_timeout) == (3600, None)


def test_times_that_nobody_gave() -> None:
    made = workflow(STEPS)
    assert made.setup is not None
    assert made.merge is not None
    assert [step.timeout for step in made.setup.steps] == [60, None, None]
    assert (made.merge.timeout, made.merge_timeout) == (1800, 600)


def test_the_merge_of_a_variable_counts_before_the_workflow() -> None:
    own = "commands: [{shell: a}]\nmerge: {timeout: 1m, commands: [{shell: b}]}\n"
    for name in ("MERGE__TIMEOUT", "TIMEOUTS__MERGE"):
        made = workflow(own, layer("merge: {timeout: 2m}"), variable(name, "3m"))
        assert made.merge is not None
        assert made.merge.timeout == 180
    made = workflow(own, layer("merge: {timeout: 2m}"))
    assert made.merge is not None
    assert made.merge.timeout == 60


def test_one_setting_of_two_names() -> None:
    assert Configuration([layer("timeouts: {merge: 2m}")]).get("merge.timeout") == 120
    both = "merge: {timeout: 1m}\ntimeouts: {merge: 2m}"
    assert found(both) == [
        "config.yml:2:12: error[conflicting-keys]: `merge.timeout` and `timeouts.merge` are one setting"
    ]


def test_what_a_retry_leaves_open() -> None:
    own = """commands:
  - {shell: a, retry: {max_delay: 9s}}
  - {shell: b, retry: {attempts: 2, backoff: linear}}
  - shell: c
"""
    made = workflow(own, layer("retry: {default_attempts: 7, default_backoff: fibonacci}"))
    assert made.steps is not None
    first, second, third = (step.retry for step in made.steps.steps)
    assert first is not None
    assert second is not None
    assert (first.attempts, first.backoff.kind, first.backoff.max_delay) == (7, "fibonacci", 9)
    assert (second.attempts, second.backoff.kind) == (2, "linear")
    assert third is None


def test_files_do_not_name_the_parallelism_of_a_workflow() -> None:
    """So a retry of dead letters has one of its own; what the workflow or a variable says holds for retries too."""
    quiet = workflow(MAPPED, layer("worktree: {max_parallel: 3}"))
    told = workflow(f"{MAPPED}  max_parallel: 4\n", layer("worktree: {max_parallel: 3}"))
    imposed = workflow(MAPPED, variable("WORKTREE__MAX_PARALLEL", "2"))
    assert [(one.map.max_parallel, one.map.parallel_named) for one in (quiet, told, imposed) if one.map] == [
        (3, False),
        (4, True),
        (2, True),
    ]


# -- the project -----------------------------------------------------------------------------------------------------------
PROJECT = "project: {name: Shop, spec_dir: specs, variables: {owner: ann, tries: 3}}"


def test_a_project_has_variables_for_every_workflow() -> None:
    """The lowest there are: whatever the workflow says itself replaces them."""
    own = (
        "name: x\ndefaults: {owner: bob}\ncommands:\n  - shell: echo ${project.spec_dir} ${owner} ${tries}\n"
    )
    made = workflow(own, layer(PROJECT))
    assert made.parameters == {"project": {"name": "Shop", "spec_dir": "specs"}, "owner": "bob", "tries": 3}
    bare = workflow("- shell: echo ${owner}\n", layer(PROJECT))
    assert bare.parameters["owner"] == "ann"


def test_a_variable_of_the_environment_keeps_the_case_of_a_name() -> None:
    one = variable("PROJECT__VARIABLES__Owner", "eve")
    other = variable("CLAUDE__ENV__HTTP_PROXY", "http://p:1")
    configuration = Configuration([layer(PROJECT), one, other])
    assert configuration.get("project.variables") == {"owner": "ann", "tries": 3, "Owner": "eve"}
    assert configuration.get("claude.env") == {"HTTP_PROXY": "http://p:1"}


# -- the environment -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "value"), [("1", True), ("Yes", True), ("off", False), ("", False), ("FALSE", False)]
)
def test_how_the_environment_spells_true_and_false(text: str, value: bool) -> None:
    assert Configuration([variable("AUTO_COMMIT", text)]).get("auto_commit") is value


def test_names_of_older_programs_count_before_files_and_after_todays() -> None:
    assert in_order(["PRODIGY__LOG_LEVEL", "PRODIGY_LOG_LEVEL"]) == [
        "PRODIGY_LOG_LEVEL",
        "PRODIGY__LOG_LEVEL",
    ]
    problems = Problems("PRODIGY_AUTO_COMMIT")
    old = read_variable("PRODIGY_AUTO_COMMIT", "no", problems)
    assert Configuration([layer("auto_commit: true"), old]).get("auto_commit") is False
    assert unread(["PRODIGY_HOME", "PRODIGY_TEST_MODE", "PRODIGY_EDITOR"]) == [
        "PRODIGY_EDITOR",
        "PRODIGY_TEST_MODE",
    ]


# -- secrets ---------------------------------------------------------------------------------------------------------------
def test_secrets_are_not_shown() -> None:
    """Neither their values, nor the lines that they stand on, nor what is recorded with a run."""
    text = "claude_api_key: sk-1234567\nclaude: {env: {AUTH_TOKEN: abcdefgh, REGION: eu}}\n"
    problems = Problems("config.yml")
    read = read_layer(text.encode(), "config.yml", problems)
    configuration = Configuration([read])
    assert configuration.get("claude_api_key") == "sk-1234567"
    assert configuration.effective("claude_api_key").shown.chain == (("config.yml", "***"), (DEFAULT, None))
    assert configuration.effective("claude.env").shown.value == {"AUTH_TOKEN": "***", "REGION": "eu"}
    assert "sk-1234567" not in render(problems.sorted(), configuration.texts)
    assert "abcdefgh" not in configuration.texts["config.yml"]
    assert configuration.recorded == {}


# -- what a run keeps ------------------------------------------------------------------------------------------------------
def test_what_a_run_keeps_and_what_has_changed_since() -> None:
    first = Configuration(
        [layer("budget: {usd: 5}\ntimeouts: {step: 2m}\nui: {color: never}\ndlq: {circuit: 2}")]
    )
    assert first.recorded == {"budget.usd": 5, "timeouts.step": 120}
    second = Configuration([layer("timeouts: {step: 3m}\nclaude: {command: [a, b]}\nui: {color: always}")])
    assert second.changed(first.recorded) == ("budget.usd", "claude.command", "timeouts.step")
    assert second.changed(second.recorded) == ()


# -- a file to begin with ------------------------------------------------------------------------------------------------
def test_the_file_to_begin_with_says_nothing_and_names_every_key() -> None:
    text = configuration_text()
    assert yaml.safe_load(text) is None
    lines = [line.removeprefix("# ") for line in text.splitlines()[2:]]
    uncommented = "\n".join(lines)
    assert found(uncommented) == [] or all("empty-key" in problem for problem in found(uncommented))
    written = yaml.safe_load(uncommented)
    assert all(_names(setting, written) is not setting.is_secret for setting in ACTING)


def _names(setting: Setting, written: Any) -> bool:
    for part in setting.name.split("."):
        if not isinstance(written, dict) or part not in written:
            return False
        written = written[part]
    return True


# -- diagnosis -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("user", "project", "environ", "odd"),
    [
        ("budget: {usd: 5}", "budget: {usd: 6}", None, []),
        ("budget: {usd: 5}", "budget: {usd: 5}", None, [("said-twice", ("project.yml", "user.yml"))]),
        ("dlq: {circuit: 5}", "", None, [("as-default", ("user.yml",))]),
        ("dlq: {circuit: 6}", "dlq: {circuit: 5}", None, []),
        (
            "dlq: {circuit: 7}",
            "dlq: {circuit: 6}",
            ("DLQ__CIRCUIT", "9"),
            [("variable-wins", (f"{VARIABLE}DLQ__CIRCUIT", "project.yml", "user.yml"))],
        ),
        ("claude: {env: {API_TOKEN: abc}}", "", None, []),
        ("", "claude: {env: {API_TOKEN: abc}}", None, [("secret-in-project", ("project.yml",))]),
        ("claude: {env: {A: b}}", "claude: {env: {A: b}}", None, []),
    ],
)
def test_what_is_odd(
    user: str, project: str, environ: tuple[str, str] | None, odd: list[tuple[str, tuple[str, ...]]]
) -> None:
    layers = [
        layer(user, "user.yml"),
        layer(project, "project.yml"),
        *([variable(*environ)] if environ else []),
    ]
    findings = list(diagnose(Configuration(layers), "project.yml"))
    assert [(one.oddity, one.sources) for one in findings] == odd
    assert "abc" not in str(findings)
