"""The one door through which every leaf of the interpreter acts.

A leaf is a command, a Claude launch, a written file, a commit, a computed value, or a whole compound action whose own leaves
hang below it. ``durable`` records the
intent, acts, records the outcome, and returns it; an outcome that is already recorded under the same path and try is
returned without acting. So running the interpreter again *is* resuming. Paths are stable: they depend on the
workflow's text and the items, never on time or chance.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import trio
from msgspec import Struct, structs

from prodigy.errors import RunError
from prodigy.events import (
    Captured,
    ClaudeIntended,
    ClaudeUse,
    Failure,
    LimitExceeded,
    Phase,
    StepCompleted,
    StepFailed,
    StepIntended,
    Stream,
)
from prodigy.job.standing import HARMLESS
from prodigy.steps.clock import Clock
from prodigy.steps.protocol import AgentEvent, Outcome, outcome_key


class StepRecorder(Protocol):
    """Where an agent's events go."""

    async def record(self, event: AgentEvent) -> int:
        """Return the event's sequence number once it is durable."""
        ...

    async def note(self, event: AgentEvent) -> None:
        """Hand the event over without waiting for the disk."""
        ...

    async def admit(self, event: ClaudeIntended) -> float | None:
        """Wait until a launch may begin, and is recorded; the US dollars that it may cost at most."""
        ...


class Place(Struct, frozen=True, kw_only=True):
    """Whose leaf it is: the fields that every step event carries."""

    phase: Phase
    item_id: str | None = None
    agent_id: str | None = None
    attempt: int = 1

    def at(self, path: str, try_: int = 1) -> dict[str, Any]:
        """The fields that place a step event: whose it is, which step, which try."""
        return {**structs.asdict(self), "step": path, "try_": try_}


class Leaf(Struct, frozen=True, kw_only=True):
    """What is about to be done: the text of the intent."""

    kind: str
    name: str = ""
    command: str = ""
    cwd: str = ""
    head_before: str | None = None
    timeout: float | None = None


class Texts(Struct, frozen=True, kw_only=True):
    """What captures read: whole and as it was, while ``Stream`` holds a tail that may be masked.

    ``cut`` says that more than the run's ``max_capture`` was written.
    """

    stdout: str = ""
    stderr: str = ""
    both: str = ""
    """The two in the order in which they came; exactly so where they came through one pipe."""
    cut: bool = False


class Done(Struct, frozen=True, kw_only=True):
    """What an action that succeeded left behind.

    ``value`` is what the action itself says of it: plain data, e.g. the fields of ``${goal_seek.…}``. An action whose
    output is not its standard output (Claude's last words, say) puts it into ``texts`` and the tail of ``stdout``.
    """

    exit_code: int = 0
    stdout: Stream = Stream()
    stderr: Stream = Stream()
    head_after: str | None = None
    dirty: bool = False
    value: Any = None
    texts: Texts | None = None
    """Not recorded; ``None``: the tails of the streams are everything."""
    captures: dict[str, Captured] = {}
    outputs: dict[str, str] = {}
    claude: ClaudeUse | None = None


class LeafFailed(Exception):
    """Raised by an action: the leaf failed, for the given reason, and ``done`` is what it left nevertheless."""

    def __init__(
        self,
        failure: Failure,
        *,
        stdout: Stream | None = None,
        stderr: Stream | None = None,
        head_after: str | None = None,
        value: Any = None,
        texts: Texts | None = None,
        claude: ClaudeUse | None = None,
    ) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.done = Done(
            exit_code=failure.exit_code or 0,
            stdout=stdout or Stream(),
            stderr=stderr or Stream(),
            head_after=head_after,
            value=value,
            texts=texts,
            claude=claude,
        )

    def leaving(self, done: Done) -> "LeafFailed":
        """The same failure with another account of what it left."""
        self.done = done
        return self


class Closed(Exception):
    """Nothing is acted out any more: this leaf has no recorded outcome, and gets none."""


Action = Callable[[int], Awaitable[Done]]
"""Acts, given the sequence number of its intent; raises ``LeafFailed``."""

Flush = Callable[[], Awaitable[None]]
"""Brings to disk what leaves wrote; raises ``RunError``."""


async def _at_once() -> None:
    """For leaves that write nowhere."""


class Begun(Struct, frozen=True, kw_only=True):
    """What leaves without an outcome had begun, when an earlier run of the same attempt was cut off.

    Attributes:
        conversations: with Claude, keyed by ``outcome_key``.
        finished: of those whose last launch had succeeded, the log that ends in its result.
        put_aside: the ref of what they left in the worktree, if that was brought back.
    """

    conversations: Mapping[str, ClaudeUse] = {}
    finished: Mapping[str, str] = {}
    put_aside: str | None = None


