"""Examples of the documentation do what is said about them, in real runs."""

import json
import re

import pytest
from pages import ROOT, all_blocks, code, tables
from running import EXAMPLES, read, run, script_claude
from worlds import World

COMPARED = re.compile(r"^(PRODIGY_\w+|SHELL_ATTEMPT|TEST_ATTEMPT|item_\w+|ARG(_\d+)?)$")


def test_the_workflow_of_the_readme(world: World) -> None:
    [block] = [block for block in all_blocks("yaml") if block.page == ROOT / "README.md"]
    world.write("$(touch pwned).py", "x = 1   \n")
    world.write("b.py", "x = (\n")
    world.commit()
    run(world, block)
    assert read(world, "$(touch pwned).py") == "x = 1\n"
    assert read(world, "TIDY.md") == "1 of 2 files are tidy\n"
    assert not (world.repository / "pwned").exists()


def test_first(world: World) -> None:
    run(world, EXAMPLES["first.yml"])
    assert read(world, "built.txt")


def test_headlines(world: World) -> None:
    """And what is said about commits: message, author, ids, and what is never committed."""
    run(world, EXAMPLES["headlines.yml"])
    assert read(world, "docs/two words.md") == "# two words.md\ntext\n"
    assert read(world, "HEADLINES.md") == "2 of 2 files have a headline\n"
    assert not (world.repository / "files.txt").exists()
    [message] = [
        text
        for text in world.git("log", "--format=%an%n%B%x00").split("\0")
        if "Item: docs/two words.md" in text
    ]
    author, subject, *body = message.strip().splitlines()
    assert (author, subject) == ("Ann", "headlines: add a headline")
    assert re.fullmatch(r"Prodigy-Item: docs-two-words\.md-[0-9a-f]{6}", body[-1])
    assert re.fullmatch(r"Prodigy-Job: mapreduce-\d{8}-\d{6}-\w{6}", body[-2])


def test_input(world: World) -> None:
    run(world, EXAMPLES["input.yml"])
    assert [event["item"] for event in world.events("item_selected")] == [{"path": "docs/b.md", "size": 400}]
    assert read(world, "docs/b.md") == "a long page\n"


def test_quoting(world: World) -> None:
    run(world, EXAMPLES["quoting.yml"])
    for index, text in enumerate(("$(touch pwned)", "two words", "it's")):
        assert read(world, f"out-{index}.txt") == f"{text}\n" * 3 + f"{text} costs $5\n"


def test_repair(world: World) -> None:
    """One round repairs; a step is tried at most ``1 + max_attempts`` times; a failure can be passed over."""
    run(world, EXAMPLES["repair.yml"])
    tries = [
        (event["step"], event.get("try", 1), event["event_type"])
        for event in world.events()
        if event["event_type"] in {"step_completed", "step_failed"} and event["kind"] == "shell"
    ]
    good, bad = "step_completed", "step_failed"
    handler = ("1.on_failure#1.1", 1, good)
    assert tries == [
        ("1", 1, bad),
        handler,
        ("1", 2, good),
        ("2", 1, bad),
        ("2", 2, bad),
        ("2", 3, good),
        ("3", 1, bad),
    ]


def test_phases(world: World) -> None:
    run(world, EXAMPLES["phases.yml"])
    today = world.events("phase_completed")[0]["variables"]["today"]
    assert read(world, "RELEASE.txt") == f"release 3 of {today}\n"


def test_parameters(world: World) -> None:
    run(world, EXAMPLES["parameters.yml"], "--param", "stage=test", "--param", "copies=3")
    assert read(world, "test-eu.txt") == "1\n2\n3\n"


@pytest.mark.parametrize("given", ["stage=other", "copies=0"])
def test_bad_parameters(world: World, given: str) -> None:
    done = world.prodigy("run", world.workflow(EXAMPLES["parameters.yml"].text), "--param", given)
    assert done.returncode == 2
    assert "error[parameter-" in done.stderr


