"""A proposed condition state for each drawn crack, by a table of rules that an engineer can edit. It is a proposal, never a rating.

    format = "crack_tf.condition/1"
    name = "width classes"
    states = ["below 0.2 mm", "0.2 mm or more"]     # the best first

    [[rule]]                                        # the first rule that holds decides
    state = "0.2 mm or more"
    width_at_least_mm = 0.2

    [[rule]]
    state = "below 0.2 mm"

A rule holds when all that it states holds: `width_at_least_mm`, `width_above_mm`, `width_below_mm` of the maximum width; `spacing_below_mm`
and `spacing_at_most_mm` of the cracks of a set or the fields of a mesh (a crack that stands alone has no spacing: such a rule does not
hold); and `patterns`. Where a rule needs a number that is not known, such as a width without a scale, nothing is proposed, and it says so.
"""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from crack_tf.photo.gsd import MIN_PIXELS
from crack_tf.photo.patterns import MAP, PARALLEL, PATTERNS
from crack_tf.survey.findings import REFUTED, Finding
from tflite.checked import Between, CheckError, OneOf, Text, checked
from tflite.errors import CrackError, first_line

FORMAT = "crack_tf.condition/1"
PRESETS = ("mbei-1130", "osim", "width-classes")
PROPOSAL = "A proposal by numbers alone, not a rating: a qualified engineer states the condition."

_Millimetres = Annotated[float, Between(0, 1e6)]
_State = Annotated[str, Text(60)]


@dataclass(frozen=True)
class Rule:
    """One row of a table. All attributes but the state may be None, and are then not asked.

    Attributes:
        state: that it proposes.
        width_at_least_mm, width_above_mm, width_below_mm: of the maximum width.
        spacing_below_mm, spacing_at_most_mm: between cracks or across fields.
        patterns: of which the finding's must be one.
    """

    state: _State
    width_at_least_mm: _Millimetres | None = None
    width_above_mm: _Millimetres | None = None
    width_below_mm: _Millimetres | None = None
    spacing_below_mm: _Millimetres | None = None
    spacing_at_most_mm: _Millimetres | None = None
    patterns: tuple[Annotated[str, OneOf(PATTERNS)], ...] | None = None

    def describe(self) -> str:
        """In words: "CS3: maximum width above 1.27 mm"."""
        parts = [
            text.format(value)
            for text, value in (
                ("maximum width at least {:g} mm", self.width_at_least_mm),
                ("maximum width above {:g} mm", self.width_above_mm),
                ("maximum width below {:g} mm", self.width_below_mm),
                ("spacing below {:g} mm", self.spacing_below_mm),
                ("spacing at most {:g} mm", self.spacing_at_most_mm),
            )
            if value is not None
        ]
        if self.patterns is not None:
            parts.append(f"pattern {' or '.join(self.patterns)}")
        return f"{self.state}: {' and '.join(parts) or 'all others'}"


@dataclass(frozen=True)
class ConditionTable:
    """A table of rules.

    Attributes:
        name: for people.
        states: the best first.
        rule: the rules, in the order in which they are tried.
        source: where its numbers come from.
        note: what it leaves out.
    """

    name: Annotated[str, Text(200)]
    states: tuple[_State, ...]
    rule: tuple[Rule, ...]
    source: Annotated[str, Text(2000)] = ""
    note: Annotated[str, Text(2000)] = ""

    def __post_init__(self) -> None:
        if not self.rule:
            raise CheckError("has no [[rule]]")
        if len(set(self.states)) < len(self.states):
            raise CheckError("names a state twice")
        unknown = sorted({rule.state for rule in self.rule} - set(self.states))
        if unknown:
            raise CheckError(f"has a rule for the state {unknown[0]!r}, which states does not list")

    def as_json(self) -> dict[str, Any]:
        """As a survey's settings keep it: lists, as JSON has them."""
        value: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return value


