"""One exclude file of the user's and ours, and a name for those who have none."""

from pathlib import Path

import pytest

from prodigy.git.cli import Git
from prodigy.git.excludes import compose, environment, identity, pattern, users_excludes
from prodigy.git.local import TrioRunner


def excluding(repo, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "exclude file"
    file.write_bytes(content)
    repo.env = repo.env | environment(repo.env, str(file))


async def test_exactly_the_path_is_excluded(repo, tmp_path, hostile):
    """Neither its neighbours nor the same name further down."""
    excluding(repo, tmp_path, compose(b"", [hostile]))
    others = [f"sub/{hostile}", f"{hostile}x", f"x{hostile}", "staraa", "star*aX", "back"]
    for name in [hostile, *others, ".prodigy/items.json", "sub/.prodigy/kept"]:
        repo.write(name)
    listed = repo("ls-files", "-z", "--others", "--exclude-standard").rstrip("\0").split("\0")
    assert sorted(listed) == sorted([*others, "sub/.prodigy/kept"])


async def test_a_path_below_folders(repo, tmp_path):
    excluding(repo, tmp_path, compose(b"", ["in put/items [1].json", "folder/"]))
    for name in ("in put/items [1].json", "in put/items 1.json", "folder/x", "sub/folder/x"):
        repo.write(name)
    listed = repo("ls-files", "-z", "--others", "--exclude-standard").rstrip("\0").split("\0")
    assert sorted(listed) == ["in put/items 1.json", "sub/folder/x"]


async def test_tracked_files_are_still_committed(repo, tmp_path):
    excluding(repo, tmp_path, compose(b"", ["a"]))
    repo.write("a", "changed\n")
    assert repo("status", "--porcelain") == " M a"


@pytest.mark.parametrize("users", [b"*.mine", b"*.mine\n", b"# caf\xe9\n*.mine\n"])
async def test_the_users_excludes_stay_in_force(repo, configure, tmp_path, users):
    (tmp_path / "home/my ignores").write_bytes(users)
    configure("core.excludesFile=~/my ignores")
    assert await users_excludes(repo.git()) == users
    excluding(repo, tmp_path, compose(await users_excludes(repo.git()), ["ours"]))
    for name in ("x.mine", "ours", "kept"):
        repo.write(name)
    assert repo("ls-files", "--others", "--exclude-standard") == "kept"


async def test_the_default_places(repo, tmp_path):
    repo.write("../home/.config/git/ignore", "home\n")
    assert await users_excludes(repo.git()) == b"home\n"
    repo.write("../xdg/git/ignore", "xdg\n")
    repo.env = {**repo.env, "XDG_CONFIG_HOME": str(tmp_path / "xdg")}
    assert await users_excludes(repo.git()) == b"xdg\n"


async def test_no_excludes_at_all(repo, configure, nameless):
    assert await users_excludes(repo.git()) == b""
    configure("core.excludesFile=/nowhere/at/all")
    assert await users_excludes(repo.git()) == b""
    for env in (nameless, {key: value for key, value in nameless.items() if key != "HOME"}):
        assert await users_excludes(Git(TrioRunner(), str(repo.path), env)) == b""


@pytest.mark.parametrize(
    ("carried", "number"), [({}, 0), ({"GIT_CONFIG_COUNT": ""}, 0), ({"GIT_CONFIG_COUNT": "2"}, 2)]
)
def test_settings_in_force_are_appended_to(carried, number):
    assert environment(carried, "/x") == {
        "GIT_CONFIG_COUNT": str(number + 1),
        f"GIT_CONFIG_KEY_{number}": "core.excludesFile",
        f"GIT_CONFIG_VALUE_{number}": "/x",
    }


def test_patterns():
    assert pattern("plain/path.json") == b"/plain/path.json"
    assert pattern("a*b?[c]\\ ") == b"/a\\*b\\?\\[c\\]\\\\\\ "
    assert pattern("new\nline\r") == b"/new?line?"


ALL_OURS = {
    "GIT_AUTHOR_NAME": "Prodigy",
    "GIT_AUTHOR_EMAIL": "prodigy@localhost",
    "GIT_COMMITTER_NAME": "Prodigy",
    "GIT_COMMITTER_EMAIL": "prodigy@localhost",
}


async def test_a_user_with_a_name_keeps_it(repo):
    assert await identity(repo.git()) == {}


async def test_a_user_without_one_is_prodigy(repo, nameless):
    assert await identity(repo.git().__class__(TrioRunner(), str(repo.path), nameless)) == ALL_OURS


@pytest.mark.parametrize(
    ("extra", "missing"),
    [
        ({"EMAIL": "me@x"}, {"GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"}),
        (
            {"GIT_AUTHOR_NAME": "me", "GIT_AUTHOR_EMAIL": "me@x"},
            {"GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"},
        ),
        ({"GIT_AUTHOR_NAME": ""}, set(ALL_OURS)),
    ],
)
async def test_only_what_is_missing_is_filled_in(repo, nameless, extra, missing):
    git = Git(TrioRunner(), str(repo.path), nameless | extra)
    found = await identity(git)
    assert found.keys() == missing
    assert "fatal" not in (await git.run("var", "GIT_COMMITTER_IDENT", env=found)).complaint


async def test_names_in_configuration_count_each_for_itself(repo, nameless):
    repo("config", "committer.email", "c@x")
    repo("config", "user.name", "  ")
    found = await identity(Git(TrioRunner(), str(repo.path), nameless))
    assert found.keys() == ALL_OURS.keys() - {"GIT_COMMITTER_EMAIL"}
