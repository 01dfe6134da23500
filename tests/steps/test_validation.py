"""Checks: what their results are worth, and the loop of repair and check."""

import json
from pathlib import Path
from typing import Any

import pytest
from fakes.runner import FakeRunner
from hypothesis import given
from hypothesis import strategies as st
from notebook import Cut, Notebook

from prodigy.events import ValidationScored
from prodigy.steps.durable import Done, LeafFailed
from prodigy.steps.nested import MAX_VARIABLE, for_environment
from prodigy.steps.validation import feedback, validate
from prodigy.steps.verdicts import Verdict, verdict_of
from prodigy.workflow.model import Check, Claude, Incomplete, Shell, Step, Text


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    folder.mkdir()
    return folder


def steps(*scripts: str) -> tuple[Step, ...]:
    return tuple(Step(action=Shell(script)) for script in scripts)


def repair(*scripts: str, **options: Any) -> Incomplete:
    return Incomplete(steps=steps(*scripts), **options)


async def check(runner: FakeRunner, script: str, **options: Any) -> Done:
    action = Check(steps=steps(script), **options)
    return await validate(runner, Step(action=action), action, "4", 1)


async def failing(runner: FakeRunner, script: str, **options: Any) -> LeafFailed:
    with pytest.raises(LeafFailed) as raised:
        await check(runner, script, **options)
    return raised.value


# -- verdicts ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "exit_code", "completion", "status"),
    [
        ('{"completion_percentage": 40}', 0, 40, "incomplete"),
        ('{"completion_percentage": 100, "status": "complete"}', 0, 100, "complete"),
        ('{"completion_percentage": "95%", "status": "almost"}', 0, 95, "almost"),
        ('{"completion_percentage": 140}', 0, 100, "complete"),
        ('{"completion_percentage": 90}', 1, 0, "failed"),
        ('{"status": "complete"}', 0, 100, "complete"),
        ('{"status": "incomplete", "missing": ["a"]}', 0, 0, "incomplete"),
        ('I think:\n{"completion_percentage": 70}', 0, 70, "incomplete"),
        ('{"unrelated": true}', 0, 100, "complete"),
        ("fine", 0, 100, "complete"),
        ("score: 30", 0, 100, "complete"),
        ("broken", 2, 0, "failed"),
        ("", None, 0, "failed"),
    ],
)
def test_verdict(text: str, exit_code: int | None, completion: float, status: str) -> None:
    found = verdict_of(text, exit_code)
    assert (found.completion, found.status) == (completion, status)


def test_variables_of_a_verdict() -> None:
    text = '{"completion_percentage": 40.0, "missing": ["a", "b"], "implemented": ["c"], "gaps": {"g": {"d": 1}}}'
    assert verdict_of(text, 0).variables(2) == {
        "completion": 40, "completion_percentage": 40, "status": "incomplete", "missing": ["a", "b"], "missing_count": 2, "implemented": ["c"],
        "gaps": {"g": {"d": 1}}, "attempt_number": 2, "output": text,
    }  # fmt: skip


@given(st.text(), st.none() | st.integers(0, 255))
def test_every_text_has_a_verdict(text: str, exit_code: int | None) -> None:
    assert 0 <= verdict_of(text, exit_code).completion <= 100


@pytest.mark.parametrize(
    ("schema", "valid"),
    [
        ({"required": ["completion_percentage"]}, True),
        ('{"required": ["completion_percentage"]}', True),
        ({"required": ["gaps"]}, False),
        ({"properties": {"completion_percentage": {"type": "string"}}}, False),
        ({"type": 3}, False),
        ("{no json", False),
        ({"$ref": "http://127.0.0.1:1/schema.json"}, False),
    ],
)
def test_expected_schema(schema: Any, valid: bool) -> None:
    """A result that does not match is none, nothing is fetched, and an unusable schema is told."""
    found = verdict_of('{"completion_percentage": 80}', 0, schema)
    assert (found.completion, found.status) == ((80, "incomplete") if valid else (0, "invalid"))
    assert bool(found.missing) is not valid


def test_expected_schema_wants_json() -> None:
    assert verdict_of("fine", 0, {}).completion == 0


# -- the loop ------------------------------------------------------------------------------------------------------
async def test_enough_at_once(tree: Path) -> None:
    runner = FakeRunner(tree)
    done = await check(
        runner, "echo '{\"completion_percentage\": 95}'", threshold=90.0, on_incomplete=repair("exit 1")
    )
    assert done.value["completion"] == 95
    assert runner.notebook.intended() == ["4.validate#1.1"]


