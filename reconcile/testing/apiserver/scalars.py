"""What is wrong with a single value: its range, its length, its pattern, its format.

Pure. Source of rules and texts: kube-openapi, ``validation/validate``.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

from reconcile.testing.apiserver import regexps
from reconcile.testing.apiserver.failure import Fault, go_value, invalid_value, not_supported, too_long
from reconcile.testing.apiserver.formats import FORMATS, canonical, follows
from reconcile.testing.apiserver.schema import Schema
from reconcile.testing.apiserver.walks import equal


class Verdict(NamedTuple):
    """Faults, and how many checks were passed on the way: the real library prefers the branch that got farther."""

    faults: list[Fault]
    matches: int


def broken(path: str, value: Any, rule: str, *, type_error: bool = False) -> Fault:
    """A rule that a value breaks, in the words that all rules share."""
    return invalid_value(path, value, f"{path} in body {rule}", type_error=type_error)


def enum_faults(schema: Schema, value: Any, path: str) -> Iterator[Fault]:
    """Whether a value is one of those that are allowed."""
    allowed = schema.rules.get("enum")
    if allowed and not any(equal(value, one) for one in allowed):
        yield not_supported(
            path, value, [one if isinstance(one, str) else orjson.dumps(one).decode() for one in allowed]
        )


def text_verdict(schema: Schema, value: str, path: str) -> Verdict:
    """Length, pattern and format of a text."""
    rules = schema.rules
    faults: list[Fault] = []
    length = len(value)
    if (most := rules.get("maxLength")) is not None and length > most:
        faults.append(too_long(path, f"may not be more than {most} bytes"))
    elif (least := rules.get("minLength")) is not None and length < least:
        faults.append(broken(path, value, f"should be at least {least} chars long"))
    elif (pattern := rules.get("pattern")) and not regexps.matches(pattern, value):
        faults.append(broken(path, value, f"should match '{pattern}'"))
    form = rules.get("format", "")
    if canonical(form) in FORMATS and not follows(form, value):
        faults.append(broken(path, value, f"must be of type {form}: {go_value(value)}", type_error=True))
    return Verdict(faults, 0 if faults else 1)


def number_verdict(schema: Schema, value: float, path: str) -> Verdict:
    """Range and steps of a number."""
    rules = schema.rules
    faults: list[Fault] = []
    integer = schema.type == "integer" and not schema.int_or_string
    whole = isinstance(value, int)
    form = rules.get("format", "") if rules.get("format") in _RANGES.get(schema.type, {}) else ""
    least_of, most_of = _RANGES.get(schema.type, {}).get(form, (-(2**63), 2**63 - 1))
    if (integer and not (float(value).is_integer() and least_of <= value <= most_of)) or (
        form == "float" and abs(value) > most_of
    ):
        words = f"with format {form}" if form else "(default format)"
        faults.append(invalid_value("<nil>", "", f"Checked value must be of type {schema.type} {words} in {path}"))
    if (factor := rules.get("multipleOf")) is not None:
        faults += _multiple(value, int(factor) if whole else factor, path)
    if (least := rules.get("minimum")) is not None:
        least = int(least) if whole else least
        if rules.get("exclusiveMinimum"):
            if value <= least:
                faults.append(broken(path, value, f"should be greater than {_plain(least)}"))
        elif value < least:
            faults.append(broken(path, value, f"should be greater than or equal to {_plain(least)}"))
    if (most := rules.get("maximum")) is not None:
        most = int(most) if whole else most
        if rules.get("exclusiveMaximum"):
            if value >= most:
                faults.append(broken(path, value, f"should be less than {_plain(most)}"))
        elif value > most:
            faults.append(broken(path, value, f"should be less than or equal to {_plain(most)}"))
    return Verdict(faults, 1)


_RANGES: dict[str, dict[str, tuple[float, float]]] = {
    "integer": {"int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1)},
    "number": {"float": (-3.4028234663852886e38, 3.4028234663852886e38)},
}


def _multiple(value: float, factor: float, path: str) -> Iterator[Fault]:
    if factor <= 0:
        yield invalid_value(path, value, f"factor MultipleOf declared for {path} must be positive: {_plain(factor)}")
        return
    times = 1 / factor * value if factor < 1 else value / factor
    if not float(times).is_integer():
        yield broken(path, value, f"should be a multiple of {_plain(factor)}")


def _plain(number: float) -> str:
    return str(int(number)) if float(number).is_integer() else str(number)
