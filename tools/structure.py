"""Print how the code is laid out: modules in a folder, chain of imports, imports of a module, lines, docstrings.

python tools/structure.py [ROOT]
"""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from functools import cache
from pathlib import Path

PACKAGE = "lnpbrian"
# Folders that are imported from inside the package.
INSIDE = ("models", "experiments")
# What names a paper, a book or a standard: an identifier, or a name and a year.
SOURCE = re.compile(r"arXiv|doi|DOI|ISBN|IEEE Std|FIPS|RFC \d|et al\.|[A-Z][a-z]+,? \(?(19|20)\d\d\b(?! neurons)")


def modules(root: Path) -> dict[str, Path]:
    """Return the modules of the package by their dotted names."""
    found = {}
    for path in sorted((root / PACKAGE).rglob("*.py")):
        found[".".join(path.relative_to(root).with_suffix("").parts)] = path
    for folder in INSIDE:
        for path in (root / folder).rglob("*.py"):
            found[".".join((PACKAGE, *path.relative_to(root).with_suffix("").parts))] = path
    return {name.removesuffix(".__init__"): path for name, path in sorted(found.items())}


def imports(path: Path, known: dict[str, Path]) -> set[str]:
    """Return the modules of the package that a module imports when it is imported itself, not for types alone."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            return
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == PACKAGE:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            inner = names & known.keys()
            found.update(inner)
            if len(inner) < len(names):
                found.add(node.module)
        elif isinstance(node, ast.Import):
            found.update({alias.name for alias in node.names} & known.keys())
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text()))
    return found & known.keys()


def longest_chain(graph: dict[str, set[str]]) -> list[str]:
    """Return the longest chain of modules each of which imports the next."""

    @cache
    def below(name: str) -> tuple[str, ...]:
        return (name, *max((below(other) for other in sorted(graph[name] - {name})), key=len, default=()))

    return list(max((below(name) for name in graph), key=len))


def code_lines(path: Path) -> int:
    """Return the lines that are neither empty, nor comments, nor docstrings."""
    text = path.read_text()
    tree = ast.parse(text)
    skipped: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
            skipped.update(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    lines = text.splitlines()
    return sum(
        bool(line.strip()) and not line.strip().startswith("#") and number not in skipped
        for number, line in enumerate(lines, 1)
    )


def documented(paths: list[Path]) -> dict[str, int]:
    """Return how many public functions and classes of modules there are, and how many say what."""
    counts: Counter[str] = Counter()
    for path in paths:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
                text = ast.get_docstring(node) or ""
                counts["public"] += 1
                counts["docstring"] += bool(text)
                counts["example"] += ">>>" in text
                counts["source"] += SOURCE.search(text) is not None
    return dict(counts)


def folders_and_graph(root: Path) -> tuple[Counter[Path], dict[str, set[str]]]:
    """Return how many modules each folder has, and what each module imports."""
    known = modules(root)
    graph = {name: imports(path, known) for name, path in known.items()}
    # A package that only hands on names is no module of its own.
    return Counter(path.parent.relative_to(root) for path in known.values() if path.name != "__init__.py"), graph


def main(root: Path) -> None:
    """Print the figures."""
    known = modules(root)
    folders, graph = folders_and_graph(root)
    own = {name: found for name, found in graph.items() if known[name].name != "__init__.py"}
    folder, most = folders.most_common(1)[0]
    chain = longest_chain(graph)
    per_module = sum(len(found - {name}) for name, found in own.items()) / len(own)
    said = documented(list(known.values()))
    print(f"modules                       {len(own)}")
    print(f"most modules in a folder      {most} ({folder})")
    print(f"longest chain of imports      {len(chain)}: {' > '.join(n.removeprefix(PACKAGE + '.') for n in chain)}")
    print(f"imports per module            {per_module:.2f}")
    print(f"lines outside tests           {sum(len(p.read_text().splitlines()) for p in known.values())}")
    print(f"lines of code among them      {sum(code_lines(p) for p in known.values())}")
    shares = ", ".join(
        f"{name} {100 * said[name] / said['public']:.0f} %" for name in ("docstring", "example", "source")
    )
    print(f"public functions, classes     {said['public']}: {shares}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent)
