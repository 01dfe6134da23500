"""Configuration in whole runs, and the verbs that show it."""

import json
import signal
import stat
from pathlib import Path

import pytest
from worlds import PATIENCE, World, eventually

FAKE = Path(__file__).parents[1] / "fakes/claude"
FLOW = """
name: many
mode: mapreduce
map:
  input: [a, b, c, d, e, f]
  item_id: "${item}"
  agent_template:
    - shell: "true"
"""
STEP = "name: one\ncommands:\n  - claude: /say hello\n"


@pytest.fixture(autouse=True)
def nothing_configured(world: World) -> None:
    """But for what a test itself says."""
    for name in [name for name in world.environ if name.startswith("PRODIGY__")]:
        del world.environ[name]


def user(world: World, text: str) -> Path:
    world.home.mkdir(exist_ok=True)
    file = world.home / "config.yml"
    file.write_text(text)
    return file


def project(world: World, text: str) -> Path:
    return world.write(".prodigy/config.yml", text)


def run(world: World, text: str, *flags: str) -> str:
    done = world.prodigy("run", world.workflow(text), "--no-merge", *flags)
    assert done.returncode == 0, done.stderr
    return done.stderr


# -- what acts outside of workflows --------------------------------------------------------------------------------------
def test_the_command_of_claude(world: World) -> None:
    """Any program of any name; what else there is to say of launches is recorded with it, and holds for a resume."""
    program = world.folder / "my-claude"
    program.write_text(f'#!/bin/sh\nshift\nexec {FAKE} "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    log = world.folder / "launches"
    world.environ |= {"FAKE_CLAUDE_LOG": str(log), "CLAUDE_CONFIG_DIR": str(world.folder / "claude")}
    user(
        world,
        f"claude:\n  command: [{program}, first]\n  linger: 7\n  cli_retries: 5\n  background_tasks: true\n",
    )
    run(world, STEP)
    [launch] = [json.loads(line) for line in log.read_text().splitlines()]
    assert launch["env"]["CLAUDE_CODE_MAX_RETRIES"] == "5"
    assert "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS" not in launch["env"]
    settings = {"command": [str(program), "first"], "linger": 7, "retries": 5, "background": True}
    assert world.events("job_started")[0]["backend"] == {"name": "claude", "settings": settings}


def test_streaming(world: World) -> None:
    """The environment that says it itself counts before the file."""
    log = world.folder / "launches"
    world.environ["PATH"] = f"{FAKE.parent}:{world.environ['PATH']}"
    world.environ |= {"FAKE_CLAUDE_LOG": str(log), "CLAUDE_CONFIG_DIR": str(world.folder / "claude")}
    user(world, "claude: {streaming: false}")
    run(world, STEP)
    world.environ["PRODIGY_CLAUDE_STREAMING"] = "true"
    run(world, STEP)
    formats = [json.loads(line)["options"]["--output-format"] for line in log.read_text().splitlines()]
    assert formats == ["json", "stream-json"]
    world.environ["PRODIGY_CLAUDE_STREAMING"] = "Off"
    run(world, STEP)
    assert json.loads(log.read_text().splitlines()[-1])["options"]["--output-format"] == "json"
    world.environ["PRODIGY_CLAUDE_STREAMING"] = "perhaps"
    assert world.json("run", world.workflow(STEP))["error"]["code"] == "bad-value"


def test_workers(world: World) -> None:
    user(world, "workers: {count: 1}")
    run(world, FLOW)
    assert len(world.events("worker_started")) == 1


def test_a_machine_without_room_starts_no_agent(world: World) -> None:
    """It says so, as the list of runs does; the run can be stopped, and goes on where there is room."""
    user(world, "host: {min_free_memory: 100000GiB}")
    process = world.start("run", world.workflow(FLOW), "--no-merge")
    eventually(lambda: "waits for memory" in world.prodigy("status").stdout)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == 130
    assert "(`host.min_free_memory`)" in said
    assert not world.events("agent_started")
    user(world, "host: {min_free_memory: 0}")
    assert world.json("resume", "--no-merge")["items"]["done"] == 6


def test_workers_are_renewed(world: World) -> None:
    user(world, "workers: {count: 1, recycle_after: 2}\nworktree: {max_parallel: 1}")
    run(world, FLOW)
    assert len(world.events("worker_started")) == 3


SPY = """#!/bin/sh
echo "$ANTHROPIC_API_KEY $HTTP_PROXY $REGION" >> {log}
exec {fake} "$@"
"""


def spied(world: World) -> Path:
    """A Claude that notes some of its environment."""
    program, log = world.folder / "spied", world.folder / "seen"
    program.write_text(SPY.format(log=log, fake=FAKE))
    program.chmod(0o755)
    world.environ["CLAUDE_CONFIG_DIR"] = str(world.folder / "claude")
    world.environ["PRODIGY__CLAUDE__COMMAND"] = str(program)
    return log


def test_variables_of_claude(world: World) -> None:
    """Over what Claude inherits, under what the workflow declares; no command gets them, and secrets are nowhere."""
    log = spied(world)
    world.environ |= {"HTTP_PROXY": "http://inherited", "MY_KEY": "sk-abcdefgh"}
    user(world, "claude: {api_key_env: MY_KEY, env: {HTTP_PROXY: 'http://configured', REGION: eu}}")
    flow = """
env: {REGION: us}
commands:
  - claude: /say $ANTHROPIC_API_KEY
  - shell: test "$HTTP_PROXY $REGION ${ANTHROPIC_API_KEY-}" = "http://inherited us "
"""
    run(world, flow)
    assert set(log.read_text().splitlines()) == {"sk-abcdefgh http://configured us"}
    kept = [path for path in world.home.rglob("*") if path.is_file() and path.suffix != ".sock"]
    assert not [path for path in kept if b"sk-abcdefgh" in path.read_bytes()]


def test_a_key_in_a_file(world: World) -> None:
    log = spied(world)
    user(world, "claude_api_key: sk-12345678\n")
    said = run(world, STEP)
    assert "a file is no place for a key" in said
    assert "sk-12345678" not in said
    world.environ["PRODIGY_CLAUDE_API_KEY"] = "sk-87654321"
    run(world, STEP)
    seen = [line.split()[0] for line in log.read_text().splitlines()]
    assert list(dict.fromkeys(seen)) == ["sk-12345678", "sk-87654321"]
    assert world.prodigy("config", "show", "claude_api_key").stdout == "claude_api_key: ***\n"


def test_a_key_that_is_not_there(world: World) -> None:
    """It is missed before a run that needs it begins, and by no other."""
    spied(world)
    user(world, "claude: {api_key_env: NO_SUCH_KEY}")
    error = world.json("run", world.workflow(STEP))["error"]
    assert (error["code"], error["where"]) == ("claude-not-usable", str(world.home / "config.yml"))
    run(world, FLOW)


def test_the_author_of_commits(world: World) -> None:
    """Of all that is committed in a run, by whomever; who committed it is as git says."""
    user(world, "git: {author_name: Bot, author_email: bot@x}")
    flow = """
mode: mapreduce
map:
  input: [a, b]
  agent_template:
    - shell: echo > by-us-${item}
    - shell: echo > by-step-${item}; git add -A; git commit -qm step
"""
    run(world, flow)
    branch = world.events("job_started")[0]["session_branch"]
    commits = world.git("log", "--format=%an <%ae> %cn", f"main..{branch}").splitlines()
    assert len(commits) > 4
    assert set(commits) == {"Bot <bot@x> Ann"}


def test_git_makes_every_merge(world: World) -> None:
    flow = FLOW.replace('"true"', "echo > file-${item}")
    strategies = []
    for text in ("{}", "git: {force_cli: true}"):
        user(world, text)
        run(world, flow)
        merges = world.events("worktree_merged")
        strategies.append({merge["strategy"] for merge in merges[1:]})  # the first one needs no merge
    assert strategies == [{"merge-tree"}, {"git"}]


def test_variables_of_the_project(world: World) -> None:
    project(world, "project: {name: Shop, variables: {owner: ann}}")
    run(world, 'commands:\n  - shell: test "${project.name} ${owner} $(echo ${owner})" = "Shop ann ann"\n')


def test_progress(world: World) -> None:
    """How a run shows where it stands, unless the command line says it."""
    project(world, "ui: {progress: none}")
    assert "✅" not in run(world, FLOW)
    assert "✅" in run(world, FLOW, "--progress", "plain")


def test_retries_of_dead_letters(world: World) -> None:
    user(world, "dlq: {retry_parallel: 2, circuit: 3}")
    failing = FLOW.replace('"true"', '"false"')
    assert world.prodigy("run", world.workflow(failing), "--no-merge").returncode == 1
    world.prodigy("dlq", "retry", "latest", "--no-merge")
    [started] = world.events("dlq_retry_started")
    assert (started["max_parallel"], started["alike"]) == (2, 3)


def test_retries_have_a_parallelism_of_their_own(world: World) -> None:
    """However many agents the user's file lets a run have."""
    user(world, "dlq: {retry_parallel: 2}\nworktree: {max_parallel: 3}")
    failing = FLOW.replace('"true"', '"false"')
    assert world.prodigy("run", world.workflow(failing), "--no-merge").returncode == 1
    world.prodigy("dlq", "retry", "latest", "--no-merge")
    [started] = world.events("dlq_retry_started")
    assert (world.events("job_started")[0]["max_parallel"], started["max_parallel"]) == (3, 2)


# -- limits of time ------------------------------------------------------------------------------------------------------
def slow(tag: str) -> str:
    return f"python3 -c 'import time; time.sleep(600)' {tag}"


def test_a_step_that_says_no_time_has_the_configured_one(world: World, tag: str) -> None:
    user(world, "timeouts: {step: 3s}\nlimits: {grace: 100ms}")
    flow = f'commands: [{{shell: \'test "$PRODIGY_COMMAND_TIMEOUT" = 3\'}}, {{shell: "{slow(tag)}"}}]\n'
    done = world.prodigy("run", world.workflow(flow), "--no-merge")
    assert done.returncode == 1
    [failed] = world.events("step_failed")
    assert (failed["step"], failed["error"]["class"]) == ("2", "timeout")


def test_a_map_phase_has_the_configured_time(world: World, tag: str) -> None:
    """Its agents are ended; what was not begun waits for a resume."""
    user(world, "timeouts: {phase: 4s}\nlimits: {grace: 100ms}\nworktree: {max_parallel: 2}")
    flow = FLOW.replace('"true"', f'"{slow(tag)}"')
    done = world.prodigy("run", world.workflow(flow), "--no-merge")
    assert done.returncode == 1
    [failed] = world.events("phase_failed")
    assert (failed["phase"], failed["error"]["message"]) == ("map", "The map phase's time of 4 s was up")
    assert len(world.events("agent_started")) == 2


# -- what acts through workflows -----------------------------------------------------------------------------------------
def test_files_and_variables(world: World) -> None:
    """The project's file over the user's, the environment over both and over the workflow, flags over all of them."""
    user(world, "budget: {launches: 3, usd: 5}\nworktree: {max_parallel: 2}")
    project(world, "budget: {launches: 2}")
    assert dry(world) == ({"usd": 5, "launches": 2, "soft": 0.9}, 2)
    world.environ["PRODIGY__BUDGET__USD"] = "7"
    world.environ["PRODIGY__WORKTREE__MAX_PARALLEL"] = "4"
    assert dry(world) == ({"usd": 7, "launches": 2, "soft": 0.9}, 4)
    assert dry(world, "--budget", "usd=9", "--max-parallel", "1") == (
        {"usd": 9, "launches": 2, "soft": 0.9},
        1,
    )


def dry(world: World, *flags: str) -> tuple[object, object]:
    plan = world.json("run", world.workflow(FLOW), "--dry-run", *flags)
    return plan["budget"], plan["limits"]["max_parallel"]


def test_a_linked_worktree_has_the_configuration_of_the_main_one(world: World) -> None:
    project(world, "dlq: {circuit: 9}")
    linked = world.folder / "linked"
    world.git("worktree", "add", "--quiet", "--detach", str(linked))
    assert world.json("config", "show", "dlq.circuit", "--path", str(linked))["settings"] == {
        "dlq": {"circuit": 9}
    }


def test_bad_configuration_is_refused_before_anything_is_made(world: World) -> None:
    file = project(world, "budget:\n  usd: lots\nnonsense: 1\ntemplates: {dir: t}\n")
    done = world.prodigy("run", world.workflow(FLOW))
    assert done.returncode == 2
    assert done.stderr.count("error[wrong-type]") == 1
    assert f"{file}:2:8: error[wrong-type]: `budget.usd` is `lots`: expected a number" in done.stderr
    assert f"{file}:3:1: warning[unknown-key]: there is no setting `nonsense`" in done.stderr
    assert f"{file}:4:13: error[not-yet-supported]" in done.stderr
    error = world.json("run", world.workflow(FLOW))["error"]
    assert (error["code"], error["where"]) == ("config-invalid", f"{file}:2:8")
    assert not (world.home / "state").exists()


def test_an_unknown_key_is_told_and_the_run_goes_on(world: World) -> None:
    project(world, "nonsense: 1\n")
    assert "warning[unknown-key]: there is no setting `nonsense`" in run(world, FLOW)


# -- runs that are taken up ----------------------------------------------------------------------------------------------
ILL = """
commands:
  - shell: echo >> {log}; echo > first
  - shell: test -e {well} -a "$PRODIGY_COMMAND_TIMEOUT" = {limit}
"""


def test_a_run_goes_on_as_it_was_configured(world: World) -> None:
    """What is said otherwise by now is told, and recorded; only a reload takes it, and does nothing again."""
    log, well = world.folder / "log", world.folder / "well"
    user(world, "timeouts: {step: 60}\nui: {progress: plain}")
    flow = world.workflow(ILL.format(log=log, well=well, limit=60))
    assert world.prodigy("run", flow, "--no-merge").returncode == 1
    user(world, "timeouts: {step: 70}\nui: {progress: none}\nbudget: {usd: 3}")
    again = world.prodigy("resume", "--no-merge")
    assert again.returncode == 1
    assert "otherwise than when the run was begun: `budget.usd`, `timeouts.step`;" in again.stderr
    well.touch()
    reloaded = world.prodigy("resume", "--no-merge", "--reload")
    assert reloaded.returncode == 1, "the step wants the other limit"
    assert "otherwise than" not in reloaded.stderr
    user(world, "timeouts: {step: 60}")
    assert world.prodigy("resume", "--no-merge", "--reload").returncode == 0
    assert log.read_text() == "\n"
    assert [(one.get("settings"), one.get("settings_taken")) for one in world.events("job_resumed")] == [
        (["budget.usd", "timeouts.step"], None),
        (["budget.usd", "timeouts.step"], True),
        (["budget.usd", "timeouts.step"], True),
    ]
    budgets = [(one.get("budget") or {}).get("usd") for one in world.events("job_resumed")]
    assert budgets == [None, 3, None]


# -- verbs ---------------------------------------------------------------------------------------------------------------
def test_show_and_trace(world: World) -> None:
    file = user(world, "budget: {usd: 5}")
    world.environ["PRODIGY__BUDGET__USD"] = "7"
    assert world.prodigy("config", "show", "budget.usd").stdout == "budget.usd: 7\n"
    assert world.json("config", "show")["settings"]["dlq"] == {"retry_parallel": 5, "circuit": 5}
    [traced] = world.json("config", "trace")["settings"]
    assert (traced["key"], traced["value"], traced["source"]) == ("budget.usd", 7, "PRODIGY__BUDGET__USD")
    assert [said["source"] for said in traced["chain"]] == ["PRODIGY__BUDGET__USD", str(file), "default"]
    assert len(world.json("config", "trace", "--all")["settings"]) > 30


def test_trace_of_what_is_overridden_and_of_what_is_odd(world: World) -> None:
    """A diagnosis is made where other verbs stop, and names every place that was looked at."""
    own = user(world, "budget: {usd: 5, tokens: lots}\ndlq: {circuit: 9}")
    shared = project(world, "budget: {usd: 5}\nbugdet: {usd: 5}\ndlq: {circuit: 8}")
    world.environ["PRODIGY_TEST_MODE"] = "1"
    assert world.json("config", "trace", "--overrides")["error"]["code"] == "config-invalid"
    told = world.json("config", "trace", "--overrides", "--diagnose")
    assert [(one["key"], one["value"]) for one in told["settings"]] == [("dlq.circuit", 8)]
    diagnosis = told["diagnosis"]
    there = {one["source"]: one["found"] for one in diagnosis["sources"]}
    assert (there[str(own)], there[str(shared)], False in there.values()) == (True, True, True)
    assert [one["code"] for one in diagnosis["problems"]] == ["bad-size", "unknown-key"]
    assert [(one["oddity"], one["key"]) for one in diagnosis["findings"]] == [("said-twice", "budget.usd")]
    assert diagnosis["unread"] == ["PRODIGY_TEST_MODE"]
    said = world.prodigy("config", "trace", "--diagnose")
    assert said.returncode == 0
    for part in ("absent", "error[bad-size]", "said-twice  budget.usd", "PRODIGY_TEST_MODE"):
        assert part in said.stdout
    own.unlink()
    shared.unlink()
    del world.environ["PRODIGY_TEST_MODE"]
    assert "nothing is odd" in world.prodigy("config", "trace", "--diagnose").stdout
    assert world.json("config", "trace")["diagnosis"] is None


def test_validate(world: World) -> None:
    """An unknown key is an error there; one file can be looked at alone."""
    good, bad = user(world, "budget: {usd: 5}"), project(world, "bugdet: {usd: 5}")
    done = world.prodigy("config", "validate")
    assert done.returncode == 2
    assert f"{bad}:1:1: error[unknown-key]: there is no setting `bugdet`" in done.stdout
    files = world.json("config", "validate")["files"]
    assert [(file["path"], file["valid"]) for file in files] == [(str(good), True), (str(bad), False)]
    assert world.prodigy("config", "validate", str(good)).returncode == 0


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("config", "show", "bugdet"), "bad-value"),
        (("config", "trace", "templates.dir"), "bad-value"),
        (("config", "validate", "nowhere.yml"), "storage-denied"),
    ],
)
def test_bad_input(world: World, words: tuple[str, ...], code: str) -> None:
    assert world.json(*words)["error"]["code"] == code


def test_init_writes_one_to_begin_with(world: World) -> None:
    assert world.prodigy("init", "--config").returncode == 0
    assert (world.repository / ".prodigy/config.yml").is_file()
    assert world.json("config", "trace")["settings"] == []
    assert "unchanged    .prodigy/config.yml" in world.prodigy("init", "--config").stdout
