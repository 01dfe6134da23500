"""Every option of a step, over fakes."""

from pathlib import Path
from typing import Any

import pytest
import trio
from notebook import Notebook
from stages import Tree, interpreter, run, shell
from trio.testing import MockClock

from prodigy.events import HandlerStarted, StepCompleted, StepFailed, StepIntended, StepRetrying, StepWarned
from prodigy.steps.interpreter import StepFailure
from prodigy.steps.variables import Variables
from prodigy.workflow.model import (
    Analyze,
    Backoff,
    Capture,
    CommitConfig,
    Deferred,
    Environment,
    EnvValue,
    EnvVar,
    ExitCodes,
    Expr,
    Handler,
    Limits,
    Local,
    OutputFile,
    Retry,
    RetryOn,
    Step,
    SubWorkflow,
    Text,
)


async def failing(*steps: Step, **options: Any) -> tuple[StepFailure, Notebook]:
    notebook = options.pop("notebook", None) or Notebook()
    with pytest.raises(StepFailure) as caught:
        await run(*steps, notebook=notebook, **options)
    return caught.value, notebook


# -- when ----------------------------------------------------------------------------------------------------------
async def test_a_step_whose_when_is_false_is_skipped_and_counts_as_success() -> None:
    skipped = shell("no", when=Expr("false"), id="maybe", captures=(Capture(name="out"),))
    notebook, tree = await run(skipped, shell("say ${maybe.success} ${out:-none}"))
    assert notebook.trace() == ["-1", "+2", "2"]
    assert tree._line(tree.ran[0]) == "say 'true' 'none'"


async def test_when_reads_what_earlier_steps_left() -> None:
    steps = (
        shell("say 7", captures=(Capture(name="n", format="number"),)),
        shell("yes", when=Expr("n > 5 and last.success")),
        shell("no", when=Expr("n > 7")),
    )
    notebook, _ = await run(*steps)
    assert notebook.trace() == ["+1", "1", "+2", "2", "-3"]


async def test_an_undefined_name_in_when_is_null() -> None:
    notebook, _ = await run(shell("x", when=Expr("is_null(nowhere)")))
    assert notebook.acted() == ["1"]


# -- values that are known late --------------------------------------------------------------------------------------
async def test_deferred_values_are_read_when_the_step_starts() -> None:
    timeout = Deferred(source="${limit}", kind="duration")
    _, tree = await run(
        shell("say 1m", captures=(Capture(name="limit"),)),
        shell("x", timeout=timeout, limits=Limits(memory=Deferred(source="2k", kind="size"))),
    )
    assert tree.orders[1].timeout == 60.0
    assert tree.orders[1].limits == Limits(memory=2000)
    assert tree.orders[1].env["PRODIGY_COMMAND_TIMEOUT"] == "60"


async def test_a_deferred_value_of_the_wrong_kind_fails_the_step_before_it_runs() -> None:
    step = shell("x", timeout=Deferred(source="${item.path}", kind="duration"))
    failure, notebook = await failing(step)
    assert failure.failure.error_class == "bad-value"
    assert "a b" in failure.failure.message
    assert notebook.trace() == ["+1", "!1"]


# -- retry -----------------------------------------------------------------------------------------------------------
async def test_a_failed_step_is_run_again_after_a_delay(autojump_clock: MockClock) -> None:
    began = trio.current_time()
    notebook, _ = await run(shell("flaky 3", retry=Retry(attempts=5)))
    assert notebook.trace() == ["+1", "!1", "~1/2", "+1/2", "!1/2", "~1/3", "+1/3", "1/3"]
    assert [event.backoff_ms for event in notebook.of(StepRetrying)] == [1000, 2000]
    assert trio.current_time() - began == 3.0


async def test_attempts_are_runs_at_most(autojump_clock: MockClock) -> None:
    _, notebook = await failing(shell("fail", retry=Retry(attempts=2)))
    assert notebook.acted() == ["1", "1/2"]


