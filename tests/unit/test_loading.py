"""Loading the user's application, and what is said when it cannot be loaded."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cueline.app import App
from cueline.domain.errors import InvalidInput
from cueline.loading import load_app

GOOD = "from cueline import App\n\napp = App('shop')\nnumber = 7\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working directory; what is imported from it is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in {"good_shop", "bad_shop", "shop_package"}:
            del sys.modules[name]


def test_an_application_is_found_in_the_working_directory(folder: Path) -> None:
    (folder / "good_shop.py").write_text(GOOD)
    app = load_app("good_shop:app")
    assert isinstance(app, App)
    assert app.name == "shop"


def test_an_application_is_found_in_a_package(folder: Path) -> None:
    (folder / "shop_package").mkdir()
    (folder / "shop_package" / "__init__.py").touch()
    (folder / "shop_package" / "tasks.py").write_text(GOOD)
    assert isinstance(load_app("shop_package.tasks:app"), App)


def test_no_name_is_no_application() -> None:
    assert load_app(None) is None


@pytest.mark.parametrize("path", ["good_shop", "good_shop:", ":app", "", ".good_shop:app"])
def test_a_name_that_is_not_of_the_form_is_refused(path: str) -> None:
    with pytest.raises(InvalidInput, match="name it as module:attribute") as caught:
        load_app(path)
    assert caught.value.problems[0].path == "app"


@pytest.mark.parametrize(
    ("path", "missing"),
    [
        ("bad_shop:app", "bad_shop"),
        ("bad_shop.tasks:app", "bad_shop"),
        ("json.tool.more:app", "json.tool.more"),
    ],
)
def test_a_module_that_is_missing_is_named(path: str, missing: str) -> None:
    with pytest.raises(InvalidInput, match=f"there is no module '{missing}'"):
        load_app(path)


def test_an_attribute_that_is_missing_is_named(folder: Path) -> None:
    (folder / "good_shop.py").write_text(GOOD)
    with pytest.raises(InvalidInput, match="there is no 'application' in good_shop"):
        load_app("good_shop:application")


def test_what_is_not_an_app_is_refused(folder: Path) -> None:
    (folder / "good_shop.py").write_text(GOOD)
    with pytest.raises(InvalidInput, match=r"'number' in good_shop is int, not a cueline\.App"):
        load_app("good_shop:number")


@pytest.mark.parametrize(
    "source",
    [
        "import a_library_that_is_not_installed",
        "import bad",  # missing too, though the module's name begins with it
        "from json import nothing_like_that",
    ],
)
def test_an_import_error_inside_the_module_passes_through(folder: Path, source: str) -> None:
    (folder / "bad_shop.py").write_text(source)
    with pytest.raises(ImportError):
        load_app("bad_shop:app")
