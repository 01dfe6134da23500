"""Commands in process slots: times, limits, logs, what is kept, and what may stay running."""

import math
import os
import signal
import sys
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from msgspec import structs
from notebook import Notebook
from stages import PLACE
from trio.testing import MockClock

from prodigy.events import StepDetached, StepSpawned
from prodigy.steps.commands import LeafPlace, Order, SlotCommands
from prodigy.steps.detached import LEFT, MARK
from prodigy.steps.durable import LeafFailed
from prodigy.steps.hidden import Hidden
from prodigy.steps.limits import Allowance
from prodigy.steps.slot_git import SlotGit
from prodigy.store.locks import holder
from prodigy.workflow.model import Limits, Until
from prodigy.workflow.standards import OUTPUT, PROCESSES
from supervisors import Limits as TreeLimits
from supervisors import Mark, ProcessIdentity, SlotPool, alive, open_slots, reap_left_overs
from supervisors.testing import OnTerm, Script, open_fake_slots

LEAF = LeafPlace(path="2.on_failure#1.1", try_=2, kind="shell", intent=5)
ENVIRONMENT = {"PATH": os.environ["PATH"]}


def order(script: str, **options: object) -> Order:
    return structs.replace(Order(argv=("sh", "-c", script), cwd="/", env=ENVIRONMENT), **options)


def commands(
    slots: SlotPool,
    logs: Path,
    *,
    limits: Limits | None = None,
    notebook: Notebook | None = None,
    secrets: Mapping[str, str] | None = None,
) -> SlotCommands:
    hidden = Hidden(secrets or {})
    return SlotCommands(slots, str(logs), 3.0, Allowance(limits), notebook or Notebook(), PLACE, hidden)


@asynccontextmanager
async def playing(script: Script) -> AsyncGenerator[SlotPool]:
    async with open_fake_slots(lambda _: script) as fake:
        yield fake


async def test_what_a_command_prints_is_logged_and_kept(tmp_path: Path) -> None:
    notebook = Notebook()
    async with open_slots() as slots:
        ran = await commands(slots, tmp_path, notebook=notebook).run(
            order("echo out; echo err >&2; exit 3", keep=100), LEAF
        )
    assert (ran.exit_code, ran.stdout.tail, ran.stderr.tail) == (3, "out\n", "err\n")
    assert ran.failure is not None
    assert (ran.failure.error_class, ran.failure.message) == ("command-failed", "Exited with 3: err")
    assert ran.texts is not None
    assert sorted(ran.texts.both.splitlines()) == ["err", "out"]
    assert (tmp_path / "02.h1.01-shell.t2.out").read_text() == "out\n"
    (spawned,) = notebook.of(StepSpawned)
    assert (spawned.intent, spawned.step, spawned.try_) == (5, "2.on_failure#1.1", 2)


async def test_through_one_pipe_everything_comes_in_the_order_in_which_it_was_written(tmp_path: Path) -> None:
    script = "i=0; while [ $i -lt 300 ]; do echo o$i; echo e$i >&2; i=$((i + 1)); done; exit 3"
    async with open_slots() as slots:
        ran = await commands(slots, tmp_path).run(order(script, keep=100_000, one_pipe=True), LEAF)
    written = "".join(f"o{number}\ne{number}\n" for number in range(300))
    assert ran.texts is not None
    assert (ran.texts.both, ran.stdout.tail, ran.stderr.tail) == (written, written, "")
    assert ran.failure is not None
    assert ran.failure.message == "Exited with 3: e299"
    assert (tmp_path / "02.h1.01-shell.t2.out").read_text() == written


async def test_more_than_may_be_kept_is_told(tmp_path: Path) -> None:
    async with open_slots() as slots:
        ran = await commands(slots, tmp_path).run(order("echo 12345678", keep=8), LEAF)
        assert ran.texts is not None
        assert ran.texts.cut
        ran = await commands(slots, tmp_path).run(order("echo 1234567", keep=8), LEAF)
        assert ran.texts is not None
        assert not ran.texts.cut


