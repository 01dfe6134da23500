"""Options of the Claude CLI, wherever they may stand.

Pure.
"""

import json
from typing import Any

from prodigy.workflow.fields import Field, Fields, Reader
from prodigy.workflow.language import CLAUDE_OPTIONS
from prodigy.workflow.model import ClaudeOptions
from prodigy.workflow.nodes import Mapping, Scalar, value_of
from prodigy.workflow.problems import quoted

OWNED_FLAGS = frozenset({
    "-p", "--print", "--output-format", "--input-format", "--session-id", "-r", "--resume", "-c", "--continue",
    "--fork-session", "-w", "--worktree",
})  # fmt: skip
"""Flags of the CLI that Prodigy sets itself."""


def claude_options(reader: Reader, fields: Fields) -> ClaudeOptions:
    """``claude_options`` among the fields, with the short cuts beside it; meant to go ``over`` what is inherited."""
    inner = reader.inside(fields.get("claude_options"), CLAUDE_OPTIONS)
    beside = {name: entry for name, entry in fields.found.items() if name in CLAUDE_OPTIONS.spellings}
    for name, entry in beside.items():
        if name in inner.found:
            message = f"{quoted(entry.key.text)} is given beside `claude_options` and inside it"
            reader.problems.error("conflicting-keys", message, entry.key, "keep one of them")
    return _options(reader, Fields(inner.found | beside))


def _options(reader: Reader, fields: Fields) -> ClaudeOptions:
    get = fields.get
    return ClaudeOptions(
        model=reader.filled(get("model")),
        fallback_model=reader.filled(get("fallback_model")),
        max_turns=reader.count(get("max_turns"), 1),
        max_budget_usd=reader.share(get("max_budget_usd"), 0),
        effort=reader.filled(get("effort")),
        allowed_tools=_texts(reader, get("allowed_tools")),
        disallowed_tools=_texts(reader, get("disallowed_tools")),
        tools=_texts(reader, get("tools")),
        system_prompt=reader.text_node(get("system_prompt")),
        append_system_prompt=reader.text_node(get("append_system_prompt")),
        permission_mode=reader.filled(get("permission_mode")),
        json_schema=_object(reader, get("json_schema")),
        add_dir=_texts(reader, get("add_dir")),
        mcp_config=_configurations(reader, get("mcp_config")),
        strict_mcp_config=reader.boolean(get("strict_mcp_config")),
        settings=_text_or_json(reader, get("settings")),
        setting_sources=_joined(_texts(reader, get("setting_sources"))),
        agents=_object(reader, get("agents")),
        extra_args=_extra(reader, get("extra_args")),
    )


def _texts(reader: Reader, entry: Field | None) -> tuple[str, ...] | None:
    return None if entry is None else reader.texts(entry)


def _joined(texts: tuple[str, ...] | None) -> str | None:
    return None if texts is None else ",".join(texts)


def _object(reader: Reader, entry: Field | None) -> Any:
    """A mapping, or the JSON text of one."""
    if entry is None or isinstance(entry.value, Mapping):
        return reader.data(entry)
    text = reader.text(entry)
    if text is None:
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        message = f"{quoted(entry.key.text)} must be a mapping, or the text of a JSON object"
        reader.problems.error("bad-value", message, entry.value)
    return found


def _text_or_json(reader: Reader, entry: Field | None) -> str | None:
    """A path or JSON as text; a mapping is made JSON."""
    if entry is not None and isinstance(entry.value, Mapping):
        return json.dumps(value_of(entry.value), ensure_ascii=False, separators=(",", ":"))
    return reader.filled(entry)


def _configurations(reader: Reader, entry: Field | None) -> tuple[str, ...] | None:
    if entry is None:
        return None
    read = (_text_or_json(reader, element) for element in reader.each(entry))
    return tuple(text for text in read if text is not None)


def _extra(reader: Reader, entry: Field | None) -> tuple[str, ...] | None:
    """Further arguments of the CLI, none of them Prodigy's own."""
    if entry is None:
        return None
    for element in reader.each(entry):
        flag = element.value.text.partition("=")[0] if isinstance(element.value, Scalar) else ""
        if flag in OWNED_FLAGS:
            message = f"{quoted(flag)} is set by Prodigy"
            reader.problems.error("reserved-name", message, element.value, "leave it out")
    return reader.texts(entry)
