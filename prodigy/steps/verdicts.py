"""What a check says about how complete some work is.

Pure but for the import of ``jsonschema``, which happens only where a schema is given.
"""

from typing import Any

import msgspec
from msgspec import Struct, structs

from prodigy.steps.scores import capped, json_object, score_of, stated

KEYS = ("completion_percentage", "score")
_RESULT_KEYS = (*KEYS, "status", "missing", "implemented", "gaps")
_COMPLETE = frozenset({"complete", "completed", "success", "passed"})
_MOST_FAULTS = 20


class Verdict(Struct, frozen=True, kw_only=True):
    """The result of one check.

    ``completion`` is 0 to 100. ``gaps`` is whatever the check says of them, usually a mapping by name. ``output`` is
    the text that the verdict was read from.
    """

    completion: float
    status: str
    missing: tuple[Any, ...] = ()
    implemented: tuple[Any, ...] = ()
    gaps: Any = None
    output: str = ""
    exit_code: int | None = 0

    def variables(self, attempt: int) -> dict[str, Any]:
        """The fields of ``${validation.…}``; ``attempt`` counts checks from 1."""
        completion = int(self.completion) if self.completion == int(self.completion) else self.completion
        return {
            "completion": completion,
            "completion_percentage": completion,
            "status": self.status,
            "missing": list(self.missing),
            "missing_count": len(self.missing),
            "implemented": list(self.implemented),
            "gaps": {} if self.gaps is None else self.gaps,
            "attempt_number": attempt,
            "output": self.output,
        }


def verdict_of(text: str, exit_code: int | None, schema: Any = None) -> Verdict:
    """Read what a check left.

    JSON with ``completion_percentage`` counts as it says, any other text 100. A check that failed is worth 0 whatever
    it left, as is a result that does not match its schema.

    Args:
        text: what the check printed, or its result file.
        exit_code: of the check; ``None`` if it ended otherwise than by exiting.
        schema: JSON Schema that the result has to match, as data or JSON text.
    """
    result = json_object(text, _RESULT_KEYS)
    found = _read(result, text)
    faults = () if schema is None else _faults(result, schema)
    if exit_code != 0:
        return structs.replace(found, completion=0.0, status="failed", exit_code=exit_code)
    if faults:
        return structs.replace(found, completion=0.0, status="invalid", missing=faults)
    return found


def scored(text: str, exit_code: int | None, schema: Any = None) -> Verdict:
    """As ``verdict_of`` by the rules of scores: a text can state one, and one that is stated holds for a failed check."""
    result = json_object(text, _RESULT_KEYS)
    faults = () if schema is None else _faults(result, schema)
    found = _read(result, text)
    if faults:
        return structs.replace(found, completion=0.0, status="invalid", missing=faults, exit_code=exit_code)
    score = score_of(text, exit_code)
    return structs.replace(found, completion=score, status=_status(result, score), exit_code=exit_code)


def no_result(message: str) -> Verdict:
    """The verdict where a check should have left a result and did not."""
    return Verdict(completion=0.0, status="failed", missing=(message,), output=message, exit_code=None)


def _read(result: dict[str, Any] | None, text: str) -> Verdict:
    if result is None or not any(key in result for key in _RESULT_KEYS):
        return Verdict(completion=100.0, status="complete", output=text)
    told = stated(result, KEYS)
    if told is None:
        told = 100.0 if str(result.get("status")).lower() in _COMPLETE else 0.0
    return Verdict(
        completion=capped(told),
        status=_status(result, told),
        missing=_listed(result.get("missing")),
        implemented=_listed(result.get("implemented")),
        gaps=result.get("gaps"),
        output=text,
    )


def _status(result: dict[str, Any] | None, completion: float) -> str:
    told = (result or {}).get("status")
    if isinstance(told, str) and told:
        return told
    return "complete" if completion >= 100 else "incomplete"  # noqa: PLR2004 - per cent


def _listed(value: Any) -> tuple[Any, ...]:
    if value is None or value == "":
        return ()
    return tuple(value) if isinstance(value, list) else (value,)


def _faults(result: dict[str, Any] | None, schema: Any) -> tuple[str, ...]:
    """What of a result is not as the schema wants it."""
    if result is None:
        return ("the result is not a JSON object",)
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import validator_for
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    try:
        wanted = msgspec.json.decode(schema) if isinstance(schema, str) else schema
        kind = validator_for(wanted, default=Draft202012Validator)
        kind.check_schema(wanted)
        alone: Registry[Any] = Registry()  # the library's own would fetch what a schema refers to
        faults = sorted(kind(wanted, registry=alone).iter_errors(result), key=lambda fault: fault.json_path)
    except (SchemaError, msgspec.DecodeError, Unresolvable) as error:
        return (f"`expected_schema` cannot be used: {str(error).splitlines()[0]}",)
    return tuple(f"{fault.json_path}: {fault.message}" for fault in faults[:_MOST_FAULTS])
