"""Every kind of repository is worked in and merged, or refused with a code before anything is made."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from worlds import World

FLOW = """
mode: mapreduce
setup:
  - shell: printf '1\\n2\\n3\\n' > numbers.txt
map:
  input: numbers.txt
  max_parallel: 2
  agent_template:
    - shell: echo made > made-${item}.txt; sed -i ${item}0s/$/!/ lines
reduce:
  - shell: cat made-*.txt > made
"""
LINES = "".join(f"{number}\n" for number in range(1, 41))
DONE = "".join(f"{number}{'!' if number in {10, 20, 30} else ''}\n" for number in range(1, 41))


@dataclass
class Place(World):
    """A world whose user stands in a checkout of any kind, anywhere."""

    place: str | bytes = "project"

    @property
    def repository(self) -> Path:
        return Path(self.folder, os.fsdecode(self.place))

    def at(self, place: str | bytes) -> "Place":
        return Place(self.folder, self.environ, place)

    def begin(self, *options: str) -> None:
        """Make it a repository of somebody."""
        self.git("init", "--quiet", "--initial-branch=main", *options)
        self.git("config", "user.name", "Ann")
        self.git("config", "user.email", "ann@localhost")

    def works(self, branch: str = "main") -> None:
        """A run does all of its work here and merges it, and nothing is left."""
        done = self.prodigy("run", self.workflow(FLOW), "-y")
        assert done.returncode == 0, done.stderr
        assert self.git("show", f"{branch}:lines") == DONE.strip()
        assert self.git("show", f"{branch}:made").split() == ["made"] * 3
        assert self.git("branch", "--list", "prodigy-*") == ""
        assert not [path for path in self.home.glob("worktrees/*/*") if path.name != ".metadata"]
        self.git("fsck", "--strict")

    def refuses(self, code: str) -> None:
        """A run is refused, and nothing was made."""
        before = self.git("for-each-ref"), self.git("worktree", "list"), self.checkout_digest()
        done = self.prodigy("run", self.workflow(FLOW), "-y")
        assert done.returncode == 2, (done.stdout, done.stderr)
        assert done.stderr.startswith(f"error: {code}\n"), done.stderr
        assert not list(self.home.glob("events/*/*"))
        assert (self.git("for-each-ref"), self.git("worktree", "list"), self.checkout_digest()) == before


@pytest.fixture
def place(world: World) -> Place:
    """A repository with a file of forty lines."""
    made = Place(world.folder, world.environ)
    made.write("lines", LINES)
    made.commit("lines")
    return made


def test_plain(place: Place) -> None:
    place.works()
    assert (place.repository / "lines").read_text() == DONE
    assert place.git("status", "--porcelain") == ""


def test_dirty(place: Place) -> None:
    place.write("README.md", "changed\n")
    place.write("untracked", "mine\n")
    place.works()
    assert place.git("status", "--porcelain").split() == ["M", "README.md", "??", "untracked"]


def test_detached(place: Place) -> None:
    place.git("checkout", "--quiet", "--detach")
    place.works()
    assert place.git("log", "-1", "--format=%s", "HEAD") == "lines"


def test_shallow(place: Place) -> None:
    place.git("clone", "--quiet", "--depth=1", f"file://{place.repository}", "../clone")
    clone = place.at("clone")
    clone.works()
    assert clone.git("rev-parse", "--is-shallow-repository") == "true"


def test_bare(place: Place) -> None:
    place.git("clone", "--quiet", "--bare", ".", "../bare.git")
    place.at("bare.git").works()


def test_a_linked_worktree(place: Place) -> None:
    place.git("worktree", "add", "--quiet", "-b", "side", "../linked")
    linked = place.at("linked")
    linked.works("side")
    assert (linked.repository / "lines").read_text() == DONE
    assert linked.git("status", "--porcelain") == ""
    assert (place.repository / "lines").read_text() == LINES


def test_a_submodule(place: Place) -> None:
    """The user stands in a repository whose folder lies in that of another."""
    place.git("clone", "--quiet", ".", "../library")
    outer = place.at("outer")
    outer.repository.mkdir()
    outer.begin()
    outer.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "../library")
    inner = place.at("outer/library")
    inner.works()
    assert (inner.repository / "lines").read_text() == DONE


def test_a_linked_worktree_of_a_bare_repository(place: Place) -> None:
    place.git("clone", "--quiet", "--bare", ".", "../bare.git")
    place.at("bare.git").git("worktree", "add", "--quiet", "../linked", "main")
    linked = place.at("linked")
    linked.works()
    assert (linked.repository / "lines").read_text() == DONE


def test_a_separate_git_folder(place: Place) -> None:
    place.git("init", "--quiet", f"--separate-git-dir={place.folder}/elsewhere.git")
    place.works()
    assert (place.repository / "lines").read_text() == DONE


def test_configuration_of_worktrees(place: Place) -> None:
    place.git("config", "extensions.worktreeConfig", "true")
    place.git("config", "--worktree", "core.hooksPath", "/nowhere")
    place.works()
    assert place.git("config", "--worktree", "--list") == "core.hookspath=/nowhere"


def test_sha256(place: Place) -> None:
    shutil.rmtree(place.repository / ".git")
    place.begin("--object-format=sha256")
    place.commit()
    place.works()
    assert len(place.git("rev-parse", "main")) == 64


def test_sparse(place: Place) -> None:
    place.write("hidden/file", "far away\n")
    place.write("seen/file", "here\n")
    place.commit()
    place.git("sparse-checkout", "set", "seen")
    place.works()
    assert not (place.repository / "hidden").exists()
    assert place.git("show", "main:hidden/file") == "far away"
    assert place.git("status", "--porcelain") == ""


def test_partial(place: Place) -> None:
    place.git("config", "uploadpack.allowFilter", "true")
    place.git("clone", "--quiet", "--filter=blob:none", f"file://{place.repository}", "../clone")
    place.at("clone").works()


def test_partial_and_sparse(place: Place) -> None:
    place.write("hidden/file", "far away\n")
    place.commit()
    place.git("config", "uploadpack.allowFilter", "true")
    place.git("clone", "--quiet", "--filter=blob:none", "--sparse", f"file://{place.repository}", "../clone")
    place.at("clone").works()


def test_submodules(place: Place) -> None:
    library = place.at("library")
    library.repository.mkdir()
    library.begin()
    library.write("code", "code\n")
    library.commit()
    place.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "../library")
    place.commit()
    place.works()
    assert (place.repository / "library/code").read_text() == "code\n"
    assert place.git("status", "--porcelain") == ""


def test_what_agents_make_in_submodules_outlives_their_worktrees(place: Place) -> None:
    """One commits there and hands the commit on, one leaves a file and fails; then the submodule is updated as always."""
    library = place.at("library")
    library.repository.mkdir()
    library.begin()
    library.write("code", "code\n")
    library.commit()
    allowed = ("-c", "protocol.file.allow=always")
    place.git(*allowed, "submodule", "--quiet", "add", "../library")
    place.commit()
    flow = """
