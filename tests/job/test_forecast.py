"""Who is looked at: only agents at work that changed what was merged since they began, and once for each reason."""

from hypothesis import given
from hypothesis import strategies as st

from prodigy import events
from prodigy.job.forecast import Forecast, Work
from prodigy.job.state import ItemState, JobState, packed

BASE, TIP = "base", "tip"


class Run:
    """A map phase of items ``a``, ``b`` and ``c``, told record by record."""

    def __init__(self) -> None:
        self.state = JobState(tip=BASE)
        for index, name in enumerate("abc"):
            self.state.items[name] = ItemState(index=index, item_id=name, packed=packed(name))
        self.forecast = Forecast(self.state)

    def starts(self, name: str, base: str = BASE) -> None:
        item = self.state.items[name]
        item.status, item.base_commit = "running", base
        told = events.AgentStarted(
            item_id=name,
            agent_id=f"agent-{name}",
            attempt=1,
            worktree="/w",
            slot=1,
            base_commit=base,
            branch="b",
        )
        self.forecast.heard(self.state, told)

    def goes_on(self, name: str, head: str) -> None:
        told = events.StepIntended(phase="map", step="2", kind="shell", item_id=name, head_before=head)
        self.forecast.heard(self.state, told)

    def merges(self, name: str, *paths: str) -> None:
        item = self.state.items[name]
        item.status, item.files_changed, self.state.tip = "done", paths, TIP
        told = events.WorktreeMerged(
            what="agent", target_branch="s", item_id=name, intent=1, old=BASE, new=TIP, strategy="git"
        )
        self.forecast.heard(self.state, told)

    def looks(self, *paths: str) -> list[str]:
        """Whom there is reason to look at, whose work overlaps; each one's work changes ``paths``."""
        found = []
        while (work := self.forecast.suspect(self.state)) is not None:
            if not self.forecast.knows(work):
                self.forecast.changes(work, paths)
            if self.forecast.overlaps(work):
                found.append(work.item_id)
        return found


def test_an_agent_that_goes_on_with_work_that_overlaps_is_looked_at() -> None:
    run = Run()
    run.starts("a")
    run.starts("b")
    run.goes_on("b", "b1")
    assert run.looks("shared") == [], "nothing was merged yet"
    run.merges("a", "shared")
    assert run.looks("shared") == ["b"]
    assert run.looks("shared") == [], "there is no new reason"
    run.goes_on("b", "b1")
    assert run.looks("shared") == [], "it is the same work"
    run.goes_on("b", "b2")
    assert run.looks("shared") == ["b"]


def test_what_is_merged_before_an_agent_commits_counts_as_well() -> None:
    run = Run()
    run.starts("a")
    run.starts("b")
    run.merges("a", "shared")
    run.goes_on("b", BASE)
    assert run.looks("shared") == [], "it has not committed"
    run.goes_on("b", "b1")
    assert run.looks("shared") == ["b"]


def test_other_paths_give_no_reason() -> None:
    run = Run()
    run.starts("a")
    run.starts("b")
    run.goes_on("b", "b1")
    run.merges("a", "f/one")
    assert run.looks("f/two") == []
    run.merges("c", "f/three")
    assert run.forecast.suspect(run.state) is None, "not even git is asked"


def test_a_file_collides_with_what_lies_below_its_name() -> None:
    for merged, mine in (("a/b", "a/b/c"), ("a/b/c", "a/b"), ("a", "a/b/c")):
        run = Run()
        run.starts("a")
        run.starts("b")
        run.goes_on("b", "b1")
        run.merges("a", merged)
        assert run.looks(mine) == ["b"]
        run.merges("c", merged)
        assert run.looks(mine) == ["b"], "known by now, and found again"


def test_an_agent_that_begins_with_the_tip_has_what_was_merged_before() -> None:
    run = Run()
    run.starts("a")
    run.merges("a", "shared")
    run.starts("b", TIP)
    run.goes_on("b", "b1")
    assert run.looks("shared") == []
    run.merges("c", "shared")
    assert run.looks("shared") == ["b"]


def test_an_agent_that_has_ended_is_not_looked_at() -> None:
    run = Run()
    run.starts("a")
    run.starts("b")
    run.goes_on("b", "b1")
    run.merges("a", "shared")
    run.state.items["b"].status = "merging"
    assert run.looks("shared") == []


def test_work_that_changed_meanwhile_is_asked_for_again() -> None:
    run = Run()
    run.starts("a")
    run.starts("b")
    run.merges("a", "shared")
    run.goes_on("b", "b1")
    work = run.forecast.suspect(run.state)
    assert work == Work("b", BASE, "b1")
    run.goes_on("b", "b2")
    run.forecast.changes(work, ["other"])
    assert run.looks("shared") == ["b"]


def test_one_that_is_made_in_the_middle_knows_what_was_merged() -> None:
    run = Run()
    run.starts("a")
    run.starts("b")
    run.merges("a", "shared")
    run.forecast = Forecast(run.state)
    run.goes_on("b", "b1")
    assert run.looks("shared") == ["b"]


PATHS = st.frozensets(st.sampled_from(["a", "b", "a/a", "a/b", "a/b/a", "b/a"]), max_size=4)


def collide(one: str, other: str) -> bool:
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")


@given(mine=PATHS, merged=st.lists(PATHS, min_size=1, max_size=3), known=st.booleans())
def test_it_looks_where_paths_collide_and_nowhere_else(
    mine: frozenset[str], merged: list[frozenset[str]], known: bool
) -> None:
    run = Run()
    run.starts("b")
    run.goes_on("b", "b1")
    if known:
        run.forecast.changes(Work("b", BASE, "b1"), mine)
    run.looks(*mine)
    for paths in merged:
        run.merges("a", *paths)
    expected = any(collide(one, other) for one in mine for paths in merged for other in paths)
    assert run.looks(*mine) == (["b"] if expected else [])