async def test_only_failures_of_a_kind_are_tried_again(autojump_clock: MockClock) -> None:
    network = Retry(retry_on=(RetryOn(kind="network"),))
    _, notebook = await failing(shell("fail with style", retry=network))
    assert notebook.acted() == ["1"]
    _, notebook = await failing(shell("fail connection refused", retry=network))
    assert notebook.acted() == ["1", "1/2", "1/3"]


async def test_an_undefined_variable_is_not_tried_again() -> None:
    _, notebook = await failing(shell("x ${item.none}", retry=Retry()))
    assert notebook.acted() == ["1"]


async def test_the_budget_counts_runs_and_delays(autojump_clock: MockClock) -> None:
    retry = Retry(attempts=9, backoff=Backoff(kind="fixed", initial=4.0), budget=10.0)
    tree = Tree(play=None)
    began = trio.current_time()
    _, notebook = await failing(shell("fail", retry=retry), tree=tree)
    assert notebook.acted() == ["1", "1/2", "1/3"]
    assert trio.current_time() - began == 8.0


async def test_retry_on_failure_continue_and_fallback(autojump_clock: MockClock) -> None:
    twice = Backoff(kind="fixed", initial=0.0)
    notebook, _ = await run(
        shell("fail", retry=Retry(attempts=2, backoff=twice, on_failure="continue")),
        shell(
            "fail", retry=Retry(attempts=1, on_failure="fallback", fallback=(shell("instead"),)), id="second"
        ),
        shell("say ${second.output}"),
    )
    assert notebook.trace()[:6] == ["+1", "!1", "~1/2", "+1/2", "!1/2", "?1"]
    assert "2.on_failure#1.1" in notebook.acted()


async def test_a_proof_has_its_own_retries(autojump_clock: MockClock) -> None:
    step = shell(
        "flaky 5", retry=Retry(attempts=2), on_failure=Handler(steps=(shell("try"),), max_attempts=2)
    )
    notebook, _ = await run(step)
    runs = [event.try_ for event in notebook.of(StepIntended) if event.step == "1"]
    assert runs == [1, 2, 3, 4, 5]
    assert notebook.acted().count("1.on_failure#1.1") == 1


async def test_a_resumed_run_does_not_wait_for_what_it_knows(autojump_clock: MockClock) -> None:
    step = shell("flaky 2", retry=Retry(backoff=Backoff(initial=3600.0, max_delay=None)))
    notebook, _ = await run(step)
    began = trio.current_time()
    again = Notebook()
    await interpreter(again, Tree(), notebook.outcomes()).run((step,))
    assert trio.current_time() == began
    assert again.acted() == []


# -- captures --------------------------------------------------------------------------------------------------------
async def test_what_the_shell_fills_in_is_shown_as_it_is_written() -> None:
    notebook = Notebook()
    script = "echo ${ready} ${SCORE:-none} ${x%.py} $1"
    await run(shell(script), notebook=notebook, roots={"ready": "yes"})
    [intent] = [event for event in notebook.events if isinstance(event, StepIntended) and event.step == "1"]
    assert intent.command == "echo yes ${SCORE:-none} ${x%.py} $1"


async def test_captures_are_recorded_and_readable() -> None:
    first = shell(
        "say '{\"a\": [1, 2]}'",
        id="j",
        captures=(
            Capture(name="data", format="json", fields=("exit_code", "success")),
            Capture(name="deep.er", source="json", argument="$.a[1]"),
        ),
    )
    notebook, tree = await run(
        first, shell("say ${data.a[0]} ${deep.er} ${data.exit_code} ${j.exit_code} ${CAPTURED_OUTPUT}")
    )
    outcome = notebook.of(StepCompleted)[0]
    assert outcome.captures["data"].value == {"a": [1, 2]}
    assert tree._line(tree.ran[1]).split()[1:5] == ["'1'", "'2'", "'0'", "'0'"]


async def test_a_capture_that_does_not_parse_fails_the_step() -> None:
    failure, notebook = await failing(shell("say words", captures=(Capture(name="n", format="number"),)))
    assert failure.failure.error_class == "capture-failed"
    assert "`n` could not be captured: 'words' is not a number" in failure.failure.message
    assert notebook.of(StepFailed)[0].stdout.tail == "words\n"


