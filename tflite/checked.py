"""JSON values that somebody else may have made, checked against declared types before anything is done with them.

A file that travels (a survey, a journal, a review) declares its form once, as a frozen dataclass or a TypedDict whose
annotations say what each member may be. `checked` compares a value with it: right type, finite, within its range, no member
missing, nested no deeper than the declaration. What is wrong is one sentence with the place in the file. `file_inside` is the
only way from a name in such a file to a file on the disk.

    @dataclass(frozen=True)
    class Place:
        name: Annotated[str, Text(40)]
        latitude: Annotated[float, Between(-90, 90)] | None = None

    checked(Place, {"name": "pier", "latitude": 91})
    # CheckError: latitude is 91, expected a number from -90 to 90
"""

from __future__ import annotations

import functools
import math
import re
import reprlib
import stat
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from tflite.errors import CrackError
from tflite.words import on_one_line

MAX_TEXT = 30_000  # characters; no name, reason or comment that the project writes is longer
MAX_PATH, MAX_NAME = 4096, 255  # bytes: Linux's PATH_MAX and NAME_MAX
MAX_DEPTH = 8  # of free-form settings; the project's own are nested three deep
_EXACT = 2**53  # the largest whole number that every JSON reader keeps

Check = Callable[[Any], Any]


class CheckError(ValueError):
    """A value that is not as declared.

    Attributes:
        place: of the value, from the outermost member to the innermost.
        problem: what is wrong with it, such as "is 91, expected a number from -90 to 90".
    """

    def __init__(self, problem: str, *place: str | int) -> None:
        self.place, self.problem = place, problem
        super().__init__(problem)

    def __str__(self) -> str:
        parts = (f"[{part}]" if isinstance(part, int) else f".{_printable(part, 60)}" for part in self.place)
        return f"{''.join(parts).removeprefix('.') or 'it'} {self.problem}"


# ------------------------------------------------------------------------------------- what an annotation may demand


@dataclass(frozen=True)
class Between:
    """A number from `low` to `high`, both included."""

    low: float
    high: float

    def accepts(self, value: Any) -> bool:
        """Whether the number lies in the range."""
        return bool(self.low <= value <= self.high)

    def __str__(self) -> str:
        return f"a number from {self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class Text:
    """A text of at most `most` characters, instead of `MAX_TEXT`."""

    most: int

    def accepts(self, value: Any) -> bool:
        """Whether the text is short enough."""
        return len(value) <= self.most

    def __str__(self) -> str:
        return f"a text of at most {self.most:,} characters"


@dataclass(frozen=True)
class Matching:
    """A text that a regular expression matches from end to end; `meaning` is how a message calls it."""

    pattern: str
    meaning: str

    def accepts(self, value: Any) -> bool:
        """Whether all of the text matches."""
        return re.fullmatch(self.pattern, value) is not None

    def __str__(self) -> str:
        return self.meaning


@dataclass(frozen=True)
class OneOf:
    """One of a few values."""

    values: tuple[Any, ...]

    def accepts(self, value: Any) -> bool:
        """Whether the value is one of them."""
        return value in self.values

    def __str__(self) -> str:
        *first, last = map(repr, self.values)
        return f"{', '.join(first)} or {last}" if first else last


@dataclass(frozen=True)
class Holding:
    """Anything of which `test` is true; `meaning` is how a message calls it."""

    test: Callable[[Any], bool]
    meaning: str

    def accepts(self, value: Any) -> bool:
        """What the test says."""
        return self.test(value)

    def __str__(self) -> str:
        return self.meaning


@dataclass(frozen=True)
class RelativeName:
    """The name of a file below a folder: relative, never upwards, and such as a file system can hold.

    Attributes:
        growth: how many times longer than a file system allows it may be: undecodable bytes are written as escapes.
    """

    growth: int = 1

    def accepts(self, value: Any) -> bool:
        """Whether it is one."""
        parts = PurePosixPath(value).parts
        sizes = [len(part.encode("utf-8", "surrogatepass")) for part in (value, *parts)]
        short = sizes[0] <= self.growth * MAX_PATH and max(sizes[1:], default=0) <= self.growth * MAX_NAME
        return bool(parts) and parts[0][0] != "/" and ".." not in parts and "\0" not in value and short

    def __str__(self) -> str:
        return "a relative path that stays inside its folder"


