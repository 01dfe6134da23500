"""Running what the documentation shows, in a user's world with a Claude that does what a test says."""

import json
import stat
import sys
from pathlib import Path
from subprocess import CompletedProcess

from pages import ROOT, Block, all_blocks
from worlds import World

EXAMPLES = {block.title: block for block in all_blocks("yaml")}
"""Every workflow of the documentation that has a title, by that."""
FAKE = ROOT / "tests/fakes/claude"

_SCRIPTED = f"""#!{sys.executable}
import json, os, sys
*flags, prompt = sys.argv[1:]
rules = json.loads({{rules!r}})
acts = [line for said, line in rules.items() if said in prompt]
os.execv({str(FAKE)!r}, [{str(FAKE)!r}, *flags, "\\n".join([prompt, *acts])])
"""


def run(world: World, block: Block, *flags: str) -> CompletedProcess[str]:
    """Run a workflow and merge it; it must succeed and leave nothing behind."""
    done = world.prodigy("run", world.workflow(block.text), "-y", *flags)
    assert done.returncode == 0, done.stderr
    assert world.leftovers() == []
    return done


def read(world: World, name: str) -> str:
    """A file of the checkout."""
    return (world.repository / name).read_text()


def script_claude(world: World, rules: dict[str, str]) -> Path:
    """Put a Claude into the world's path.

    Args:
        world: the user's.
        rules: for a part of a prompt, what is done then, in the words of the fake.

    Returns:
        The file in which every launch writes what it was given, one line of JSON each.
    """
    folder = world.folder / "bin"
    folder.mkdir()
    program = folder / "claude"
    program.write_text(_SCRIPTED.format(rules=json.dumps(rules)))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    log = world.folder / "launches"
    world.environ["PATH"] = f"{folder}:{world.environ['PATH']}"
    world.environ["FAKE_CLAUDE_LOG"] = str(log)
    world.environ["CLAUDE_CONFIG_DIR"] = str(world.folder / "claude")
    return log