def test_templates(world: World) -> None:
    run(world, EXAMPLES["templates.yml"])
    assert read(world, "greetings.txt") == "Hello, world!\nHello, workflow?\n"


def test_environment(world: World) -> None:
    run(world, EXAMPLES["environment.yml"], "--profile", "ci")
    greeting, cores, log = read(world, "seen.txt").strip().rsplit(", ", 2)
    assert (greeting, log) == ("tier dev, user nobody", "log error")
    assert re.fullmatch(r"\d+ cores", cores)
    [printed] = [
        event["stdout"]["tail"] for event in world.events("step_completed") if event["kind"] == "shell"
    ]
    assert printed == "the token is ***\n"


def test_policy(world: World) -> None:
    run(world, EXAMPLES["policy.yml"])
    assert read(world, "number-3.txt") == "3\n"


def test_shell(world: World) -> None:
    run(world, EXAMPLES["shell.yml"])
    assert read(world, "words.txt") == "one\ntwo words\n"
    assert read(world, "count.txt") == "2\n"


def test_claude(world: World) -> None:
    log = script_claude(
        world, {"say in one sentence": "/say a licence", "Write what": "/sh echo MIT > LICENSE"}
    )
    run(world, EXAMPLES["claude.yml"])
    assert read(world, "LICENSE") == "MIT\n"
    first, second = (json.loads(line) for line in log.read_text().splitlines())
    assert first["options"]["--allowed-tools"] == ["Read", "Grep"]
    assert second["prompt"].startswith("Write what is missing: a licence")


def test_foreach(world: World) -> None:
    run(world, EXAMPLES["foreach.yml"])
    assert read(world, "pages.txt") == "0 of 2, README.md\n1 of 2, docs/two words.md\n"
    assert read(world, "colours.txt") == "blue\ngreen\n"


def test_goal_seek(world: World) -> None:
    run(world, EXAMPLES["goal.yml"])
    assert read(world, "score.txt") == "30 points after 3 attempts\n"


def test_write_file(world: World) -> None:
    run(world, EXAMPLES["write.yml"])
    assert read(world, "reports/count.json") == '{\n  "files": 2,\n  "by": "workflow"\n}\n'


def test_validate(world: World) -> None:
    """One repair brings the page from 40 to 80 per cent."""
    run(world, EXAMPLES["validate.yml"])
    assert read(world, "page.md") == "draft\nnot yet, missing an ending\n"


def test_captures(world: World) -> None:
    run(world, EXAMPLES["capture.yml"])
    assert (world.repository / "dist/app-1.4.2.tar").exists()
    assert world.events("step_skipped") == []


def test_exit_codes(world: World) -> None:
    run(world, EXAMPLES["codes.yml"])
    assert read(world, "codes.txt") == "three\nfew\nsome\ngood\n"


def test_retry(world: World) -> None:
    run(world, EXAMPLES["retry.yml"])
    assert read(world, "page.txt") == "from the cache\n"
    assert [event["step"] for event in world.events("step_retrying")] == ["1", "2", "2"]


@pytest.mark.parametrize("name", ["aggregates.yml", "folds.yml"])
def test_values_of_many_agents(world: World, name: str) -> None:
    """Their own steps say what the values are."""
    run(world, EXAMPLES[name])
    assert [event["success_count"] for event in world.events("job_completed")] == [3]


def test_computed(world: World) -> None:
    run(world, EXAMPLES["computed.yml"])
    assert read(world, "about.txt") == "1.4.2 ann 3\n"


def test_expressions(world: World) -> None:
    run(world, EXAMPLES["expressions.yml"])
    assert [event["item"]["path"] for event in world.events("item_selected")] == ["src/b.py", "src/a.rs"]
    assert read(world, "core.txt") == "core\n"
    assert read(world, "large.txt") == "large\n"


