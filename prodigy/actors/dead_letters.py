"""The dead letter actor: persists what failed for good.

An item is in the queue when its ``dlq_item_added`` record is on disk; the files under ``dlq/`` are a projection.
"""

import msgspec

from prodigy.actors.recorder import Ledger, RecorderRef, record
from prodigy.events import AnyEvent, DlqItemAdded, DlqItemUpdated
from prodigy.job.signature import error_signature
from supervisors import Actor, ActorRef, Reply

TRANSIENT = frozenset({"timeout", "host-lost", "merge-conflict", "worktree-error", "spawn-failed"})
"""Error classes that time or another attempt may heal."""


class BuryItem(msgspec.Struct, frozen=True):
    """Put an item into the queue with the history of its attempts, or add to that; answered when it is on disk."""

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
        """Bury one item; one that is there already gets the attempts of which the queue does not know yet."""
        item = self._ledger.state.items[message.item_id]
        letter = self._ledger.state.dead_letters.get(message.item_id)
        if letter is not None and not item.history:
            message.reply.send(letter.seq)  # asked for twice
            return
        last = item.history[-1]
        signature = error_signature(last.error_type, last.step_failed, last.error_message)
        healing = last.error_type in TRANSIENT
        if letter is None:
            told: AnyEvent = DlqItemAdded(
                item_id=item.item_id,
                index=item.index,
                item=item.item,
                error_signature=signature,
                history=tuple(item.history),
                reprocess_eligible=healing,
                manual_review_required=not healing,
            )
        else:
            told = DlqItemUpdated(
                item_id=item.item_id,
                error_signature=signature,
                failure_count=letter.failure_count + len(item.history),
                history=tuple(item.history),
                reprocess_eligible=healing,
                manual_review_required=not healing,
            )
        message.reply.send(await record(self._recorder, told))


async def bury(dead_letters: DeadLettersRef, item_id: str) -> int:
    """Put an item into the dead letter queue and return the record's sequence number."""
    return await dead_letters.ask(lambda reply: BuryItem(item_id, reply), timeout=None)
