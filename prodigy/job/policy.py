"""What becomes of an item that failed, and when a map phase gives up.

Pure. ``Rules`` is the error policy of a map phase with every default made explicit; the functions are its clauses:

- an attempt that failed is made again while ``retry`` allows it; a lost host and a collision with what was merged
  meanwhile are charged apart and never to ``retry``;
- work that collided is given to Claude to resolve, once per collision, where the workflow wants that;
- an item that failed for good goes to the dead letter queue, or is skipped;
- the phase stops starting items, and fails, after a failure that ``stop`` is for, after ``max_failures`` items, when
  more than ``failure_threshold`` of all items failed, or, where launches are paid for, when items go on failing alike.
"""

import hashlib
from typing import Literal

from msgspec import Struct, structs

from prodigy.events import Failure, HaltReason
from prodigy.job.plan import uses_claude
from prodigy.job.retry import next_delay
from prodigy.workflow.deferred import count
from prodigy.workflow.model import CircuitBreaker, MapPhase, OnConflict, Retry
from prodigy.workflow.values import TemplateError

HOST_LOSSES = 3
"""How often an item may lose its worker, and go on in another one, before that counts as its failure."""
CONFLICT_RERUNS = 1
"""How often an item is run again because its work collided with what was merged meanwhile."""
ALIKE = 5
"""Items in a row that fail alike before a retry of dead letters, or agents that are paid for, give up."""
RETRIED = Retry(attempts=3)
"""What ``on_item_failure: retry`` means where nothing else is said."""

End = Literal["dlq", "skip"]


class Rules(Struct, frozen=True, kw_only=True):
    """The policy of one map phase; every value is settled.

    ``retry`` is about whole items. ``stop`` ends the phase at the first failed item. ``from_tip`` makes every attempt
    start from the session branch's tip instead of the commit that the phase began with; work that waits for its merge
    then keeps its place in the window.
    """

    max_parallel: int = 1
    retry: Retry | None = None
    end: End = "dlq"
    stop: bool = False
    on_timeout: Literal["dlq", "skip", "fail"] = "dlq"
    on_invalid: End = "dlq"
    max_failures: int | None = None
    failure_threshold: float | None = None
    conflict_reruns: int = CONFLICT_RERUNS
    resolve: bool = False
    from_tip: bool = False
    breaker: CircuitBreaker | None = None
    alike: int | None = None
    """After how many items that fail alike, one after the other, the phase gives up."""


class Charges(Struct):
    """What an item has been charged with so far; ``spent`` counts seconds of attempts and of waiting for them."""

    retries: int = 0
    conflicts: int = 0
    resolutions: int = 0
    spent: float = 0.0


class Again(Struct, frozen=True):
    """The item gets another attempt, after so many seconds."""

    charged_to: Literal["item", "conflict"]
    delay: float = 0.0


class Resolving(Struct, frozen=True):
    """Claude is to resolve the conflict of the item's work with what was merged."""


def rules_of(phase: MapPhase, on_conflict: OnConflict) -> Rules:
    """The rules of a settled map phase; ``on_conflict`` is what counts for the run."""
    policy = phase.policy
    wanted = policy.on_item_failure
    action = phase.timeouts.action
    validation = phase.validation
    return Rules(
        max_parallel=count(phase.max_parallel),
        retry=policy.retry or (RETRIED if wanted == "retry" else None),
        end="skip" if wanted == "skip" else "dlq",
        stop=wanted == "stop" or not policy.continue_on_failure,
        on_timeout="dlq" if action == "graceful_terminate" else action,
        on_invalid="skip" if validation is not None and validation.on_failure == "skip" else "dlq",
        max_failures=policy.max_failures,
        failure_threshold=policy.failure_threshold,
        conflict_reruns=0 if on_conflict == "dlq" else CONFLICT_RERUNS,
        resolve=on_conflict == "claude",
        from_tip=phase.base == "tip",
        breaker=policy.circuit_breaker,
        alike=ALIKE if uses_claude(phase.agent_template) else None,
    )


