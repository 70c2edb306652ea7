"""Two things that mkdocs does not do: files of the repository that pages link to, and the list of public names.

Gives the site the files of the repository that its pages link to: results, the licence, the study's tables.

A page says `../results/suite/matrix.png`, which is right where the repository is browsed. On the site the same file lies at
`results/suite/matrix.png`, and the links are changed to say so. Only what a page names is copied; a link to nothing is left as it is,
so that the strict build fails on it. The Python reference gets a section for every name in `crack_tf.__all__`, functions first, so that no
public name is missing from it.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
NAMES = "<!-- every public name of crack_tf, by docs/site_hooks.py -->"
LINK = re.compile(r"(?<=\]\()\.\./([^)#\s]+)")  # ](../results/...)


def on_files(files: Any, config: Any) -> Any:
    """Add what pages link to outside of docs."""
    from mkdocs.structure.files import File

    for page in sorted(Path(config.docs_dir).glob("*.md")):
        for name in LINK.findall(page.read_text(encoding="utf-8")):
            path = ROOT / name
            if path.is_file() and files.get_file_from_path(_on_site(name)) is None:
                files.append(File.generated(config, _on_site(name), abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Say where those files lie on the site, and what the reference consists of."""
    if NAMES in markdown:
        markdown = markdown.replace(NAMES, "\n\n".join(section(name) for name in public_names()))
    return LINK.sub(lambda match: _on_site(match[1]) if (ROOT / match[1]).is_file() else f"../{match[1]}", markdown)


def _on_site(name: str) -> str:
    """Pages of results are shown as they are: their own links are to files that are not copied."""
    return f"{name}.txt" if name.endswith(".md") else name


def section(name: str) -> str:
    """What mkdocstrings makes a name's section from. A verb that can be called is a module: its section is the function it calls."""
    homes = [ROOT / "crack_tf" / f"{name}.py", ROOT / "crack_tf" / name / "__init__.py"]
    for node in (node for path in homes if path.is_file() for node in ast.parse(path.read_text(encoding="utf-8")).body):
        for item in node.body if isinstance(node, ast.ClassDef) else ():
            if isinstance(item, ast.FunctionDef) and item.name == "__call__":
                called = re.search(r"See `([\w.]+)`\.$", ast.get_docstring(item) or "")
                if called is None:
                    raise ValueError(
                        f"crack_tf.{name}: the docstring of __call__ does not end in: See `module.function`."
                    )
                return f"::: {called[1]}\n    options:\n      heading: {name}\n      toc_label: {name}"
    return f"::: crack_tf.{name}"


def public_names() -> list[str]:
    """The names that `crack_tf` offers, functions before classes, without importing it."""
    source = (ROOT / "crack_tf" / "__init__.py").read_text(encoding="utf-8")
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["__all__"]:
            names = [name for name in ast.literal_eval(node.value) if not name.startswith("_")]
            return sorted(names, key=lambda name: (name[0].isupper(), name))
    raise ValueError("crack_tf/__init__.py states no __all__.")
