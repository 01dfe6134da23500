"""The Claude CLI that the tests drive: one version, kept in a folder that git ignores. Run this to fetch it.

It comes from the registry, in the wheel of Anthropic's SDK, and is never part of this repository. Exits with 1 if the
registry does not give it; the tests are then skipped, which they say.
"""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

SDK = "claude-agent-sdk==0.2.187"
VERSION = "2.1.330"
CLI = Path(__file__).parents[2] / ".cache" / f"claude-{VERSION}" / "claude"


def fetch() -> None:
    """Put the CLI into its place: 160 MB to download, 380 MB on disk."""
    CLI.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CLI.parent) as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, SDK]
        subprocess.run(pip, check=True)
        [wheel] = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            unpacked = Path(archive.extract("claude_agent_sdk/_bundled/claude", folder))
        unpacked.chmod(0o755)
        unpacked.rename(CLI)


if __name__ == "__main__" and not CLI.exists():
    fetch()