async def test_captures_of_a_failed_step_that_is_tolerated() -> None:
    captures = (
        Capture(name="code", source="exit_code"),
        Capture(name="ok", source="success"),
        Capture(name="n", format="number"),
    )
    step = shell("check", captures=captures, on_failure=Handler(max_attempts=0, fail_workflow=False))
    _, tree = await run(step, shell("say ${code} ${ok} [${n}]"))
    assert tree._line(tree.ran[-1]) == "say '7' 'false' ['']"


async def test_without_output_only_the_kind_forgets_it() -> None:
    _, tree = await run(
        shell("say hello", keep_output=False), shell("say ${shell.output:-none} ${last.output}")
    )
    assert tree._line(tree.ran[-1]) == "say 'none' 'hello'"


async def test_a_resumed_run_has_the_captures() -> None:
    steps = (shell("say 1", captures=(Capture(name="n"),)), shell("say ${n}"))
    notebook, _ = await run(*steps)
    known = {key: outcome for key, outcome in notebook.outcomes().items() if key == "1/1"}
    tree, again = Tree(), Notebook()
    await interpreter(again, tree, known).run(steps)
    assert again.acted() == ["2"]
    assert tree._line(tree.ran[0]) == "say '1'"


async def test_captures_of_handlers_are_those_of_their_last_step() -> None:
    handler = Handler(
        steps=(shell("say one"), shell("say two")), captures=(Capture(name="advice"),), fail_workflow=False
    )
    _, tree = await run(shell("fail", on_failure=handler), shell("say ${advice}"))
    assert tree._line(tree.ran[-1]) == "say 'two'"


# -- files -----------------------------------------------------------------------------------------------------------
async def test_output_file(tmp_path: Path) -> None:
    step = shell("say hello", output_file=Text("out/${item.path}.txt"))
    await run(step, tree=Tree(folder=tmp_path))
    assert (tmp_path / "out/a b.txt").read_text() == "hello\n"


async def test_output_file_of_a_failed_step(tmp_path: Path) -> None:
    await failing(shell("check", output_file=Text("log")), tree=Tree(folder=tmp_path))
    assert (tmp_path / "log").read_text() == "out\n"


@pytest.mark.parametrize("path", ["../out", "/nowhere/out", "link/out", ".git/config", "."])
async def test_output_file_stays_in_the_worktree(tmp_path: Path, path: str) -> None:
    folder = tmp_path / "tree"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path)
    failure, _ = await failing(shell("say x", output_file=Text(path)), tree=Tree(folder=folder))
    assert failure.failure.error_class == "bad-value"
    assert not (tmp_path / "out").exists()


async def test_outputs_name_the_newest_file_that_matches(tmp_path: Path) -> None:
    step = shell("write r.json", id="r", outputs=(OutputFile(name="report", pattern="*.json"),))
    notebook, tree = await run(step, shell("say ${r.report}"), tree=Tree(folder=tmp_path))
    assert notebook.of(StepCompleted)[0].outputs == {"report": "r.json"}
    assert tree._line(tree.ran[-1]) == "say 'r.json'"


async def test_outputs_that_nothing_matches_fail_the_step(tmp_path: Path) -> None:
    step = shell("write r.json", id="r", outputs=(OutputFile(name="report", pattern="*.xml"),))
    failure, _ = await failing(step, tree=Tree(folder=tmp_path))
    assert failure.failure.error_class == "capture-failed"


async def test_an_expected_output_that_is_missing_is_a_warning(tmp_path: Path) -> None:
    notebook, _ = await run(shell("x", expected_output=Text("gone")), tree=Tree(folder=tmp_path))
    assert [event.code for event in notebook.of(StepWarned)] == ["expected-output"]


async def test_working_dir(tmp_path: Path) -> None:
    (tmp_path / "a b").mkdir()
    _, tree = await run(shell("x", working_dir=Text("${item.path}")), tree=Tree(folder=tmp_path))
    assert tree.orders[0].cwd == tree.orders[0].env["PWD"] == str(tmp_path / "a b")
    failure, _ = await failing(shell("x", working_dir=Text("none")), tree=Tree(folder=tmp_path))
    assert failure.failure.error_class == "bad-value"


