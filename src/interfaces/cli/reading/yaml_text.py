"""YAML as people write workflows in it: the safe subset, with what it silently accepts refused.

YAML lets a later key replace an earlier one of the same name: of two steps called `charge` the
first would vanish without a word. It also reads the bare words `yes`, `no`, `on` and `off` as
booleans, a bare date as a date, and lets a few lines of anchors unfold into gigabytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import yaml

from cueline.domain.errors import InvalidInput, Problem
from cueline.domain.json import DEEPEST, Json

MOST_VALUES: Final = 100_000
"""How many values a document may hold once its anchors are unfolded."""

_TEXT = "tag:yaml.org,2002:str"
_MERGE = "tag:yaml.org,2002:merge"
_DATE = "tag:yaml.org,2002:timestamp"


class _Loader(yaml.SafeLoader):
    """The safe loader, in which a bare date is a text, as it is in JSON."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - typed and named so by yaml
        first: [(tag, pattern) for tag, pattern in resolvers if tag != _DATE]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def parse_yaml(text: str, where: str) -> Json:
    """Read a YAML document, or raise `InvalidInput` with every problem and its line."""
    try:
        loader = _Loader(text)
        try:
            root = loader.get_single_node()
            if root is None:
                raise _refusal([Problem(where, "the document is empty")])
            problems = list(_Check(root).problems())
            if problems:
                raise _refusal(problems)
            value: Json = loader.construct_document(root)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        raise _refusal([_syntax_problem(error, where)]) from error
    except yaml.YAMLError as error:  # a character that YAML does not allow
        raise _refusal([Problem(where, str(error).splitlines()[0])]) from error
    except RecursionError as error:
        message = f"the value is nested more than {DEEPEST} levels deep"
        raise _refusal([Problem(where, message)]) from error
    except ValueError as error:  # 2026-13-99 tagged as a date, an integer of thousands of digits
        raise _refusal([Problem(where, str(error))]) from error
    return value


def _syntax_problem(error: yaml.MarkedYAMLError, where: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    message = error.problem or error.context or "this is not YAML"
    if mark is None:
        return Problem(where, message)
    return Problem(where, f"line {mark.line + 1}, column {mark.column + 1}: {message}")


class _Check:
    """Looks through the nodes of a document, before any value is made of them."""

    def __init__(self, root: yaml.Node) -> None:
        self._root = root
        self._sizes: dict[int, int] = {}
        self._open: set[int] = set()

    def problems(self) -> Iterator[Problem]:
        yield from self._in(self._root, "")
        if self._sizes.get(id(self._root), 0) > MOST_VALUES:
            yield Problem("", f"the anchors unfold into more than {MOST_VALUES} values")

    def _in(self, node: yaml.Node, path: str) -> Iterator[Problem]:
        """The problems below a node; on the way, how many values it unfolds into."""
        if id(node) in self._sizes:
            return
        if id(node) in self._open:
            yield Problem(path, f"line {_line(node)}: the anchor contains itself")
            return
        self._open.add(id(node))
        children: list[tuple[str, yaml.Node]] = []
        if isinstance(node, yaml.MappingNode):
            yield from _key_problems(node, path)
            children = [(f"{path}.{_name(key)}".lstrip("."), value) for key, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            children = [(f"{path}[{index}]", value) for index, value in enumerate(node.value)]
        for where, child in children:
            yield from self._in(child, where)
        self._open.discard(id(node))
        self._sizes[id(node)] = 1 + sum(self._sizes.get(id(child), 0) for _, child in children)


def _key_problems(node: yaml.MappingNode, path: str) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for key, _ in node.value:
        where = f"{path}.{_name(key)}".lstrip(".")
        if key.tag == _MERGE:
            continue
        if not isinstance(key, yaml.ScalarNode) or key.tag != _TEXT:
            yield Problem(where, f"line {_line(key)}: this key is not a text; put it in quotes")
        elif key.value in first:
            message = f"{key.value!r} is given twice, first on line {first[key.value]}"
            yield Problem(where, f"line {_line(key)}: {message}")
        else:
            first[key.value] = _line(key)


def _name(key: yaml.Node) -> str:
    return str(key.value)[:100] if isinstance(key, yaml.ScalarNode) else "?"


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _refusal(problems: list[Problem]) -> InvalidInput:
    return InvalidInput("the YAML cannot be used", problems)
