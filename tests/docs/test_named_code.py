"""Every path that a page names exists, and so does every function that a page names with its file.

Pages write a function as ``gateway/session/lifecycle.py::serve_sessions``, and a method as ``sfu/peer.py::Peer.close``.
"""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, name_of, prose

TOP = ("gateway", "sfu", "protocol", "tools", "tests", "docs")
_PATH = re.compile(rf"`((?:{'|'.join(TOP)})/[\w./-]+)(?:::([\w.:]+))?(?:\[[^`]*\])?`")
_BARE = re.compile(r"`([A-Z]\w+\.[a-z_]\w*)(?:\(\))?`")
_RUST = re.compile(r"^\s*(?:pub(?:\([^)]*\))? )?(?:const |unsafe )*(?:fn|struct|enum|trait|type) (\w+)", re.MULTILINE)
_IMPL = re.compile(r"^impl(?:<[^>]*>)? (?:[\w:]+(?:<[^>]*>)? for )?(\w+)", re.MULTILINE)
_TYPESCRIPT = re.compile(
    r"^\s*(?:export )?(?:private |readonly |static |async )*(?:function |class |const )?(\w+)[ (=:<]", re.MULTILINE
)
_NOT_IN_A_CHECKOUT = {"gateway/web/dist", "sfu/dataplane/target"}


@cache
def names_in(file: Path) -> frozenset[str]:
    """The names that a source file defines: ``function``, ``Class``, ``Class.method``."""
    text = file.read_text(encoding="utf-8")
    if file.suffix in (".py", ".pyi"):
        return frozenset(_python_names(ast.parse(text), ""))
    if file.suffix == ".rs":
        return frozenset({*_RUST.findall(text), *_IMPL.findall(text)})
    return frozenset(_TYPESCRIPT.findall(text))


def _python_names(node: ast.AST, prefix: str) -> set[str]:
    found: set[str] = set()
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found |= {prefix + child.name, *_python_names(child, f"{prefix}{child.name}.")}
        elif isinstance(child, ast.AnnAssign) and isinstance(child.target, ast.Name):
            found.add(prefix + child.target.id)
        elif isinstance(child, ast.Attribute) and isinstance(child.ctx, ast.Store):
            found.add(prefix.removesuffix("__init__.") + child.attr)
        else:
            found |= _python_names(child, prefix)
    return found


@cache
def names_of_classes() -> frozenset[str]:
    """The methods and attributes of every class of the product, as ``Class.method``."""
    files = [file for package in ("gateway", "sfu", "protocol", "tools") for file in (ROOT / package).rglob("*.py")]
    return frozenset(name for file in files if "node_modules" not in file.parts for name in names_in(file))


def _is_defined(file: Path, name: str) -> bool:
    if file.suffix in (".py", ".pyi"):
        return name in names_in(file)
    return set(re.split(r"::|\.", name)) <= names_in(file)


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=name_of)
def test_every_path_and_function_that_a_page_names_is_there(page: Path) -> None:
    missing = []
    for path, name in _PATH.findall(prose(page)):
        file = ROOT / path
        if path.rstrip("/") in _NOT_IN_A_CHECKOUT:
            continue
        if not file.exists() or (name and not _is_defined(file, name)):
            missing.append(f"{path}::{name}" if name else path)
    assert missing == []


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=name_of)
def test_every_method_that_a_page_names_without_its_file_is_there(page: Path) -> None:
    assert set(_BARE.findall(prose(page))) - names_of_classes() == set()


def test_a_name_that_is_not_defined_is_noticed() -> None:
    here = Path(__file__)
    assert _is_defined(here, "names_in")
    assert not _is_defined(here, "names_of")
    assert _is_defined(ROOT / "sfu" / "peer.py", "Peer.close")
    assert not _is_defined(ROOT / "sfu" / "peer.py", "close")


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=name_of)
def test_every_test_file_that_a_page_names_without_its_folder_is_there(page: Path) -> None:
    there = {file.name for file in (ROOT / "tests").rglob("test_*.py")}
    assert set(re.findall(r"`(test_\w+\.py)`", prose(page))) - there == set()
