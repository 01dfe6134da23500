"""Claude steps: what is launched, and that only a result that is no error is a success."""

import itertools
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from fakes.runner import FakeRunner
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from prodigy.events import ClaudeAnswered, ClaudeParked
from prodigy.steps.backend import Call, told
from prodigy.steps.claude import claude
from prodigy.steps.claude_cli import GO_ON, MAX_PROMPT, ClaudeCli
from prodigy.steps.claude_stream import ClaudeStream
from prodigy.steps.durable import Done, Leaf, LeafFailed
from prodigy.workflow.model import Claude, ClaudeOptions, Step, Text

FAKES = Path(__file__).parents[1] / "fakes"


class Desk(FakeRunner):
    """A runner whose PATH begins with the fake CLI."""

    given: dict[str, str]

    def environment(self, step: Step) -> dict[str, str]:
        return {
            **super().environment(step),
            "PATH": f"{FAKES}:{os.environ['PATH']}",
            "FAKE_CLAUDE_LOG": str(self.folder.parent / "launches"),
            "CLAUDE_CONFIG_DIR": str(self.folder.parent / "config"),
            **self.given,
        }

    def launches(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder.parent / "launches").read_text().splitlines()]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    (tmp_path / "tree").mkdir()
    made = Desk(tmp_path / "tree", roots={"who": "you $(x)"})
    made.given = {}
    return made


async def ask(desk: Desk, prompt: str, backend: ClaudeCli | None = None, **options: Any) -> Done:
    """The step within its leaf, as the interpreter runs it."""
    action = Claude(prompt)
    came: list[Done | LeafFailed] = []

    async def act(_intent: int) -> Done:
        try:
            done = await claude(desk, Step(action=action, **options), action, "1", 1, backend or ClaudeCli())
        except LeafFailed as failed:
            came.append(failed)
            raise
        came.append(done)
        return done

    await desk.door.durable("1", 1, Leaf(kind="claude"), act)
    [ended] = came
    if isinstance(ended, LeafFailed):
        raise ended
    return ended


async def failing(desk: Desk, prompt: str, **options: Any) -> LeafFailed:
    with pytest.raises(LeafFailed) as raised:
        await ask(desk, prompt, **options)
    return raised.value


async def test_a_launch_that_is_turned_away_goes_on_in_its_conversation(desk: Desk) -> None:
    """It fails nothing; what the whole conversation cost is not counted twice."""
    bucket = desk.folder.parent / "bucket"
    bucket.write_text(f"[1, {time.time()}]")
    done = await ask(desk, f"/replies 1 0.10\n/quota {bucket} 1 1\n/say done")
    assert done.stdout.tail == "done"
    first, *later = desk.launches()
    session = first["options"]["--session-id"]
    assert later
    assert {launch["options"].get("--resume") for launch in later} == {session}
    assert all(launch["prompt"] == GO_ON for launch in later)
    parked = desk.notebook.of(ClaudeParked)
    assert [event.reason for event in parked] == ["quota"] * len(later)
    assert parked[0].until is not None
    assert done.claude is not None
    costs = [event.claude.cost_usd for event in parked] + [done.claude.cost_usd]
    assert sum(costs) == pytest.approx(0.10)
    assert done.value["cost_usd"] == pytest.approx(0.10)
    assert desk.notebook.of(ClaudeAnswered)


async def test_the_answer_is_the_output(desk: Desk) -> None:
    """Prompt filled in, result's text as output, what it cost beside it."""
    done = await ask(desk, "hello ${who}\n/noise\n/say well done\n/cost 0.25")
    assert done.stdout.tail == "well done"
    assert done.texts is not None
    assert done.texts.stdout == "well done"
    assert done.claude is not None
    assert (done.claude.cost_usd, done.claude.turns, done.claude.model) == (0.25, 1, "fake-model")
    assert (done.claude.input_tokens, done.claude.output_tokens) == (10, 5)
    assert (done.claude.cache_read_tokens, done.claude.cache_creation_tokens) == (3, 2)
    launch = desk.launches()[0]
    assert launch["prompt"].startswith("hello you $(x)\n")
    assert launch["cwd"] == desk.worktree


async def test_it_works_in_the_worktree(desk: Desk) -> None:
    await ask(desk, "/sh echo hi > made")
    assert (desk.folder / "made").read_text() == "hi\n"


