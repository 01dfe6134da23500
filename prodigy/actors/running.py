"""How everything runs: a task goes to a worker, what the agent says is recorded, its result comes back."""

from prodigy.actors.governor import NotAdmitted, admit
from prodigy.actors.hosts import Borrow
from prodigy.actors.recorder import Note, record
from prodigy.actors.services import Services
from prodigy.events import ClaudeIntended, ClaudeParked, Failure, StepCompleted, StepFailed, StepIntended
from prodigy.steps.protocol import AgentReport, AgentResult, AgentTask, Recorded
from supervisors import HostLost, JobFailed, PoolBroken


async def run_agent(services: Services, task: AgentTask) -> AgentResult:
    """Run an agent to its end; an agent that broke over a bug of ours ends with error class ``internal``.

    Raises:
        HostLost: its worker or its process slot died, or none could be started; its process trees are dead.
    """
    pool = await services.hosts.ask(Borrow, timeout=None)
    recorder = services.recorder

    async def on_message(report: AgentReport) -> Recorded | None:
        event = report.event
        if isinstance(event, ClaudeIntended):
            return await admit(services.governor, event)
        if isinstance(event, StepIntended | ClaudeParked | StepCompleted | StepFailed):
            return Recorded(await record(recorder, event))
        await recorder.tell(Note(event))
        return None

    try:
        result = await pool.run(task, on_message, name=task.agent_id or task.phase)
    except NotAdmitted as refusal:
        error = Failure(error_class="claude-error", message=refusal.message)
        return AgentResult(head=task.head, duration_ms=0, error=error)
    except JobFailed as failed:
        error = Failure(error_class="internal", message=f"The agent broke: {failed}")
        return AgentResult(head=task.head, duration_ms=0, error=error)
    except (PoolBroken, OSError) as problem:
        raise HostLost(0, str(problem)) from problem
    if result.error is not None and result.error.error_class == "host-lost":
        raise HostLost(0, result.error.message)
    return result
