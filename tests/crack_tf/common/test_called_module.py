"""`help` of a module that can be called says how to call it."""

from __future__ import annotations

import pydoc

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