Latitude = Annotated[float, Between(-90, 90)]
Longitude = Annotated[float, Between(-180, 180)]
Share = Annotated[float, Between(0, 1)]
Count = Annotated[int, Between(0, _EXACT)]


# --------------------------------------------------------------------------------------------------------- checking


def checked(kind: Any, value: Any, *, strict: bool = True) -> Any:
    """A JSON value as its declared kind.

    Args:
        kind: str, int, float, bool, None, Any (any JSON value, nested at most `MAX_DEPTH` deep), a frozen dataclass, a
            TypedDict, or of those: `X | None`, `tuple[X, ...]`, `tuple[X, Y]`, `Mapping[str, X]`, and `Annotated` with the
            demands above. True is no number, and a whole number is a float too.
        value: what JSON holds: dictionaries, lists, texts, numbers, True, False and None.
        strict: refuse members that a dataclass does not have, instead of leaving them out.

    Returns:
        The value: dataclasses built, lists as tuples, lone surrogates in texts, which no file can hold, as U+FFFD. Members
        that a TypedDict does not declare are left out.

    Raises:
        CheckError: naming the place.
    """
    return _check_of(kind, strict)(value)


def file_inside(folder: str | Path, name: str) -> Path:
    """A file that a name in somebody's JSON stands for, if it is a real file inside the folder.

    Args:
        folder: that names are relative to.
        name: relative, posix.

    Raises:
        CrackError: if the name leads out of the folder, by itself or through a link, or what is there is missing, no file (a
            pipe, a device), or not to be reached. The file is not opened.
    """
    try:
        checked(_NAME, name)
        path, root = Path(folder) / name, Path(folder).resolve()
        real = path.resolve()
        found = real.stat()
    except CheckError:
        raise CrackError(f"{shown(name)} {_LEADS_OUT}") from None
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle, before Python 3.13
        raise CrackError(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'links in a circle'}.") from None
    if not real.is_relative_to(root):
        raise CrackError(f"{path} {_LEADS_OUT}")
    if not stat.S_ISREG(found.st_mode):
        raise CrackError(f"{path} is no file.")
    return path


_LEADS_OUT = "leads out of its folder, so it is not read."
_NAME = Annotated[str, RelativeName()]
_WORDS: dict[type, str] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    type(None): "null",
    dict: "an object",
    list: "a list",
}


