"""`help` of a module that can be called says how to call it."""

from __future__ import annotations

import compileall
import importlib
import pydoc
import subprocess
import sys
from pathlib import Path

import pytest

import crack_tf


@pytest.mark.parametrize("name", ["adapt", "export", "survey", "train"])
def test_help_of_a_verb_is_that_of_the_function_it_calls(name: str) -> None:
    text = pydoc.plain(pydoc.render_doc(getattr(crack_tf, name)))
    head = text.partition("PACKAGE CONTENTS")[0]
    called, _, rest = head.partition(f"crack_tf.{name}(")
    assert rest, "no signature"
    assert called.startswith("Python Library Documentation")
    arguments, _, said = rest.partition(") -> ")
    assert "out: str | os.PathLike[str]" in arguments
    assert "self" not in arguments
    for word in ("Args:", "    out: ", "Raises:"):
        assert word in said
    assert "    say: " not in said  # of the function, and not of the call


def test_without_docstrings_help_is_still_given() -> None:
    code = "import crack_tf, pydoc; print(crack_tf.survey.__doc__, pydoc.render_doc(crack_tf.survey)[:40])"
    done = subprocess.run([sys.executable, "-OO", "-c", code], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert "Python Library Documentation: " in done.stdout


def test_without_sources_help_is_the_modules_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "drawn_package"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "behind.py").write_text('def draw():\n    """Draw it."""\n')
    (folder / "verb.py").write_text(
        '"""The verb."""\n'
        "from types import ModuleType\n"
        "from crack_tf.common.called_module import make_callable\n"
        "class Verb(ModuleType):\n"
        "    def __call__(self):\n"
        '        """See `drawn_package.behind.draw`."""\n'
        "make_callable(__name__, Verb)\n"
    )
    assert compileall.compile_dir(folder, quiet=1, legacy=True)
    monkeypatch.syspath_prepend(tmp_path)
    for source, expected in ((True, "Draw it."), (False, "The verb.")):
        for name in [name for name in sys.modules if name.startswith("drawn_package")]:
            monkeypatch.delitem(sys.modules, name)
        if not source:
            for path in folder.glob("*.py"):
                path.unlink()
        importlib.invalidate_caches()
        text = importlib.import_module("drawn_package.verb").__doc__
        assert text is not None
        assert text.startswith(expected)
