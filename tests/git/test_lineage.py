"""The only best common ancestor, or nothing: never a guess."""

from hypothesis import given
from hypothesis import strategies as st

from prodigy.git.lineage import Lineage

Graph = dict[str, tuple[str, ...]]


def history(graph: Graph, commit: str) -> set[str]:
    return {commit}.union(*(history(graph, parent) for parent in graph[commit]))


def best(graph: Graph, one: str, other: str) -> set[str]:
    """Common ancestors that no other common ancestor contains."""
    common = history(graph, one) & history(graph, other)
    return {commit for commit in common if not any(commit in history(graph, it) - {it} for it in common)}


@st.composite
def graphs(draw) -> Graph:
    """Commits with up to two parents among those before them."""
    graph: Graph = {}
    for number in range(draw(st.integers(2, 14))):
        parents = draw(st.lists(st.sampled_from(sorted(graph)), max_size=2, unique=True)) if graph else []
        graph[f"{number:02}"] = tuple(parents)
    return graph


@given(graphs(), st.data())
def test_every_answer_is_the_only_best_ancestor(graph: Graph, data) -> None:
    """Whatever was asked before, and wherever the tip has moved since."""
    lineage = Lineage(graph.__getitem__)
    commits = st.sampled_from(sorted(graph))
    for tip, source in data.draw(st.lists(st.tuples(commits, commits), min_size=1, max_size=8)):
        found = lineage.base(tip, source)
        ancestors = best(graph, tip, source)
        assert found is None or {found} == ancestors
        if found is None and ancestors:
            lineage.begin(min(ancestors))
            again = lineage.base(tip, source)
            assert again is None or {again} == ancestors


def chain(graph: Graph, name: str, base: str, length: int) -> str:
    for number in range(length):
        graph[f"{name}{number}"] = (base,)
        base = f"{name}{number}"
    return base


def test_a_branch_that_merges_agents_one_after_the_other_is_known_all_the_way() -> None:
    """Each commit is read a few times, however long the branch is by then."""
    graph: Graph = {"root": ()}
    reads = 0

    def parents(commit: str) -> tuple[str, ...]:
        nonlocal reads
        reads += 1
        return graph[commit]

    base = chain(graph, "old", "root", 50)
    lineage, tip = Lineage(parents), base
    lineage.begin(base)
    for number in range(200):
        source = chain(graph, f"agent{number}-", base, 2)
        assert lineage.base(tip, source) == base
        graph[f"merge{number}"] = (tip, source)
        tip = f"merge{number}"
        assert lineage.base(tip, source) == source
        assert lineage.base(tip, chain(graph, f"rerun{number}-", tip, 1)) == tip
    assert reads < 200 * 10


def test_a_side_with_merges_of_its_own_is_left_to_git() -> None:
    graph: Graph = {"root": ()}
    base = chain(graph, "old", "root", 2)
    graph["merge"] = (chain(graph, "one", base, 1), chain(graph, "two", base, 1))
    lineage = Lineage(graph.__getitem__)
    lineage.begin(base)
    assert lineage.base(chain(graph, "ours", base, 1), "merge") is None