class Door:
    """Records what leaves intend and what came of it, for one agent.

    Args:
        recorder: where events go.
        place: the agent's identity.
        recorded: outcomes of an earlier, cut-off run of the same attempt, keyed by ``outcome_key``.
        begun: by its leaves without an outcome.
        clock: keeps the limits on the time of what is done behind the door.
        flush: is waited for before the outcome of a leaf that may have changed files is recorded.
        closed: whether nothing but what is recorded comes through it.
    """

    def __init__(
        self,
        recorder: StepRecorder,
        place: Place,
        recorded: Mapping[str, Outcome],
        begun: Begun | None = None,
        clock: Clock | None = None,
        *,
        flush: Flush = _at_once,
        closed: bool = False,
    ) -> None:
        self.recorder = recorder
        self.place = place
        self.closed = closed
        self.begun = begun or Begun()
        self._recorded = recorded
        self.clock = clock or Clock()
        self._flush = flush
        self._under_way: dict[str, int] = {}

    def knows(self, path: str, try_: int) -> bool:
        """Whether the leaf's outcome was recorded before this run of the interpreter."""
        return outcome_key(path, try_) in self._recorded

    def began_at(self, path: str) -> str | None:
        """The commit that a step began with when an earlier run acted it out; ``None`` if that is not recorded.

        Told by the first of the step's leaves that knows: the step itself may have been cut off.
        """
        below = (f"{path}/", f"{path}.", f"{path}@")
        known = (
            outcome
            for key, outcome in self._recorded.items()
            if key.startswith(below) and outcome.head_before is not None
        )
        first = min(known, key=lambda outcome: outcome.intent, default=None)
        return None if first is None else first.head_before

    def conversation(self, path: str, try_: int) -> ClaudeUse | None:
        """The conversation that a leaf began with Claude before it was cut off, and what that used."""
        return self.begun.conversations.get(outcome_key(path, try_))

    def finished(self, path: str, try_: int) -> str | None:
        """The log that ends in the result of that conversation's last launch, if it had succeeded and its work is there."""
        return self.begun.finished.get(outcome_key(path, try_))

    def intent(self, path: str, try_: int) -> int:
        """The sequence number of the intent of a leaf that is being acted out."""
        return self._under_way[outcome_key(path, try_)]

    async def durable(self, path: str, try_: int, leaf: Leaf, action: Action) -> Outcome:
        """Return the leaf's outcome, acting only if none is recorded yet.

        Args:
            path: stable path of the leaf, e.g. ``2.on_failure#1.1``.
            try_: how often this leaf was tried before, plus one.
            leaf: what the intent says.
            action: does it.

        Raises:
            Closed: the door is, and no outcome is recorded.
        """
        known = self._recorded.get(outcome_key(path, try_))
        if known is not None:
            return known
        if self.closed:
            raise Closed(path)
        intent = await self.recorder.record(
            StepIntended(
                **self.place.at(path, try_),
                kind=leaf.kind,
                name=leaf.name,
                command=leaf.command,
                cwd=leaf.cwd,
                head_before=leaf.head_before,
                timeout_ms=None if leaf.timeout is None else round(leaf.timeout * 1000),
            )
        )
        self._under_way[outcome_key(path, try_)] = intent
        try:
            outcome = await self._act(path, try_, leaf, intent, action)
        finally:
            del self._under_way[outcome_key(path, try_)]
        if isinstance(outcome, StepFailed) and outcome.error.error_class == "limit-exceeded":
            limit = outcome.error.limit or outcome.error.message
            await self.recorder.note(LimitExceeded(**self.place.at(path, try_), limit=limit))
        await self.recorder.record(outcome)
        return outcome

    async def _act(self, path: str, try_: int, leaf: Leaf, intent: int, action: Action) -> Outcome:
        began = trio.current_time()
        failure: Failure | None = None
        try:
            left = await action(intent)
        except LeafFailed as failed:
            left, failure = failed.done, failed.failure
        took = _since(began)
        if leaf.kind not in HARMLESS:
            unsafe = await self._brought_to_disk()
            failure = failure or unsafe
        told: dict[str, Any] = {
            **self.place.at(path, try_),
            "intent": intent,
            "kind": leaf.kind,
            "head_before": leaf.head_before,
            "duration_ms": took,
            "stdout": left.stdout,
            "stderr": left.stderr,
            "head_after": left.head_after,
            "dirty": left.dirty,
            "value": left.value,
            "captures": left.captures,
            "claude": left.claude,
        }
        if failure is not None:
            return StepFailed(**told, error=failure)
        return StepCompleted(**told, exit_code=left.exit_code, outputs=left.outputs)

    async def _brought_to_disk(self) -> Failure | None:
        """Why what was written is not on disk, if it is not: an outcome must not outlive that."""
        try:
            await self._flush()
        except RunError as error:
            return Failure(error_class="worktree-error", message=error.message)
        return None


def below(path: str, try_: int) -> str:
    """Where the leaves of a step's own try hang: ``2``, for later tries ``2@2``."""
    return path if try_ == 1 else f"{path}@{try_}"


def _since(began: float) -> int:
    return round((trio.current_time() - began) * 1000)
