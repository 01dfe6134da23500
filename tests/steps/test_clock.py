"""An agent's time stands still while it waits for leave to launch Claude."""

import trio
from trio.testing import MockClock

from prodigy.steps.clock import Clock


def timed(work: "list[tuple[float, bool]]", limit: float | None) -> float:
    """At which second the limited block ended that works and waits in turn."""

    async def main() -> float:
        clock = Clock()
        with clock.limited(limit):
            for seconds, waits in work:
                if waits:
                    with clock.stopped():
                        await trio.sleep(seconds)
                else:
                    await trio.sleep(seconds)
        return trio.current_time()

    return trio.run(main, clock=MockClock(autojump_threshold=0)) % 1_000_000


def spent(work: "list[tuple[float, bool]]", limit: float | None) -> float:
    return round(timed(work, limit) - timed([], limit), 3)


def test_waiting_counts_for_nothing() -> None:
    assert spent([(5, False), (100, True), (4, False)], 10) == 109
    assert spent([(5, False), (100, True), (50, False)], 10) == 110
    assert spent([(50, False)], 10) == 10
    assert spent([(50, False), (5, True)], None) == 55


def test_waits_may_overlap() -> None:
    async def main() -> float:
        clock = Clock()
        began = trio.current_time()

        async def wait(seconds: float) -> None:
            with clock.stopped():
                await trio.sleep(seconds)

        with clock.limited(10):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(wait, 20)
                nursery.start_soon(wait, 30)
            await trio.sleep(60)
        return trio.current_time() - began

    assert round(trio.run(main, clock=MockClock(autojump_threshold=0)), 3) == 40


def test_limits_within_limits() -> None:
    """All of them stand still; one that begins meanwhile has its whole time afterwards."""

    async def main() -> list[float]:
        clock, ended = Clock(), []
        began = trio.current_time()
        with clock.limited(30):
            with clock.limited(10):
                with clock.stopped():
                    await trio.sleep(100)
                await trio.sleep(60)
            ended.append(trio.current_time() - began)
            with clock.stopped():
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(wait, clock)
                    await trio.sleep(50)
            ended.append(trio.current_time() - began)
            await trio.sleep(60)
        return [*ended, trio.current_time() - began]

    async def wait(clock: Clock) -> None:
        with clock.limited(5):
            await trio.sleep(40)

    ends = trio.run(main, clock=MockClock(autojump_threshold=0))
    assert [round(end, 3) for end in ends] == [110, 160, 180]
