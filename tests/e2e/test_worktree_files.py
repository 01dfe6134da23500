"""Fresh worktrees that can build: files of the user's own, caches that stay, and steps that set a worktree up."""

from worlds import World

ITEMS = "map:\n  input: [a, b, c]\n  max_parallel: 1\n  agent_template:\n"


def run(world: World, text: str) -> None:
    done = world.prodigy("run", world.workflow(text), "-y")
    assert done.returncode == 0, done.stdout + done.stderr


def test_untracked_files_reach_every_worktree_and_no_commit(world: World) -> None:
    """What `include` and `.worktreeinclude` name is there in each phase, as it was when the run began."""
    world.write(".gitignore", ".env*\n")
    world.write(".worktreeinclude", "# local\nconfig/*\n!config/skip\n")
    world.commit()
    world.write(".env", "SECRET=1\n")
    world.write("deep/.env.local", "deep\n")
    world.write("config/local settings", "local\n").chmod(0o755)
    world.write("config/skip", "skipped\n")
    world.write("other", "not asked for\n")
    seen = "{ cat .env deep/.env.local 'config/local settings'; ls; ls config; }"
    run(
        world,
        "worktree: {include: ['.env', '.env.*']}\n"
        f"setup: [{{shell: \"{seen} > setup.txt; test -x 'config/local settings'; echo 2 > .env\"}}]\n"
        + ITEMS
        + f'    - shell: "{seen} > ${{item}}.txt; git add --all; git commit -qm mine"\n'
        + f'reduce: [{{shell: "{seen} > reduce.txt"}}]\n'
        + f'verify: [{{shell: "{seen}"}}]\n',
    )
    expected = "SECRET=1\ndeep\nlocal\nREADME.md\nconfig\ndeep\nsetup.txt\nlocal settings\n"
    assert world.git("show", "main:setup.txt") + "\n" == expected
    for name in "abc":
        assert world.git("show", f"main:{name}.txt").startswith("SECRET=1\ndeep\nlocal\n")
    names = world.git("log", "main", "--name-only", "--format=").split("\n")
    assert not {name for name in names if "env" in name or "config" in name}
    assert (world.repository / ".env").read_text() == "SECRET=1\n"
    assert world.leftovers() == []


def test_a_commit_that_adds_an_included_file_is_not_merged(world: World) -> None:
    """`git add --force` is no way round."""
    world.write("local.yml", "mine\n")
    done = world.prodigy(
        "run",
        world.workflow(
            "worktree: {include: local.yml}\n"
            "map:\n  input: [a, b]\n  agent_template:\n"
            "    - shell: echo ${item} > ${item}.txt\n"
            "    - shell: test ${item} = a || git add --force local.yml\n"
        ),
        "-y",
    )
    assert "local.yml" in done.stdout + done.stderr
    files = world.git("ls-tree", "--name-only", "main").split()
    assert "a.txt" in files
    assert "b.txt" not in files
    assert "local.yml" not in files
    (refused,) = world.events("merge_failed")
    assert "local.yml" in refused["message"]


def test_a_failed_attempt_is_rescued_without_included_files(world: World) -> None:
    """What is kept of it is its work, and nothing at all if it did none."""
    world.write("local.yml", "mine\n")
    world.prodigy(
        "run",
        world.workflow(
            "worktree: {include: local.yml}\n"
            "map:\n  input: [works, idles]\n  agent_template:\n"
            "    - shell: test ${item} = idles || echo 1 > work.txt; exit 1\n"
        ),
    )
    (rescued,) = world.events("worktree_rescued")
    assert rescued["item_id"] == world.events("item_selected")[0]["item_id"]
    assert world.git("ls-tree", "--name-only", rescued["sha"]).split() == ["README.md", "work.txt"]


def test_kept_paths_survive_a_reset_and_everything_else_does_not(world: World) -> None:
    """Only what git ignores can be kept."""
    world.write(".gitignore", "cache/\njunk\n")
    world.commit()
    run(
        world,
        "worktree: {keep: [cache, left]}\n"
        + ITEMS
        + "    - shell: mkdir -p cache; echo ${item} >> cache/all; cp cache/all ${item}.txt; touch junk\n"
        "    - shell: ls -A >> ${item}.txt; touch left\n      auto_commit: false\n"
        "    - shell: rm left; git add --all; git commit -qm mine\n      auto_commit: false\n",
    )
    own = world.git("show", "main:c.txt").split("\n")
    assert own[:3] == ["a", "b", "c"]
    assert "left" not in own


