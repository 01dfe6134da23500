"""A machine without Claude: only workflows that need it mind."""

from pathlib import Path

from worlds import World


def without_claude(world: World, tmp_path: Path) -> None:
    """A PATH of links to every program but one."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for place in reversed(world.environ["PATH"].split(":")):
        for program in Path(place).glob("*"):
            link = folder / program.name
            link.unlink(missing_ok=True)
            link.symlink_to(program)
    (folder / "claude").unlink(missing_ok=True)
    world.environ["PATH"] = str(folder)


def test_a_workflow_that_needs_it_does_not_start(world: World, tmp_path: Path) -> None:
    without_claude(world, tmp_path)
    flow = "- shell: 'true'\n  on_failure:\n    claude: repair it\n"
    done = world.prodigy("run", world.workflow(flow), "--no-merge")
    assert done.returncode == 2
    assert "error: claude-not-found" in done.stderr
    assert "workflow.yml:3" in done.stderr
    assert not list(world.home.glob("events/*/*"))
    assert world.leftovers() == []


def test_a_workflow_of_scripts_runs(world: World, tmp_path: Path) -> None:
    without_claude(world, tmp_path)
    assert world.prodigy("run", world.workflow("- shell: 'true'"), "--no-merge").returncode == 0


def test_a_run_whose_conflicts_need_it_does_not_start(world: World, tmp_path: Path) -> None:
    """Said outright; what a workflow without Claude does about conflicts by itself needs none."""
    without_claude(world, tmp_path)
    flow = "mode: mapreduce\nmap: {input: {list: [a]}, agent_template: [shell: 'true']}\n"
    assert world.prodigy("run", world.workflow(flow), "--no-merge").returncode == 0
    done = world.prodigy("run", world.workflow(f"{flow}on_conflict: claude\n"), "--no-merge")
    assert done.returncode == 2
    assert "error: claude-not-found" in done.stderr
    assert "on_conflict: claude" in done.stderr
