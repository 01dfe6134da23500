"""Ending a run from another process: as a signal would, to exactly the process that holds it, then waiting for its end.

A process is taken hold of by a descriptor before its pid, start time and boot are compared, and signalled through that:
a pid that was given to somebody else meanwhile is never signalled.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Literal

import trio

from prodigy.errors import MachineError
from prodigy.store.asked import asked
from prodigy.store.locks import Holder, held, holder
from prodigy.store.runs import Run, load_state
from prodigy.store.stop_requests import StopRequest, leave

Manner = Literal["orderly", "now", "kill"]
"""With the workflow's grace for its steps; without it; or by killing the program, whose workers then end the steps."""
Outcome = Literal["stopped", "killed", "not-running", "still-running"]

_POLL = 0.02
_BESIDES_GRACE = 10.0
"""Seconds that a run may take to end, beyond the time that its steps are given."""
_USUAL_GRACE = 5.0


async def stop(run: Run, whom: Holder, by: Holder, manner: Manner, patience: float | None) -> Outcome:
    """End the process that holds a run, and wait until it and the process trees of its workers are gone.

    Args:
        run: which one.
        whom: its holder, as its lock names it.
        by: who asks; the journal says so.
        manner: how.
        patience: seconds to wait; ``None``: the grace of the workflow in force, and 10 s.
    """
    with _grasped(whom) as descriptor:
        if descriptor is None:
            found = holder(run.layout.job_lock(run.job_id))
            return "not-running" if found is None or found != whom else "still-running"
        if manner == "kill":
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        else:
            with suppress(MachineError):  # a full disk keeps nobody from ending a run
                request = StopRequest(asked=whom, by=by, now=manner == "now")
                leave(run.layout.stop_request(run.job_id), request)
            signal.pidfd_send_signal(descriptor, signal.SIGTERM)
        limit = await trio.to_thread.run_sync(_grace, run) + _BESIDES_GRACE if patience is None else patience
        with trio.move_on_after(limit):
            await trio.lowlevel.wait_readable(descriptor)
            while held(run.layout.workers_lock(run.job_id)):  # noqa: ASYNC110 - strangers set no events
                await trio.sleep(_POLL)
            return "killed" if manner == "kill" else "stopped"
    return "still-running"


@contextmanager
def _grasped(whom: Holder) -> Iterator[int | None]:
    """A descriptor of exactly this process; ``None`` if it is gone, or cannot be seen from here."""
    try:
        descriptor = os.pidfd_open(whom.pid)
    except OSError:
        yield None
        return
    try:
        yield descriptor if whom.alive() else None
    finally:
        os.close(descriptor)


def _grace(run: Run) -> float:
    """Seconds that the run's steps are given to end."""
    plan = asked(run.layout, run.job_id, load_state(run).workflow_sha256)
    return plan.workflow.grace if plan is not None else _USUAL_GRACE
