"""`goal_seek`: attempts, scores, and every way in which a search ends."""

from pathlib import Path
from typing import Any

import pytest
from fakes.runner import FakeRunner
from notebook import Cut, Notebook

from prodigy.events import GoalSeekAttempted, StepWarned
from prodigy.steps.durable import Done, LeafFailed
from prodigy.steps.goal_seek import goal_seek
from prodigy.workflow.model import Check, GoalSeek, Shell, Step, Text


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    folder.mkdir()
    return folder


def steps(*scripts: str) -> tuple[Step, ...]:
    return tuple(Step(action=Shell(script)) for script in scripts)


async def seek(runner: FakeRunner, attempt: str, check: str, **options: Any) -> Done:
    limits = {name: options.pop(name) for name in ("result_file",) if name in options}
    action = GoalSeek(
        goal=Text("be ${what}"), steps=steps(attempt), check=Check(steps=steps(check), **limits), **options
    )
    return await goal_seek(runner, Step(action=action), action, "2", 1)


def runner(tree: Path, notebook: Notebook | None = None, **options: Any) -> FakeRunner:
    return FakeRunner(tree, notebook, {"what": "good"}, **options)


async def failing(one: FakeRunner, attempt: str, check: str, **options: Any) -> LeafFailed:
    with pytest.raises(LeafFailed) as raised:
        await seek(one, attempt, check, **options)
    return raised.value


COUNT = "echo x >> tries; echo attempt $(wc -l < tries)"
TWENTY_EACH = "echo score: $(( $(wc -l < tries) * 20 ))"


async def test_until_good_enough(tree: Path) -> None:
    one = runner(tree)
    done = await seek(one, COUNT, TWENTY_EACH, threshold=60.0)
    assert done.value == {
        "goal": "be good", "score": 60, "attempts": 3, "status": "success", "threshold": 60.0, "max_attempts": 5,
    }  # fmt: skip
    assert done.stdout.tail == "attempt 3"
    assert one.notebook.intended() == [
        "2.goal_seek#1.1", "2.goal_seek#1.validate.1", "2.goal_seek#2.1", "2.goal_seek#2.validate.1",
        "2.goal_seek#3.1", "2.goal_seek#3.validate.1",
    ]  # fmt: skip


async def test_every_score_is_told(tree: Path) -> None:
    """That of what was there before the first attempt too."""
    (tree / "tries").write_text("")
    one = runner(tree)
    await seek(one, COUNT, TWENTY_EACH, threshold=40.0, check_first=True)
    told = one.notebook.of(GoalSeekAttempted)
    assert [(one.step, one.number, one.score, one.threshold) for one in told] == [
        ("2", 0, 0.0, 40.0),
        ("2", 1, 20.0, 40.0),
        ("2", 2, 40.0, 40.0),
    ]


async def test_attempts_used_up(tree: Path) -> None:
    failed = await failing(runner(tree), COUNT, TWENTY_EACH, max_attempts=2)
    assert failed.failure.error_class == "validation-failed"
    assert (
        failed.failure.message
        == "Goal `be good` reached 40 of 80 points after 2 attempts: no attempt was left"
    )
    assert (failed.done.value["status"], failed.done.value["score"]) == ("max_attempts", 40)


async def test_convergence(tree: Path) -> None:
    """Three scores within two points end the search, unless that is off."""
    failed = await failing(runner(tree), COUNT, "echo score: 50")
    assert (failed.done.value["status"], failed.done.value["attempts"]) == ("converged", 3)
    failed = await failing(runner(tree), COUNT, "echo score: 50", convergence=False)
    assert (failed.done.value["status"], failed.done.value["attempts"]) == ("max_attempts", 5)


async def test_the_last_attempt_is_the_end_whatever_the_scores(tree: Path) -> None:
    """Convergence ends a search earlier than its attempts do, and never instead of them."""
    failed = await failing(runner(tree), COUNT, "echo score: 50", max_attempts=3)
    assert (failed.done.value["status"], failed.done.value["attempts"]) == ("max_attempts", 3)


async def test_a_miss_can_be_allowed(tree: Path) -> None:
    notebook = Notebook()
    done = await seek(runner(tree, notebook), COUNT, "exit 1", max_attempts=1, fail_on_incomplete=False)
    assert (done.value["status"], done.value["score"]) == ("max_attempts", 0)
    [warned] = notebook.of(StepWarned)
    assert warned.message == "Goal `be good` reached 0 of 80 points after 1 attempt: no attempt was left"


async def test_a_failing_attempt_is_scored(tree: Path) -> None:
    done = await seek(runner(tree), "touch made; exit 1", "test -f made")
    assert (done.value["status"], done.value["attempts"]) == ("success", 1)
    failed = await failing(runner(tree), "exit 9", "false", max_attempts=1)
    assert failed.failure.message.endswith("the last attempt failed: Exited with 9")


async def test_a_failing_check_can_state_a_score(tree: Path) -> None:
    done = await seek(runner(tree), "true", "echo 85%; exit 1")
    assert done.value["score"] == 85


async def test_check_first(tree: Path) -> None:
    """Nothing is attempted where the goal is reached already."""
    one = runner(tree)
    done = await seek(one, "exit 1", "echo ok", check_first=True)
    assert (done.value["status"], done.value["attempts"]) == ("success", 0)
    assert one.notebook.intended() == ["2.goal_seek#0.validate.1"]
    one = runner(tree)
    done = await seek(one, "touch made", "test -f made", check_first=True)
    assert done.value["attempts"] == 1


async def test_feedback(tree: Path) -> None:
    """Texts and commands of a round see what the check before it said; in the first round that is nothing."""
    attempt = (
        "echo ${attempt}/${goal_seek.max_attempts} ${goal_seek.goal} was ${validation.completion} '${check.output}' "
        '"$PRODIGY_VALIDATION_SCORE" >> seen; echo x >> tries'
    )
    await seek(runner(tree), attempt, f"{TWENTY_EACH}; test $PRODIGY_VALIDATION = true", threshold=40.0)
    assert (tree / "seen").read_text() == "1/5 be good was 0  \n2/5 be good was 20 score: 20 20\n"


async def test_timeout_kills_the_attempt(tree: Path) -> None:
    failed = await failing(runner(tree), "touch begun; sleep 60; touch ended", "true", timeout=4.0)
    assert failed.done.value["status"] == "timeout"
    assert failed.failure.message == "Goal `be good` reached 0 of 80 points after 1 attempt: the time was up"
    assert (tree / "begun").exists()
    assert not (tree / "ended").exists()


async def test_result_file(tree: Path) -> None:
    done = await seek(
        runner(tree), "true", "echo 3%; echo '{\"score\": 91}' > r.json", result_file=Text("r.json")
    )
    assert done.value["score"] == 91


async def test_resumed_wherever_it_was_cut(tree: Path) -> None:
    whole = Notebook()
    await seek(runner(tree, whole), COUNT, TWENTY_EACH, threshold=60.0)
    for length in range(len(whole.events)):
        (tree / "tries").unlink(missing_ok=True)
        first, second = Notebook(lose_after=length), Notebook()
        with pytest.raises(Cut):
            await seek(runner(tree, first), COUNT, TWENTY_EACH, threshold=60.0)
        done = await seek(runner(tree, second, recorded=first.outcomes()), COUNT, TWENTY_EACH, threshold=60.0)
        assert done.value["status"] == "success"
        assert not set(first.outcomes()) & {f"{path}/1" for path in second.intended()}
