"""What commits add is found, whatever kind of file it is in; what they remove is not."""

from prodigy.git.contents import added_content, added_files, tracked_files


async def test_added_lines_names_and_messages_are_there(repo, hostile, configure):
    configure("diff.noprefix=true", "diff.external=false", "color.ui=always", "diff.algorithm=histogram")
    base = repo.head
    repo.write("binary", b"\0\1 in a binary \0")
    repo.write("two-lines", "first of two\nsecond of two\n+ and a plus\n")
    repo.write("name-of-a-file", "")
    repo.write(hostile, "in a hostile one\n")
    repo.commit("subject of it\n\n- in a list\n+ in another")
    repo("rm", "--quiet", "two-lines")
    repo.commit("removed again")
    found = await added_content(repo.git(), base, repo.head)
    for part in (
        b"in a binary",
        b"first of two\nsecond of two\n+ and a plus",
        b"name-of-a-file",
        b"in a hostile one",
        b"subject of it",
        b"- in a list",
        b"+ in another",
    ):
        assert part in found


async def test_what_was_there_before_is_not(repo):
    base = repo.commit(known="old secret\nline\n")
    repo.commit(known="line\n")
    assert b"old secret" not in await added_content(repo.git(), base, repo.head)
    repo.commit(known="line\nmore\n")
    assert b"old secret" not in await added_content(repo.git(), base, repo.head)
    assert await added_content(repo.git(), base, base) == b""


async def test_merges_tell_what_they_add_themselves(repo):
    base = repo.head
    repo("checkout", "--quiet", "-b", "side")
    repo.commit(side="from the side\n")
    repo("checkout", "--quiet", "main")
    repo.commit(other="other\n")
    repo("merge", "--quiet", "--no-ff", "--no-commit", "side")
    repo.commit("merged", evil="only in the merge\n")
    found = await added_content(repo.git(), base, repo.head)
    assert b"only in the merge" in found
    assert b"from the side" in found


async def test_added_files_of_every_commit(repo, hostile):
    base = repo.head
    repo.commit(new="1\n", a="changed\n")
    repo("rm", "--quiet", "new")
    repo.commit()
    repo("mv", "b", "moved")
    repo.commit_file(hostile, "x\n")
    repo("checkout", "--quiet", "-b", "side", base)
    repo.commit(beside="1\n")
    repo("checkout", "--quiet", "main")
    repo("merge", "--quiet", "--no-ff", "side")
    assert await added_files(repo.git(), base, repo.head) == {"new", "moved", hostile, "beside"}
    assert await added_files(repo.git(), repo.head, repo.head) == frozenset()


async def test_files_of_a_commit_from_wherever_git_is_asked(repo, hostile):
    repo.write("deep/c d", "x")
    repo.write("a", "x")
    repo.write(hostile, "x")
    commit = repo.commit("files")
    repo("update-index", "--add", "--cacheinfo", f"160000,{commit},module")
    repo("commit", "--quiet", "-m", "with a submodule")
    repo.write("untracked", "x")
    before = set(await tracked_files(repo.git(), commit))
    assert {"a", "deep/c d", hostile} <= before
    assert set(await tracked_files(repo.git(), repo.head)) == before
    assert set(await tracked_files(repo.git().at(f"{repo.path}/deep"), repo.head)) == before
