"""Where a repository wants a say in a merge it is git's own, with hooks, drivers, filters and signatures; else it costs no files."""

import shutil
from pathlib import Path

import pytest
import trio

from prodigy.errors import RunError
from prodigy.git import bench
from prodigy.git.customs import COMMIT_HOOKS
from prodigy.git.merge import Conflict, Merged, foretell, merge

TARGET = "refs/heads/session"


PLAIN = ("core.hooksPath=/dev/null", "commit.gpgSign=false")


def side(repo, base: str, **files: str) -> str:
    """A commit on ``base`` that nobody but git had a say in; HEAD goes back to ``main``."""
    settings = {
        f"GIT_CONFIG_{part}_{number}": word
        for number, setting in enumerate(PLAIN)
        for part, word in zip(("KEY", "VALUE"), setting.split("="), strict=True)
    }
    plain = type(repo)(repo.path, {**repo.env, "GIT_CONFIG_COUNT": str(len(PLAIN)), **settings})
    plain("checkout", "--quiet", "--force", "--detach", base)
    made = plain.commit(f"side {sorted(files)}", **files)
    plain("checkout", "--quiet", "main")
    return made


def diverged(repo, **files: str) -> str:
    """The session branch and a commit with ``files``, each with something of its own; returns that commit."""
    base = repo.head
    repo("update-ref", TARGET, side(repo, base, ours="ours\n"))
    return side(repo, base, **(files or {"theirs": "theirs\n"}))


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


async def strategy(repo, source: str) -> str:
    done = await merge(await repo.forge(), TARGET, source, "Merge it")
    assert isinstance(done, Merged)
    return done.strategy


# -- hooks -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["pre-merge-commit", "prepare-commit-msg", "commit-msg", "post-merge"])
async def test_hooks_of_merges_run(repo, tmp_path, name):
    repo.hook(name, f'echo "$(pwd) $(basename $0)" >> {tmp_path}/ran')
    source = diverged(repo)
    before = repo.fingerprint()
    assert await strategy(repo, source) == "git"
    assert (tmp_path / "ran").read_text() == f"{tmp_path / 'bench'} {name}\n"
    assert repo("log", "-1", "--format=%P", TARGET).split()[1] == source
    assert repo.fingerprint() == before


async def test_a_hook_may_change_the_message(repo):
    repo.hook("commit-msg", r'printf "\nChange-Id: 7\n" >> "$1"')
    assert await strategy(repo, diverged(repo)) == "git"
    assert repo("log", "-1", "--format=%B", TARGET).split() == ["Merge", "it", "Change-Id:", "7"]


async def test_post_merge_follows_a_fast_forward(repo, tmp_path):
    repo.hook("post-merge", f"git rev-parse HEAD >> {tmp_path}/ran")
    base = repo.head
    source = side(repo, base, new="n\n")
    repo("update-ref", TARGET, base)
    assert await merge(await repo.forge(), TARGET, source, "m") == Merged(base, source, "fast-forward")
    assert (tmp_path / "ran").read_text() == f"{source}\n"


async def test_a_refusing_hook_refuses_and_the_next_merge_is_made(repo, tmp_path):
    repo.hook("commit-msg", f"test -f {tmp_path}/fine || {{ echo left > left; echo no ticket >&2; exit 1; }}")
    forge, source = await repo.forge(), diverged(repo)
    tip = repo("rev-parse", TARGET)
    with pytest.raises(RunError, match="no ticket") as caught:
        await merge(forge, TARGET, source, "m")
    assert caught.value.code == "merge-refused"
    assert repo("rev-parse", TARGET) == tip
    (tmp_path / "fine").touch()
    assert isinstance(await merge(forge, TARGET, source, "m"), Merged)
    assert "left" not in repo("ls-tree", "--name-only", TARGET).split()