# -- environment -----------------------------------------------------------------------------------------------------
def layer(**values: str | EnvValue) -> Environment:
    variables = (
        EnvVar(name=name, values={"": value if isinstance(value, EnvValue) else EnvValue(text=value)})
        for name, value in values.items()
    )
    return Environment(variables=tuple(variables))


async def test_the_environment_of_a_step_is_its_own() -> None:
    _, tree = await run(shell("env A", environment=layer(A="1-${OLD}")), shell("env A"))
    assert tree.orders[0].env["A"] == "1-1"
    assert "A" not in tree.orders[1].env


async def test_chance_in_the_environment_around_is_recorded() -> None:
    inner = SubWorkflow(name="build", steps=(shell("env ONE"),), environment=layer(ONE="no. ${uuid}"))
    notebook, tree = await run(Step(action=inner))
    assert tree.orders[0].env["ONE"] == "no. uuid-1"
    assert [path for path in notebook.acted() if path.startswith("1.workflow.1.env.ONE.uuid-")]


async def test_clear_env_leaves_the_base_and_what_is_ours() -> None:
    _, tree = await run(shell("x", clear_env=True, environment=layer(A="1")))
    assert tree.orders[0].env.keys() >= {"HOME", "A", "PRODIGY_STEP"}
    assert "OLD" not in tree.orders[0].env


async def test_a_command_gives_a_value_once_per_try_and_it_is_recorded(autojump_clock: MockClock) -> None:
    step = shell(
        "flaky 2 ${NOW}", environment=layer(NOW=EnvValue(kind="command", text="say now")), retry=Retry()
    )
    tree = Tree(play=lambda line, _: "now\n" if line == "say now" else None)
    notebook, _ = await run(
        shell("x"), shell("env NOW", environment=step.environment, retry=Retry()), tree=tree
    )
    assert notebook.acted() == ["1", "2.env.NOW", "2"]
    assert tree.orders[-1].env["NOW"] == "now"


async def test_a_command_that_fails_fails_the_step() -> None:
    step = shell("x", environment=layer(NOW=EnvValue(kind="command", text="fail")))
    failure, notebook = await failing(step)
    assert "`NOW`" in failure.failure.message
    assert notebook.trace() == ["+1.env.NOW", "!1.env.NOW", "+1", "!1"]


# -- how it runs -----------------------------------------------------------------------------------------------------
async def test_the_shell_program() -> None:
    _, tree = await run(shell("x", shell_program="bash"))
    assert tree.orders[0].argv == ("bash", "-c", "x")


async def test_without_interpolation_the_text_is_untouched() -> None:
    _, tree = await run(shell("echo ${item.path} ${nowhere.at.all}", interpolate=False))
    assert tree.ran == ["echo ${item.path} ${nowhere.at.all}"]


async def test_grace_and_timeout_reach_the_command() -> None:
    _, tree = await run(shell("x", timeout=3.0, grace=0.5))
    assert (tree.orders[0].timeout, tree.orders[0].grace) == (3.0, 0.5)


async def test_a_detached_command_is_started_and_not_waited_for() -> None:
    notebook, tree = await run(shell("server", detach="agent"), shell("x"))
    assert [order.argv[-1] for order in tree.detached] == ["server"]
    assert tree.ran == ["x"]
    assert notebook.trace() == ["+1", "1", "+2", "2"]


async def test_a_resumed_run_starts_again_what_was_left_running() -> None:
    steps = (shell("server", detach="agent"), shell("x"))
    notebook, _ = await run(*steps)
    tree, again = Tree(), Notebook()
    await interpreter(again, tree, {"1/1": notebook.outcomes()["1/1"]}).run(steps)
    assert [order.argv[-1] for order in tree.detached] == ["server"]
    assert again.acted() == ["2"]


async def test_analyze_does_nothing_and_succeeds() -> None:
    notebook, tree = await run(Step(action=Analyze()))
    assert notebook.trace() == ["+1", "1"]
    assert tree.ran == []


