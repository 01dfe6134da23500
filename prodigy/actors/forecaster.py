"""The forecaster: tells which agents at work already collide with what was merged beside them.

It decides nothing: what it finds is told in records, so that a person need not wait for the end of an agent whose work
cannot be merged as it is. It looks at one agent at a time, only where both sides changed the same paths, and rests
between two looks for longer than they take, so that it is never in the way of agents and merges.
"""

from contextlib import suppress
from typing import Never

import trio

from prodigy.actors.recorder import Ledger, RecorderRef, record, subscribe
from prodigy.actors.task import Task
from prodigy.errors import ProdigyError
from prodigy.events import ConflictForeseen
from prodigy.git.forge import Forge
from prodigy.git.merge import Conflict, foretell
from prodigy.job.forecast import FOLLOWED, Forecast, Work
from prodigy.job.plan import RunPlan
from supervisors import ChildSpec, Restart

REST = 9.0
"""How many times as long as a look takes nothing is looked at afterwards."""


class Forecaster(Task):
    """Looks ahead for one run.

    Args:
        plan: names the session branch.
        forge: of the repository; nothing is moved with it.
        ledger, recorder: what is known, and where forecasts are written.
    """

    def __init__(self, plan: RunPlan, forge: Forge, ledger: Ledger, recorder: RecorderRef) -> None:
        self._plan = plan
        self._forge = forge
        self._ledger = ledger
        self._recorder = recorder
        self._changed = trio.Event()

    async def work(self) -> None:
        """Follow the records, and look whenever they give a reason to."""
        stream = await subscribe(self._recorder, lambda told: isinstance(told.event, FOLLOWED))
        self._forecast = Forecast(self._ledger.state)
        built = self._ledger.state.seq
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._look_ahead)
            async for told in stream:
                if told.seq > built:
                    self._forecast.heard(self._ledger.state, told.event)
                    if self._forecast.suspects:
                        self._changed.set()
        await trio.sleep_forever()  # nothing is recorded any more

    async def _look_ahead(self) -> None:
        while True:
            self._changed = trio.Event()
            while (work := self._forecast.suspect(self._ledger.state)) is not None:
                began = trio.current_time()
                with suppress(ProdigyError):  # a forecast is worth no failure
                    await self._look(work)
                await trio.sleep(REST * (trio.current_time() - began))
            await self._changed.wait()

    async def _look(self, work: Work) -> None:
        """Ask git where both sides changed the same paths, and tell what is new."""
        if not self._forecast.knows(work):
            self._forecast.changes(work, await self._forge.objects.files_changed(work.base, work.head))
        if not self._forecast.overlaps(work):
            return
        onto = self._ledger.state.tip or work.base
        foretold = await foretell(self._forge, onto, work.head)
        paths = foretold.paths if isinstance(foretold, Conflict) else ()
        item = self._ledger.state.items[work.item_id]
        if item.status == "running" and item.agent_id is not None and paths != item.foreseen:
            foreseen = ConflictForeseen(
                item_id=work.item_id,
                agent_id=item.agent_id,
                attempt=item.attempts,
                source=work.head,
                onto=onto,
                target_branch=self._plan.branch,
                paths=paths,
            )
            await record(self._recorder, foreseen)


def forecasting(plan: RunPlan, forge: Forge, ledger: Ledger, recorder: RecorderRef) -> ChildSpec[Never]:
    """The child that looks ahead; a run goes on without one."""
    return ChildSpec(
        "forecaster", lambda: Forecaster(plan, forge, ledger, recorder), restart=Restart.TEMPORARY
    )