def retry_rules(rules: Rules, max_parallel: int, attempts: int | None, alike: int | None) -> Rules:
    """The rules of a retry of dead letters: every item gets its chance, and whatever fails stays in the queue.

    Args:
        rules: of the map phase.
        max_parallel: how many agents at a time.
        attempts: at each item; ``None``: as ``rules`` have it.
        alike: as ``Rules.alike``.
    """
    retry = rules.retry
    if attempts is not None:
        retry = structs.replace(retry or Retry(), attempts=attempts)
    return structs.replace(
        rules,
        max_parallel=max_parallel,
        retry=retry,
        end="dlq",
        stop=False,
        on_timeout="dlq",
        on_invalid="dlq",
        max_failures=None,
        failure_threshold=None,
        alike=alike,
    )


# -- one item ------------------------------------------------------------------------------------------------------
def after_failure(rules: Rules, item_id: str, charges: Charges, failure: Failure) -> Again | End:
    """What becomes of an item whose attempt failed; ``charges`` does not count this failure yet."""
    match failure.error_class:
        case "host-lost" | "merge-conflict" | "invalid-item":
            return ending(rules, failure)
        case _:
            return _another(rules, item_id, charges, failure) or ending(rules, failure)


def after_conflict(rules: Rules, charges: Charges, failure: Failure) -> Resolving | Again | End:
    """What becomes of an item whose work collided; ``charges`` counts this conflict, and a failure to resolve it."""
    if rules.resolve and charges.resolutions < charges.conflicts:
        return Resolving()
    return Again("conflict") if charges.conflicts <= rules.conflict_reruns else ending(rules, failure)


def ending(rules: Rules, failure: Failure) -> End:
    """Where an item goes that failed for good."""
    if failure.error_class == "invalid-item":
        return rules.on_invalid
    if failure.error_class == "timeout" and rules.on_timeout != "dlq":
        return "skip" if rules.on_timeout == "skip" else "dlq"
    return rules.end


def _another(rules: Rules, item_id: str, charges: Charges, failure: Failure) -> Again | None:
    """Another attempt as ``retry`` has it, if there is one left, and time for it."""
    if rules.retry is None:
        return None
    runs = charges.retries + 1
    try:
        wait = next_delay(rules.retry, runs, charges.spent, failure, unit(item_id, runs))
    except TemplateError:
        return None  # a pattern of `retry_on` that takes too long matches nothing
    return None if wait is None else Again("item", wait)


def unit(item_id: str, run: int) -> float:
    """A number from 0 up to 1 for the jitter of one delay: different between items, the same whenever it is asked for."""
    digest = hashlib.blake2b(f"{item_id}/{run}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


# -- the phase -----------------------------------------------------------------------------------------------------
class Halting(Struct, frozen=True):
    """Why no more items are started; ``message`` is what the phase fails with."""

    reason: HaltReason
    message: str


def halting(rules: Rules, failed: int, total: int, failure: Failure) -> Halting | None:
    """Whether the phase gives up now that ``failed`` of ``total`` items failed for good, the last one by ``failure``."""
    if failure.error_class == "timeout" and rules.on_timeout == "fail":
        return Halting("timeout", f"An item ran out of time: {failure.message}")
    if rules.stop and not (failure.error_class == "invalid-item" and rules.on_invalid == "skip"):
        return Halting("stop", f"An item failed: {failure.message}")
    if rules.max_failures is not None and failed >= rules.max_failures:
        return Halting(
            "max-failures", f"{failed} of {total} items failed; `max_failures` is {rules.max_failures}"
        )
    threshold = rules.failure_threshold
    if threshold is not None and failed > threshold * total:
        return Halting(
            "failure-threshold", f"{failed} of {total} items failed; `failure_threshold` is {threshold:.0%}"
        )
    return None
