"""Workflows may call our prompts in repositories that have never seen them."""

import json
from pathlib import Path

from worlds import World

FAKE = Path(__file__).parents[1] / "fakes/claude"
FLOW = "name: tidy\ncommands:\n  - claude: /prodigy-lint src\n"


def test_what_claude_is_told(world: World) -> None:
    """Our text, with a note, as long as the repository has no command of that name; the command from then on."""
    log = world.folder / "launches"
    world.environ["PATH"] = f"{FAKE.parent}:{world.environ['PATH']}"
    world.environ |= {"FAKE_CLAUDE_LOG": str(log), "CLAUDE_CONFIG_DIR": str(world.folder / "claude")}
    done = world.prodigy("run", world.workflow(FLOW), "--no-merge")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("the repository has no command `/prodigy-lint`") == 1
    assert world.prodigy("init", "--commands", "lint", "--no-example").returncode == 0
    world.commit()
    done = world.prodigy("run", world.workflow(FLOW), "--no-merge")
    assert "has no command" not in done.stderr
    first, second = (json.loads(line)["prompt"] for line in log.read_text().splitlines())
    assert first.startswith("# Lint\n\nScope: src\n")
    assert second == "/prodigy-lint src"
