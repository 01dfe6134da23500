"""Names that differ in case only, in repositories whose files lie where upper and lower case are the same."""

from collections import defaultdict

from prodigy.git.cli import Git, readable
from prodigy.git.configuration import is_true, settings


async def ignores_case(git: Git) -> bool:
    """Whether the repository says that its files lie where upper and lower case are the same."""
    return is_true((await settings(git, r"^core\.ignorecase$")).get("core.ignorecase"))


async def same_but_for_case(git: Git, commit: str) -> tuple[str, ...]:
    """Paths of files and folders of a commit that are another one's but for case, sorted."""
    listed = (await git.run("ls-tree", "-r", "-t", "-z", "--name-only", "--full-tree", commit)).fields
    spelt: defaultdict[str, set[str]] = defaultdict(set)
    for path in map(readable, listed):
        spelt[path.lower()].add(path)
    return tuple(sorted(path for paths in spelt.values() if len(paths) > 1 for path in paths))
