"""Amounts of a resource: ``500m``, ``1.5Gi``, ``1e3``.

A ``Quantity`` is an exact decimal number that remembers in which style it was written and prints in the API's one
canonical form, so two spellings of an amount print alike and compare equal. Pure.

Source: ``resource.Quantity`` of k8s.io/apimachinery.
"""

import enum
import re
from decimal import ROUND_UP, Context, Decimal
from typing import Final, Self


class Style(enum.Enum):
    """With which suffixes a quantity is printed."""

    DECIMAL = "DecimalSI"
    BINARY = "BinarySI"
    EXPONENT = "DecimalExponent"


class Quantity(Decimal):
    """An exact amount. Arithmetic gives a plain ``Decimal``; ``Quantity(number, style)`` makes one of it.

    As in the API, what is finer than a billionth is rounded away from zero, and more than 2**63 - 1 is cut to that.

    Raises:
        ValueError: no number, or an unknown suffix.
    """

    __slots__ = ("style",)
    style: Style

    def __new__(cls, amount: str | int | Decimal, style: Style | None = None) -> Self:
        number, found = _parse(amount) if isinstance(amount, str) else (Decimal(amount), Style.DECIMAL)
        if not number.is_finite():
            raise ValueError(f"{amount!r} is no quantity")
        self = super().__new__(cls, _bounded(number))
        self.style = style or (amount.style if isinstance(amount, Quantity) else found)
        return self

    def __str__(self) -> str:
        """The canonical form: no fraction, and the largest suffix that allows that."""
        if not self:
            return "0"
        if self.style is Style.BINARY and abs(self) >= 1024 and self == self.to_integral_value():
            return _binary(int(self))
        return _decimal(self, self.style is Style.EXPONENT)

    def __repr__(self) -> str:
        return f"Quantity({str(self)!r})"

    def __reduce__(self) -> tuple[type[Self], tuple[str]]:
        return type(self), (str(self),)


_TEXT: Final = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))(?:([eE][+-]?[0-9]+)|([numkMGTPE]|[KMGTPE]i)?)")
_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_DECIMAL_SUFFIX: Final = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_BINARY: Final = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_EXACT: Final = Context(prec=400)
"""Enough digits that no quantity loses one."""
_NANO: Final = Decimal("1e-9")
_MOST: Final = Decimal(2**63 - 1)


def _parse(text: str) -> tuple[Decimal, Style]:
    found = _TEXT.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no quantity")
    number, exponent, suffix = found[1], found[2], found[3] or ""
    if exponent:
        if len(exponent) > 4:
            raise ValueError(f"{text!r} is no quantity: the exponent is out of range")
        return Decimal(number + exponent), Style.EXPONENT
    if suffix.endswith("i"):
        return _EXACT.multiply(Decimal(number), Decimal(1024) ** _BINARY.index(suffix)), Style.BINARY
    return Decimal(f"{number}e{_DECIMAL[suffix]}"), Style.DECIMAL


def _bounded(number: Decimal) -> Decimal:
    if abs(number) > _MOST:
        return _MOST.copy_sign(number)
    return number.quantize(_NANO, rounding=ROUND_UP, context=_EXACT)


def _decimal(number: Decimal, with_exponent: bool) -> str:
    sign, digits, exponent = _EXACT.normalize(number).as_tuple()
    assert isinstance(exponent, int)
    shift = exponent % 3
    text = "-" * sign + "".join(map(str, digits)) + "0" * shift
    if with_exponent:
        return text + (f"e{exponent - shift}" if exponent != shift else "")
    return text + _DECIMAL_SUFFIX[exponent - shift]


def _binary(number: int) -> str:
    power = 0
    while number % 1024 == 0 and power < len(_BINARY) - 1:
        number //= 1024
        power += 1
    return f"{number}{_BINARY[power]}"