async def test_session_file(desk: Desk) -> None:
    """The CLI's own record is found by the session id, of failed launches too."""
    done = await ask(desk, "/say a")
    failed = await failing(desk, "/error no")
    for use in (done.claude, failed.done.claude):
        assert use is not None
        assert use.json_log_location is not None
        assert Path(use.json_log_location).name == f"{use.session_id}.jsonl"
        assert Path(use.json_log_location).is_file()
    assert done.value["json_log_location"] == done.claude.json_log_location  # type: ignore[union-attr]
    first, second = (launch["options"]["--session-id"] for launch in desk.launches())
    assert first != second


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("/error API Error: 529 overloaded", "Claude failed: API Error: 529 overloaded"),
        ("/error over\n/exit 0", "Claude failed: over"),
        ("/silent", "Claude ended without a result"),
        ("/exit 3\n/silent", "Claude gave no result: Exited with 3"),
    ],
)
async def test_failures(desk: Desk, prompt: str, message: str) -> None:
    """An error result, or none at all, whatever the exit code."""
    failed = await failing(desk, prompt)
    assert failed.failure.error_class == "claude-error"
    assert failed.failure.message == message


async def test_exit_code_of_a_good_result_is_not_asked(desk: Desk) -> None:
    assert (await ask(desk, "/say ok\n/exit 9")).stdout.tail == "ok"


async def test_the_last_result_decides(desk: Desk) -> None:
    assert (await ask(desk, "/first early\n/say late")).stdout.tail == "late"
    assert (await failing(desk, "/first early\n/error late")).failure.message == "Claude failed: late"


async def test_status_of_the_api_is_kept(desk: Desk) -> None:
    failed = await failing(desk, "/error broken\n/status 500")
    assert failed.done.claude is not None
    assert failed.done.claude.api_error_status == 500
    assert failed.done.stdout.tail == "broken"


async def test_start_up_errors_tell_what_the_cli_said(desk: Desk) -> None:
    failed = await failing(desk, "")
    assert failed.failure.message.startswith("Claude gave no result: Error: Input must be provided")


async def test_timeout_is_told_as_such(desk: Desk) -> None:
    failed = await failing(desk, "/hang", timeout=5.0)
    assert failed.failure.error_class == "timeout"
    assert failed.done.claude is not None
    assert failed.done.claude.model == "fake-model"


async def test_structured_values(desk: Desk) -> None:
    """Wanted ones are there or the step fails."""
    wanting = ClaudeOptions(json_schema={"type": "object"})
    done = await ask(desk, '/value {"a": [1]}', claude=wanting)
    assert done.value["structured"] == {"a": [1]}
    failed = await failing(desk, "/say nothing", claude=wanting)
    assert failed.failure.message == "Claude gave no value for `json_schema`"


async def test_print_mode(desk: Desk) -> None:
    """Without streaming the CLI prints its result alone, and its silence means nothing."""
    desk.given = {"PRODIGY_CLAUDE_STREAMING": "false"}
    done = await ask(desk, "/say quiet\n/cost 2", idle_timeout=0.001)
    assert done.stdout.tail == "quiet"
    assert done.claude is not None
    assert done.claude.cost_usd == 2
    assert desk.launches()[0]["options"]["--output-format"] == "json"
    assert (await failing(desk, "/error no")).failure.message == "Claude failed: no"


async def test_long_prompts_go_through_standard_input(desk: Desk) -> None:
    long = "x" * (MAX_PROMPT + 1)
    done = await ask(desk, f"{long}\n/say read")
    assert done.stdout.tail == "read"
    assert desk.launches()[0]["stdin"].startswith(long)


async def test_nul_in_a_prompt(desk: Desk) -> None:
    assert (await failing(desk, "a\0b")).failure.error_class == "bad-value"


async def test_undefined_variable(desk: Desk) -> None:
    assert (await failing(desk, "${nobody.x}")).failure.error_class == "undefined-variable"


async def test_texts_of_options_are_filled_in(desk: Desk) -> None:
    await ask(desk, "/say x", claude=ClaudeOptions(append_system_prompt=Text("serve ${who}")))
    assert desk.launches()[0]["options"]["--append-system-prompt"] == "serve you $(x)"


async def test_interpolation_can_be_off(desk: Desk) -> None:
    await ask(desk, "${who}", interpolate=False)
    assert desk.launches()[0]["prompt"] == "${who}"