mode: mapreduce
map:
  input: [good, bad]
  max_parallel: 1
  agent_template:
    - shell: git -c protocol.file.allow=always submodule --quiet update --init
    - shell: |
        cd library && echo ${item} > code && test ${item} = good || exit 1
        git -c user.name=Bot -c user.email=bot@localhost commit --quiet --all --message ${item}
"""
    done = place.prodigy("run", place.workflow(flow), "-y")
    assert done.returncode == 0, done.stderr
    good, bad = [event for event in place.events("worktree_rescued") if event.get("submodule")]
    assert (good["submodule"], bad["submodule"]) == ("library", "library")
    inner = place.at("project/library")
    assert inner.git("show", f"{good['ref']}:code") == "good"
    assert inner.git("show", f"{bad['ref']}:code") == "bad"
    assert "kept" in done.stderr
    assert good["ref"] in done.stderr
    place.git(*allowed, "submodule", "--quiet", "update")
    assert (place.repository / "library/code").read_text() == "good\n"
    assert place.git("status", "--porcelain") == ""


def test_ignoring_case(place: Place) -> None:
    place.git("config", "core.ignoreCase", "true")
    place.works()


NAMES = (
    b"new\nline",
    b'"quoted"',
    b"-dash",
    b"--",
    b"caf\xe9",
    "café".encode(),
    "cafe\u0301".encode(),
    b":(top)x",
    b"tab\t",
    b"~",
    b"a\\b",
    b"*",
    b".gitattributes ",
)


def test_odd_names(place: Place) -> None:
    place.git("config", "core.precomposeUnicode", "true")
    for name in NAMES:
        (place.repository / os.fsdecode(name)).write_text("odd\n")
    place.commit()
    flow = FLOW.replace(
        "echo made",
        'for f in *; do if test -f "$f"; then case $f in lines|numbers.txt|README.md) ;; *) echo ${item} > "./$f-${item}";; esac; fi; done; echo made',
    )
    done = place.prodigy("run", place.workflow(flow), "-y")
    assert done.returncode == 0, done.stderr
    found = {os.fsencode(path.name) for path in place.repository.iterdir()}
    assert {name + b"-%d" % number for name in NAMES for number in (1, 2, 3)} - {
        b".gitattributes -%d" % number for number in (1, 2, 3)
    } <= found
    assert place.git("status", "--porcelain") == ""


def test_a_repository_at_an_odd_place(place: Place) -> None:
    name = "-dash \n'qu\"o$(te)` ünï☃ co:lon a\\b*"
    place.repository.rename(place.folder / name)
    place.at(name).works()


def test_a_place_that_is_no_text(place: Place) -> None:
    place.repository.rename(place.folder / os.fsdecode(b"caf\xe9"))
    place.at(b"caf\xe9").refuses("path-not-text")


def lfs(place: Place, command: str) -> None:
    place.write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n")
    place.write("big.bin", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    place.commit()
    for key, value in (
        ("smudge", f"{command} smudge -- %f"),
        ("clean", f"{command} clean -- %f"),
        ("required", "true"),
    ):
        place.git("config", f"filter.lfs.{key}", value)


def test_lfs_without_its_program(place: Place) -> None:
    lfs(place, "no-such-git-lfs")
    place.refuses("filter-missing")


def test_lfs(place: Place) -> None:
    program = place.folder / "git-lfs"
    program.write_text(
        f'#!/bin/sh\necho "$1" >> {place.folder}/filtered\nif test "$1" = smudge; then tr a-z A-Z; else tr A-Z a-z; fi\n'
    )
    program.chmod(0o755)
    lfs(place, str(program))
    place.works()
    assert "smudge" in (place.folder / "filtered").read_text()


def test_lfs_that_nobody_installed(place: Place) -> None:
    place.write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n")
    place.write("big.bin", "version https://git-lfs.github.com/spec/v1\n")
    place.commit()
    place.works()


def test_names_that_differ_in_case_only(place: Place) -> None:
    place.write("README.MD", "another\n")
    place.commit()
    place.git("config", "core.ignoreCase", "true")
    place.refuses("case-collision")


def test_names_that_come_to_differ_in_case_only(place: Place) -> None:
    """Of two agents that make such files, one is merged and the other waits."""
    place.git("config", "core.ignoreCase", "true")
    flow = FLOW.replace("echo made", "case ${item} in 1) touch case;; 2) touch CASE;; esac; echo made")
    done = place.prodigy("run", place.workflow(flow + "on_conflict: dlq\n"), "-y")
    assert done.returncode == 0, done.stderr
    assert (
        len([name for name in place.git("ls-tree", "--name-only", "main").split() if name.lower() == "case"])
        == 1
    )
    assert len(place.events("dlq_item_added")) == 1


def test_a_promise_that_nobody_keeps(place: Place) -> None:
    place.git("config", "uploadpack.allowFilter", "true")
    place.git(
        "clone", "--quiet", "--no-checkout", "--filter=blob:none", f"file://{place.repository}", "../clone"
    )
    clone = place.at("clone")
    clone.git("remote", "set-url", "origin", "/nowhere")
    clone.refuses("objects-missing")


def test_a_signature_that_somebody_is_asked_for(place: Place) -> None:
    place.git("config", "commit.gpgSign", "true")
    place.git("config", "gpg.program", "false")
    place.refuses("signing-failed")
    place.git("config", "commit.gpgSign", "false")
    place.works()


def test_merges_are_signed_and_hooks_run(place: Place) -> None:
    program = place.folder / "sign"
    program.write_text("""#!/bin/sh
cat > /dev/null; echo "[GNUPG:] SIG_CREATED D" >&2
printf -- "-----BEGIN PGP SIGNATURE-----\\nours\\n-----END PGP SIGNATURE-----\\n"
""")
    program.chmod(0o755)
    place.git("config", "commit.gpgSign", "true")
    place.git("config", "gpg.program", str(program))
    hook = place.write(".git/hooks/commit-msg", """#!/bin/sh\necho "Reviewed-by: nobody" >> "$1"\n""")
    hook.chmod(0o755)
    place.works()
    merges = place.git("rev-list", "--merges", "main").split()
    assert len(merges) == 2
    for merge in merges:
        text = place.git("cat-file", "commit", merge)
        assert "gpgsig -----BEGIN PGP SIGNATURE-----" in text
        assert "Reviewed-by: nobody" in text
    assert {event["strategy"] for event in place.events("worktree_merged")} == {"fast-forward", "git"}


def test_many_files(place: Place) -> None:
    """Ten thousand, two hundred to a folder."""
    for number in range(10_000):
        file = place.repository / f"folder-{number // 200}/file-{number}"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"{number}\n")
    place.commit()
    place.works()
    assert place.git("status", "--porcelain") == ""