async def test_tries_are_told_to_commands(autojump_clock: MockClock) -> None:
    _, tree = await run(shell("flaky 2", retry=Retry()))
    assert "SHELL_ATTEMPT" not in tree.orders[0].env
    assert (tree.orders[1].env["SHELL_ATTEMPT"], tree.orders[1].env["TEST_ATTEMPT"]) == ("2", "2")


# -- variables of one step -------------------------------------------------------------------------------------------
async def test_a_steps_own_variables_are_filled_in_as_it_begins_and_gone_after_it() -> None:
    own = (
        Local(name="who", text=Text("${who} and ${last.stdout}")),
        Local(name="all", text=Text("${list}")),
        Local(name="both", text=Text("<${who}>")),
        Local(name="plain", data=[1, "${who}"]),
    )
    steps = (
        shell("say one", captures=(Capture(name="who"),)),
        shell("say 2"),
        shell(
            "fail ${both} ${all[1]} ${plain[1]}",
            locals=own,
            when=Expr("length(all) == 2"),
            captures=(Capture(name="kept", source="exit_code"),),
            on_failure=Handler(steps=(shell("say ${both}"),), retry_original=False),
        ),
        shell("say ${who} ${all:-gone} ${kept}"),
    )
    _, tree = await run(*steps, roots={"list": [3, "four"]})
    assert [tree._line(script) for script in tree.ran[2:]] == [
        "fail '<one and 2>' 'four' '${who}'",
        "say '<one and 2>'",
        "say 'one' ${all:-gone} '1'",
    ]


def test_a_secret_is_one_under_another_name_too() -> None:
    """So that a script refers to it and never holds it, wherever the step's own lists stand."""
    variables = Variables({"text": "s3cret-value"}, environment={"TOKEN": "s3cret-value"}, secrets=["TOKEN"])
    variables.owned([
        Local(name="key", text=Text("${TOKEN}")),
        Local(name="again", text=Text("${key}")),
        Local(name="part", text=Text("x${TOKEN}")),
    ])  # fmt: skip
    for scope in (variables, variables.nested(), variables.inside({"item": 1})):
        assert [scope.secret((name,)) for name in ("key", "again", "part", "text")] == [
            "TOKEN",
            "TOKEN",
            None,
            None,
        ]
    assert variables.inside({"key": "mine"}).secret(("key",)) is None


async def test_a_variable_of_a_step_that_cannot_be_filled_in_fails_the_step() -> None:
    failure, notebook = await failing(shell("x", locals=(Local(name="a", text=Text("${nowhere}")),)))
    assert failure.failure.error_class == "undefined-variable"
    assert notebook.trace() == ["+1", "!1"]


# -- commits ---------------------------------------------------------------------------------------------------------
async def test_a_commit_as_the_workflow_wants_it() -> None:
    config = CommitConfig(
        message_template=Text("${step.name}: ${step.files_added}"),
        author="A <a@b>",
        sign=True,
        include_files=("*.py",),
        exclude_files=("x",),
    )
    _, tree = await run(shell("write f", name="step one", commit=config))
    ((message, wish),) = tree.committed
    assert message == "step one: f"
    assert (wish.author, wish.sign, wish.include, wish.exclude) == ("A <a@b>", True, ("*.py",), ("x",))
    assert wish.onto is None


async def test_a_message_that_does_not_match_fails_the_step() -> None:
    failure, _ = await failing(shell("write f", commit=CommitConfig(message_pattern="^fix:")))
    assert failure.failure.error_class == "commit-failed"


async def test_the_messages_of_its_own_commits_must_match_too() -> None:
    failure, _ = await failing(shell("commit", commit=CommitConfig(message_pattern="^(fix|did)")))
    assert "their own" in failure.failure.message


async def test_squash_makes_one_commit_of_all() -> None:
    _, tree = await run(shell("one"), shell("commit", commit=CommitConfig(squash=True)))
    assert [wish.onto for _, wish in tree.committed] == ["c0"]


