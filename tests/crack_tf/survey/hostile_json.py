"""JSON values as an attacker or a broken program would leave them: members dropped, of other types, absurd, nested."""

from __future__ import annotations

import copy
import json
import math
import random
from typing import Any

SECRET = "../secret.png"
DEEP = "<deep>"


def mutated(value: Any, seed: int) -> Any:
    """A copy with one to three changes anywhere in it."""
    generator = random.Random(seed)
    changed = {"it": copy.deepcopy(value)}
    for _ in range(generator.randint(1, 3)):
        holder, key = generator.choice(_places(changed))
        kind = generator.choice(("drop", "odd", "odd", "odd", "add", "repeat"))
        if kind == "drop" and holder is not changed:
            del holder[key]
        elif kind == "add" and isinstance(holder[key], dict):
            holder[key][generator.choice(("strange", "", "n", "\0"))] = _odd(generator)
        elif kind == "repeat" and isinstance(holder[key], list):
            holder[key] = holder[key] * 2
        elif holder is not changed:
            holder[key] = _odd(generator)
    return changed["it"]


def hostile_text(value: Any) -> str:
    """JSON as another program writes it: NaN and all, and `DEEP` as lists in lists."""
    return json.dumps(value, separators=(",", ":")).replace(f'"{DEEP}"', "[" * 700 + "1" + "]" * 700)


def _places(value: Any) -> list[tuple[Any, Any]]:
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = []
    for key, entry in entries:
        found.append((value, key))
        found += _places(entry)
    return found


def _odd(generator: random.Random) -> Any:
    return generator.choice(
        (
            None,
            True,
            0,
            -1,
            3,
            0.5,
            91,
            -181,
            1e308,
            -1e308,
            10**30,
            10**400,
            math.nan,
            math.inf,
            -math.inf,
            "",
            "text",
            SECRET,
            "/etc/passwd",
            "a\0b",
            "\ud83d",
            "x" * 300,
            "y" * 40_000,
            "0001-01-01T00:00:00",
            "9999-12-31T23:59:59-14:00",
            [],
            {},
            [[]],
            [1, "a"],
            {"x": -5, "y": 10**9, "w": 0, "h": 10**9},
            [[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]],
            DEEP,
        )
    )