async def test_what_a_hook_leaves_in_the_worktree_stops_no_merge(repo):
    """After a merge a hook rewrites a file that the next one changes."""
    repo.hook("post-merge", "echo scribbled > b")
    base, forge = repo.head, await repo.forge()
    sources = [side(repo, base, **{name: "x\n"}) for name in ("a", "b", "deep/er/c")]
    repo("update-ref", TARGET, base)
    for source in sources:
        assert isinstance(await merge(forge, TARGET, source, "m"), Merged)
    assert [repo("show", f"{TARGET}:{name}") for name in ("a", "b", "deep/er/c")] == ["x", "x", "x"]


async def test_hooks_of_elsewhere(repo, configure, tmp_path):
    script(tmp_path / "commit-msg", f"touch {tmp_path}/ran")
    configure(f"core.hooksPath={tmp_path}")
    assert await strategy(repo, diverged(repo)) == "git"
    assert (tmp_path / "ran").exists()


async def test_hooks_that_the_branch_holds(repo, tmp_path):
    """A relative path of hooks is one in the worktree: that of the branch's tip."""
    hook = repo.write(".hooks/commit-msg", f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    repo.commit()
    repo("config", "core.hooksPath", ".hooks")
    assert await strategy(repo, diverged(repo)) == "git"
    assert (tmp_path / "ran").exists()


async def test_a_hook_that_waits_for_ever_is_ended(repo, tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "PATIENCE_S", 0.0)
    repo.hook("commit-msg", "exec sleep 1000")
    with pytest.raises(RunError, match="still ran"):
        await merge(await repo.forge(), TARGET, diverged(repo), "m")


async def test_other_hooks_and_samples_cost_nothing(repo):
    for name in ("pre-commit", "pre-push", "post-commit"):
        repo.hook(name, "exit 1")
    repo.write(".git/hooks/commit-msg", "#!/bin/sh\nexit 1\n")
    assert await strategy(repo, diverged(repo)) == "merge-tree"


# -- drivers -----------------------------------------------------------------------------------------------------------
async def test_merge_drivers_run_among_the_files_of_the_branch(repo, tmp_path):
    driver = script(tmp_path / "driver", 'test -f b && sort -u "$2" "$3" > out && mv out "$2"')
    repo("config", "merge.sorted.driver", f"{driver} %O %A %B")
    base = repo.commit(**{".gitattributes": "*.list merge=sorted\n", "names.list": "m\n"})
    repo("update-ref", TARGET, side(repo, base, **{"names.list": "z\n"}))
    source = side(repo, base, **{"names.list": "a\n"})
    assert await strategy(repo, source) == "git"
    assert repo("show", f"{TARGET}:names.list").split() == ["a", "z"]


async def test_a_driver_that_gives_up_is_a_conflict(repo):
    repo("config", "merge.never.driver", "false")
    base = repo.commit(**{".gitattributes": "a merge=never\n"})
    repo("update-ref", TARGET, side(repo, base, a="ours\n"))
    forge, source = await repo.forge(), side(repo, base, a="theirs\n")
    assert await merge(forge, TARGET, source, "m") == Conflict(("a",))
    assert isinstance(await merge(forge, TARGET, side(repo, base, b="theirs\n"), "m"), Merged)


@pytest.mark.parametrize("place", ["info", "global", "default", "macro"])
async def test_drivers_that_are_named_elsewhere(repo, env, place):
    repo("config", "merge.ours.driver", "true")
    if place == "info":
        repo.write(".git/info/attributes", "a merge=ours\n")
    elif place == "global":
        Path(env["HOME"], ".config/git").mkdir(parents=True)
        Path(env["HOME"], ".config/git/attributes").write_text("a -text\tmerge=ours\n")
    elif place == "default":
        repo("config", "merge.default", "ours")
    else:
        repo.commit(**{".gitattributes": "[attr]made merge=ours\na made\n"})
    base = repo.head
    repo("update-ref", TARGET, side(repo, base, a="ours\n"))
    assert await strategy(repo, side(repo, base, a="theirs\n")) == "git"
    assert repo("show", f"{TARGET}:a") == "ours"


async def test_a_driver_that_is_only_configured_costs_nothing(repo, configure):
    configure("merge.mine.driver=false", "filter.lfs.smudge=false")
    assert await strategy(repo, diverged(repo)) == "merge-tree"


async def test_attributes_are_those_of_the_tip_wherever_the_checkout_stands(repo):
    """What the user has checked out, or changed and not committed, has no say in a merge of ours."""
    base = repo.commit(names="m\n")
    tip = side(repo, base, names="ours\nm\n", **{".gitattributes": "names merge=union\n"})
    theirs = side(repo, base, names="theirs\nm\n")
    repo("update-ref", TARGET, tip)
    repo.write(".gitattributes", "names merge=binary\n")
    forge = await repo.forge()
    assert isinstance(await foretell(forge, tip, theirs), str)
    assert isinstance(await merge(forge, TARGET, theirs, "m"), Merged)
    assert sorted(repo("show", f"{TARGET}:names").split()) == ["m", "ours", "theirs"]
    later = side(repo, tip, names="later\nours\nm\n", **{".gitattributes": "names -merge\n"})
    repo("update-ref", TARGET, later)
    other = side(repo, tip, names="other\nours\nm\n")
    assert await merge(forge, TARGET, other, "m") == Conflict(("names",)), "the tip's attributes changed"


# -- filters, signatures, settings -------------------------------------------------------------------------------------
async def test_filters_run(repo, tmp_path):
    repo("config", "filter.upper.smudge", f"tee -a {tmp_path}/ran | tr a-z A-Z")
    repo("config", "filter.upper.clean", "tr A-Z a-z")
    base = repo.commit(**{".gitattributes": "*.txt filter=upper\n", "t.txt": "base\n"})
    repo("update-ref", TARGET, side(repo, base, ours="o\n"))
    source = side(repo, base, **{"t.txt": "theirs\n"})
    (tmp_path / "ran").unlink(missing_ok=True)
    assert await strategy(repo, source) == "git"
    assert (tmp_path / "ran").read_text() == "base\ntheirs\n"
    assert repo("show", f"{TARGET}:t.txt") == "theirs"


@pytest.fixture
def signing(repo, tmp_path):
    """The repository signs by a program that signs everything."""
    program = script(
        tmp_path / "sign",
        'cat > /dev/null; echo "[GNUPG:] SIG_CREATED D" >&2; printf -- "-----BEGIN PGP SIGNATURE-----\\nours\\n-----END PGP SIGNATURE-----\\n"',
    )
    repo("config", "gpg.program", str(program))
    repo("config", "user.signingKey", "0x1")
    repo("config", "commit.gpgSign", "true")
    return program


async def test_merge_commits_are_signed(repo, signing):
    source = diverged(repo)
    assert await strategy(repo, source) == "git"
    assert "gpgsig -----BEGIN PGP SIGNATURE-----\n ours" in repo("cat-file", "commit", TARGET)


async def test_merge_commits_are_signed_by_ssh(repo, tmp_path, env):
    source = diverged(repo)
    key = tmp_path / "key"
    await trio.run_process(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)])
    allowed = tmp_path / "allowed"
    allowed.write_text(f"tester@example.org {Path(f'{key}.pub').read_text()}")
    for setting in (
        "gpg.format=ssh",
        f"user.signingKey={key}",
        "commit.gpgSign=yes",
        f"gpg.ssh.allowedSignersFile={allowed}",
    ):
        repo("config", *setting.split("=", 1))
    assert await strategy(repo, source) == "git"
    repo("verify-commit", TARGET)


