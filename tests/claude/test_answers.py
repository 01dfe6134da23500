"""What the CLI does when all goes well, or when the model, its tools or its limits say no."""

import json
from pathlib import Path
from typing import Any

import pytest
from fakes.messages_api import MessagesApi, Refusal, Reply, Request, Scenario, Tool, Usage, bash
from worlds import World


def steps(*prompts: str, **options: Any) -> str:
    """A plain workflow of Claude steps, the options for each of them."""
    return json.dumps([{"claude": prompt, **options} for prompt in prompts])


def outcome(world: World) -> dict[str, Any]:
    """How the last Claude step ended."""
    return [event for event in ended(world) if event["kind"] == "claude"][-1]


def ended(world: World) -> list[dict[str, Any]]:
    kinds = {"step_completed", "step_failed"}
    return [event for event in world.events() if event["event_type"] in kinds]


def test_a_text_is_the_output(world: World, api: MessagesApi) -> None:
    """What it says is what later steps read; what it cost is what the server charged."""
    api["hello"] = [Reply("Good morning.", usage=Usage(1234, 567, 8900, 1200))]
    flow = '[{"claude": "[[hello]]", "id": "greet"}, {"shell": "echo \\"${greet.output}\\" > said.txt"}]'
    done = world.prodigy("run", world.workflow(flow), "-y")
    assert done.returncode == 0, done.stderr
    assert (world.repository / "said.txt").read_text() == "Good morning.\n"
    [told] = [event["claude"] for event in ended(world) if event["kind"] == "claude"]
    assert told["cost_usd"] == pytest.approx(api.cost())
    tokens = [told[f"{name}_tokens"] for name in ("input", "output", "cache_read", "cache_creation")]
    assert tokens == [1234, 567, 8900, 1200]
    log = Path(told["json_log_location"])
    assert log.name == f"{told['session_id']}.jsonl"
    assert "Good morning." in log.read_text()
    home = world.environ["HOME"]
    assert f"Completed | Log: {str(log).replace(home, '~')}" in done.stderr


def test_tools_edit_and_commit_in_the_worktree(world: World, api: MessagesApi) -> None:
    """Its own commit and its uncommitted change both reach the target branch."""

    def write(request: Request) -> Reply:
        return Reply(
            "I write.", [Tool("Write", {"file_path": f"{request.folder}/note.txt", "content": "hi\n"})]
        )

    commit = Reply(tools=[bash("git add note.txt && git commit -q -m 'by claude' && echo more > left.txt")])
    api["edit"] = Scenario([write, commit, Reply("Done.")], by_turn=True)
    done = world.prodigy("run", world.workflow(steps("[[edit]]", commit_required=True)), "-y")
    assert done.returncode == 0, done.stderr
    assert (world.repository / "note.txt").read_text() == "hi\n"
    assert (world.repository / "left.txt").read_text() == "more\n"
    assert "by claude" in world.git("log", "--format=%s")
    assert world.leftovers() == []
    assert list((world.folder / "tmp").iterdir()) == [], "Claude's own files go as well"


def test_a_slash_command_of_the_repository(world: World, api: MessagesApi) -> None:
    """A prompt that is a command is expanded by the CLI."""
    api["polite"] = [lambda request: Reply(request.prompt)]
    world.write(".claude/commands/greet.md", "[[polite]] Greet $ARGUMENTS.\n")
    world.commit()
    done = world.prodigy("run", world.workflow(steps("/greet Ann")), "--no-merge")
    assert done.returncode == 0, done.stderr
    assert "Greet Ann." in outcome(world)["stdout"]["tail"]


def test_an_unknown_slash_command(world: World, api: MessagesApi) -> None:
    """It would be sent to the model as plain text: the step fails, and says what there is."""
    world.write(".claude/commands/greet.md", "Greet.\n")
    world.commit()
    world.write(".claude/commands/great.md", "Great.\n")
    done = world.prodigy("run", world.workflow(steps("/great Ann")), "--no-merge")
    assert done.returncode == 1
    assert "what is committed, and .claude/commands/great.md differs from that" in done.stderr
    error = outcome(world)["error"]
    assert error["class"] == "claude-error"
    assert error["message"] == "Claude knows no command `/great` here; did you mean `/greet`?"
    assert len(api.ledger) <= 1


