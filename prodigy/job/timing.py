"""``timeout_config``: which limits the steps of an agent get, and which the attempt as a whole.

Pure. A step's own ``timeout`` wins over all of it, and all of it over what holds for steps that do not say one.

| policy | limit of the attempt | limit of a step without one |
| --- | --- | --- |
| ``hybrid`` | ``agent_timeout`` | that of its kind |
| ``per_agent`` | ``agent_timeout`` | none |
| ``per_command`` | none | that of its kind, else ``agent_timeout`` |

``KIND_N`` is the limit of the N-th step of a kind, from 0.
"""

from collections import Counter

from msgspec import structs

from prodigy.workflow.model import MapPhase, Seconds, Step


def attempt_limit(phase: MapPhase) -> Seconds:
    """Seconds that one attempt may take."""
    return None if phase.timeouts.policy == "per_command" else _agent_timeout(phase)


def timed_steps(phase: MapPhase) -> tuple[Step, ...]:
    """The agents' steps with their limits."""
    timeouts = phase.timeouts
    if timeouts.policy == "per_agent":
        return tuple(map(_own, phase.agent_template))
    default = _agent_timeout(phase) if timeouts.policy == "per_command" else None
    seen: Counter[str] = Counter()
    timed: list[Step] = []
    for step in phase.agent_template:
        limit = timeouts.commands.get(
            f"{step.kind}_{seen[step.kind]}", timeouts.commands.get(step.kind, default)
        )
        seen[step.kind] += 1
        fits = limit is not None and (step.timeout is None or step.timeout_is_standard)
        timed.append(structs.replace(step, timeout=limit) if fits else step)
    return tuple(timed)


def _own(step: Step) -> Step:
    """The step with no limit that it does not say itself."""
    return structs.replace(step, timeout=None) if step.timeout_is_standard else step


def _agent_timeout(phase: MapPhase) -> Seconds:
    return phase.agent_timeout if phase.agent_timeout is not None else phase.timeouts.agent_timeout
