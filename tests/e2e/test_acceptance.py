"""What the language promises as a whole: a dozen workflows, run as users run them."""

import json
from pathlib import Path

import pytest
from worlds import World

FAKES = Path(__file__).parents[1] / "fakes"


@pytest.fixture
def claude(world: World, tmp_path: Path) -> Path:
    """The stand-in for the Claude CLI is the one that is found; the file that tells what it was given."""
    log = tmp_path / "launches"
    world.environ["PATH"] = f"{FAKES}:{world.environ['PATH']}"
    world.environ["FAKE_CLAUDE_LOG"] = str(log)
    world.environ["CLAUDE_CONFIG_DIR"] = str(tmp_path / "claude")
    return log


def test_a_bare_list_is_a_workflow(world: World) -> None:
    flow = """
- shell: echo one > a.txt
- shell: test "$(cat a.txt)" = one
"""
    done = world.prodigy("run", world.workflow(flow), "-y")
    assert done.returncode == 0, done.stderr
    assert world.git("log", "--format=%s").count("\n") == 1, "one commit beside the first"


def test_items_are_filtered_as_numbers_and_named_with_spaces(world: World) -> None:
    flow = r"""
name: tidy
mode: mapreduce
setup: [{shell: "printf '%s' '{\"items\":[{\"p\":\"a b\",\"n\":5},{\"p\":\"c\",\"n\":4}]}' > w.json"}]
map:
  input: w.json
  json_path: "$.items[*]"
  filter: "item.n == 5"
  agent_template: [{shell: "echo x > ${item.p}"}]
reduce: [{shell: "test ${map.successful}/${map.total} = 1/1"}]
"""
    done = world.prodigy("run", world.workflow(flow), "-y")
    assert done.returncode == 0, done.stderr
    assert (world.repository / "a b").read_text() == "x\n"
    assert not (world.repository / "c").exists()
    assert len(world.events("agent_started")) == 1


def test_values_are_never_code(world: World) -> None:
    flow = r"""
- foreach: ["$(touch pwned)", "'; touch pwned; '", "-n"]
  do: [{shell: "printf '%s\n' ${item} \"${item}\" '${item}' >> printed # ${item}"}]
- shell: test ! -e pwned
"""
    done = world.prodigy("run", world.workflow(flow), "-y")
    assert done.returncode == 0, done.stderr
    items = ["$(touch pwned)", "'; touch pwned; '", "-n"]
    assert (world.repository / "printed").read_text().splitlines() == [
        item for item in items for _ in range(3)
    ]


def test_a_repair_is_proven_by_running_the_step_again(world: World) -> None:
    flow = """
commands:
  - shell: echo tried >> tries; test -f fixed
    on_failure: {shell: "echo repaired >> tries; touch fixed", max_attempts: 2}
  - shell: test -f never
    on_failure: {shell: "true", fail_workflow: false}
"""
    done = world.prodigy("run", world.workflow(flow), "-y")
    assert done.returncode == 0, done.stderr
    assert (world.repository / "tries").read_text() == "tried\nrepaired\ntried\n"
    assert "Exited with 1" in done.stderr, "the second failure is told"


def test_every_mistake_is_told_at_once(world: World) -> None:
    flow = """
mode: mapreduce
map: {input: w.json, agent_template: [{shel: ls}], max_paralel: 2}
reduce: [{shell: "echo ${map.totl}"}]
"""
    done = world.prodigy("run", world.workflow(flow), "-y")
    assert done.returncode == 2
    heads = [line for line in done.stderr.splitlines() if ": error[" in line]
    assert [head.partition("error[")[2].partition("]")[0] for head in heads] == [
        "unknown-key", "unknown-key", "undefined-variable",
    ]  # fmt: skip
    for meant in ("shell", "max_parallel", "map.total"):
        assert f"did you mean `{meant}`?" in done.stderr
    assert world.journals() == []


