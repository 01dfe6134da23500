"""One incarnation: started, messages, stopped; and the budget for its end."""

import math

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from supervisors._actor import Actor
from supervisors._child import ChildSpec
from supervisors._mailbox import Mailbox
from supervisors._supervisor import Supervisor
from supervisors._tree import open_supervisor
from supervisors.errors import ActorStopped, RestartIntensityExceeded
from supervisors.signals import ChildStuck, Crashed, Finished, Killed, Reason, State, Stopped
from supervisors.specs import Intensity, Overflow, Restart
from supervisors.testing import EventLog, open_actor


class Diary(Actor[str]):
    """Writes down what it lives through; some messages make it do things."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines

    async def started(self) -> None:
        self.lines.append("started")

    async def handle(self, message: str) -> None:
        self.lines.append(message)
        match message:
            case "crash":
                raise ValueError("crash")
            case "finish":
                self.finish()
            case "sleep":
                await trio.sleep(2)
                self.lines.append("slept")
            case "sleep forever":
                await trio.sleep_forever()

    async def stopped(self, reason: Reason) -> None:
        self.lines.append(type(reason).__name__)


def diary(lines: list[str], *, shutdown: float | None = None, drain: bool = False) -> ChildSpec[str]:
    return ChildSpec("diary", lambda: Diary(lines), restart=Restart.TEMPORARY, shutdown=shutdown, drain=drain)


async def test_an_orderly_life() -> None:
    lines: list[str] = []
    async with open_supervisor(Supervisor([spec := diary(lines)])):
        await spec.ref.tell("hello")
        await wait_all_tasks_blocked()
    assert lines == ["started", "hello", "Stopped"]


async def test_stopped_runs_after_a_crash() -> None:
    lines: list[str] = []
    async with open_supervisor(Supervisor([spec := diary(lines)])):
        await spec.ref.tell("crash")
        down = await spec.ref.wait_stopped()
    assert lines == ["started", "crash", "Crashed"]
    assert str(down.reason) == "ValueError: crash"


async def test_finish_ends_after_the_message_in_hand() -> None:
    lines: list[str] = []
    async with open_supervisor(Supervisor([spec := diary(lines)])):
        spec.ref.tell_nowait("finish")
        spec.ref.tell_nowait("never read")
        assert (await spec.ref.wait_stopped()).reason == Finished()
    assert lines == ["started", "finish", "Finished"]


async def test_a_stop_lets_the_message_in_hand_end_and_no_more(autojump_clock: MockClock) -> None:
    """What is queued behind it is not handled."""
    lines: list[str] = []
    async with open_supervisor(Supervisor([spec := diary(lines)])):
        spec.ref.tell_nowait("sleep")
        spec.ref.tell_nowait("queued")
        await wait_all_tasks_blocked()
    assert lines == ["started", "sleep", "slept", "Stopped"]


async def test_drain_handles_what_is_queued_first(autojump_clock: MockClock) -> None:
    lines: list[str] = []
    async with open_supervisor(Supervisor([spec := diary(lines, drain=True)])):
        spec.ref.tell_nowait("sleep")
        spec.ref.tell_nowait("queued")
        await wait_all_tasks_blocked()
    assert lines == ["started", "sleep", "slept", "queued", "Stopped"]


async def test_an_overrun_budget_is_a_kill(autojump_clock: MockClock) -> None:
    """The actor is cancelled exactly then, and `stopped` does not run."""
    lines: list[str] = []
    async with open_supervisor(Supervisor([spec := diary(lines, shutdown=7)])):
        spec.ref.tell_nowait("sleep forever")
        await wait_all_tasks_blocked()
        begin = trio.current_time()
    assert trio.current_time() - begin == pytest.approx(7)
    assert lines == ["started", "sleep forever"]
    assert (await spec.ref.wait_stopped()).reason == Killed()


async def test_a_budget_of_zero_kills_at_once(autojump_clock: MockClock) -> None:
    lines: list[str] = []
    async with open_supervisor(Supervisor([spec := diary(lines, shutdown=0)])):
        await wait_all_tasks_blocked()
    assert lines == ["started"]
    assert (await spec.ref.wait_stopped()).reason == Killed()


async def test_a_budget_of_zero_gives_no_step_more(autojump_clock: MockClock) -> None:
    """The loop over the mailbox is cancelled, not ended: what stands after it is not begun."""

    class Flushing(Diary):
        async def run(self, mailbox: Mailbox[str]) -> None:
            await super().run(mailbox)
            self.lines.append("flushing")

    lines: list[str] = []
    spec = ChildSpec("flushing", lambda: Flushing(lines), shutdown=0)
    async with open_supervisor(Supervisor([spec])):
        await wait_all_tasks_blocked()
    assert lines == ["started"]


async def test_the_default_budget_is_the_class_s(autojump_clock: MockClock) -> None:
    """Five seconds unless the class says something else."""

    class Patient(Diary):
        shutdown = 60.0

    for start, seconds in ((Diary, 5), (Patient, 60)):
        spec = ChildSpec("diary", lambda start=start: start([]))  # type: ignore[misc]
        async with open_supervisor(Supervisor([spec])):
            spec.ref.tell_nowait("sleep forever")
            await wait_all_tasks_blocked()
            begin = trio.current_time()
        assert trio.current_time() - begin == pytest.approx(seconds)


async def test_an_endless_budget_waits(autojump_clock: MockClock) -> None:
    lines: list[str] = []

    class Late(Diary):
        async def stopped(self, reason: Reason) -> None:
            await trio.sleep(80_000)
            await super().stopped(reason)

    async with open_supervisor(Supervisor([ChildSpec("late", lambda: Late(lines), shutdown=math.inf)])):
        pass
    assert lines == ["started", "Stopped"]


async def test_message_and_clean_up_share_the_budget(autojump_clock: MockClock) -> None:
    """Two seconds of the three are gone when `stopped` begins."""

    class Slow(Diary):
        async def stopped(self, reason: Reason) -> None:
            await trio.sleep(2)
            await super().stopped(reason)

    lines: list[str] = []
    async with open_supervisor(Supervisor([spec := ChildSpec("slow", lambda: Slow(lines), shutdown=3)])):
        spec.ref.tell_nowait("sleep")
        await wait_all_tasks_blocked()
        begin = trio.current_time()
    assert trio.current_time() - begin == pytest.approx(3)
    assert lines == ["started", "sleep", "slept"]
    assert (await spec.ref.wait_stopped()).reason == Killed()


async def test_clean_up_after_a_crash_has_a_budget_too(autojump_clock: MockClock) -> None:
    """When it is used up the actor still counts as crashed, not as killed."""

    class Hanging(Diary):
        async def stopped(self, reason: Reason) -> None:
            await trio.sleep_forever()

    spec = ChildSpec("hanging", lambda: Hanging([]), restart=Restart.TEMPORARY, shutdown=4)
    async with open_supervisor(Supervisor([spec])):
        begin = trio.current_time()
        await spec.ref.tell("crash")
        down = await spec.ref.wait_stopped()
    assert trio.current_time() - begin == pytest.approx(4)
    assert isinstance(down.reason, Crashed)


async def test_a_stop_does_not_prolong_a_clean_up(autojump_clock: MockClock) -> None:
    """The budget that the crash began goes on."""

    class Hanging(Diary):
        async def stopped(self, reason: Reason) -> None:
            await trio.sleep_forever()

    spec = ChildSpec("hanging", lambda: Hanging([]), shutdown=4)
    async with open_supervisor(Supervisor([spec])):
        await spec.ref.tell("crash")
        await wait_all_tasks_blocked()
        crashed = trio.current_time()
        await trio.sleep(3)
    assert trio.current_time() - crashed == pytest.approx(4)


async def test_a_crash_in_the_clean_up(autojump_clock: MockClock) -> None:
    """After an orderly end it is the reason; after a crash the first error stays, with a note."""

    class Clumsy(Diary):
        async def stopped(self, reason: Reason) -> None:
            raise RuntimeError("clumsy")

    for message, text in (("finish", "RuntimeError: clumsy"), ("crash", "ValueError: crash")):
        spec = ChildSpec("clumsy", lambda: Clumsy([]), restart=Restart.TEMPORARY)
        async with open_supervisor(Supervisor([spec])):
            await spec.ref.tell(message)
            reason = (await spec.ref.wait_stopped()).reason
        assert isinstance(reason, Crashed)
        assert str(reason) == text
        if message == "crash":
            assert reason.error.__notes__ == ["its clean-up failed too: RuntimeError: clumsy"]


async def test_an_exception_group_is_kept_whole() -> None:
    class Split(Actor[str]):
        async def run(self, mailbox: Mailbox[str]) -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.fail, "one")
                nursery.start_soon(self.fail, "two")

        async def fail(self, text: str) -> None:
            raise ValueError(text)

    with pytest.raises(RestartIntensityExceeded) as caught:
        async with open_actor(Split):
            await trio.sleep_forever()
    assert isinstance(caught.value.__cause__, ExceptionGroup)
    assert {str(error) for error in caught.value.__cause__.exceptions} == {"one", "two"}


async def test_cancellation_is_never_a_crash(autojump_clock: MockClock) -> None:
    """An actor with tasks of its own, cancelled in the midst of them, is killed, whatever trio wraps it in."""

    class Busy(Actor[str]):
        async def run(self, mailbox: Mailbox[str]) -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.sleep_forever)
                nursery.start_soon(trio.sleep_forever)

    spec = ChildSpec("busy", Busy)
    async with open_supervisor(Supervisor([spec])):
        pass
    assert (await spec.ref.wait_stopped()).reason == Killed()


async def test_an_error_on_the_way_out_of_a_kill_is_a_crash(autojump_clock: MockClock) -> None:
    class Untidy(Actor[str]):
        async def run(self, mailbox: Mailbox[str]) -> None:
            try:
                await trio.sleep_forever()
            finally:
                raise ValueError("untidy")

    spec = ChildSpec("untidy", Untidy)
    async with open_supervisor(Supervisor([spec])):
        pass
    assert str((await spec.ref.wait_stopped()).reason) == "ValueError: untidy"


async def test_a_stop_during_the_start_has_the_budget(autojump_clock: MockClock) -> None:
    """A start that ends within it leads to an orderly life without messages; else it is cancelled."""

    class Slow(Diary):
        async def started(self) -> None:
            await trio.sleep(3)
            await super().started()

    for shutdown, expected in ((5, ["started", "Stopped"]), (1, [])):
        lines: list[str] = []
        spec = ChildSpec("slow", lambda lines=lines: Slow(lines), shutdown=shutdown)  # type: ignore[misc]
        with trio.move_on_after(0.5):
            async with open_supervisor(Supervisor([spec])):
                raise AssertionError("must not begin")
        assert lines == expected


async def test_an_actor_that_swallows_cancellation_is_not_waited_for_in_silence(
    autojump_clock: MockClock,
) -> None:
    """Nothing can end it from outside, so the listener is told that it is stuck, and where."""

    class Stubborn(Actor[str]):
        async def run(self, mailbox: Mailbox[str]) -> None:
            with trio.CancelScope(shield=True):
                await trio.sleep(100)

    log = EventLog()
    async with (
        open_supervisor(Supervisor([ChildSpec("stubborn", Stubborn, shutdown=1)]), listener=log) as root,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(root.stop)
        event = await log.until(lambda event: isinstance(event, ChildStuck))
        assert event == ChildStuck(("root", "stubborn"), 5.0)
        assert root.tree().children[0].state is State.STOPPING
    assert trio.current_time() > 0


async def test_ref_stop_is_a_normal_end() -> None:
    """The supervisor did not ask for it: a permanent actor is started again."""
    lines: list[str] = []
    spec = ChildSpec("diary", lambda: Diary(lines))
    async with open_supervisor(Supervisor([spec])):
        spec.ref.stop()
        await wait_all_tasks_blocked()
        assert lines == ["started", "Stopped", "started"]


async def test_telling_the_dead() -> None:
    """Every way of sending says that the actor is gone, and why."""
    spec = diary([])
    async with open_supervisor(Supervisor([spec])):
        await spec.ref.tell("finish")
        await spec.ref.wait_stopped()
        with pytest.raises(ActorStopped) as caught:
            await spec.ref.tell("hello")
        assert caught.value.reason == Finished()
        with pytest.raises(ActorStopped):
            spec.ref.tell_nowait("hello")
        spec.ref.stop()


async def test_mailbox_settings_reach_the_mailbox() -> None:
    spec = ChildSpec("diary", lambda: Diary([]), capacity=3, overflow=Overflow.REFUSE)
    assert (spec.place.mailbox.capacity, spec.place.mailbox.overflow) == (3, Overflow.REFUSE)


async def test_an_actor_knows_its_own_ref() -> None:
    class Selfish(Actor[str]):
        async def started(self) -> None:
            await self.ref.tell("note to self")

        async def handle(self, message: str) -> None:
            heard.append(message)
            self.finish()

    heard: list[str] = []
    spec = ChildSpec("selfish", Selfish, restart=Restart.TEMPORARY)
    async with open_supervisor(Supervisor([spec])):
        await spec.ref.wait_stopped()
    assert heard == ["note to self"]
    with pytest.raises(RuntimeError, match="once it was started"):
        _ = Selfish().ref


async def test_refs_to_one_place_are_equal() -> None:
    spec, other = diary([]), diary([])
    assert spec.ref == spec.ref
    assert len({spec.ref, spec.ref, other.ref}) == 2
    assert spec.ref != other.ref
    assert spec.ref != "diary"


async def test_a_handler_is_needed_for_messages() -> None:
    with pytest.raises(RestartIntensityExceeded) as caught:
        async with open_actor(Actor[str]) as ref:
            await ref.tell("hello")
            await trio.sleep_forever()
    assert isinstance(caught.value.__cause__, NotImplementedError)


@pytest.mark.parametrize("shutdown", [-1.0, math.nan])
def test_a_spec_refuses_nonsense(shutdown: float) -> None:
    with pytest.raises(ValueError, match="shutdown"):
        ChildSpec("a", Actor[str], shutdown=shutdown)
    with pytest.raises(ValueError, match="restarts"):
        Intensity(-1)


async def test_reasons_are_values() -> None:
    assert Stopped() == Stopped()
    assert str(Crashed(ValueError("x"))) == "ValueError: x"
