"""Workflow definitions from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from cueline.domain.workflow.definition import Step
from cueline.domain.workflow.document import workflow_document
from tests.factories import a_step, a_workflow
from tests.unit.interfaces.cli.command_line import CommandLine

ORDER = """
name: order
version: 2
steps:
  reserve:
    task: reserve
    input: {order: "${input.order}"}
    compensate: {task: unreserve, input: {order: "${input.order}"}}
  charge:
    task: charge
    after: [reserve]
    retry: {attempts: 5, backoff: exponential, first: 1s}
"""


def a_file(folder: Path, text: str, name: str = "order.yaml") -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


@pytest.mark.parametrize("name", ["order.yaml", "order.yml", "ORDER.YAML"])
def test_a_workflow_is_registered_from_yaml(cli: CommandLine, tmp_path: Path, name: str) -> None:
    file = a_file(tmp_path, ORDER, name)

    assert cli.document("workflows", "register", file) == {
        "name": "order",
        "version": 2,
        "created": True,
    }
    assert cli.document("workflows", "show", "order")["steps"]["charge"]["after"] == ["reserve"]


def test_a_workflow_is_registered_from_json(cli: CommandLine, tmp_path: Path) -> None:
    document = json.dumps(workflow_document(a_workflow()))

    text = cli.text("workflows", "register", a_file(tmp_path, document, "order.json"))

    assert text == "Workflow order version 1 is registered.\n"


def test_registering_the_same_again_changes_nothing(cli: CommandLine, tmp_path: Path) -> None:
    file = a_file(tmp_path, ORDER)
    cli.text("workflows", "register", file)

    assert cli.text("workflows", "register", file) == (
        "Workflow order version 2 was registered already.\n"
    )


def test_a_changed_definition_of_the_same_version_is_a_conflict(
    cli: CommandLine, tmp_path: Path
) -> None:
    cli.text("workflows", "register", a_file(tmp_path, ORDER))

    changed = a_file(tmp_path, ORDER.replace("attempts: 5", "attempts: 6"))
    code, error = cli.error("workflows", "register", changed)

    assert (code, error["type"]) == (5, "definition-changed")
    assert "version 3" in error["message"]


def test_a_step_given_twice_is_refused_by_name_and_line(cli: CommandLine, tmp_path: Path) -> None:
    file = a_file(tmp_path, ORDER + "  reserve: {task: pack}\n")

    result = cli("workflows", "register", file)

    assert result.exit_code == 4
    assert result.stderr == (
        "Error: order.yaml: the YAML cannot be used\n"
        "  steps.reserve: line 13: 'reserve' is given twice, first on line 5\n"
    )
    assert cli.document("workflows", "list")["items"] == []


def test_a_step_given_twice_in_json_is_refused_by_name(cli: CommandLine, tmp_path: Path) -> None:
    text = '{"name": "order", "steps": {"a": {"task": "pack"}, "a": {"task": "ship"}}}'

    code, error = cli.error("workflows", "register", a_file(tmp_path, text, "order.json"))

    assert code == 4
    assert error["problems"][0]["message"] == "the key 'a' is given twice in one object"


def test_every_problem_of_a_definition_is_told_by_its_path(
    cli: CommandLine, tmp_path: Path
) -> None:
    text = "name: order\nsteps:\n  a: {task: pack, colour: red, timeout: soon}\n  b: {}\n"

    code, error = cli.error("workflows", "register", a_file(tmp_path, text))

    assert (code, error["type"]) == (4, "invalid-definition")
    paths = {problem["path"] for problem in error["problems"]}
    assert paths == {"steps.a.colour", "steps.a.timeout", "steps.b.task"}


def test_a_definition_that_uses_unknown_tasks_is_refused(cli: CommandLine, tmp_path: Path) -> None:
    text = "name: order\nsteps: {a: {task: teleport}}\n"

    code, error = cli.error("workflows", "register", a_file(tmp_path, text))

    assert code == 4
    assert error["problems"][0]["path"] == "steps.a.task"


@pytest.mark.parametrize("name", ["missing.yaml", "order.toml", "."])
def test_a_file_that_cannot_be_read_is_a_usage_error(
    cli: CommandLine, tmp_path: Path, name: str
) -> None:
    a_file(tmp_path, ORDER, "order.toml")

    code, error = cli.error("workflows", "register", str(tmp_path / name))

    assert (code, error["type"]) == (2, "usage")


def test_workflows_are_listed(cli: CommandLine) -> None:
    for version in (1, 2):
        cli.do(cli.harness.app.register(a_workflow(version=version)))

    assert cli.document("workflows", "list") == {
        "items": [
            {"name": "order", "version": 1, "steps": ["first"]},
            {"name": "order", "version": 2, "steps": ["first"]},
        ],
        "next": None,
    }
    assert cli.text("workflows", "list").splitlines() == [
        "NAME   VERSION  STEPS  TASKS",
        "order        1      1  send",
        "order        2      1  send",
    ]


def test_a_workflow_is_shown_with_what_its_steps_need(cli: CommandLine) -> None:
    steps = [
        a_step("a", task="reserve"),
        a_step("b", task="charge", input={"of": "${steps.a.output}"}),
    ]
    cli.do(cli.harness.app.register(a_workflow(steps=steps)))

    lines = cli.text("workflows", "show", "order").splitlines()

    assert lines[-3:] == [
        "STEP  TASK     NEEDS  UNDO  INPUT",
        "a     reserve",
        'b     charge   a            {"of": "${steps.a.output}"}',
    ]


def test_a_workflow_can_be_shown_as_the_yaml_that_registers_it(
    cli: CommandLine, tmp_path: Path
) -> None:
    note = "é 漢 \u202e \x1b[2J"
    workflow = a_workflow(steps=[Step("a", "pack", {"note": note})])
    cli.do(cli.harness.app.register(workflow))

    text = cli.text("workflows", "show", "order", "--yaml")

    assert yaml.safe_load(text) == workflow_document(workflow)
    assert "\u202e" not in text
    assert "\x1b" not in text
    assert "already" in cli.text("workflows", "register", a_file(tmp_path, text))


def test_a_version_can_be_named(cli: CommandLine) -> None:
    for version in (1, 2):
        cli.do(cli.harness.app.register(a_workflow(version=version)))

    assert cli.document("workflows", "show", "order", "--version", "1")["version"] == 1
    assert cli.error("workflows", "show", "order", "--version", "3")[0] == 3