def test_captures_conditions_and_shell_syntax(world: World) -> None:
    flow = r"""
steps:
  - {id: v, shell: "echo 1.4.2; echo true", capture: ver, capture_format: lines}
  - {shell: "echo 7", capture: n, capture_format: number}
  - {shell: "awk 'END{printf $1}' </dev/null; f=x.py; echo ${f%.py} ${ver[0]}", when: "${n} >= 5 and v.success", capture_output: out}
  - {shell: "test \"${out}\" = 'x 1.4.2' && touch ran", when: "ver contains 'true'"}
"""
    done = world.prodigy("run", world.workflow(flow), "-y")
    assert done.returncode == 0, done.stderr
    assert (world.repository / "ran").exists(), "not one of the four was skipped"


ENVIRONMENT = """
env:
  TIER: {default: dev, prod: live}
  CORES: {command: "echo 3", cache: true}
  TOKEN: {secret: true, value: "${MY_TOKEN}"}
  LEVEL: {condition: "env.CI == 'true'", when_true: error, when_false: debug}
env_files: [{path: .env.local, required: false}]
commands: [{shell: "echo $TIER $CORES ${LEVEL} 'k=${TOKEN}'; echo $TIER $CORES ${LEVEL} > said; tr '\\\\0' '\\\\n' < /proc/$$/cmdline | grep -c hunter''2 > argv || true"}]
"""


def test_the_environment_and_its_secrets(world: World) -> None:
    world.environ |= {"MY_TOKEN": "hunter2-hunter2"}
    done = world.prodigy("run", world.workflow(ENVIRONMENT), "-y", "--profile", "prod", "-vv")
    assert done.returncode == 0, done.stderr
    assert "live 3 debug k=***" in done.stderr
    assert (world.repository / "said").read_text() == "live 3 debug\n"
    assert (world.repository / "argv").read_text() == "0\n", "the script does not hold the secret"
    kept = [path for path in world.home.rglob("*") if path.is_file()]
    assert not [path for path in kept if b"hunter2" in path.read_bytes()]


def test_a_missing_secret_stops_before_any_step(world: World) -> None:
    done = world.prodigy("run", world.workflow(ENVIRONMENT), "-y", "--profile", "prod")
    assert done.returncode == 2
    assert "secret-missing" in done.stderr
    assert world.leftovers() == []


def test_a_result_is_completed_until_it_is_good_enough(world: World) -> None:
    flow = r"""
- validate:
    shell: "echo '{\"completion_percentage\": '$(cat s 2>/dev/null || echo 40)', \"gaps\": {\"g\": {\"description\": \"d\"}}}'"
    threshold: 90
    on_incomplete: {shell: "echo 95 > s; echo '${validation.gaps}' >> told", max_attempts: 2}
"""
    done = world.prodigy("run", world.workflow(flow), "-y")
    assert done.returncode == 0, done.stderr
    assert json.loads((world.repository / "told").read_text()) == {"g": {"description": "d"}}, "once"


def test_a_goal_that_is_never_reached(world: World, claude: Path) -> None:
    flow = """
mode: mapreduce
claude_options: {model: sonnet, max_turns: 20}
map:
  input: {list: [{id: 7}, {id: 8}]}
  item_id: "${item.id}"
  agent_template:
    - goal_seek: {goal: "done ${item.id}", command: "claude: /work ${item.id}", validate: "test -f d && echo 'score: 100' || echo 'score: 10'", threshold: 90, max_attempts: 3}
      commit_required: true
"""
    done = world.prodigy("run", world.workflow(flow), "-y", "--strict")
    assert done.returncode == 1, done.stderr
    assert sorted(event["item_id"] for event in world.events("dlq_item_added")) == ["7", "8"]
    told = [event["error"]["message"] for event in world.events("agent_failed")]
    assert all("of 90 points after 3 attempts: no attempt was left" in message for message in told), told
    launches = [json.loads(line) for line in claude.read_text().splitlines()]
    assert sorted(launch["prompt"] for launch in launches) == ["/work 7"] * 3 + ["/work 8"] * 3
    assert {(launch["options"]["--model"], launch["options"]["--max-turns"]) for launch in launches} == {
        ("sonnet", "20")
    }


