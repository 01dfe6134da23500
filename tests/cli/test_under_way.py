"""What the screen says of launches of Claude that have not ended: what their records have by now, and once only."""

import pytest
import trio
import trio.lowlevel

from prodigy.cli.under_way import NOBODY, Running, UnderWay
from prodigy.events import ClaudeIntended, ClaudeMeter, ClaudeUse
from prodigy.job.state import JobState


def launched(intent: int, meter: ClaudeMeter | None = None) -> ClaudeIntended:
    return ClaudeIntended(phase="map", step="1", intent=intent, session_id=f"s{intent}", meter=meter)


async def test_what_runs_is_looked_at_until_it_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prodigy.cli.under_way._PAUSE", 0.001)
    monkeypatch.setattr("prodigy.cli.under_way._REST", 0)
    before = ClaudeMeter()
    state = JobState()
    state.launches.update({3: launched(3), 4: launched(4, before), 5: launched(5)})
    asked: dict[str, ClaudeMeter | None] = {}

    def spent(use: ClaudeUse, meter: ClaudeMeter | None) -> ClaudeUse:
        asked[use.session_id] = meter
        if use.session_id == "s5":
            raise FileNotFoundError(use.session_id)
        return ClaudeUse(session_id=use.session_id, cost_usd=0.25, input_tokens=100, output_tokens=5)

    under_way = UnderWay(spent)
    assert under_way.used(state) == NOBODY
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(under_way.follow, lambda: state)
            while under_way.used(state) == NOBODY:
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
    assert asked == {"s3": None, "s4": before, "s5": None}
    assert under_way.used(state) == Running(0.5, 210)
    del state.launches[3]  # its end says what it used
    assert under_way.used(state) == Running(0.25, 105)
