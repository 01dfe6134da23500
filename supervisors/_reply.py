"""Questions and replies: the two ends of one answer.

The asker keeps the `Question` and puts its `Reply` into the message; the actor answers through the reply, in the
handler or later from any task. A question is settled once: by the answer, by the deadline, or by the runtime when
the actor ends. After the deadline or the actor's end an answer comes too late and is dropped in silence, since the
one who answers cannot know; a second answer is a mistake in the actor and raises.
"""

from enum import Enum, auto
from typing import Any, Generic, TypeVar

import trio

from supervisors.errors import AlreadyAnswered

R = TypeVar("R")
R_contra = TypeVar("R_contra", contravariant=True)


class _Stage(Enum):
    OPEN = auto()
    ANSWERED = auto()
    ABANDONED = auto()


class Question(Generic[R]):
    """The asker's end."""

    __slots__ = ("_error", "_settled", "_stage", "_value", "reply")

    def __init__(self) -> None:
        self.reply: Reply[R] = Reply(self)
        self._stage = _Stage.OPEN
        self._settled = trio.Event()
        self._value: R
        self._error: BaseException | None = None

    async def settled(self) -> None:
        """Wait for the answer, or for the news that none will come."""
        await self._settled.wait()

    def is_settled(self) -> bool:
        """Whether `result` has something to say."""
        return self._settled.is_set()

    def result(self) -> R:
        """The answer, or the error in its place."""
        if self._error is not None:
            raise self._error
        return self._value

    def answer(self, value: R) -> None:
        """Settle with a value, unless it was abandoned."""
        if self._accepts():
            self._value = value
            self._settled.set()

    def answer_error(self, error: BaseException) -> None:
        """Settle with an error in place of a value, unless it was abandoned."""
        if self._accepts():
            self._error = error
            self._settled.set()

    def abandon(self, error: BaseException) -> None:
        """Settle with ``error`` because the actor will not answer."""
        if self._stage is _Stage.OPEN:
            self._stage = _Stage.ABANDONED
            self._error = error
            self._settled.set()

    def _accepts(self) -> bool:
        if self._stage is _Stage.ANSWERED:
            raise AlreadyAnswered("a question has one answer")
        accepts = self._stage is _Stage.OPEN
        self._stage = _Stage.ANSWERED
        return accepts


class Reply(Generic[R_contra]):
    """The actor's end: a field of a message that wants an answer of type ``R_contra``.

    It may be kept and answered later, but it stays with the actor that was asked: when that one ends, all
    replies it still owes fail.
    """

    __slots__ = ("_question",)

    def __init__(self, question: Question[Any]) -> None:
        self._question = question

    def send(self, value: R_contra) -> None:
        """Answer. Raises `AlreadyAnswered` the second time; is dropped when nobody waits any more."""
        self._question.answer(value)

    def fail(self, error: BaseException) -> None:
        """Have ``error`` raised in the asker's task instead of an answer; the rules of `send` hold."""
        self._question.answer_error(error)
