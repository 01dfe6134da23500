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


def environment(folder: Path, url: str, path: str) -> dict[str, str]:
    """Variables with which it keeps all that it writes below a folder, and reaches an API on loopback and nothing else.

    ``path`` is the search path without it.
    """
    return {
        "PATH": f"{CLI.parent}:{path}",
        "TMPDIR": str(folder / "tmp"),
        "CLAUDE_CONFIG_DIR": str(folder / "claude"),
        "ANTHROPIC_API_KEY": "nobody's",
        "ANTHROPIC_BASE_URL": url,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_TELEMETRY": "1",
        "DISABLE_ERROR_REPORTING": "1",
        "DISABLE_AUTOUPDATER": "1",
        "IS_SANDBOX": "1",
    }


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
