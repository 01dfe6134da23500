"""What the records of a job say of its leaves: which were cut off, and which ended in vain. Others ran once.

A leaf's command says a word (``say WORD``), by which it is known.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from prodigy.job.standing import HARMLESS

_SAYS = re.compile(r"\bsay ([\w-]+)")
Recorded = dict[str, Any]
"""An event of a journal, as it is on disk."""
Records = Iterable[tuple[int, Recorded]]
"""Events with their numbers, in order."""


def merged(records: Records) -> Counter[str]:
    """How often the work of each attempt was merged."""
    return Counter(event["agent_id"] for _, event in records if _is_merge(event))


def _is_merge(event: Recorded) -> bool:
    return event["event_type"] == "worktree_merged" and bool(event["what"] == "agent")


@dataclass
class _Leaf:
    """One intent: the word that its command says, and what became of it."""

    word: str
    agent: str | None
    phase: str
    key: str
    harmless: bool
    """Whether it changes no file itself."""
    ended: bool = False
    clean: bool = False
    """Whether nothing was uncommitted when it had ended."""
    in_vain: bool = False
    """It ended, and what it was part of had to begin anew."""

    def end(self, event: Recorded) -> None:
        """Take note of its outcome."""
        self.ended = True
        self.clean = "head_after" in event and not event.get("dirty")

    def at(self, event: Recorded) -> bool:
        """Whether it worked where the event happened."""
        return self.phase == event["phase"] and self.agent == event.get("agent_id")


def _leaves(records: Records) -> list[_Leaf]:
    leaves: dict[int, _Leaf] = {}
    verifying: list[_Leaf] = []
    for number, event in records:
        match event["event_type"]:
            case "step_intended" if event["kind"] != "commit":
                leaves[number] = _begun(event)
                if event["phase"] == "verify":
                    verifying.append(leaves[number])
            case "step_completed" | "step_failed" | "step_skipped" if event.get("intent") in leaves:
                leaves[event["intent"]].end(event)
            case "work_rewound":
                _rewind([leaf for leaf in leaves.values() if leaf.at(event)], event)
            case "merge_conflicted" if event["what"] == "agent":
                for leaf in leaves.values():
                    leaf.in_vain |= leaf.agent == event["agent_id"]
            case "phase_started" | "phase_completed" if event["phase"] == "verify":
                for leaf in verifying:
                    leaf.in_vain |= event["event_type"] == "phase_started"
                verifying.clear()
    return list(leaves.values())


def _begun(event: Recorded) -> _Leaf:
    return _Leaf(
        _word(event.get("command", "")),
        event.get("agent_id"),
        event["phase"],
        f"{event['step']}/{event.get('try', 1)}",
        event["kind"] in HARMLESS,
    )


def _rewind(there: list[_Leaf], event: Recorded) -> None:
    assert any(not leaf.ended and not leaf.harmless for leaf in there), f"nothing was cut off: {event}"
    for leaf in there:
        leaf.in_vain |= leaf.key in event["forgotten"] and leaf.ended and not leaf.clean


def _word(command: str) -> str:
    said = _SAYS.search(command)
    return said[1] if said is not None else ""


def cut_off(records: Records) -> Counter[str]:
    """How many times each leaf was cut off, by the word that it says: intents without an outcome."""
    return Counter(leaf.word for leaf in _leaves(records) if not leaf.ended)


def in_vain(records: Records) -> Counter[str]:
    """How many times each leaf ended in vain, by the word that it says.

    That is an attempt whose work collided with what was merged; a verification that was cut off, since its worktree is
    thrown away; and a leaf that left something uncommitted where a later one, or one beside it, was cut off.
    """
    return Counter(leaf.word for leaf in _leaves(records) if leaf.ended and leaf.in_vain)