GROWING = 'echo "{\\"completion_percentage\\": $(cat s 2>/dev/null || echo 40), \\"gaps\\": {\\"g\\": {\\"d\\": 1}}}"'


async def test_repaired(tree: Path) -> None:
    """Check, repair with the gaps at hand, check."""
    runner = FakeRunner(tree)
    fix = repair(
        "echo 95 > s; echo '${validation.gaps}' ${validation.completion} > seen; echo \"$PRODIGY_VALIDATION_SCORE\" > env"
    )
    done = await check(runner, GROWING, threshold=90.0, on_incomplete=fix)
    assert done.value["completion"] == 95
    assert done.value["attempt_number"] == 2
    assert (tree / "seen").read_text() == '{"g":{"d":1}} 40\n'
    assert (tree / "env").read_text() == "40\n"
    assert runner.notebook.intended() == ["4.validate#1.1", "4.on_incomplete#1.1", "4.validate#2.1"]


async def test_every_check_is_told(tree: Path) -> None:
    one = FakeRunner(tree)
    script = """test -e done && echo '{"completion_percentage": 90}' || echo '{"completion_percentage": 30, "gaps": {"a": 1}}'"""
    await check(one, script, threshold=80.0, on_incomplete=repair("touch done"))
    told = one.notebook.of(ValidationScored)
    assert [(one.step, one.check, one.score, one.threshold, one.gaps) for one in told] == [
        ("4", 1, 30.0, 80.0, {"a": 1}),
        ("4", 2, 90.0, 80.0, None),
    ]


async def test_attempts_are_limited(tree: Path) -> None:
    runner = FakeRunner(tree)
    failed = await failing(runner, GROWING, on_incomplete=repair("true", max_attempts=3))
    assert failed.failure.error_class == "validation-failed"
    assert failed.failure.message == "Validation reached 40 % of 100 %"
    assert failed.done.value["completion"] == 40
    assert runner.notebook.rounds() == 3


async def test_missing_parts_are_named(tree: Path) -> None:
    result = json.dumps({"completion_percentage": 1, "missing": list("abcdefg")})
    failed = await failing(FakeRunner(tree), f"echo '{result}'")
    assert failed.failure.message == "Validation reached 1 % of 100 %; missing: a, b, c, d, e and 2 more"


@pytest.mark.parametrize("where", ["check", "repair"])
async def test_a_miss_can_be_allowed(tree: Path, where: str) -> None:
    options: dict[str, Any] = (
        {"fail_workflow": False}
        if where == "check"
        else {"on_incomplete": repair("true", fail_workflow=False)}
    )
    done = await check(FakeRunner(tree), "exit 1", **options)
    assert (done.value["completion"], done.value["status"]) == (0, "failed")


async def test_a_failing_repair_ends_its_round(tree: Path) -> None:
    """Without a check; the next round begins if one is left."""
    runner = FakeRunner(tree)
    failed = await failing(runner, "exit 1", on_incomplete=repair("exit 7", "true"))
    assert runner.notebook.intended() == ["4.validate#1.1", "4.on_incomplete#1.1", "4.on_incomplete#2.1"]
    assert failed.failure.message.endswith("the last repair failed: Exited with 7")


async def test_a_repair_can_have_to_commit(tree: Path) -> None:
    failed = await failing(
        FakeRunner(tree), "test -f commits", on_incomplete=repair("true", commit_required=True)
    )
    assert "had to leave a commit" in failed.failure.message
    done = await check(
        FakeRunner(tree), "test -f commits", on_incomplete=repair("echo c >> commits", commit_required=True)
    )
    assert done.value["completion"] == 100


async def test_checks_know_that_they_are(tree: Path) -> None:
    done = await check(FakeRunner(tree), 'test "$PRODIGY_VALIDATION" = true')
    assert done.value["completion"] == 100


async def test_timeout_of_a_check(tree: Path) -> None:
    """It is recorded, so that a resumed run knows it without waiting again."""
    runner = FakeRunner(tree)
    failed = await failing(runner, "sleep 60", timeout=0.2)
    assert "the check took longer than 0.2 s" in failed.failure.message
    again = FakeRunner(tree, recorded=runner.notebook.outcomes())
    assert (await failing(again, "sleep 60", timeout=0.2)).failure == failed.failure
    assert again.notebook.intended() == []


