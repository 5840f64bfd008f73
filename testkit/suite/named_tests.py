"""Finds the tests that documents name."""

import ast
import re

from testkit.servers import ROOT

TESTS = ROOT / "tests"


def is_test(node: ast.AST) -> bool:
    """Whether pytest would run it, or something in it."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return node.name.startswith("test_")
    return isinstance(node, ast.Module | ast.ClassDef) and any(map(is_test, node.body))


def find(name: str) -> ast.AST | None:
    """What `folder/test_file.py::Class::test_function` names; None where it names nothing."""
    path, *inner = name.split("::")
    if not re.fullmatch(r"([a-z0-9_]+/)+test_[a-z0-9_]+\.py", path) or not (TESTS / path).exists():
        return None
    found: ast.AST | None = ast.parse((TESTS / path).read_text())
    for part in inner:
        found = next(
            (node for node in getattr(found, "body", []) if getattr(node, "name", None) == part),
            None,
        )
    return found