async def test_a_timeout_is_polite_first(tmp_path: Path, autojump_clock: MockClock) -> None:
    script = Script(lasts=math.inf, on_term=OnTerm.FINISH, farewell=b"bye\n")
    async with playing(script) as slots:
        began = trio.current_time()
        ran = await commands(slots, tmp_path).run(order("x", timeout=5.0), LEAF)
    assert trio.current_time() - began == 5.0
    assert ran.failure is not None
    assert (ran.failure.error_class, ran.failure.limit) == ("timeout", "5 s")
    assert ran.stdout.tail == "bye\n"


async def test_the_grace_is_the_steps_or_the_agents(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with playing(Script(lasts=math.inf, on_term=OnTerm.IGNORE)) as slots:
        for grace, took in ((None, 8.0), (1.0, 6.0)):
            began = trio.current_time()
            await commands(slots, tmp_path).run(order("x", timeout=5.0, grace=grace), LEAF)
            assert trio.current_time() - began == took


async def test_silence(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with playing(Script(stdout=b"start\n", lasts=math.inf)) as slots:
        ran = await commands(slots, tmp_path).run(order("x", idle=4.0), LEAF)
    assert ran.failure is not None
    assert (ran.failure.error_class, ran.failure.message) == ("timeout", "Silent for 4 s")


@pytest.mark.parametrize(
    ("limits", "script", "said"),
    [
        (Limits(output=10), "echo 123456789; echo 12; sleep 60", "output 13 B > 10 B"),
        (Limits(wall=0.2), "sleep 60", "wall "),
        (
            Limits(memory=40_000_000),
            f"exec {sys.executable} -c 'x = bytearray(10**8); import time; time.sleep(60)'",
            "memory ",
        ),
    ],
    ids=["output", "wall", "memory"],
)
async def test_a_limit_ends_a_command(tmp_path: Path, limits: Limits, script: str, said: str) -> None:
    async with open_slots(tick=0.05) as slots:
        ran = await commands(slots, tmp_path).run(order(script, limits=limits), LEAF)
    assert ran.failure is not None
    assert ran.failure.error_class == "limit-exceeded"
    assert ran.failure.message.startswith(said)
    assert ran.failure.limit == ran.failure.message


async def test_limits_of_the_attempt_count_over_its_commands(tmp_path: Path) -> None:
    async with open_slots() as slots:
        run = commands(slots, tmp_path, limits=Limits(output=12))
        assert (await run.run(order("echo 1234567"), LEAF)).failure is None
        ran = await run.run(order("echo 1234567; sleep 60"), LEAF)
        assert ran.failure is not None
        assert ran.failure.message == "output 8 B > 4 B"
        with pytest.raises(LeafFailed) as caught:
            await run.run(order("echo"), LEAF)
    assert caught.value.failure.error_class == "limit-exceeded"


def test_what_nobody_limits_has_bounds_of_its_own() -> None:
    """For each step; what an attempt at an item prints counts together, unless a step or the attempt says it."""
    step, attempt = Allowance(None), Allowance(None, attempt=True)
    said = Allowance(Limits(output=2 * OUTPUT, processes=2 * PROCESSES), attempt=True)
    for one in (step, attempt, said):
        one.spend(0.0, OUTPUT - 1)
    assert step.limits(None, None) == TreeLimits(processes=PROCESSES, output=OUTPUT)
    assert attempt.limits(None, None) == TreeLimits(processes=PROCESSES, output=1)
    assert said.limits(None, None) == TreeLimits(processes=2 * PROCESSES, output=OUTPUT + 1)
    attempt.spend(0.0, 1)
    with pytest.raises(LeafFailed, match="output 256 MiB > 256 MiB"):
        attempt.limits(None, None)
    own = Limits(processes=3, output=5 * OUTPUT)
    assert attempt.limits(own, None) == TreeLimits(processes=3, output=5 * OUTPUT)
    assert attempt.limits(None, None) == TreeLimits(processes=PROCESSES, output=OUTPUT)


def test_the_stream_of_claude_has_no_bound_but_one_that_is_said() -> None:
    """It grows with every letter, and little of it is written down; whoever works for hours is not ended by it."""
    attempt, said = Allowance(None, attempt=True), Allowance(Limits(output=OUTPUT), attempt=True)
    for one in (attempt, said):
        one.spend(0.0, OUTPUT - 5, excerpted=True)
    assert attempt.limits(None, None, excerpted=True) == TreeLimits(processes=PROCESSES)
    assert attempt.limits(None, None) == TreeLimits(processes=PROCESSES, output=OUTPUT)
    assert said.limits(None, None, excerpted=True) == TreeLimits(processes=PROCESSES, output=5)
    assert attempt.limits(Limits(output=7), None, excerpted=True).output == 7


async def test_a_detached_command_lives_until_the_block_ends(tmp_path: Path) -> None:
    notebook = Notebook()
    async with open_slots() as slots:
        run = commands(slots, tmp_path, notebook=notebook)
        async with run.open():
            await run.detach(order("echo here; sleep 1000 & wait"), LEAF, "agent")
            (spawned,) = notebook.of(StepDetached)
            assert Path(f"/proc/{spawned.pid}").exists()
            assert (await run.run(order(f"kill -0 {spawned.pid}"), LEAF)).failure is None
        assert not Path(f"/proc/{spawned.pid}").exists()


async def test_a_command_detached_until_the_runs_end_lives_as_long_as_its_worker(tmp_path: Path) -> None:
    """Agents come and go; what is running already is not started a second time."""
    script = f"echo $$ >> {tmp_path}/pids; echo here; exec sleep 1000"
    async with open_slots() as slots:
        for _ in range(2):
            notebook = Notebook()
            run = commands(slots, tmp_path / "logs", notebook=notebook)
            async with run.open():
                await run.detach(order(script), LEAF, "run")
            (left,) = notebook.of(StepDetached)
            assert (left.until, left.intent) == ("run", 5)
            assert is_alive(left)
            await until((tmp_path / "pids").exists)
        assert (tmp_path / "pids").read_text() == f"{left.pid}\n"
    assert not is_alive(left)
    async with open_slots() as slots:
        again = commands(slots, tmp_path / "logs", notebook=(notebook := Notebook()))
        async with again.open():
            await again.detach(order(script), LEAF, "run")
        assert notebook.of(StepDetached)[0].pid != left.pid, "it ended with its worker, and is wanted again"


async def test_a_command_detached_for_good_outlives_everybody(tmp_path: Path) -> None:
    """Its output still goes to its logs, masked; it is known again as long as it runs, and not started twice."""
    log = tmp_path / "logs" / "02.h1.01-shell.t2.out"
    os.mkfifo(tmp_path / "more")
    script = f"echo a hunter2-hunter2; cat {tmp_path}/more; echo end >&2"
    notebook = Notebook()
    async with open_slots() as slots:
        run = commands(slots, tmp_path / "logs", notebook=notebook, secrets={"TOKEN": "hunter2-hunter2"})
        async with run.open():
            await run.detach(order(script, env={**ENVIRONMENT, MARK: "job-7"}), LEAF, "forever")
    (left,) = notebook.of(StepDetached)
    assert is_alive(left)
    async with open_slots() as slots:
        again = commands(slots, tmp_path / "logs", notebook=notebook)
        async with again.open():
            await again.detach(order("echo no >> $HOME/no"), LEAF, "forever")
    assert notebook.of(StepDetached) == [left, left], "named once more, not started"
    assert await reap_left_overs((), Mark(MARK, "job-7", spared=LEFT), 0.0) == ()
    assert is_alive(left)
    async with await trio.open_file(tmp_path / "more", "w") as pipe:
        for text in ("hunter2-", "hunter2 b\n"):
            await pipe.write(text)
            await pipe.flush()
    await until(lambda: not is_alive(left))
    await until(lambda: log.read_text() == "a ***\n*** b\n")
    await until(lambda: log.with_suffix(".err").read_text() == "end\n")
    await until(lambda: holder(log.with_suffix(".running")) is None)


async def test_nothing_of_a_command_detached_for_good_descends_from_us(tmp_path: Path) -> None:
    notebook = Notebook()
    async with open_slots() as slots:
        run = commands(slots, tmp_path, notebook=notebook)
        async with run.open():
            await run.detach(order("exec sleep 1000"), LEAF, "forever")
        (left,) = notebook.of(StepDetached)
        above = {left.pid}
        pid = left.pid
        while (pid := parent_of(pid)) > 1:
            above.add(pid)
        assert os.getpid() not in above
        assert os.getsid(left.pid) == left.pid
        os.kill(left.pid, signal.SIGKILL)


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def is_alive(left: StepDetached) -> bool:
    return alive(ProcessIdentity(left.pid, left.start_time, left.boot_id))


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what strangers do; the limit is a bound of failure."""
    with trio.fail_after(120):
        while not condition():
            await trio.sleep(0.01)


@pytest.mark.parametrize("until", ["agent", "run", "forever"])
async def test_a_detached_command_that_does_not_start_fails_its_leaf(until: Until, tmp_path: Path) -> None:
    async with open_slots() as slots:
        run = commands(slots, tmp_path)
        async with run.open():
            with pytest.raises(LeafFailed) as caught:
                await run.detach(order("x", argv=("no-such-program",)), LEAF, until)
    assert caught.value.failure.error_class == "spawn-failed"


async def test_a_program_that_does_not_exist(tmp_path: Path) -> None:
    async with open_slots() as slots:
        with pytest.raises(LeafFailed) as caught:
            await commands(slots, tmp_path).run(order("x", argv=("no-such-program",)), LEAF)
    assert caught.value.failure.error_class == "spawn-failed"


async def test_a_long_script_goes_through_a_file(tmp_path: Path) -> None:
    script = f"# {'x' * 200_000}\necho done $0"
    async with open_slots() as slots:
        ran = await commands(slots, tmp_path).run(order(script), LEAF)
    assert ran.stdout.tail.startswith("done /")


async def test_secrets_are_masked_in_logs_and_kept_for_captures(tmp_path: Path) -> None:
    async with open_slots() as slots:
        run = commands(slots, tmp_path, secrets={"TOKEN": "hunter2-hunter2"})
        ran = await run.run(order("echo a hunter2-hunter2 b", keep=100), LEAF)
        private = await run.run(
            order("echo hunter3-hunter3", keep=100, private=True), structs.replace(LEAF, path="9")
        )
    assert ran.stdout.tail == "a *** b\n"
    assert ran.texts is not None
    assert ran.texts.stdout == "a hunter2-hunter2 b\n"
    assert private.texts is not None
    assert private.texts.stdout == "hunter3-hunter3\n"
    logged = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"hunter" not in logged


async def test_commands_run_side_by_side_each_in_a_slot(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    os.mkfifo(tmp_path / "pipe")
    async with open_slots() as slots, trio.open_nursery() as nursery:
        run = commands(slots, tmp_path)
        for path, script in (("1", "echo x > pipe"), ("2", "cat pipe > f")):
            leaf = LeafPlace(path=path, try_=1, kind="shell", intent=1)
            nursery.start_soon(run.run, order(script, cwd=str(tmp_path)), leaf)
    assert (tmp_path / "f").read_text() == "x\n"


async def test_git_runs_in_a_slot(tmp_path: Path) -> None:
    async with open_slots() as slots:
        done = await SlotGit(slots).run(["--version"], cwd=str(tmp_path), env=ENVIRONMENT)
    assert done.text.startswith("git version")