@functools.cache
def _check_of(kind: Any, strict: bool) -> Check:
    """The function that checks one kind; made once."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return functools.partial(_plain, depth=MAX_DEPTH)
    if kind is None or kind is type(None):
        return functools.partial(_typed, type(None))
    if origin is Annotated:
        return _demanding(_check_of(arguments[0], strict), kind.__metadata__)
    if origin in (types.UnionType, typing.Union):
        (inner,) = (argument for argument in arguments if argument is not type(None))
        return functools.partial(_optional, _check_of(inner, strict))
    if origin is tuple:
        if arguments[-1] is Ellipsis:
            return functools.partial(_many, _check_of(arguments[0], strict))
        return functools.partial(_few, tuple(_check_of(argument, strict) for argument in arguments))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return functools.partial(_named, *(_check_of(argument, strict) for argument in arguments))
    if typing.is_typeddict(kind):
        members, required = _members(kind, strict), frozenset(kind.__required_keys__)
        return functools.partial(_object, lambda **values: values, members, required, strict=False)
    if isinstance(kind, type) and is_dataclass(kind):
        needed = {f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING}
        return functools.partial(_object, kind, _members(kind, strict), frozenset(needed), strict=strict)
    simple: dict[Any, Check] = {str: _text, int: _whole, float: _number, bool: functools.partial(_typed, bool)}
    if kind not in simple:
        raise TypeError(f"{kind} is nothing that JSON can be checked against")
    return simple[kind]


def _members(kind: Any, strict: bool) -> dict[str, Check]:
    return {name: _check_of(hint, strict) for name, hint in typing.get_type_hints(kind, include_extras=True).items()}


def _demanding(check: Check, demands: tuple[Any, ...]) -> Check:
    def demanded(value: Any) -> Any:
        value = check(value)
        for demand in demands:
            if not demand.accepts(value):
                raise CheckError(f"is {shown(value)}, expected {demand}")
        return value

    return demanded


def _typed(kind: type, value: Any) -> Any:
    if not isinstance(value, kind):
        raise CheckError(f"is {shown(value)}, expected {_WORDS[kind]}")
    return value


def _text(value: Any) -> str:
    _typed(str, value)
    if len(value) > MAX_TEXT:
        raise CheckError(f"is {shown(value)}, expected a text of at most {MAX_TEXT:,} characters")
    return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > _EXACT:
        raise CheckError(f"is {shown(value)}, expected a whole number")
    return value


def _number(value: Any) -> float:
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > _EXACT:
        raise CheckError(f"is {shown(value)}, expected a number")
    return value


def _optional(check: Check, value: Any) -> Any:
    return None if value is None else check(value)


def _many(check: Check, value: Any) -> tuple[Any, ...]:
    _typed(list, value)
    found = []
    for number, entry in enumerate(value):
        try:
            found.append(check(entry))
        except CheckError as error:
            raise CheckError(error.problem, number, *error.place) from None
    return tuple(found)


def _few(checks: tuple[Check, ...], value: Any) -> tuple[Any, ...]:
    _typed(list, value)
    if len(value) != len(checks):
        raise CheckError(f"has {len(value)} entries, expected {len(checks)}")
    return tuple(check(entry) for check, entry in zip(checks, value, strict=True))


def _named(key_check: Check, value_check: Check, value: Any) -> dict[str, Any]:
    _typed(dict, value)
    found = {}
    for name, entry in value.items():
        try:
            # The value first: what is wrong about it says more than that its name is unusual.
            entry = value_check(entry)
            found[key_check(name)] = entry
        except CheckError as error:
            raise CheckError(error.problem, name, *error.place) from None
    return found


def _object(
    build: Callable[..., Any], members: Mapping[str, Check], required: frozenset[str], value: Any, *, strict: bool
) -> Any:
    _typed(dict, value)
    if missing := sorted(required - value.keys()):
        raise CheckError(f"lacks {', '.join(missing)}")
    if strict and (unknown := sorted(value.keys() - members.keys())):
        raise CheckError(f"has {shown(unknown[0])}, which is no member of it")
    found = {}
    for name in (name for name in members if name in value):
        try:
            found[name] = members[name](value[name])
        except CheckError as error:
            raise CheckError(error.problem, name, *error.place) from None
    return build(**found)


def _plain(value: Any, depth: int) -> Any:
    """Any JSON value that can be written again, shown and compared."""
    if depth < 0:
        raise CheckError(f"is nested more than {MAX_DEPTH} deep")
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, dict):
        check = functools.partial(_plain, depth=depth - 1)
        return _named(_text, check, value)
    if isinstance(value, list):
        return list(_many(functools.partial(_plain, depth=depth - 1), value))
    return value if value is None or isinstance(value, bool) else _number(value)


def shown(value: Any, most: int = 80) -> str:
    """A value for a message: short, however large or deep it is, and printable."""
    limited = reprlib.Repr()
    limited.maxstring = limited.maxother = limited.maxlong = most
    limited.maxlevel = 2
    return _printable(limited.repr(value), most)


def _printable(text: str, most: int) -> str:
    return on_one_line(text if len(text) <= most else f"{text[: most - 3]}...")
