"""The dead letter actor: persists what failed for good.

An item is in the queue when its ``dlq_item_added`` record is on disk; the files under ``dlq/`` are a projection.
"""

import msgspec

from prodigy.actors.recorder import Ledger, RecorderRef, record
from prodigy.events import DlqItemAdded
from prodigy.job.signature import error_signature
from supervisors import Actor, ActorRef, Reply

TRANSIENT = frozenset({"timeout", "host-lost", "merge-conflict", "worktree-error", "spawn-failed"})
"""Error classes that time or another attempt may heal."""


class BuryItem(msgspec.Struct, frozen=True):
    """Put an item into the queue, with the history of its attempts; answered when it is on disk."""

    item_id: str
    reply: Reply[int]


Message = BuryItem
DeadLettersRef = ActorRef[Message]


class DeadLetters(Actor[Message]):
    """Buries items.

    Args:
        recorder: where the queue is written.
        ledger: what is known of the item.
    """

    def __init__(self, recorder: RecorderRef, ledger: Ledger) -> None:
        self._recorder = recorder
        self._ledger = ledger

    async def handle(self, message: Message) -> None:
        """Bury one item; an item that is already there stays as it is."""
        letter = self._ledger.state.dead_letters.get(message.item_id)
        if letter is not None:
            message.reply.send(letter.seq)
            return
        item = self._ledger.state.items[message.item_id]
        last = item.history[-1]
        seq = await record(
            self._recorder,
            DlqItemAdded(
                item_id=item.item_id,
                index=item.index,
                item=item.item,
                error_signature=error_signature(last.error_type, last.step_failed, last.error_message),
                history=tuple(item.history),
                reprocess_eligible=last.error_type in TRANSIENT,
                manual_review_required=last.error_type not in TRANSIENT,
            ),
        )
        message.reply.send(seq)


async def bury(dead_letters: DeadLettersRef, item_id: str) -> int:
    """Put an item into the dead letter queue and return the record's sequence number."""
    return await dead_letters.ask(lambda reply: BuryItem(item_id, reply), timeout=None)
