"""Taking up a run that has ended: its final merge, or the removal of what it left.

The same tree as for running it, with workers only where steps belong to the merge: what happens is recorded in the
run's own journal, under its lock.
"""

from collections.abc import Callable, Mapping, Sequence

import trio

from prodigy.actors import launch
from prodigy.actors.finish import AskMerge
from prodigy.actors.preparing import ClaudeVariables, Prepared
from prodigy.actors.recorder import Stamp
from prodigy.actors.tree import Purpose, Surroundings, Tree
from prodigy.actors.tuning import NO_TUNING, Tuning
from prodigy.job.plan import RunPlan, plan_of
from prodigy.job.retrying import in_force
from prodigy.job.state import JobState
from prodigy.job.summary import recorded
from prodigy.store.asked import asked
from prodigy.store.locks import JobLock
from prodigy.store.projections import Projections
from prodigy.store.repos import where
from prodigy.store.runs import Run, load_state
from prodigy.workflow.model import Workflow


def nothing_for_claude(_workflow: Workflow, _backend: str) -> ClaudeVariables:
    """No variables."""
    return ClaudeVariables()


async def take_up(
    run: Run,
    purpose: Purpose,
    ask_merge: AskMerge,
    environ: Mapping[str, str],
    stamp: Stamp,
    argv: Sequence[str] = (),
    *,
    claude: Callable[[Workflow, str], ClaudeVariables] = nothing_for_claude,
    tuning: Tuning = NO_TUNING,
) -> JobState:
    """Merge or clean up a run and return its state afterwards.

    ``claude`` says what only Claude gets, for a workflow and the name of a backend.

    Raises:
        RunError: ``already-running``: another process works at it; or why the merge could not be done.
        MachineError: its repository is gone.
    """
    now = stamp.now()
    with JobLock.acquire(run.layout.job_lock(run.job_id), since=now, argv=argv):
        plan = _plan(run, purpose)
        ground = await launch.survey(where(run.layout, plan.repository), environ)
        forge = await launch.forge_for(plan, ground, run.layout)
        by_steps = purpose == "merge" and plan.merges_by_steps
        prepared = Prepared()
        if by_steps:
            prepared = await launch.prepare_environment(
                plan.workflow,
                ground,
                environ,
                plan.profile,
                plan.computed,
                claude(plan.workflow, plan.backend.name),
            )
        projections = Projections(run.layout, stamp.now)
        tree = Tree(
            plan,
            Surroundings(
                layout=run.layout,
                forge=forge,
                prepared=prepared,
                environment=await launch.child_environment(plan, run.layout, ground, forge, prepared)
                if by_steps
                else {},
                metadata=launch.this_process(plan.session_id),
                stamp=stamp,
                workers=1 if by_steps else 0,
                tuning=tuning,
                ask_merge=ask_merge,
                observers=(projections.heard,),
            ),
            purpose,
        )
        await tree.live(trio.sleep_forever)
        projections.catch_up(tree.ledger.state)
    if tree.ledger.problem is not None:
        raise tree.ledger.problem
    return tree.ledger.state


def _plan(run: Run, purpose: Purpose) -> RunPlan:
    """What was asked, with the steps that a merge may take; without them where only the journal is left."""
    state = load_state(run)
    known = asked(run.layout, run.job_id, state.workflow_sha256) if purpose == "merge" else None
    return in_force(known or plan_of(recorded(state.started)), state)
