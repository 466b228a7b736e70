"""Workflow definitions in files: YAML or JSON, by their ending."""

from __future__ import annotations

from pathlib import Path

import typer

from cueline.domain.errors import InvalidDefinition, InvalidInput
from cueline.domain.workflow.definition import Workflow
from cueline.domain.workflow.document import parse_workflow
from cueline.interfaces.cli.reading.given import read_text
from cueline.interfaces.cli.reading.json_text import parse_json


def read_workflow(path: Path) -> Workflow:
    """Read a definition, or raise `InvalidDefinition` with every problem found."""
    match path.suffix.lower():
        case ".json":
            parse = parse_json
        case ".yaml" | ".yml":
            from cueline.interfaces.cli.reading.yaml_text import parse_yaml

            parse = parse_yaml
        case _:
            raise typer.BadParameter(
                f"{str(path)!r} is neither .yaml, .yml nor .json", param_hint="FILE"
            )
    try:
        return parse_workflow(parse(read_text(path, "FILE"), "workflow"))
    except InvalidDefinition:
        raise
    except InvalidInput as error:
        raise InvalidDefinition(f"{path.name}: {error.summary}", error.problems) from error