async def test_prompt_is_added_for_claude(tree: Path) -> None:
    """At the end of what each Claude step is told, and of nothing else."""
    told: list[str] = []

    class Listening(FakeRunner):
        async def run(self, steps: tuple[Step, ...], prefix: str) -> None:
            if "on_incomplete" in prefix:
                told.extend(self.text(step.text) for step in steps)
            else:
                await super().run(steps, prefix)

        def inside(self, *args: Any, **options: Any) -> FakeRunner:
            inner = super().inside(*args, **options)
            inner.__class__ = Listening
            return inner

    fix = Incomplete(
        steps=(Step(action=Claude("/fix")), *steps("make")),
        prompt=Text("Only ${validation.missing_count} left."),
        max_attempts=1,
    )
    result = json.dumps({"completion_percentage": 1, "missing": ["a"]})
    await failing(Listening(tree), f"echo '{result}'", on_incomplete=fix)
    assert told == ["/fix\n\nOnly 1 left.", "make"]


# -- result files --------------------------------------------------------------------------------------------------
RESULT = Text("${name}.json")


async def test_result_file(tree: Path) -> None:
    runner = FakeRunner(tree, roots={"name": "r"})
    done = await check(
        runner,
        "echo 'not the result'; echo '{\"completion_percentage\": 80}' > r.json",
        threshold=80.0,
        result_file=RESULT,
    )
    assert done.value["completion"] == 80


async def test_a_result_file_that_the_check_did_not_write(tree: Path) -> None:
    """Is no result, be it old or missing."""
    (tree / "r.json").write_text('{"completion_percentage": 100}')
    for name in ("r", "none"):
        failed = await failing(FakeRunner(tree, roots={"name": name}), "true", result_file=RESULT)
        assert failed.done.value["completion"] == 0
        assert f"the check did not write {name}.json" in failed.failure.message


async def test_a_result_file_written_anew_with_the_same_text(tree: Path) -> None:
    (tree / "r.json").write_text('{"completion_percentage": 100}')
    done = await check(FakeRunner(tree, roots={"name": "r"}), "cp r.json t; mv t r.json", result_file=RESULT)
    assert done.value["completion"] == 100


async def test_resumed_wherever_it_was_cut(tree: Path) -> None:
    """The same verdict although the file has changed since, and no step runs twice."""
    script = "echo '{\"completion_percentage\": '$(cat s 2>/dev/null || echo 40)'}' > r.json"
    options: dict[str, Any] = {
        "threshold": 90.0,
        "result_file": RESULT,
        "on_incomplete": repair("echo 95 > s"),
    }
    whole = Notebook()
    await check(FakeRunner(tree, whole, {"name": "r"}), script, **options)
    assert whole.intended() == [
        "4.validate#1.before", "4.validate#1.1", "4.validate#1.result", "4.on_incomplete#1.1",
        "4.validate#2.before", "4.validate#2.1", "4.validate#2.result",
    ]  # fmt: skip
    for length in range(len(whole.events)):
        for file in tree.iterdir():
            file.unlink()
        first, second = Notebook(lose_after=length), Notebook()
        with pytest.raises(Cut):
            await check(FakeRunner(tree, first, {"name": "r"}), script, **options)
        runner = FakeRunner(tree, second, {"name": "r"}, recorded=first.outcomes())
        done = await check(runner, script, **options)
        assert done.value["completion"] == 95
        assert not set(first.outcomes()) & {f"{path}/1" for path in second.intended()}


# -- the environment -----------------------------------------------------------------------------------------------
def test_feedback() -> None:
    verdict = Verdict(completion=62.5, status="x", gaps={"a": 1}, output="said")
    assert feedback(verdict) == {
        "PRODIGY_VALIDATION_SCORE": "62.5",
        "PRODIGY_VALIDATION_OUTPUT": "said",
        "PRODIGY_VALIDATION_GAPS": '{"a":1}',
    }


@given(st.text(), st.integers(1, 5))
def test_texts_for_the_environment(text: str, times: int) -> None:
    """Whole if they fit, else cut at a line's end with a mark; never with a NUL, never too long."""
    long = text * (times * 20_000)
    passed = for_environment(long)
    assert "\0" not in passed
    assert len(passed.encode()) <= MAX_VARIABLE
    clean = long.replace("\0", "").encode("utf-8", "replace")
    assert passed.encode() == clean or passed.splitlines()[-1] == f"[cut: {len(clean)} bytes in all]"


def test_cut_at_the_end_of_a_line() -> None:
    lines = "".join(f"line {number:06}\n" for number in range(10_000))
    *kept, mark = for_environment(lines).split("\n")
    assert mark.startswith("[cut: ")
    assert kept == lines.split("\n")[: len(kept)]