def test_a_rehearsal(world: World) -> None:
    """Of the items one fails once, one hangs until its time is up, and one is done."""
    for name in ("src/legacy/old.py", "src/slow.py", "src/new.py"):
        (world.repository / name).parent.mkdir(parents=True, exist_ok=True)
        (world.repository / name).write_text("x = 1\n")
    world.git("add", "--all")
    world.git("commit", "--message", "sources")
    (world.folder / "play.yml").write_text(EXAMPLES["rehearsal: play.yml"].text)
    flow = {
        "map": {
            "input": {"list": ["src/legacy/old.py", "src/slow.py", "src/new.py"]},
            "agent_template": [
                {"shell": "case ${item} in *slow*) echo 3;; *) echo 600;; esac", "capture": "limit"},
                {"claude": "/prodigy-lint ${item}", "timeout": "${limit}"},
            ],
        }
    }
    words = ("--script", str(world.folder / "play.yml"))
    done = world.prodigy("run", world.workflow(json.dumps(flow)), "-y", *words)
    assert done.returncode == 0, done.stderr
    assert "1 done, 2 in DLQ" in done.stdout
    assert read(world, "src/new.py") == "x = 1\n# linted\n"
    again = world.prodigy("dlq", "retry", "latest", "-y", *words)
    assert "retried  1 done, 1 failed again (of 2)" in again.stdout
    assert read(world, "src/legacy/old.py") == "x = 1\n# linted\n"
    assert world.leftovers() == []


def test_every_titled_workflow_is_run() -> None:
    """Here or beside it: a title that names a file is a promise."""
    files = [ROOT / "tests/docs/test_run_blocks.py", ROOT / "tests/docs/test_run_tutorial.py"]
    tests = "".join(file.read_text() for file in files)
    for title in EXAMPLES:
        if title.endswith(".yml"):
            named = title.removeprefix("tutorial/").removesuffix(".yml")
            assert f'"{title}"' in tests or f'run_part(world, "{named}"' in tests, title


def test_the_environment_of_steps(world: World) -> None:
    """The table names every variable of ours that a step finds, and where."""
    (world.folder / "seen").mkdir()
    world.environ["SEEN"] = str(world.folder / "seen")

    def look(place: str) -> str:
        return f'env -0 | sort -z | tr "\\n\\0" " \\n" > "$SEEN/{place}"'

    again = f'{look("map$SHELL_ATTEMPT")}; test -n "$SHELL_ATTEMPT"'
    flow = {
        "setup": [{"shell": look("setup"), "timeout": "1m"}],
        "map": {"input": [1], "agent_template": [{"shell": again, "max_attempts": 2}]},
        "reduce": [
            {"shell": look("reduce")},
            {"shell": "false", "on_failure": {"shell": look("handler"), "fail_workflow": False}},
            {"shell": "echo > changed"},
            {
                "validate": {
                    "shell": f"{look('check')}; echo score 50; false",
                    "on_incomplete": {"shell": look("repair"), "max_attempts": 1, "fail_workflow": False},
                }
            },
        ],
        "merge": [{"shell": look("merge")}],
    }
    done = world.prodigy("run", world.workflow(json.dumps(flow), "flow.json"), "-y")
    assert done.returncode == 0, done.stderr
    rows = {code(row[0])[0]: row[1] for row in tables()["environment"]}
    everywhere = {"all steps", "all steps, with `-y`"}
    places = {
        "setup": {"steps with a `timeout`"},
        "map": {"agents"},
        "map2": {"agents", "steps that run again"},
        "reduce": {"after map"},
        "handler": {"after map", "handlers"},
        "check": {"after map", "checks"},
        "repair": {"after map", "repairs after a check"},
        "merge": {"after map", "merge"},
    }
    for file, known in places.items():
        names = {line.partition("=")[0] for line in (world.folder / "seen" / file).read_text().splitlines()}
        ours = {name for name in names if COMPARED.fullmatch(name)} - world.environ.keys()
        assert ours == {name for name, where in rows.items() if where in known | everywhere}, file
