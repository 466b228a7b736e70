"""What a handler's signature says: the schema of its input, and how to call it with one."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic.errors import PydanticSchemaGenerationError
from pydantic_core import PydanticSerializationError, to_jsonable_python

from cueline.application.context import Context
from cueline.domain.errors import InvalidInput, PermanentError, Problem
from cueline.domain.json import Json, JsonObject, require_json

_CALLABLE_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class Signature:
    """A handler's parameters, without the context that Cueline gives it.

    The input of a task is an object with one member for each parameter. Parameters without an
    annotation take anything; those with a default may be left out.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._name = function.__qualname__
        hints = _hints(function)
        parameters = list(inspect.signature(function).parameters.values())
        self.takes_context = bool(parameters) and _is_context(parameters[0], hints)
        self._parameters = parameters[1:] if self.takes_context else parameters
        self._signature = inspect.Signature(self._parameters)
        self._model = self._make_model(hints)
        self.is_empty = not self._parameters
        named = [p for p in self._parameters if p.kind is not inspect.Parameter.VAR_KEYWORD]
        self._open = len(named) < len(self._parameters)
        self._known = frozenset(p.name for p in named)
        self._required = frozenset(p.name for p in named if p.default is p.empty)

    @property
    def names(self) -> frozenset[str]:
        """The names of the parameters, without the context."""
        return frozenset(parameter.name for parameter in self._parameters)

    @property
    def schema(self) -> JsonObject:
        """The JSON Schema of the input."""
        schema: dict[str, Json] = self._model.model_json_schema()
        schema.pop("title", None)
        return schema

    def encode(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Json]:
        """The input that stands for a call, or `InvalidInput` if the call does not fit."""
        is_plain = not args and self._required <= kwargs.keys() <= self._known
        try:
            encoded: dict[str, Json] = to_jsonable_python(
                kwargs if is_plain else self._bound(args, kwargs)
            )
        except PydanticSerializationError as error:
            raise InvalidInput(
                f"{self._name} cannot be submitted so", [Problem("input", str(error))]
            ) from error
        return encoded

    def _bound(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The arguments of a call by their names."""
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError as error:
            problem = Problem("input", str(error))
            raise InvalidInput(f"{self._name} cannot be called so", [problem]) from error
        arguments = dict(bound.arguments)
        if self._open:
            arguments.update(arguments.pop(self._parameters[-1].name, {}))
        return arguments

    def decode(self, input: JsonObject) -> dict[str, Any]:
        """The arguments that an input stands for, in the types that the handler asks for."""
        if self.is_empty and not input:
            return {}
        try:
            model = self._model.model_validate(input)
        except ValidationError as error:
            raise UnfitInput(error) from error
        return {**model.__dict__, **(model.__pydantic_extra__ or {})}

    def _make_model(self, hints: dict[str, Any]) -> type[BaseModel]:
        fields: dict[str, Any] = {}
        open_ended = False
        for parameter in self._parameters:
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                open_ended = True
            elif parameter.kind not in _CALLABLE_BY_NAME or _is_taken(parameter.name):
                raise TypeError(f"{self._name}: parameter {parameter} cannot be given by name")
            else:
                default = ... if parameter.default is parameter.empty else parameter.default
                fields[parameter.name] = (hints.get(parameter.name, Any), default)
        config = ConfigDict(
            extra="allow" if open_ended else "forbid",
            arbitrary_types_allowed=False,
            protected_namespaces=(),
        )
        try:
            with warnings.catch_warnings():
                # A parameter may be called `copy` or `json`: only the model's values are used.
                warnings.filterwarnings("ignore", "Field name .* shadows", UserWarning)
                return create_model(self._name.rpartition(".")[2], __config__=config, **fields)
        except PydanticSchemaGenerationError as error:
            raise TypeError(f"{self._name}: {error.message}") from error


class UnfitInput(PermanentError):
    """An input that passed the schema, but not what the parameters' types ask beyond it."""

    def __init__(self, error: ValidationError) -> None:
        details = "; ".join(
            f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}"
            for item in error.errors(include_url=False, include_context=False, include_input=False)
        )
        super().__init__(f"the input does not fit the handler: {details}")


def encode_output(output: Any) -> Json:
    """What a handler returned, as JSON; what has no form in JSON fails the task for good."""
    if output is None:
        return None
    try:
        encoded: Json = to_jsonable_python(output)
        require_json(encoded, "output")
    except (PydanticSerializationError, InvalidInput) as error:
        raise PermanentError(
            f"the handler returned what cannot be kept as JSON: {error}"
        ) from error
    return encoded


def _is_context(parameter: inspect.Parameter, hints: dict[str, Any]) -> bool:
    hint = hints.get(parameter.name)
    return hint is Context or (hint is None and parameter.name in ("ctx", "context"))


def _is_taken(name: str) -> bool:
    """Whether pydantic keeps such a name for itself and would make no field of it."""
    return name.startswith("_") or name == "model_config"


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(function, include_extras=True)
    except NameError as error:
        raise TypeError(
            f"{function.__qualname__}: {error}; what annotations name must be imported for real, "
            "not only under TYPE_CHECKING"
        ) from error