def test_steps_and_items_are_tried_again(world: World) -> None:
    tries = world.folder / "tries"
    world.environ["TRIES"] = str(tries)
    flow = """
mode: mapreduce
error_policy: {on_item_failure: retry, retry_config: {max_attempts: 2, backoff: {fixed: {delay: 10ms}}}, max_failures: 3}
retry_defaults: {attempts: 2, backoff: fibonacci, initial_delay: 10ms}
map:
  input: "seq 1 4"
  timeout_config: {agent_timeout_secs: 20, timeout_policy: PerAgent, timeout_action: dlq}
  agent_template: [{shell: "echo ${item} >> $TRIES; test ${item} != 2"}]
"""
    path = world.workflow(flow)
    done = world.prodigy("run", path, "-y")
    assert done.returncode == 0, done.stderr
    assert sorted(tries.read_text().split()) == ["1", "2", "2", "2", "2", "3", "4"]
    [letter] = world.events("dlq_item_added")
    assert letter["item"] == 2, "lines of JSON are JSON"
    assert world.prodigy("run", path, "-y", "--strict").returncode == 1


COMPOSED = """
parameters: {required: [{name: env, type: String, validation: "in(['dev', 'prod'])"}], optional: [{name: n, type: Number, default: 200}]}
templates:
  greet: {parameters: [who], commands: [{shell: "echo hi ${who} ${shell.exit_code:-none} > greeting"}]}
commands:
  - {template: greet, with: {who: "${env}"}}
  - {shell: "test ${n} -eq 200", timeout: "${n}"}
"""


def test_parameters_and_templates(world: World) -> None:
    done = world.prodigy("run", world.workflow(COMPOSED), "-y", "--param", "env=dev")
    assert done.returncode == 0, done.stderr
    assert (world.repository / "greeting").read_text() == "hi dev none\n"


@pytest.mark.parametrize(
    ("given", "code"), [((), "parameter-missing"), (("--param", "env=qa"), "parameter-invalid")]
)
def test_bad_parameters_stop_before_any_step(world: World, given: tuple[str, ...], code: str) -> None:
    done = world.prodigy("run", world.workflow(COMPOSED), "-y", *given)
    assert done.returncode == 2
    assert f"error[{code}]" in done.stderr
    assert world.journals() == []


LOOKS = r"""
mode: mapreduce
map:
  input: {list: [{n: 1, tags: [a, b]}, {n: 2, tags: [b]}]}
  sort_by: "item.n DESC NULLS LAST"
  variables: {sum_n: {type: sum, value: item.n}, tags: {type: unique, value: item.tags}}
  agent_template: [{shell: "echo ${item.n} > f${item_index}"}]
reduce:
  - shell: "test ${sum_n} -eq 3 && test $(python3 -c 'import json,sys;print(len(json.load(open(sys.argv[1]))))' ${map.results_file}) -eq ${count:map.results[*] where success}"
  - write_file: {path: out/r.json, create_dirs: true, format: json, content: {total: "${map.total}", tags: "${tags}"}}
merge:
  commands: [{shell: "git log -1 --format=%s ${merge.source_branch}"}]
  timeout: 1m
"""


def test_aggregates_reduce_by_file_and_merge_steps_that_only_look(world: World) -> None:
    done = world.prodigy("run", world.workflow(LOOKS), "-y")
    assert done.returncode == 0, done.stderr
    assert json.loads((world.repository / "out/r.json").read_text()) == {"total": 2, "tags": ["b", "a"]}
    assert [(world.repository / f"f{n}").read_text() for n in (0, 1)] == ["2\n", "1\n"]
    assert world.leftovers() == []
