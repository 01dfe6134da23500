"""``prodigy schema``: the schema, on standard output or in a file."""

import json
from typing import Any

import msgspec

from prodigy.store.record_schema import record_schema
from prodigy.workflow.schema import DIALECT, workflow_schema


def test_it_prints_the_schema(desk: Any) -> None:
    said = desk.call("schema")
    assert (said.code, said.err) == (0, "")
    assert json.loads(said.out) == workflow_schema()
    assert json.loads(said.out)["$schema"] == DIALECT


def test_it_is_the_one_document(desk: Any) -> None:
    assert desk.call("schema", "--json").out == desk.call("schema").out


def test_it_writes_a_file(desk: Any) -> None:
    said = desk.call("schema", "--output", ".prodigy/workflow.schema.json")
    path = desk.directory / ".prodigy" / "workflow.schema.json"
    assert (said.code, said.out, said.err) == (0, "", f"written: {path}\n")
    assert json.loads(path.read_text()) == workflow_schema()


def test_a_place_that_cannot_be_written(desk: Any) -> None:
    (desk.directory / "file").write_text("")
    said = desk.call("schema", "--output", "file/schema.json")
    assert said.code == 2
    assert "storage-denied" in said.err


def test_the_schema_of_records(desk: Any) -> None:
    said = desk.call("schema", "--events")
    assert (said.code, said.err) == (0, "")
    assert json.loads(said.out) == json.loads(msgspec.json.encode(record_schema()))
    assert "agent_failed" in said.out