def test_the_structured_value_is_captured(world: World, api: MessagesApi) -> None:
    api["grade"] = [Reply(tools=[Tool("StructuredOutput", {"score": 7})])]
    schema = {"type": "object", "properties": {"score": {"type": "integer"}}, "required": ["score"]}
    flow = json.dumps(
        [
            {"claude": "[[grade]]", "id": "grade", "claude_options": {"json_schema": schema}},
            {"shell": "echo ${grade.structured.score} > score.txt"},
        ]
    )
    done = world.prodigy("run", world.workflow(flow), "-y")
    assert done.returncode == 0, done.stderr
    assert (world.repository / "score.txt").read_text() == "7\n"


def test_a_value_that_is_never_given(world: World, api: MessagesApi) -> None:
    """The CLI exits with 0 all the same."""
    api["forgetful"] = [Reply("Here you are.")]
    options = {"json_schema": {"type": "object"}}
    done = world.prodigy("run", world.workflow(steps("[[forgetful]]", claude_options=options)), "--no-merge")
    assert done.returncode == 1
    assert outcome(world)["error"]["message"] == "Claude gave no value for `json_schema`"


def test_turns_are_limited(world: World, api: MessagesApi) -> None:
    api["loop"] = [Reply(tools=[bash("echo again")])]
    done = world.prodigy("run", world.workflow(steps("[[loop]]", max_turns=3)), "--no-merge")
    assert done.returncode == 1
    ended = outcome(world)
    assert ended["claude"]["terminal_reason"] == "max_turns"
    assert ended["claude"]["cost_usd"] == pytest.approx(api.cost())
    assert len(api.ledger) == 3


def test_money_is_limited(world: World, api: MessagesApi) -> None:
    """By the CLI, after the reply that goes beyond it."""
    api["dear"] = [Reply(tools=[bash("echo again")], usage=Usage(100_000, 10_000))]
    options = {"max_budget_usd": 1}
    done = world.prodigy("run", world.workflow(steps("[[dear]]", claude_options=options)), "--no-merge")
    assert done.returncode == 1
    assert outcome(world)["claude"]["terminal_reason"] == "budget_exhausted"
    assert outcome(world)["claude"]["cost_usd"] == pytest.approx(api.cost())
    assert len(api.ledger) == 2


def test_failed_tools_and_denied_ones_are_counted(world: World, api: MessagesApi) -> None:
    """Neither makes the step fail: whoever cares asks for proof."""
    api["clumsy"] = Scenario(
        [Reply(tools=[bash("exit 3")]), Reply(tools=[bash("touch /tmp/x && exit 4")]), Reply("Well.")],
        by_turn=True,
    )
    options = {"permission_mode": "dontAsk", "allowed_tools": ["Bash(exit *)"]}
    done = world.prodigy("run", world.workflow(steps("[[clumsy]]", claude_options=options)), "--no-merge")
    assert done.returncode == 0, done.stderr
    use = outcome(world)["claude"]
    assert (use["tool_failures"], use["permission_denials"]) == (1, 1)


def test_a_long_prompt(world: World, api: MessagesApi) -> None:
    """More than an argument can hold goes through standard input, whole."""
    api["long"] = [lambda request: Reply(f"{request.prompt.count('word')} words")]
    world.write("words.txt", "word " * 40_000)
    world.commit()
    flow = '[{"shell": "cat words.txt", "capture_output": "words"}, {"claude": "[[long]] ${words}"}]'
    done = world.prodigy("run", world.workflow(flow), "--no-merge")
    assert done.returncode == 0, done.stderr
    assert outcome(world)["stdout"]["tail"] == "40000 words"


