"""Data as YAML text.

Pure. The library is imported only when there is something to write, because workers seldom need it.
"""

from typing import Any


def yaml_text(value: Any) -> str:
    """Plain data as one YAML document in block style, keys in their own order; texts that YAML would misread quoted."""
    import yaml

    return str(
        yaml.safe_dump(value, sort_keys=False, allow_unicode=True, default_flow_style=False, width=10**9)
    )
