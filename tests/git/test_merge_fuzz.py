"""A slice of the differential fuzz: our merge and `git merge` in a worktree agree."""

from pathlib import Path

from stress.merge_fuzz import SETTINGS, Course, compare


async def test_verdicts_trees_and_conflicting_paths_are_those_of_git_merge(tmp_path: Path) -> None:
    """Of the slice some pairs need the attributes of the branch, and renames of folders, to come out as they do."""
    course = Course()
    await compare(course, seed=1, pairs=4 * len(SETTINGS), folder=tmp_path, in_round=4)
    assert course.differences == []
    assert course.counts["conflict"] >= course.pairs / 5
    assert course.counts["merged"] >= course.pairs / 5
    assert {"merge-tree", "git"} <= course.strategies.keys(), "both ways were taken"
