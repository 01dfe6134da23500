"""Taking up a run that has ended: its final merge, or the removal of what it left.

The same tree as for running it, without workers: what happens is recorded in the run's own journal, under its lock.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import trio

from prodigy.actors import launch
from prodigy.actors.recorder import Stamp
from prodigy.actors.run import AskMerge
from prodigy.actors.tree import Purpose, Surroundings, Tree
from prodigy.job.plan import plan_of
from prodigy.job.state import JobState
from prodigy.job.summary import recorded
from prodigy.store.locks import JobLock
from prodigy.store.projections import Projections
from prodigy.store.runs import Run, load_state


async def take_up(
    run: Run,
    purpose: Purpose,
    ask_merge: AskMerge,
    environ: Mapping[str, str],
    stamp: Stamp,
    argv: Sequence[str] = (),
) -> JobState:
    """Merge or clean up a run and return its state afterwards.

    Raises:
        RunError: ``already-running``: another process works at it; or why the merge could not be done.
        MachineError: its repository is gone.
    """
    now = stamp.now()
    with JobLock.acquire(run.layout.job_lock(run.job_id), since=now, argv=argv):
        plan = plan_of(recorded(load_state(run).started))
        ground = await launch.survey(Path(plan.repository), environ)
        projections = Projections(run.layout, None, stamp.now)
        tree = Tree(
            plan,
            Surroundings(
                layout=run.layout,
                forge=await launch.forge_for(ground),
                environment={},
                metadata=launch.this_process(plan.session_id),
                stamp=stamp,
                workers=0,
                ask_merge=ask_merge,
                observers=(projections.heard,),
            ),
            purpose,
        )
        await tree.live(trio.sleep_forever)
    if tree.ledger.problem is not None:
        raise tree.ledger.problem
    return tree.ledger.state
