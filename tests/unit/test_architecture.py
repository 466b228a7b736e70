"""What import-linter cannot say of how Cueline is built."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
LONGEST_FILE = 400
EMPTY_WORDS = {"util", "utils", "helper", "helpers", "manager", "managers", "base"}
PYTHON_FOLDERS = ("src", "tests", "docs", "examples", "benchmarks")

# What an adapter or the web edge is made of: too heavy to load for somebody who submits a task.
HEAVY = {
    *("aio_pika", "aiosmtplib", "aiosqlite", "alembic", "asyncpg", "dependency_injector"),
    *("fastapi", "httpx2", "jinja2", "redis", "reportlab", "sqlalchemy", "starlette", "tenacity"),
    *("typer", "uvicorn", "uvloop", "xhtml2pdf"),
    *("cueline.infrastructure", "cueline.interfaces", "cueline.container", "cueline.runtime"),
}


def python_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def imports_of(path: Path) -> Iterator[str]:
    """The full names of the modules that a file imports anywhere, late imports included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module


def of_any(module: str, packages: set[str]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


# --- what is loaded -------------------------------------------------------------------------------


def test_importing_cueline_loads_no_adapter_and_no_web_framework() -> None:
    script = "import json, sys, cueline; print(json.dumps(sorted(sys.modules)))"
    answer = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = json.loads(answer.stdout)
    assert "cueline" in loaded
    assert [module for module in loaded if of_any(module, HEAVY)] == []


def test_nothing_imports_the_package_by_its_folder() -> None:
    guilty = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in python_files(*PYTHON_FOLDERS)
        for module in imports_of(path)
        if of_any(module, {"src"})
    ]
    assert guilty == []


def test_the_domain_imports_itself_and_the_standard_library_only() -> None:
    allowed = {"cueline.domain", *sys.stdlib_module_names}
    guilty = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in python_files("src/domain")
        for module in imports_of(path)
        if not of_any(module, allowed)
    ]
    assert guilty == []


def test_the_check_of_imports_sees_late_and_dotted_ones(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text("import os.path\ndef late():\n    from src.domain import task\n")
    assert list(imports_of(module)) == ["os.path", "src.domain"]
    assert of_any("src.domain", {"src"})
    assert not of_any("srcery", {"src"})


# --- how it is cut --------------------------------------------------------------------------------


def test_every_module_is_named_for_what_it_does() -> None:
    named = [path for path in SOURCE.rglob("*") if path.is_dir() or path.suffix == ".py"]
    assert [path for path in named if path.stem in EMPTY_WORDS] == []


def test_every_file_can_be_read_in_one_sitting() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in python_files("src")
    }
    assert {path: length for path, length in lengths.items() if length > LONGEST_FILE} == {}


def ports() -> list[tuple[str, ast.ClassDef]]:
    return [
        (f"{path.stem}.{node.name}", node)
        for path in python_files("src/application/ports")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef) and "Protocol" in map(ast.unparse, node.bases)
    ]


def test_the_ports_are_found() -> None:
    assert {"broker.Broker", "persistence.UnitOfWork", "runtime.Clock"} <= dict(ports()).keys()


@pytest.mark.parametrize(("name", "port"), ports(), ids=[name for name, _ in ports()])
def test_every_port_says_what_it_promises(name: str, port: ast.ClassDef) -> None:
    undescribed = [
        member.name
        for member in port.body
        if isinstance(member, (ast.FunctionDef, ast.AsyncFunctionDef))
        and not member.name.startswith("__")
        and not ast.get_docstring(member)
    ]
    assert ast.get_docstring(port), f"{name} has no docstring"
    assert undescribed == []


# --- what is kept ---------------------------------------------------------------------------------

PRIVATE = re.compile(
    r"""
    (?<![\w.~/-]) / (?:home|Users) / [A-Za-z]\w*     # somebody's home directory
    | (?<![\w.~/-]) / root /
    | \b [A-Z] : \\+ Users \\
    | -- (?:extra-)? index-url \b                    # where packages were fetched from
    | -- find-links \b
    | ^ \s* (?:extra-)? index-url \s* =
    | https?:// [^\s"'<>]+ / simple \b
    """,
    re.VERBOSE | re.MULTILINE,
)


def kept_files() -> Iterator[Path]:
    """What is or would be committed: everything but what .gitignore names. Works without git."""
    patterns = (ROOT / ".gitignore").read_text(encoding="utf-8").split("\n")
    ignored = [pattern.rstrip("/") for pattern in patterns if pattern and pattern[0] != "#"]
    pending = [ROOT]
    while pending:
        for path in sorted(pending.pop().iterdir()):
            if path.name == ".git" or any(fnmatch(path.name, pattern) for pattern in ignored):
                continue
            if path.is_dir() and not path.is_symlink():
                pending.append(path)
            elif path.is_file():
                yield path


def private_parts(text: str) -> list[str]:
    return [found.group().strip() for found in PRIVATE.finditer(text)]


def test_no_file_tells_of_the_machine_or_the_index_it_came_from() -> None:
    guilty = {
        str(path.relative_to(ROOT)): found
        for path in kept_files()
        if (found := private_parts(path.read_text(encoding="utf-8", errors="ignore")))
    }
    assert guilty == {}


@pytest.mark.parametrize(
    "text",
    [
        f"cd /{'home'}/ada/cueline",
        f'"/{"Users"}/ada"',
        f"python=/{'root'}/.pyenv/bin/python",
        rf"C:\{'Users'}\ada",
        f"--{'index-url'} https://mirror.example",
        f"--extra-{'index-url'}=https://mirror.example",
        f"{'index-url'} = https://mirror.example",
        f"registry = https://mirror.example/{'simple'}/",
    ],
)
def test_a_private_part_is_recognised(text: str) -> None:
    assert private_parts(f"before\n{text}\nafter")


@pytest.mark.parametrize(
    "text",
    ["~/cueline", "/health/live", "https://example.com/home/page", "./home/x", "grass/root/x"],
)
def test_an_ordinary_path_is_no_private_part(text: str) -> None:
    assert private_parts(text) == []
