"""Commits just made are read as git tells them; of all others nothing is said."""

import subprocess
import sys

import pytest

from prodigy.git import evidence
from prodigy.git.commit_text import LooseCommits


@pytest.fixture
def loose(repo) -> LooseCommits:
    return LooseCommits(str(repo.path / ".git"))


MESSAGES = ["plain", "ünï ☃\n\nbody", "two\nlines\n\nbody", "\n\n  late  \n", "tree 0\nparent 1\n"]


@pytest.mark.parametrize("message", MESSAGES, ids=ascii)
async def test_as_git_tells_it(repo, loose, message):
    base = repo.head
    repo.write("new")
    repo("add", "--all")
    repo("commit", "--quiet", "--cleanup=verbatim", "-F", "-", stdin=message.encode())
    made = loose.find(repo.head)
    told = await evidence.single(repo.git(), base, repo.head)
    assert made is not None
    assert told is not None
    assert made.tree == repo("rev-parse", "HEAD^{tree}")
    assert made.parents == (base,)
    assert made.subject == told[0].commits[0].subject


async def test_another_encoding(repo, loose):
    repo("-c", "i18n.commitEncoding=latin1", "commit", "--quiet", "--allow-empty", "-F", "-", stdin="café".encode("latin1"))  # fmt: skip
    found = loose.find(repo.head)
    assert found is not None
    assert found.subject == "café"


def test_a_merge_and_a_first_commit(repo, loose):
    base = repo.head
    repo("checkout", "--quiet", "--orphan", "fresh")
    first = repo.commit("first")
    repo("merge", "--quiet", "--allow-unrelated-histories", "-m", "both", "-X", "ours", base)
    both, alone = loose.find(repo.head), loose.find(first)
    assert both is not None
    assert alone is not None
    assert (both.parents, alone.parents) == ((first, base), ())


def test_nothing_is_said_of_what_lies_elsewhere(repo, loose):
    head = repo.head
    assert LooseCommits(None).find(head) is None
    assert loose.find(repo("rev-parse", "HEAD^{tree}")) is None
    assert loose.find("0" * 40) is None
    file = repo.path / ".git/objects" / head[:2] / head[2:]
    whole = file.read_bytes()
    file.chmod(0o600)
    file.write_bytes(whole[:-8])
    assert loose.find(head) is None, "it is torn"
    file.write_bytes(whole)
    repo("replace", "--graft", "HEAD", "HEAD~2")
    assert loose.find(head) is None, "it is replaced"
    repo("replace", "--delete", head)
    repo("gc", "--quiet")
    assert loose.find(head) is None, "it is packed"


def test_workers_can_use_it():
    code = "import sys, prodigy.git.commit_text; assert not {'pygit2', 'trio'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)
