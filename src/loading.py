"""Loading the user's application and the settings, with errors that say what to do."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from cueline.domain.errors import InvalidInput, Problem

if TYPE_CHECKING:
    from cueline.app import App
    from cueline.settings import Settings


def load_settings(**given: Any) -> Settings:
    """The settings, what is given here first; what is None is left to the environment."""
    from cueline.settings import Settings  # `--help` must not wait for it

    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        problems = [
            Problem(_setting_name(item["loc"]), item["msg"].removeprefix("Value error, "))
            for item in error.errors(include_url=False, include_context=False)
        ]
        raise InvalidInput("the settings cannot be used", problems) from error


def load_app(path: str | None) -> App | None:
    """The application named as `module:attribute`, found from the working directory too."""
    from cueline.app import App

    if path is None:
        return None
    module_name, _, attribute = path.partition(":")
    if not module_name or not attribute or module_name.startswith("."):
        raise _unusable(path, "name it as module:attribute, for example shop.tasks:app")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise  # it is not the application that is missing, but something that it imports
        raise _unusable(path, f"there is no module {error.name!r} here or on sys.path") from error
    if not hasattr(module, attribute):
        raise _unusable(path, f"there is no {attribute!r} in {module_name}")
    found = getattr(module, attribute)
    if not isinstance(found, App):
        what = f"{attribute!r} in {module_name} is {type(found).__name__}, not a cueline.App"
        raise _unusable(path, what)
    return found


def _unusable(path: str, why: str) -> InvalidInput:
    return InvalidInput(f"the application {path!r} cannot be loaded", [Problem("app", why)])


def _setting_name(location: tuple[int | str, ...]) -> str:
    if not location:
        return "CUELINE_STORE, CUELINE_BROKER"
    return f"CUELINE_{'.'.join(str(part) for part in location).upper()}"
