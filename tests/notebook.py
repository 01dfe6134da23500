"""What agents of tests record."""

from dataclasses import dataclass, field
from typing import Any

from prodigy.events import (
    ClaudeIntended,
    HandlerCompleted,
    HandlerStarted,
    StepCompleted,
    StepFailed,
    StepIntended,
    StepRetrying,
    StepSkipped,
    StepWarned,
)
from prodigy.steps.protocol import AgentEvent, Outcome, outcome_key


class Cut(ConnectionError):
    """The agent was cut off here, as by the death of its worker."""


@dataclass
class Notebook:
    """Records in memory; `lose_after` cuts the agent off at that record, as a killed worker is."""

    events: list[AgentEvent] = field(default_factory=list)
    lose_after: int | None = None

    async def record(self, event: AgentEvent) -> int:
        if self.lose_after is not None and len(self.events) >= self.lose_after:
            raise Cut("cut off")
        self.events.append(event)
        return len(self.events)

    async def note(self, event: AgentEvent) -> None:
        await self.record(event)

    async def admit(self, event: ClaudeIntended) -> float | None:
        await self.record(event)
        return event.reserved_usd

    def outcomes(self) -> dict[str, Outcome]:
        return {
            outcome_key(event.step, event.try_): event
            for event in self.events
            if isinstance(event, StepCompleted | StepFailed)
        }

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def trace(self) -> list[str]:
        """What happened, in short: `+path` intended, `path` completed, `!path` failed."""
        words = []
        for event in self.events:
            suffix = f"/{event.try_}" if event.try_ > 1 else ""
            match event:
                case StepIntended():
                    words.append(f"+{event.step}{suffix}")
                case StepCompleted():
                    words.append(f"{event.step}{suffix}")
                case StepFailed():
                    words.append(f"!{event.step}{suffix}")
                case StepSkipped():
                    words.append(f"-{event.step}")
                case StepRetrying():
                    words.append(f"~{event.step}{suffix}")
                case StepWarned():
                    words.append(f"?{event.step}")
                case HandlerStarted() | HandlerCompleted():
                    words.append(type(event).__name__)
        return words

    def acted(self) -> list[str]:
        """The leaves that were acted out, in order."""
        return [word[1:] for word in self.trace() if word.startswith("+")]

    def intended(self) -> list[str]:
        return [event.step for event in self.events if isinstance(event, StepIntended)]

    def rounds(self) -> int:
        return sum(isinstance(event, HandlerStarted) for event in self.events)
