"""The stubs describe the extension as it is, and both shells are data planes."""

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from sfu import _dataplane
from sfu.dataplane.interface import DataPlane, DropReason
from sfu.dataplane.memory import MemoryDataPlane
from sfu.dataplane.udp import UdpDataPlane

SFU = Path(__file__).parents[2] / "sfu"
STUBS = [ast.parse((SFU / name).read_text()) for name in ("_dataplane.pyi", "dataplane/values.pyi")]
DECLARATIONS = [node for stub in STUBS for node in stub.body]
CLASSES = [node for node in DECLARATIONS if isinstance(node, ast.ClassDef)]
VALUES = [node for node in CLASSES if node.decorator_list]
PLANES = [node for node in CLASSES if not node.decorator_list]


def methods() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for node in PLANES:
        for method in node.body:
            if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef) and method.name != "__init__":
                yield node.name, method


def names(parameters: ast.arguments) -> list[str]:
    return [one.arg for one in (*parameters.args, *parameters.kwonlyargs)]


def test_the_stubs_declare_every_name_of_the_extension_and_no_other() -> None:
    declared = {node.name for node in DECLARATIONS if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    declared |= {
        node.target.id for node in DECLARATIONS if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    aliases = {
        node.targets[0].id
        for node in DECLARATIONS
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    assert declared | aliases == {name for name in vars(_dataplane) if not name.startswith("__")}


@pytest.mark.parametrize("value", VALUES, ids=lambda node: node.name)
def test_a_class_of_values_has_the_fields_of_the_stub_and_cannot_be_changed(value: ast.ClassDef) -> None:
    fields = [
        node.target.id for node in value.body if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    ]
    class_: Any = getattr(_dataplane, value.name)
    assert list(inspect.signature(class_).parameters) == fields
    for field in fields:
        assert not hasattr(getattr(class_, field), "fset")
        assert field in dir(class_)


@pytest.mark.parametrize(
    ("class_", "method"), list(methods()), ids=lambda one: one if isinstance(one, str) else one.name
)
def test_a_method_has_the_parameters_of_the_stub(class_: str, method: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
    here = (
        [getattr(_dataplane, class_)]
        if method.name not in {"receive_drops", "wait", "poll", "close"}
        else [UdpDataPlane, MemoryDataPlane]
    )
    for owner in here:
        assert list(inspect.signature(getattr(owner, method.name)).parameters) == names(method.args)


def test_every_reason_of_the_extension_has_a_name() -> None:
    plane = MemoryDataPlane(lambda path, datagram: None, Random(0))
    assert list(plane.totals().drops) == list(DropReason)


def test_values_are_equal_by_their_fields_and_show_them() -> None:
    one, same, other = (_dataplane.FellSilent(1, at) for at in (2.5, 2.5, 3))  # type: ignore[arg-type]
    assert one == same != other
    assert repr(one) == "FellSilent { transport: 1, last_at: 2.5 }"
    with pytest.raises(AttributeError):
        one.last_at = 3  # type: ignore[misc]


def test_both_shells_are_data_planes() -> None:
    planes: list[DataPlane] = [UdpDataPlane(["127.0.0.1"], 0), MemoryDataPlane(lambda path, datagram: None, Random(0))]
    for plane in planes:
        assert plane.totals().transports == 0
        plane.close()
        plane.close()
