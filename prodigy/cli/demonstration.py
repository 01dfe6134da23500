"""A scratch repository with a job to see Prodigy at: notes, each of which an agent is to sign.

The agents are played (``prodigy.rehearsal``), all else is real. Of the notes one fails twice and then heals, and one
fails until the dead letter queue is tried again, when the model is back.
"""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

HEALS, FAILS = "notes/note-02.txt", "notes/note-03.txt"
"""The note that fails twice, and the one that fails until it is tried again."""
FEWEST = 3

_WORKFLOW = """\
name: demo
mode: mapreduce
map:
  input: items.json
  json_path: "$[*]"
  item_id: "${item}"
  max_parallel: 4
  retry: {attempts: 3, backoff: fixed, initial_delay: 200ms}
  agent_template:
    - claude: "Sign the note ${item}"
    - shell: "grep -q signed ${item}"
reduce:
  - shell: "cat notes/*.txt > all.txt"
"""
_FAILING = """\
  - {{item: {fails}, acts: [{{say: "I read ${{item}}"}}, {pause}{{fail: "the model went away", status: 500}}]}}
  - {{item: {heals}, times: 2, acts: [{pause}{{fail: "the model went away", status: 500}}]}}
"""
_PLAY = """\
cost: 0.01
scenes:
{failing}  - phase: map
    acts:
      - say: "I read ${{item}}"
{wait}      - {{append: "${{item}}", text: "signed by an agent\\n"}}
      - {{commit: "sign ${{item}}"}}
      - {{say: "signed ${{item}}"}}
"""


class Demonstration(Struct, frozen=True):
    """Where it is, and the files that the commands name."""

    folder: Path

    @property
    def repository(self) -> Path:
        """The repository that is worked on."""
        return self.folder / "project"

    @property
    def workflow(self) -> Path:
        """What is run."""
        return self.folder / "demo.yml"

    @property
    def first(self) -> Path:
        """What the agents play at first."""
        return self.folder / "first.yml"

    @property
    def healed(self) -> Path:
        """What they play when the model is back."""
        return self.folder / "healed.yml"

    def environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        """The caller's, without what it says of Prodigy: the home is in the folder, and nobody is asked."""
        own = {name: value for name, value in environ.items() if not name.startswith("PRODIGY")}
        return {
            **own,
            "PRODIGY_HOME": str(self.folder / "home"),
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            "PRODIGY_AUTOMATION": "true",
        }

    def signed(self) -> int:
        """How many notes are signed in the checkout."""
        notes = (self.repository / "notes").glob("*.txt")
        return sum("signed by an agent" in note.read_text() for note in notes)

    def make(self, items: int, *, fast: bool, environ: Mapping[str, str]) -> None:
        """Make it all in an empty folder; ``fast``: without the pauses in which one sees the agents at work.

        Raises:
            OSError: the disk refuses.
            subprocess.CalledProcessError: git does.
        """
        notes = [f"notes/note-{number:02d}.txt" for number in range(1, items + 1)]
        (self.repository / "notes").mkdir(parents=True)
        for number, note in enumerate(notes, 1):
            (self.repository / note).write_text(f"This is note {number}.\n")
        (self.repository / "items.json").write_text(json.dumps(notes))
        self.workflow.write_text(_WORKFLOW)
        pause, wait = ("", "") if fast else ("{wait: 300ms}, ", "      - {wait: 500ms}\n")
        failing = _FAILING.format(fails=FAILS, heals=HEALS, pause=pause)
        self.first.write_text(_PLAY.format(failing=failing, wait=wait))
        self.healed.write_text(_PLAY.format(failing="", wait=wait))
        for words in (
            ("init", "--quiet", "--initial-branch=main"),
            ("config", "user.name", "Prodigy Demo"),
            ("config", "user.email", "demo@localhost"),
            ("add", "--all"),
            ("commit", "--quiet", "--message", "Notes that nobody has signed"),
        ):
            subprocess.run(("git", *words), cwd=self.repository, env=dict(environ), check=True)
