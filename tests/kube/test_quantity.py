"""Quantities keep their amount and have one spelling."""

import copy
import pickle
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.kube.quantity import Quantity, Style


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("0", "0"),
        ("0Mi", "0"),
        ("-0", "0"),
        ("1", "1"),
        ("+1", "1"),
        ("1.5", "1500m"),
        (".5", "500m"),
        ("5.", "5"),
        ("100", "100"),
        ("1000", "1k"),
        ("12000", "12k"),
        ("1000m", "1"),
        ("1500u", "1500u"),
        ("1E", "1E"),
        ("1e3", "1e3"),
        ("1E3", "1e3"),
        ("1200e0", "1200"),
        ("12e-4", "1200e-6"),
        ("0.5Gi", "512Mi"),
        ("1024Mi", "1Gi"),
        ("1.5Ki", "1536"),
        ("1025Ki", "1025Ki"),
        ("512", "512"),
        ("0.3Ki", "307200m"),
        ("1.0001Ki", "1024102400u"),
        ("-1.5Gi", "-1536Mi"),
        ("0.1n", "1n"),
        ("-0.1n", "-1n"),
        ("1.0000000001", "1000000001n"),
        ("9223372036854775808", "9223372036854775807"),
        ("-100E", "-9223372036854775807"),
    ],
)
def test_an_amount_prints_in_its_canonical_form(text: str, canonical: str) -> None:
    assert str(Quantity(text)) == canonical
    assert str(Quantity(canonical)) == canonical


@pytest.mark.parametrize(
    "text", ["", " 1", "1 ", "1 Gi", "Gi", "1.2.3", "1gi", "1KI", "1K", "--1", "1e", "1e1.5", "NaN", "1e9999", "١"]
)
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no quantity"):
        Quantity(text)


numbers = st.decimals(min_value=-(10**15), max_value=10**15, places=9)
styles = st.sampled_from(Style)


@given(numbers, styles)
def test_printing_loses_nothing(number: Decimal, style: Style) -> None:
    quantity = Quantity(number, style)
    assert quantity == number
    assert Quantity(str(quantity)) == number
    # a binary amount without a suffix does not say that it is one, so its style is given again
    assert str(Quantity(str(quantity), style)) == str(quantity)
    assert "." not in str(quantity)


def test_equal_amounts_are_equal_however_they_are_written() -> None:
    assert Quantity("1Gi") == Quantity("1024Mi") == Quantity(2**30) == 2**30
    assert len({Quantity("1"), Quantity("1000m"), Quantity("1e0")}) == 1
    assert Quantity("1Mi") > Quantity("1M")
    assert Quantity("100m") * 3 == Decimal("0.3")


def test_a_copy_keeps_the_style() -> None:
    quantity = Quantity("1Gi")
    for other in (
        copy.copy(quantity),
        copy.deepcopy(quantity),
        pickle.loads(pickle.dumps(quantity)),
        Quantity(quantity),
    ):
        assert (str(other), other.style) == ("1Gi", Style.BINARY)
    assert repr(quantity) == "Quantity('1Gi')"


def test_infinity_is_no_quantity() -> None:
    with pytest.raises(ValueError, match="no quantity"):
        Quantity(Decimal("Infinity"))