async def test_a_signature_that_cannot_be_made_refuses(repo, signing):
    source = diverged(repo)
    script(signing, "exit 1")
    with pytest.raises(RunError) as caught:
        await merge(await repo.forge(), TARGET, source, "m")
    assert caught.value.code == "merge-refused"
    assert "sign" in caught.value.message


@pytest.mark.parametrize(
    "setting", ["merge.ff=only", "merge.ff=false", "merge.verifySignatures=true", "merge.log=true"]
)
async def test_what_a_user_demands_of_merges_into_their_branches_does_not_stop_a_runs_own(repo, setting):
    repo("config", *setting.split("=", 1))
    assert await strategy(repo, diverged(repo)) == "merge-tree"
    repo.hook("post-merge", "true")
    base = repo("rev-parse", TARGET)
    assert await strategy(repo, side(repo, repo.head, more="m\n")) == "git"
    assert await strategy(repo, side(repo, repo("rev-parse", TARGET), most="m\n")) == "fast-forward"
    assert repo("merge-base", base, TARGET) == base


@pytest.mark.parametrize(
    "setting", ["merge.renormalize=true", "pull.twohead=recursive", "diff.algorithm=patience"]
)
async def test_settings_that_only_git_merge_heeds(repo, setting):
    repo("config", *setting.split("=", 1))
    assert await strategy(repo, diverged(repo)) == "git"