def test_every_option_has_its_flag() -> None:
    """In the CLI's own spelling, the prompt behind `--`."""
    options = ClaudeOptions(
        model="sonnet",
        fallback_model="haiku",
        max_turns=3,
        max_budget_usd=0.5,
        effort="high",
        allowed_tools=("Bash(git *)", "Edit"),
        disallowed_tools=("Write",),
        tools=(),
        system_prompt=Text("S"),
        append_system_prompt=Text("A"),
        permission_mode="acceptEdits",
        json_schema={"type": "object"},
        add_dir=("/a", "/b"),
        mcp_config=("m.json",),
        strict_mcp_config=True,
        settings="s.json",
        setting_sources="user",
        agents={"r": {"prompt": "p"}},
        extra_args=("--bare",),
    )
    program = ClaudeCli(("npx", "claude")).program(
        Call(prompt="-x", session_id="ID", options=options, cap_usd=0.5)
    )
    assert program.argv == (
        "npx", "claude", "--print", "--output-format", "stream-json", "--verbose", "--include-partial-messages", "--session-id", "ID",
        "--permission-mode", "acceptEdits", "--model", "sonnet", "--fallback-model", "haiku", "--max-turns", "3",
        "--max-budget-usd", "0.5", "--effort", "high", "--system-prompt", "S", "--append-system-prompt", "A",
        "--json-schema", '{"type":"object"}', "--agents", '{"r":{"prompt":"p"}}', "--settings", "s.json",
        "--setting-sources", "user", "--tools", "", "--allowed-tools", "Bash(git *)", "Edit",
        "--disallowed-tools", "Write", "--add-dir", "/a", "/b", "--mcp-config", "m.json", "--strict-mcp-config",
        "--bare", "--", "-x",
    )  # fmt: skip


def test_permissions_are_skipped_unless_a_mode_is_given() -> None:
    assert "--dangerously-skip-permissions" in ClaudeCli().program(Call(prompt="x", session_id="ID")).argv


def test_environment_of_a_surrounding_session() -> None:
    """What makes a session known goes, what a user sets stays."""
    given = {
        "CLAUDECODE": "1", "CLAUDE_CODE_ENTRYPOINT": "cli", "CLAUDE_CODE_SSE_PORT": "1", "CLAUDE_PID": "7",
        "CLAUDE_CODE_SESSION_ID": "s", "CLAUDE_CODE_NEW_THING": "x",
        "CLAUDE_CODE_MAX_RETRIES": "2", "CLAUDE_CODE_OAUTH_TOKEN": "t", "CLAUDE_CODE_USE_BEDROCK": "1",
        "CLAUDE_CONFIG_DIR": "/c", "ANTHROPIC_API_KEY": "k", "PATH": "/bin",
    }  # fmt: skip
    program = ClaudeCli().program(Call(prompt="x", session_id="ID", environment=given))
    assert set(program.env) == {
        "CLAUDE_CODE_MAX_RETRIES", "CLAUDE_CODE_OAUTH_TOKEN", "CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CONFIG_DIR",
        "ANTHROPIC_API_KEY", "PATH", "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS", "CLAUDE_CODE_TMPDIR",
    }  # fmt: skip


def test_temporary_files_go_with_their_conversation(tmp_path: Path) -> None:
    """Where its user names the folder, it is the user's."""
    call = Call(prompt="x", session_id="ID", environment={"TMPDIR": str(tmp_path)})
    folder = Path(ClaudeCli().program(call).env["CLAUDE_CODE_TMPDIR"])
    assert folder.parent == tmp_path
    (folder / "deep").mkdir(parents=True)
    ClaudeCli().tidy(call)
    assert list(tmp_path.iterdir()) == []
    ClaudeCli().tidy(call)
    own = tmp_path / "own"
    own.mkdir()
    named = structs.replace(call, environment={"CLAUDE_CODE_TMPDIR": str(own)})
    assert ClaudeCli().program(named).env["CLAUDE_CODE_TMPDIR"] == str(own)
    ClaudeCli().tidy(named)
    assert own.is_dir()


STREAM = (
    b'{"type":"system","subtype":"init","model":"m","session_id":"s"}\n'
    b"warning: not an event\n"
    b'{"message":{"content":[{"type":"text","text":"\xc3\xa9"}]},"type":"assistant"}\n'
    b'{"is_error":false,"result":"caf\xc3\xa9","total_cost_usd":0.5,"num_turns":2,"session_id":"s",'
    b'"modelUsage":{"a":{"inputTokens":1,"outputTokens":2},"b":{"inputTokens":10,"outputTokens":20}},"type":"result"}'
)


