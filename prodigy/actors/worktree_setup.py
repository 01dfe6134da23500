"""``worktree.setup``: steps that make a fresh worktree fit to work in, before the first task that runs there."""

from msgspec import structs

from prodigy.actors.running import run_agent
from prodigy.actors.services import Services
from prodigy.actors.tasks import TaskFactory
from prodigy.actors.workspaces import setup_done, setup_due
from prodigy.errors import ProdigyError
from prodigy.events import Failure
from prodigy.steps.protocol import AgentResult, AgentTask


async def set_up(services: Services, tasks: TaskFactory, task: AgentTask) -> Failure | None:
    """Set up the worktree of a task, if that is due; why it failed, if it did.

    A worktree counts as set up once its steps have succeeded; a setup that is cut off is done again from its beginning.

    Raises:
        HostLost: the worker died, or none could be started.
    """
    if not tasks.worktrees_are_set_up:
        return None
    try:
        key = await setup_due(services.workspaces, task.worktree)
    except ProdigyError as error:
        return _refused(error)
    if key is None:
        return None
    setup = tasks.worktree_setup(task)
    failure = _failure(await run_agent(services, setup), task.head)
    if failure is not None:
        message = f"The worktree could not be set up: {failure.message}"
        return structs.replace(failure, error_class="worktree-error", message=message)
    try:
        await setup_done(services.workspaces, task.worktree, key)
    except ProdigyError as error:
        return _refused(error)
    return None


def _refused(error: ProdigyError) -> Failure:
    return Failure(error_class="worktree-error", message=error.message)


def _failure(result: AgentResult, head: str) -> Failure | None:
    """Why a setup failed: a step of it did, or it changed what git tracks, which is for the task's own steps to do."""
    if result.head != head:
        return Failure(error_class="worktree-error", message="it made a commit")
    if result.error is not None and result.error.error_class == "commit-missing":
        return structs.replace(result.error, message="it left changes that git does not ignore")
    return result.error