# -- what git, the clock and chance tell -----------------------------------------------------------------------------
async def test_git_is_asked_only_if_a_text_refers_to_it() -> None:
    _, tree = await run(shell("write f", name="one"), shell("x ${step.name}", name="two"))
    assert tree.asked == []
    assert tree._line(tree.ran[-1]) == "x 'one'", "the step that finished last, not the one that runs"
    notebook, tree = await run(
        shell("write f", id="w"),
        shell("say ${step.files_added} ${w.commit_count} ${git.short_commit} ${workflow.files_changed}"),
    )
    assert sorted(tree.asked) == ["changes c0..", "changes c0..c0*", "changes c0..c0*", "standing"]
    assert tree._line(tree.ran[-1]) == "say 'made' '1' 'c0' 'made'"
    assert "2.asked" in notebook.acted()


async def test_answers_are_recorded_so_that_a_resumed_run_decides_alike() -> None:
    steps = (
        shell("write f"),
        shell("x", when=Expr("git.untracked_files == ['nothing']")),
        shell("y ${uuid}"),
    )
    notebook, _ = await run(*steps)
    again = Notebook()
    await interpreter(again, Tree(head="other", dirty=("nothing",)), notebook.outcomes()).run(steps)
    assert again.acted() == []
    assert "-2" in again.trace()


async def test_computed_values_are_made_once_per_try(autojump_clock: MockClock) -> None:
    def play(line: str, _order: object) -> str | None:
        return None if "uuid-1" in line else ""

    tree = Tree(play=play)
    step = shell("fail ${uuid} ${uuid} ${date:%Y-%m-%d}", retry=Retry(attempts=2))
    notebook, _ = await run(step, tree=tree)
    assert [tree._line(script) for script in tree.ran] == [
        "fail 'uuid-1' 'uuid-1' '2026-01-02'",
        "fail 'uuid-2' 'uuid-2' '2026-01-02'",
    ]
    assert notebook.acted() == ["1.asked", "1", "1.asked/2", "1/2"]


# -- on_exit_code, on_success ----------------------------------------------------------------------------------------
async def test_on_exit_code_runs_in_addition_and_repairs_nothing() -> None:
    on = (ExitCodes(ranges=((1, 9),), steps=(shell("say ${error.exit_code}"),)), ExitCodes(ranges=((0, 0),)))
    failure, notebook = await failing(shell("exit 3", on_exit_code=on))
    assert failure.failure.exit_code == 3
    assert notebook.trace() == ["+1", "!1", "HandlerStarted", "+1.on_exit_code.1", "1.on_exit_code.1", "HandlerCompleted"]  # fmt: skip
    assert notebook.of(HandlerStarted)[0].which == "on_exit_code"


async def test_on_exit_code_that_fails_fails_a_step_that_succeeded() -> None:
    on = (ExitCodes(ranges=((3, 3),), negated=True, steps=(shell("fail"),)),)
    failure, _ = await failing(shell("x", on_exit_code=on))
    assert failure.failure.step == "1.on_exit_code.1"
    failure, _ = await failing(shell("exit 4", on_exit_code=on))
    assert failure.failure.step == "1"


async def test_on_success_runs_after_success_only() -> None:
    notebook, tree = await run(shell("say a", on_success=(shell("say ${shell.output}"),)))
    assert notebook.acted() == ["1", "1.on_success.1"]
    assert tree._line(tree.ran[-1]) == "say 'a'"
    _, notebook = await failing(shell("fail", on_success=(shell("x"),)))
    assert notebook.acted() == ["1"]


async def test_a_failing_on_success_fails_the_step_and_is_not_repaired() -> None:
    step = shell("x", on_success=(shell("fail"),), on_failure=Handler(steps=(shell("try"),)))
    failure, notebook = await failing(step)
    assert failure.failure.step == "1.on_success.1"
    assert "1.on_failure#1.1" not in notebook.acted()


async def test_before_any_step_has_finished_nothing_is_changed() -> None:
    _, tree = await run(shell("say ${step.files_added}"))
    assert tree.asked == ["changes c0..c0"]