SET_UP = """
worktree:
  setup:
    - shell: mkdir -p modules; cp lock modules/; echo x >> "$HOME/setups"
  setup_key: [lock]
"""


def prepared(world: World) -> None:
    world.write(".gitignore", "modules/\n")
    world.write("lock", "1\n")
    world.commit()


def setups(world: World) -> int:
    return len((world.folder / "user" / "setups").read_text().splitlines())


def test_setup_runs_once_per_worktree(world: World) -> None:
    """One slot serves three items, and what setup made is kept; the session worktree is set up for reduce."""
    prepared(world)
    text = SET_UP + "  keep: [modules]\n" + ITEMS + "    - shell: cp modules/lock ${item}.txt\n"
    run(world, text + "reduce: [{shell: cat modules/lock}]\n")
    assert setups(world) == 2
    steps = [event for event in world.events("step_completed") if event["step"] == "worktree.1"]
    assert [event["phase"] for event in steps] == ["map", "reduce"]


def test_setup_runs_again_when_what_it_made_is_gone(world: World) -> None:
    """A reset that keeps nothing takes it away."""
    prepared(world)
    run(world, SET_UP + ITEMS + "    - shell: cp modules/lock ${item}.txt\n")
    assert setups(world) == 3


def test_setup_runs_again_when_a_key_file_changed(world: World) -> None:
    """A phase that changes the lock file makes the next one set its worktree up anew."""
    prepared(world)
    text = (
        "setup: [{shell: echo 2 > lock}]\n"
        + ITEMS
        + "    - shell: grep 2 modules/lock\n"
        + "reduce: [{shell: grep 2 modules/lock}]\n"
    )
    run(world, SET_UP + "  keep: [modules]\n" + text)
    assert setups(world) == 3


def test_a_failing_setup_fails_the_agent_and_not_the_job(world: World) -> None:
    """Its items are dead letters with the class `worktree-error`; nothing of the agent itself ran."""
    text = (
        "worktree: {setup: [{shell: 'echo no network >&2; exit 3'}]}\n"
        "map:\n  input: [a, b]\n  agent_template: [{shell: echo hello}]\n"
    )
    world.prodigy("run", world.workflow(text))
    failed = world.events("agent_failed")
    assert {event["error"]["class"] for event in failed} == {"worktree-error"}
    assert "no network" in failed[0]["error"]["message"]
    assert {event["step"] for event in world.events("step_intended")} == {"worktree.1"}
    assert len(world.events("dlq_item_added")) == 2


def test_setup_must_leave_tracked_files_alone(world: World) -> None:
    """What it changes there would end up in somebody's commit."""
    for script, said in (("echo 1 > new", "not ignore"), ("git commit --allow-empty -m x", "made a commit")):
        done = world.prodigy(
            "run",
            world.workflow(
                f"worktree: {{setup: [{{shell: '{script}'}}]}}\n"
                "commands: [{shell: echo hello}]\non_failure: [{shell: echo told}]\n"
            ),
        )
        assert done.returncode == 1
        (failed,) = world.events("phase_failed")
        assert (failed["phase"], failed["error"]["class"]) == ("steps", "worktree-error")
        assert said in failed["error"]["message"]
        assert "told" in done.stdout + done.stderr


def test_there_are_as_many_worktrees_as_agents_at_a_time_and_no_more_than_are_needed(world: World) -> None:
    """Five items, three at a time, then one item alone; no branch of an agent tracks another."""
    step = "    - shell: git config --get-regexp '^branch\\.prodigy' && exit 1; echo ${item} > ${item}.txt\n"
    five = ITEMS.replace("[a, b, c]", "[a, b, c, d, e]").replace("max_parallel: 1", "max_parallel: 3")
    world.git("config", "branch.autoSetupMerge", "always")
    run(world, five + step)
    assert {event["slot"] for event in world.events("worktree_leased")} <= {1, 2, 3}
    assert len(world.events("worktree_leased")) == 5
    run(world, five.replace("[a, b, c, d, e]", "[f]") + step)
    assert [event["slot"] for event in world.events("worktree_leased")] == [1]
    assert world.leftovers() == []
