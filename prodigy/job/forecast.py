"""Which agents at work may collide with what was merged since they began: by the paths that both changed.

Pure. It says only whom to look at; whether the two sides really collide is for git to say. An agent is of interest
once it goes on after having committed: one that has ended is merged next, and there is nothing to foretell.
"""

from collections.abc import Collection, Iterable, Iterator

from msgspec import Struct

from prodigy.events import AgentStarted, Event, StepIntended, WorktreeMerged
from prodigy.job.state import ItemState, JobState

FOLLOWED = (AgentStarted, StepIntended, WorktreeMerged)
"""The kinds of records that `Forecast.heard` follows."""


class Work(Struct, frozen=True):
    """What an agent has committed so far: from the commit that its attempt began with to its last one."""

    item_id: str
    base: str
    head: str


class Forecast:
    """Follows the agents and merges of a run.

    Args:
        state: of the run, at whatever point; the records behind it are then given to `heard` in order.
    """

    def __init__(self, state: JobState) -> None:
        self._merges = 0
        self._files: dict[str, int] = {}
        """By path, the number of the last merge that changed it."""
        self._folders: dict[str, int] = {}
        """As well, of the last merge that changed something below it."""
        self._since: dict[str, int] = {}
        """How many merges an agent has in its base."""
        self._heads: dict[str, str] = {}
        self._paths: dict[str, frozenset[str]] = {}
        """What agents changed, as far as it was asked for."""
        self._suspects: dict[str, None] = {}
        for item in state.items.values():
            if item.status == "done":
                self._merged(item)

    def heard(self, state: JobState, event: Event) -> None:
        """Follow one record; ``state`` may be later than it."""
        match event:
            case AgentStarted(item_id=item_id, base_commit=base):
                self._forget(item_id)
                self._since[item_id] = self._merges if base == state.tip else 0
            case StepIntended(phase="map", item_id=str(item_id), head_before=str(head)):
                if head not in {state.items[item_id].base_commit, self._heads.get(item_id)}:
                    self._heads[item_id] = head
                    self._paths.pop(item_id, None)
                    self._suspects[item_id] = None
            case WorktreeMerged(what="agent", item_id=str(item_id)):
                merged = state.items[item_id]
                self._forget(item_id)
                self._merged(merged)
                self._suspects.update(dict.fromkeys(self._beside(merged)))
            case _:
                pass

    @property
    def suspects(self) -> bool:
        """Whether there is an agent to look at, as far as is known."""
        return bool(self._suspects)

    def suspect(self, state: JobState) -> Work | None:
        """The next agent to look at, if it is still at work and anything was merged beside it."""
        while self._suspects:
            item_id = next(iter(self._suspects))
            del self._suspects[item_id]
            item, head = state.items[item_id], self._heads.get(item_id)
            if item.status != "running" or item.base_commit is None or head is None:
                self._forget(item_id)
            elif self._merges > self._since.get(item_id, 0):
                return Work(item_id, item.base_commit, head)
        return None

    def knows(self, work: Work) -> bool:
        """Whether `changes` was told of this work."""
        return work.item_id in self._paths

    def changes(self, work: Work, paths: Iterable[str]) -> None:
        """Take in the paths that work changes."""
        if self._heads.get(work.item_id) == work.head:
            self._paths[work.item_id] = frozenset(paths)

    def overlaps(self, work: Work) -> bool:
        """Whether a path of the work, one above or one below it was changed by what was merged since it began."""
        since, paths = self._since.get(work.item_id, 0), self._paths.get(work.item_id, frozenset())
        touched = (self._files.get(place, 0) for path in paths for place in (path, *_above(path)))
        return any(last > since for last in touched) or any(
            self._folders.get(path, 0) > since for path in paths
        )

    def _beside(self, merged: ItemState) -> Iterator[str]:
        """Agents whose work overlaps with what was just merged, or was not asked for yet."""
        files, folders = set(merged.files_changed), _folders(merged.files_changed)
        for item_id in self._heads:
            paths = self._paths.get(item_id)
            if (
                paths is None
                or not paths.isdisjoint(files | folders)
                or not files.isdisjoint(_folders(paths))
            ):
                yield item_id

    def _merged(self, item: ItemState) -> None:
        self._merges += 1
        self._files.update(dict.fromkeys(item.files_changed, self._merges))
        self._folders.update(dict.fromkeys(_folders(item.files_changed), self._merges))

    def _forget(self, item_id: str) -> None:
        for known in (self._heads, self._paths, self._since):
            known.pop(item_id, None)


def _folders(paths: Collection[str]) -> set[str]:
    """Every folder that one of the paths lies in."""
    return {place for path in paths for place in _above(path)}


def _above(path: str) -> Iterator[str]:
    """``a/b/c`` → ``a/b``, ``a``."""
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path