@dataclass(frozen=True)
class Proposal:
    """What a table says about a crack.

    Attributes:
        state: proposed; None where a number is missing.
        rule: that decided, and the numbers it used; or what is missing.
    """

    state: str | None
    rule: str


def read_condition(text: str) -> ConditionTable:
    """The table that a user names.

    Args:
        text: one of PRESETS, or a TOML file.

    Raises:
        CrackError: if there is no such preset or file, or it is no table of conditions, naming the place.
    """
    path, preset = Path(text), str(text).strip().lower()
    if text in PRESETS or (preset in PRESETS and not path.is_file()):
        data = resources.files("crack_tf.survey").joinpath("assets", f"condition-{preset}.toml").read_bytes()
    else:
        if not path.is_file():
            raise CrackError(
                f"--condition {text}: there is no such file. Give a TOML file, or one of {', '.join(PRESETS)}."
            )
        try:
            data = path.read_bytes()
        except OSError as error:
            raise CrackError(f"--condition {text} cannot be read: {error.strerror}.") from None
    try:
        value = tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # no TOML, no UTF-8, or a number of thousands of digits
        raise CrackError(
            f"--condition {text} is no TOML ({first_line(error)}). docs/condition.md has an example."
        ) from None
    if value.pop("format", None) != FORMAT:
        raise CrackError(
            f'--condition {text} is no table of conditions: its format must be "{FORMAT}". docs/condition.md has an example.'
        )
    try:
        table: ConditionTable = checked(ConditionTable, value)
        return table
    except CheckError as error:
        raise CrackError(f"--condition {text}: {error}. docs/condition.md has an example.") from None


def table_of(settings: Any) -> ConditionTable | None:
    """The table that a survey's settings keep; None where none was asked for.

    Raises:
        CrackError: if it is damaged.
    """
    value = settings.get("condition")
    if value is None:
        return None
    try:
        table: ConditionTable = checked(ConditionTable, value)
        return table
    except CheckError as error:
        raise CrackError(f"the survey's settings are damaged: condition {error}. Make the survey again.") from None


def propose(
    table: ConditionTable, width_mm: float | None, pattern: str | None, spacing_mm: float | None, has_spacing: bool
) -> Proposal:
    """The state of one crack.

    Args:
        table: of rules.
        width_mm: maximum width, None if it is not known.
        pattern: one of `crack_tf.photo.patterns.PATTERNS`, None if it is not known.
        spacing_mm: None if it is not known, or there is none.
        has_spacing: whether there is one, in whatever unit.
    """
    used = [] if width_mm is None else [f"maximum width {width_mm:.2f} mm"]
    used += [pattern] if pattern is not None else []
    used += [] if spacing_mm is None else [f"spacing {spacing_mm:.0f} mm"]
    for rule in table.rule:
        asks_width = (rule.width_at_least_mm, rule.width_above_mm, rule.width_below_mm) != (None,) * 3
        asks_spacing = (rule.spacing_below_mm, rule.spacing_at_most_mm) != (None, None)
        if asks_spacing and pattern is not None and not has_spacing:
            continue
        missing = [
            name
            for name, asked, value in (
                ("maximum width in millimetres", asks_width, width_mm),
                ("pattern", rule.patterns is not None or asks_spacing, pattern),
                ("spacing in millimetres", asks_spacing, spacing_mm),
            )
            if asked and value is None
        ]
        if missing:
            return Proposal(None, f"{table.name}: no proposal, {' and '.join(missing)} not known")
        if _holds(rule, width_mm or 0.0, pattern, spacing_mm or 0.0):
            return Proposal(rule.state, f"{table.name}: {rule.describe()} ({', '.join(used) or 'nothing measured'})")
    return Proposal(None, f"{table.name}: no rule holds ({', '.join(used) or 'nothing measured'})")


def with_conditions(table: ConditionTable, findings: Sequence[Finding]) -> list[Finding]:
    """Findings, the drawn ones that are not refuted with their proposal."""
    return [_with_condition(table, finding) for finding in findings]