# -- the price ---------------------------------------------------------------------------------------------------------
async def test_the_configuration_is_read_again_when_it_changes_and_only_then(repo, tmp_path, monkeypatch):
    asked = []
    forge = await repo.forge()
    original = forge.git.runner.run

    async def counted(argv, *, cwd, env, stdin=b""):
        asked.append("config" in argv)
        return await original(argv, cwd=cwd, env=env, stdin=stdin)

    monkeypatch.setattr(forge.git.runner, "run", counted)
    base = repo.head
    repo("update-ref", TARGET, base)

    async def merged(number: int) -> str:
        asked.clear()
        done = await merge(forge, TARGET, side(repo, base, **{f"f{number}": "x\n"}), "m")
        assert isinstance(done, Merged)
        return done.strategy

    assert [await merged(1), await merged(2)] == ["fast-forward", "merge-tree"]
    assert not any(asked)
    repo("config", "commit.gpgSign", "true")
    repo("config", "gpg.program", "false")
    with pytest.raises(RunError):
        await merged(3)
    repo("config", "commit.gpgSign", "false")
    repo.hook("commit-msg", f"touch {tmp_path}/ran")
    assert await merged(4) == "git"
    assert (tmp_path / "ran").exists()


async def test_the_bench_is_removed(repo, tmp_path):
    repo.hook("commit-msg", "true")
    forge = await repo.forge()
    assert isinstance(await merge(forge, TARGET, diverged(repo), "m"), Merged)
    assert (tmp_path / "bench").is_dir()
    await forge.bench.close()
    assert not (tmp_path / "bench").exists()
    assert repo("worktree", "list").count("\n") == 0


async def test_a_bench_that_is_gone_or_left_over_is_made_anew(repo, tmp_path):
    repo.hook("commit-msg", "true")
    base, forge = repo.head, await repo.forge()
    repo("update-ref", TARGET, side(repo, base, ours="o\n"))
    assert isinstance(await merge(forge, TARGET, side(repo, base, one="x\n"), "m"), Merged)
    shutil.rmtree(tmp_path / "bench")
    assert isinstance(await merge(forge, TARGET, side(repo, base, two="x\n"), "m"), Merged)
    assert isinstance(await merge(await repo.forge(), TARGET, side(repo, base, three="x\n"), "m"), Merged)


@pytest.mark.parametrize("hook", [*COMMIT_HOOKS, "applypatch-msg"])
async def test_programs_that_run_when_something_is_committed(repo, hook):
    customs = (await repo.forge()).customs
    assert not await customs.commits_write({})
    repo.hook(hook, "true")
    assert await customs.commits_write({}) == (hook in COMMIT_HOOKS)


async def test_hooks_that_a_step_installs_are_seen(repo):
    customs = (await repo.forge()).customs
    assert not await customs.commits_write({})
    repo("config", "core.hooksPath", ".husky")
    assert await customs.commits_write({})


async def test_filters_run_where_attributes_name_them(repo):
    repo("config", "filter.lfs.clean", "cat")
    customs = (await repo.forge()).customs
    assert not await customs.commits_write({b".gitattributes": b"*.bin filter=other\n"})
    assert await customs.commits_write({b".gitattributes": b"*.bin filter=lfs\n"})