def test_a_huge_output(world: World, api: MessagesApi) -> None:
    """Megabytes of stream are read through; what steps keep of them is bounded."""
    noise = "python3 -c 'print(\"x\" * 29000)'"
    api["loud"] = Scenario([*[Reply("y" * 200_000, [bash(noise)])] * 5, Reply("z" * 300_000)], by_turn=True)
    count = 'printf %s "${loud}" | wc -c > size.txt'
    flow = json.dumps([{"claude": "[[loud]]", "capture_output": "loud"}, {"shell": count}])
    done = world.prodigy("run", world.workflow(flow), "-y")
    assert done.returncode == 0, done.stderr
    assert (world.repository / "size.txt").read_text().strip() == "300000"
    assert len(outcome(world)["stdout"]["tail"]) == 64 * 1024


def test_print_mode(world: World, api: MessagesApi) -> None:
    world.environ["PRODIGY_CLAUDE_STREAMING"] = "false"
    done = world.prodigy("run", world.workflow(steps("hello")), "--no-merge")
    assert done.returncode == 0, done.stderr
    use = outcome(world)["claude"]
    assert use["cost_usd"] == pytest.approx(api.cost())
    assert Path(use["json_log_location"]).exists()


def test_what_goes_on_in_the_background_is_waited_for(world: World, api: MessagesApi) -> None:
    """Where the user lets Claude do that: the result after it counts, and nothing of it is left running."""
    world.environ["CLAUDE_CODE_DISABLE_BACKGROUND_TASKS"] = "0"
    gate = world.folder / "gate"
    wait = f"until test -e {gate}; do python3 -c 'import time; time.sleep(0.1)'; done; echo over > late.txt"

    def started(_: Request) -> Reply:
        gate.touch()
        return Reply("It has begun.")

    task = Reply("I begin.", [bash(wait, run_in_background=True)])
    api["slow"] = [task, started, Reply("It is over.")]
    done = world.prodigy("run", world.workflow(steps("[[slow]]")), "-y")
    assert done.returncode == 0, done.stderr
    ended = outcome(world)
    assert ended["stdout"]["tail"] == "It is over."
    assert ended["claude"]["cost_usd"] == pytest.approx(api.cost())
    assert (world.repository / "late.txt").read_text() == "over\n"


def test_another_model_in_the_place_of_one_that_is_not_there(world: World, api: MessagesApi) -> None:
    """It is the one that is paid for, at its own price."""
    api["other"] = [
        lambda asked: Refusal(404) if "opus" in asked.model else Reply(f"I am {asked.model}.")
    ] * 9
    options = {"model": "opus", "fallback_model": "sonnet"}
    done = world.prodigy(
        "run", world.workflow(steps("[[other]]", claude_options=options)), "--no-merge", "--json"
    )
    assert done.returncode == 0, done.stderr
    assert outcome(world)["stdout"]["tail"].startswith("I am claude-sonnet")
    [by_model] = json.loads(done.stdout)["cost"]["by_model"]
    assert by_model["model"].startswith("claude-sonnet")
    assert by_model["usd"] == pytest.approx(api.cost())


def test_further_arguments(world: World, api: MessagesApi) -> None:
    options = {"extra_args": ["--no-session-persistence"]}
    done = world.prodigy("run", world.workflow(steps("hello", claude_options=options)), "--no-merge")
    assert done.returncode == 0, done.stderr
    ended = outcome(world)
    assert ended["stdout"]["tail"] == "Hello."
    assert "json_log_location" not in ended["claude"]


def test_print_mode_tells_failures_too(world: World, api: MessagesApi) -> None:
    world.environ["PRODIGY_CLAUDE_STREAMING"] = "false"
    api["bad"] = [Refusal(400, "max_tokens: too large")]
    done = world.prodigy("run", world.workflow(steps("[[bad]]")), "--no-merge")
    assert done.returncode == 1
    ended = outcome(world)
    assert "max_tokens: too large" in ended["error"]["message"]
    assert Path(ended["claude"]["json_log_location"]).exists()
