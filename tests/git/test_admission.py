"""What would fail in the middle of a run is found before it, and what git can live with is no reason to refuse."""

import pytest

from prodigy.errors import MachineError
from prodigy.git.admission import admit, require_signing
from prodigy.git.repository import discover


async def refusal(repo) -> str | None:
    """The code, if there is one."""
    try:
        await admit(repo.git(), await discover(repo.git(), str(repo.path)))
    except MachineError as error:
        return error.code
    return None


@pytest.mark.parametrize("part", ["clean", "smudge", "process"])
@pytest.mark.parametrize("required", ["true", "yes", "false"])
@pytest.mark.parametrize(
    ("command", "there"),
    [
        ("no-such-program clean %f", False),
        ("/nowhere/clean", False),
        ("cat", True),
        ("FLAG=1 cat | cat", True),
    ],
)
async def test_filters_without_a_program(repo, command, there, required, part):
    """Without a program that goes on running git fails always, without others if the filter is required."""
    repo.commit_file("deep/.gitattributes", "* -text filter=made\n")
    repo("config", "filter.made.required", required)
    repo("config", f"filter.other.{part}", "no-such-program")
    repo("config", f"filter.made.{part}", command)
    fails = not there and (required != "false" or part == "process")
    assert await refusal(repo) == ("filter-missing" if fails else None)


async def test_a_filter_that_attributes_outside_of_commits_name(repo):
    repo.write(".git/info/attributes", "a filter=made\n")
    repo("config", "filter.made.clean", "no-such-program")
    assert await refusal(repo) is None
    repo("config", "filter.made.required", "true")
    assert await refusal(repo) == "filter-missing"


@pytest.mark.parametrize("name", ["A", "Deep/x", "deep/ER/d"])
async def test_names_that_differ_in_case_only(repo, name):
    repo.commit_file(name, "x\n")
    assert await refusal(repo) is None
    repo("config", "core.ignoreCase", "true")
    assert await refusal(repo) == "case-collision"


async def test_ignoring_case_alone_is_fine(repo):
    repo("config", "core.ignoreCase", "true")
    assert await refusal(repo) is None


@pytest.mark.parametrize("there", [True, False])
async def test_objects_that_were_promised(repo, tmp_path, there):
    repo("config", "uploadpack.allowFilter", "true")
    repo(
        "clone", "--quiet", "--filter=blob:none", "--no-checkout", f"file://{repo.path}", str(tmp_path / "c")
    )
    clone = repo.other(tmp_path / "c")
    if not there:
        clone("remote", "set-url", "origin", "/nowhere")
    assert await refusal(clone) == (None if there else "objects-missing")
    clone("remote", "set-url", "origin", f"file://{repo.path}")
    clone("checkout", "--quiet", "main")
    clone("remote", "set-url", "origin", "/nowhere")
    assert await refusal(clone) is None, "everything is here"


async def test_signing_is_tried_and_leaves_nothing(repo):
    found = await discover(repo.git(), str(repo.path))
    repo("config", "gpg.program", "false")
    await require_signing(repo.git(), found, {})
    repo("config", "commit.gpgSign", "true")
    before = repo("count-objects", "-v")
    with pytest.raises(MachineError) as caught:
        await require_signing(repo.git(), found, {})
    assert caught.value.code == "signing-failed"
    program = repo.path.parent / "sign"
    program.write_text('#!/bin/sh\ncat > /dev/null\necho "[GNUPG:] SIG_CREATED D" >&2\necho signed\n')
    program.chmod(0o755)
    repo("config", "gpg.program", str(program))
    await require_signing(repo.git(), found, {})
    assert repo("count-objects", "-v") == before
