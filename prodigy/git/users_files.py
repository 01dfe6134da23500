"""Files of the user's own that hold for all repositories: what to ignore, and attributes of files."""

from collections.abc import Mapping
from pathlib import Path

from prodigy.git.cli import Git


async def users_file(git: Git, setting: str, name: str) -> Path | None:
    """The file that a setting names, or the one that git looks for where nothing is set; it need not exist.

    Args:
        git: in the repository.
        setting: such as ``core.excludesFile``.
        name: of the file in git's folder of configuration, such as ``ignore``.
    """
    configured = await git.run("config", "--type=path", "--get", setting, ok=None)
    if configured.code == 0:
        return Path(git.cwd, configured.path)
    return _default(git.env, name)


def _default(environ: Mapping[str, str], name: str) -> Path | None:
    if environ.get("XDG_CONFIG_HOME"):
        return Path(environ["XDG_CONFIG_HOME"], "git", name)
    return Path(environ["HOME"], ".config/git", name) if environ.get("HOME") else None
