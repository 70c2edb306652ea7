"""The rules of the house: verbs parse and print, what lies below them takes configurations; imports run one way."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from crack_tf.cli import VERBS

ROOT = Path(__file__).parent.parent
PACKAGES = ("crack_tf", "tuning", "tflite")


@dataclass(frozen=True)
class Import:
    """One import of one of the project's own modules.

    Attributes:
        source: importing module.
        target: imported module.
        lazy: whether it stands in a function.
    """

    source: str
    target: str
    lazy: bool


@cache
def modules() -> dict[str, ast.Module]:
    """Every module of the packages by its dotted name, parsed; a package's is its `__init__`."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def is_package(name: str) -> bool:
    return (ROOT / Path(*name.split(".")) / "__init__.py").is_file()


def nodes(tree: ast.AST, lazy: bool = False) -> Iterator[tuple[ast.AST, bool]]:
    """All nodes that run, and whether a function holds them; what is there for type checkers alone is left out."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        yield node, lazy
        yield from nodes(node, lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda))


@cache
def imports() -> tuple[Import, ...]:
    found = set()
    for source, tree in modules().items():
        for node, lazy in nodes(tree):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{source}: imports by full name only"
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            for name in names:
                while name and name not in modules():
                    name = name.rpartition(".")[0]
                if name and name != source:
                    found.add(Import(source, name, lazy))
    return tuple(sorted(found, key=lambda one: (one.source, one.target, one.lazy)))


def rings() -> list[set[str]]:
    """Sets of modules each of which imports, by way of others, all the others (Tarjan's strongly connected components)."""
    edges: dict[str, set[str]] = {name: set() for name in modules()}
    for one in imports():
        edges[one.source].add(one.target)
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in sorted(edges[name]):
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            ring = set(stack[stack.index(name) :])
            del stack[stack.index(name) :]
            if len(ring) > 1:
                found.append(ring)

    for name in edges:
        if name not in index:
            visit(name)
    return found


if __name__ == "__main__":
    from pprint import pprint

    print("RINGS")
    pprint(rings())
    verbs = {verb.module for verb in VERBS.values()} | {
        n
        for n, t in modules().items()
        if any(isinstance(x, ast.FunctionDef) and x.name == "make_parser" for x in t.body)
    }
    print("UP")
    for one in imports():
        if one.target in verbs and one.source not in verbs:
            print("  ", one)
    print("VERB->VERB")
    for one in imports():
        if one.target in verbs and one.source in verbs:
            print("  ", one)
    print("NS")
    for name, tree in modules().items():
        for node, _ in nodes(tree):
            if isinstance(node, ast.FunctionDef):
                for a in [*node.args.args, *node.args.kwonlyargs]:
                    if a.annotation and "Namespace" in ast.unparse(a.annotation):
                        print("  ", name, node.name, "VERB" if name in verbs else "")
    print("LAZY")
    from collections import Counter

    print(
        Counter(
            one.source for one in imports() if one.lazy and one.source not in verbs and "__main__" not in one.source
        )
    )
