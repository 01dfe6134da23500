"""The JSON Schema (2020-12) of one line of the journal, for programs that read it.

Made from the types of the records. It allows fields that it does not know, since later releases may add some.
"""

from typing import Any, Final

import msgspec

from prodigy.events import FORMAT, Record

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def record_schema() -> dict[str, Any]:
    """The schema; the events are in ``$defs``, by the names of their types."""
    (record,), defined = msgspec.json.schema_components((Record,), ref_template="#/$defs/{name}")
    for shape in defined.values():
        shape.pop("title", None)
    return {
        "$schema": DIALECT,
        "title": f"A record of the journal of a Prodigy run, format {FORMAT}",
        **record,
        "$defs": defined,
    }