@given(st.lists(st.integers(0, len(STREAM)), max_size=20))
def test_chunks_of_any_size(cuts: list[int]) -> None:
    """How a stream is cut into chunks makes no difference; its last line needs no end."""
    stream = ClaudeStream("s")
    places = [0, *sorted(cuts), len(STREAM)]
    for start, end in itertools.pairwise(places):
        stream.feed(STREAM[start:end])
    answer = stream.answer()
    assert answer is not None
    assert (answer.text, answer.is_error) == ("café", False)
    assert (answer.use.model, answer.use.input_tokens, answer.use.output_tokens) == ("m", 11, 22)


@given(
    st.lists(
        st.binary() | st.sampled_from([b"\n", b'{"type":', b'"result"', b"}", b'{"type":"result","usage":3}'])
    )
)
def test_any_bytes_are_survived(chunks: list[bytes]) -> None:
    """The reader never raises, and never takes for a success what does not say so."""
    stream = ClaudeStream("s")
    for chunk in chunks:
        stream.feed(chunk)
    answer = stream.answer()
    assert answer is None or answer.is_error


def test_a_log_that_ends_in_a_result(tmp_path: Path) -> None:
    """Only its last whole line tells that a launch had come to its end."""
    log = tmp_path / "01-claude.out"
    assert told(ClaudeStream("s", linger=60), log) is None
    result = b'{"type":"result","is_error":false,"result":"fine","total_cost_usd":0.5}\n'
    log.write_bytes(b'{"type":"system"}\n' + result)
    answer = told(ClaudeStream("s", linger=60), log)
    assert answer is not None
    assert (answer.text, answer.is_error, answer.use.cost_usd) == ("fine", False, 0.5)
    for after in (b'{"type":"system","subtype":"init"}\n', b'{"type":"sys'):
        log.write_bytes(result + after)
        assert told(ClaudeStream("s", linger=60), log) is None
    log.write_bytes(result[:-1])
    assert told(ClaudeStream("s", linger=60), log) is None


def test_errors_without_a_text() -> None:
    """Ends of other kinds say why in `errors`, or in their subtype."""
    stream = ClaudeStream("s")
    stream.feed(
        b'{"type":"result","subtype":"error_max_turns","is_error":true,"errors":["Reached 3 turns"]}\n'
    )
    assert stream.answer().text == "Reached 3 turns"  # type: ignore[union-attr]
    stream.feed(b'{"type":"result","subtype":"error_max_turns","is_error":true,"errors":[]}\n')
    assert stream.answer().text == "error_max_turns"  # type: ignore[union-attr]


INIT = b'{"type":"system","subtype":"init","model":"m","slash_commands":["greet","sub:deep"]}\n'


@pytest.mark.parametrize(
    ("prompt", "objection"),
    [
        ("/greet Ann", None),
        ("/sub:deep", None),
        ("/etc/hosts is odd", None),
        ("say /nope", None),
        ("/great Ann", "Claude knows no command `/great` here; did you mean `/greet`?"),
        (
            "/other\nthing",
            "Claude knows no command `/other` here; those of the repository have to be committed",
        ),
    ],
)
def test_commands_that_are_not_known(prompt: str, objection: str | None) -> None:
    """The launch is to be ended at once; what only looks like a command is none."""
    stream = ClaudeCli().reader(Call(prompt=prompt, session_id="s"))
    assert stream.feed(INIT) == (None if objection is None else 0)
    assert stream.objection == objection


def test_silence_after_a_result() -> None:
    """Only what follows a result is waited for no longer than the CLI may linger."""
    stream = ClaudeCli(linger=5).reader(Call(prompt="x", session_id="s"))
    assert stream.feed(INIT) is None
    assert stream.feed(b'{"type":"result","is_error":false,"result":"a"}\n') == 5
    assert stream.feed(INIT) is None, "it goes on in the background"
    assert stream.feed(b'{"type":"result","is_error":false,"result":"b"}\n') == 5


async def test_a_launch_that_does_not_end(desk: Desk) -> None:
    """It is ended after its result, which counts."""
    done = await ask(desk, "/first done\n/hang", ClaudeCli(linger=0.1))
    assert done.stdout.tail == "done"


def test_one_whose_work_was_put_aside_is_told_where() -> None:
    call = Call(prompt="do it", session_id="s", resumes=True, put_aside="refs/prodigy/rescue/j/i/1")
    assert "git checkout refs/prodigy/rescue/j/i/1 -- PATH" in ClaudeCli().program(call).argv[-1]
    kept = ClaudeCli().program(structs.replace(call, put_aside=None))
    assert kept.argv[-1] == GO_ON