def _with_condition(table: ConditionTable, finding: Finding) -> Finding:
    if finding.length_px is None or finding.validation == REFUTED:
        return replace(finding, condition=None, condition_rule=None, condition_sure=None)
    has_spacing = finding.pattern in (PARALLEL, MAP) and finding.spacing_px is not None
    found = propose(table, finding.max_width_mm, finding.pattern, finding.spacing_mm, has_spacing)
    doubt = ""
    if found.state is not None:
        unseen = "may be no crack's" if finding.width_from == "photograph" else "was not measured in the photograph"
        why = f"is below {MIN_PIXELS:g} pixels" if _has_few_pixels(finding) else unseen
        doubt = f"; the width {why}, not to be trusted" if _is_untrusted(finding) else ""
        reach = _reach(table, finding)
        if reach is not None:
            ends = finding.max_width_range_mm or (0.0, 0.0)
            doubt += (
                f"; the range of the width, {ends[0]:.2f} to {ends[1]:.2f} mm, reaches from {reach[0]} to {reach[1]}"
            )
    sure = None if found.state is None else not doubt
    return replace(
        finding, condition=found.state, condition_rule=f"proposal by {found.rule}{doubt}", condition_sure=sure
    )


def count_states(table: ConditionTable, findings: Sequence[Finding]) -> tuple[Counter[str | None], Counter[str | None]]:
    """How many cracks each state is proposed for, None for no proposal: those of a sure width, and those in doubt."""
    sure, doubtful = Counter[str | None](), Counter[str | None]()
    for finding in findings:
        if finding.condition_rule is not None:
            (doubtful if finding.condition is not None and _is_in_doubt(table, finding) else sure)[
                finding.condition
            ] += 1
    return sure, doubtful


def describe_doubts(table: ConditionTable, findings: Sequence[Finding]) -> str | None:
    """How many proposals a width decides that may be another; None where none does.

    Example:
        "of 41 the width is not to be trusted and of 7 more the range of the width reaches into another state"
    """
    proposed = [finding for finding in findings if finding.condition is not None]
    untrusted = sum(_is_untrusted(finding) for finding in proposed)
    reaching = sum(not _is_untrusted(finding) and _reach(table, finding) is not None for finding in proposed)
    parts = []
    if untrusted:
        parts.append(f"of {untrusted:,} the width is not to be trusted")
    if reaching:
        parts.append(f"of {reaching:,}{' more' if untrusted else ''} the range of the width reaches into another state")
    return " and ".join(parts) or None


def _reach(table: ConditionTable, finding: Finding) -> tuple[str, str] | None:
    """The states that the ends of a finding's range are proposed, where they differ."""
    if finding.max_width_range_mm is None:
        return None
    has_spacing = finding.pattern in (PARALLEL, MAP) and finding.spacing_px is not None
    low, high = (
        propose(table, end, finding.pattern, finding.spacing_mm, has_spacing).state or "no state"
        for end in finding.max_width_range_mm
    )
    return (low, high) if low != high else None


def _is_in_doubt(table: ConditionTable, finding: Finding) -> bool:
    return _is_untrusted(finding) or _reach(table, finding) is not None


def _is_untrusted(finding: Finding) -> bool:
    return _has_few_pixels(finding) or finding.width_trusted is False


def _has_few_pixels(finding: Finding) -> bool:
    return finding.mean_width_px is not None and finding.mean_width_px < MIN_PIXELS


def _holds(rule: Rule, width: float, pattern: str | None, spacing: float) -> bool:
    return (
        (rule.width_at_least_mm is None or width >= rule.width_at_least_mm)
        and (rule.width_above_mm is None or width > rule.width_above_mm)
        and (rule.width_below_mm is None or width < rule.width_below_mm)
        and (rule.spacing_below_mm is None or spacing < rule.spacing_below_mm)
        and (rule.spacing_at_most_mm is None or spacing <= rule.spacing_at_most_mm)
        and (rule.patterns is None or pattern in rule.patterns)
    )
