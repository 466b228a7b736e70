"""Checking inputs against the JSON Schema of a task's definition."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

import jsonschema_rs

from cueline.application.ports.runtime import InputChecker
from cueline.domain.definition import TaskDefinition
from cueline.domain.errors import Problem
from cueline.domain.json import JsonObject

MOST_PROBLEMS = 20


class JsonSchemaChecker(InputChecker):
    """One compiled validator for each definition, kept as long as the definition stays the same."""

    def __init__(self) -> None:
        self._validators: dict[str, tuple[JsonObject, Any]] = {}

    def check(self, definition: TaskDefinition, input: JsonObject) -> Sequence[Problem]:
        """What does not fit, at most `MOST_PROBLEMS` of it."""
        validator = self._validator(definition)
        if validator.is_valid(input):
            return ()
        return [
            Problem(_path(error.instance_path), error.message)
            for error in islice(validator.iter_errors(input), MOST_PROBLEMS)
        ]

    def _validator(self, definition: TaskDefinition) -> Any:
        schema, validator = self._validators.get(definition.name, (None, None))
        if schema is not definition.input_schema:
            schema = definition.input_schema
            validator = jsonschema_rs.Draft202012Validator(dict(schema), validate_formats=True)
            self._validators[definition.name] = (schema, validator)
        return validator


def _path(parts: Sequence[str | int]) -> str:
    return "input" + "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in parts)
