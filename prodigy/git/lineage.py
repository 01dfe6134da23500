"""How commits of agents descend from a branch that moves by merging them, known without walking its history again.

What is kept is one commit, the root, and all that the branch's tip has and the root has not. A commit is in the tip's
history if it is among these, or if it is in the root's. So where the commits of a side, one parent each, lead to the
root or to one of these, the first that they lead to is the only best common ancestor: those passed on the way are not
among them, and cannot be in the root's history either, since nothing that is kept is.

Rules: no answer is a guess; what cannot be told is left to who can.
"""

from collections.abc import Callable, Sequence

Parents = Callable[[str], Sequence[str]]
"""The parents of a commit."""

_LONGEST = 1_000
"""Commits of one side that are followed."""
_MOST = 100_000
"""Commits that are looked at in all: a merge adds two, and a history that leads past the root is given up."""


class Lineage:
    """Of one branch at a time.

    Args:
        parents: asked of the repository.
    """

    def __init__(self, parents: Parents) -> None:
        self._parents = parents
        self._root = self._tip = ""
        self._known: set[str] = set()
        """What the tip has beyond the root, and the root."""
        self._patience = _MOST

    def begin(self, root: str) -> None:
        """Know a commit that the branch's tip contains; what the tip has beyond it is found out when it is needed."""
        if self._patience > 0:
            self._root, self._tip, self._known = root, root, {root}

    def base(self, tip: str, source: str) -> str | None:
        """The only best common ancestor of the branch's tip and another commit; ``None`` if that is not known."""
        if not self._known or not self._follow(tip):
            return None
        commit = source
        for _ in range(_LONGEST):
            if commit in self._known:
                return commit
            parents = self._parents(commit)
            if len(parents) != 1:
                return None
            (commit,) = parents
        return None

    def _follow(self, tip: str) -> bool:
        """Whether it is known now what the tip has beyond the root."""
        if tip == self._tip:
            return True
        added = self._beyond(tip)
        if added is not None and self._tip not in added:  # it was moved, and not by merging
            self._known = {self._root}
            added = self._beyond(tip)
        self._tip = tip
        if added is None:
            self._known = set()
            return False
        self._known |= added
        return True

    def _beyond(self, tip: str) -> set[str] | None:
        """The commits from a tip down to known ones, with these; ``None`` if some lead past them."""
        found: set[str] = set()
        todo = [tip]
        while todo:
            commit = todo.pop()
            if commit in found:
                continue
            found.add(commit)
            if commit in self._known:
                continue
            parents = self._parents(commit)
            self._patience -= 1
            if not parents or self._patience <= 0:
                return None
            todo += parents
        return found
