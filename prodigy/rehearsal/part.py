"""What a player is given on its standard input. Pure."""

from msgspec import Struct


class Part(Struct, frozen=True, kw_only=True):
    """One launch; paths are absolute."""

    script: str
    """The script as it was read, a file of JSON."""
    folder: str
    """Where conversations are kept, and what they share."""
    prompt: str
    session_id: str
    resumes: bool = False
    model: str | None = None
    streaming: bool = True
    cap_usd: float | None = None
    """What this launch may cost at most."""
