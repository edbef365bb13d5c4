"""Kubernetes' own functions: patterns, URLs, addresses, networks, quantities, formats, versions.

Pure. Source of rules and texts: apiserver, ``pkg/cel/library``.
"""

import ipaddress
import itertools
import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar, Final
from urllib.parse import parse_qs, quote, urlsplit

import attrs

from reconcile.testing.apiserver import formats, names, regexps
from reconcile.testing.apiserver.cel.values import NONE, CelError, Optional, UInt


def _find(text: str, pattern: str) -> str:
    return next(iter(_find_all(text, pattern, 1)), "")


def _find_all(text: str, pattern: str, limit: int = -1) -> list[str]:
    try:
        found = regexps.found(pattern, text)
    except regexps.BadPattern as error:
        raise CelError(f"Illegal regex: {error}") from None
    return list(found if limit < 0 else itertools.islice(found, limit))


# -- URLs ----------------------------------------------------------------------------------------------------------


@attrs.frozen
class Url:
    """An absolute address."""

    TYPE: ClassVar = "kubernetes.URL"
    text: str

    def __str__(self) -> str:
        return self.text


def _url(text: str) -> Url:
    parts = urlsplit(text)
    if not parts.scheme and not text.startswith("/"):
        raise CelError(f'URL parse error during conversion from string: parse "{text}": invalid URI for request')
    return Url(text)


def _can(read: Callable[[str], Any]) -> Callable[[str], bool]:
    def check(text: str, *more: Any) -> bool:
        try:
            read(text, *more)
        except CelError:
            return False
        return True

    return check


def _host(url: Url) -> str:
    return urlsplit(url.text).netloc.rpartition("@")[2]


def _hostname(url: Url) -> str:
    host = _host(url)
    return host[1 : host.index("]")] if host.startswith("[") else host.partition(":")[0]


def _port(url: Url) -> str:
    host = _host(url)
    return (host.rpartition("]")[2] if host.startswith("[") else host).partition(":")[2]


# -- addresses and networks ----------------------------------------------------------------------------------------


@attrs.frozen
class Ip:
    """An IPv4 or IPv6 address."""

    TYPE: ClassVar = "net.IP"
    address: ipaddress.IPv4Address | ipaddress.IPv6Address

    def __str__(self) -> str:
        return str(self.address)


@attrs.frozen
class Cidr:
    """A network, with the address it was written with."""

    TYPE: ClassVar = "net.CIDR"
    network: ipaddress.IPv4Interface | ipaddress.IPv6Interface

    def __str__(self) -> str:
        return str(self.network)


def _ip(value: "str | Cidr") -> Ip:
    if isinstance(value, Cidr):
        return Ip(value.network.ip)
    try:
        if "%" in value:
            raise CelError(f"IP address {names_quoted(value)} with zone value is not allowed")
        address = ipaddress.ip_address(value)
    except ValueError:
        why = f'IP Address {names_quoted(value)} parse error during conversion from string: ParseAddr("{value}"): '
        raise CelError(f"{why}unable to parse IP") from None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        raise CelError(f"IPv4-mapped IPv6 address {names_quoted(value)} is not allowed")
    return Ip(address)


def names_quoted(text: str) -> str:
    """A text in quotes."""
    return f'"{text}"'


def _is_canonical(text: str) -> bool:
    return str(_ip(text)) == text


def _is_global(ip: Ip) -> bool:
    address = ip.address
    broadcast = str(address) == "255.255.255.255"
    return not (
        address.is_unspecified or address.is_loopback or address.is_multicast or address.is_link_local or broadcast
    )


def _cidr(text: str) -> Cidr:
    try:
        if "/" not in text or not text.rpartition("/")[2].isdigit():
            raise ValueError
        return Cidr(ipaddress.ip_interface(text))
    except ValueError:
        # the real library says it twice
        why = "network address parse error during conversion from string: " * 2
        raise CelError(f"{why}netip.ParsePrefix(\"{text}\"): no '/'") from None


def _contains_ip(cidr: Cidr, ip: "str | Ip") -> bool:
    address = (_ip(ip) if isinstance(ip, str) else ip).address
    return address.version == cidr.network.version and address in cidr.network.network


def _contains_cidr(cidr: Cidr, other: "str | Cidr") -> bool:
    inner = (_cidr(other) if isinstance(other, str) else other).network
    return (
        inner.version == cidr.network.version
        and inner.network.network_address in cidr.network.network
        and inner.network.prefixlen >= cidr.network.network.prefixlen
    )


# -- quantities ----------------------------------------------------------------------------------------------------

_QUANTITY: Final = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E|[eE][+-]?\d+)?")
_SUFFIXES: Final[Mapping[str, Decimal]] = {
    **{suffix: Decimal(1024) ** (index + 1) for index, suffix in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"))},
    **{suffix: Decimal(1000) ** (index + 1) for index, suffix in enumerate("kMGTPE")},
    **{suffix: Decimal(1000) ** -(index + 1) for index, suffix in enumerate("mun")},
}


@attrs.frozen(eq=False)
class Quantity:
    """A number with a unit."""

    TYPE: ClassVar = "kubernetes.Quantity"
    value: Decimal

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quantity) and self.value == other.value

    def __hash__(self) -> int:
        return hash(self.value)


def _quantity(text: str) -> Quantity:
    found = _QUANTITY.fullmatch(text)
    if found is None:
        form = "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
        raise CelError(f"quantities must match the regular expression {form}")
    number, suffix = found.groups()
    try:
        if suffix and suffix[0] in "eE" and len(suffix) > 1 and suffix != "Ei":
            return Quantity(Decimal(number + suffix))
        return Quantity(Decimal(number) * _SUFFIXES.get(suffix or "", Decimal(1)))
    except InvalidOperation:
        raise CelError("unable to parse quantity's suffix") from None


def _as_quantity(value: "Quantity | int") -> Decimal:
    return value.value if isinstance(value, Quantity) else Decimal(int(value))


def _as_integer(quantity: Quantity) -> int:
    if quantity.value != quantity.value.to_integral_value() or abs(quantity.value) >= 2**63:
        raise CelError("cannot convert value to integer")
    return int(quantity.value)


# -- versions ------------------------------------------------------------------------------------------------------

_SEMVER: Final = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+([0-9A-Za-z-.]+))?"
)


@attrs.frozen
class Semver:
    """A semantic version."""

    TYPE: ClassVar = "kubernetes.Semver"
    parts: tuple[int, int, int]
    pre: tuple[str, ...] = ()

    @property
    def order(self) -> Any:
        """By which versions are compared."""
        pre = [(0, int(one), "") if one.isdigit() else (1, 0, one) for one in self.pre]
        return self.parts, not self.pre, pre


def _semver(text: str, normalize: bool = False) -> Semver:
    if normalize:
        text = text.removeprefix("v")
        core, sign, rest = text.partition("-") if "-" in text else text.partition("+")
        numbers = [str(int(one)) if one.isdigit() else one for one in core.split(".")]
        text = ".".join([*numbers, *["0"] * (3 - len(numbers))]) + sign + rest
    found = _SEMVER.fullmatch(text)
    if found is None:
        dots = text.count(".")
        raise CelError("No Major.Minor.Patch elements found" if dots < 2 else f'Invalid character(s) found in "{text}"')
    major, minor, patch, pre, _ = found.groups()
    return Semver((int(major), int(minor), int(patch)), tuple(pre.split(".")) if pre else ())


# -- what several have ---------------------------------------------------------------------------------------------


def _ordered(value: Any) -> Any:
    if isinstance(value, Semver):
        return value.order
    if isinstance(value, Quantity):
        return value.value
    raise CelError("no such overload")


def _compare(left: Any, right: Any) -> int:
    one, other = _ordered(left), _ordered(right)
    return int(one > other) - int(one < other)


# -- formats -------------------------------------------------------------------------------------------------------


@attrs.frozen
class Format:
    """A named format."""

    TYPE: ClassVar = "kubernetes.NamedFormat"
    name: str
    check: Callable[[str], list[str]]


def _known(name: str) -> Callable[[str], list[str]]:
    says = {"byte": "invalid base64", "date": "invalid date", "datetime": "invalid datetime"}

    def check(text: str) -> list[str]:
        if formats.follows(name, text):
            return []
        if name == "uri":
            return [f'parse "{text}": invalid URI for request']
        return [says.get(name, "does not match the UUID format")]

    return check


_FORMATS: Final[Mapping[str, Format]] = {
    "dns1123Label": Format("DNS1123Label", lambda text: names.label(text, False)),
    "dns1123Subdomain": Format("DNS1123Subdomain", lambda text: names.subdomain(text, False)),
    "dns1035Label": Format("DNS1035Label", lambda text: names.label_1035(text, False)),
    "qualifiedName": Format("QualifiedName", names.label_key),
    "dns1123LabelPrefix": Format("DNS1123LabelPrefix", lambda text: names.label(text, True)),
    "dns1123SubdomainPrefix": Format("DNS1123SubdomainPrefix", lambda text: names.subdomain(text, True)),
    "dns1035LabelPrefix": Format("DNS1035LabelPrefix", lambda text: names.label_1035(text, True)),
    "labelValue": Format("LabelValue", names.label_value),
    **{name: Format(name, _known(name)) for name in ("uri", "uuid", "byte", "date", "datetime")},
}


def _named(name: str) -> Optional:
    return Optional(_FORMATS[name]) if name in _FORMATS else NONE


def _validate(form: Format, text: str) -> Optional:
    return Optional(problems) if (problems := form.check(text)) else NONE


TYPES: Final = ("kubernetes.URL", "net.IP", "net.CIDR", "kubernetes.Quantity", "kubernetes.Semver")
FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    "find": _find,
    "findAll": _find_all,
    "url": _url,
    "isURL": _can(_url),
    "getScheme": lambda url: urlsplit(url.text).scheme,
    "getHost": _host,
    "getHostname": _hostname,
    "getPort": _port,
    "getEscapedPath": lambda url: quote(urlsplit(url.text).path, safe="/%:@!$&'()*+,;=~"),
    "getQuery": lambda url: parse_qs(urlsplit(url.text).query, keep_blank_values=True),
    "ip": _ip,
    "isIP": _can(_ip),
    "ip.isCanonical": _is_canonical,
    "family": lambda ip: ip.address.version,
    "isUnspecified": lambda ip: ip.address.is_unspecified,
    "isLoopback": lambda ip: ip.address.is_loopback,
    "isLinkLocalMulticast": lambda ip: str(ip.address).startswith(("224.0.0.", "ff02:")),
    "isLinkLocalUnicast": lambda ip: ip.address.is_link_local,
    "isGlobalUnicast": _is_global,
    "cidr": _cidr,
    "isCIDR": _can(_cidr),
    "containsIP": _contains_ip,
    "containsCIDR": _contains_cidr,
    "prefixLength": lambda cidr: cidr.network.network.prefixlen,
    "masked": lambda cidr: Cidr(ipaddress.ip_interface(str(cidr.network.network))),
    "quantity": _quantity,
    "isQuantity": _can(_quantity),
    "sign": lambda quantity: (quantity.value > 0) - (quantity.value < 0),
    "isGreaterThan": lambda a, b: _compare(a, b) > 0,
    "isLessThan": lambda a, b: _compare(a, b) < 0,
    "compareTo": _compare,
    "asApproximateFloat": lambda quantity: float(quantity.value),
    "asInteger": _as_integer,
    "isInteger": lambda quantity: quantity.value == quantity.value.to_integral_value() and abs(quantity.value) < 2**63,
    "add": lambda a, b: Quantity(a.value + _as_quantity(b)),
    "sub": lambda a, b: Quantity(a.value - _as_quantity(b)),
    "semver": _semver,
    "isSemver": _can(_semver),
    "major": lambda version: version.parts[0],
    "minor": lambda version: version.parts[1],
    "patch": lambda version: version.parts[2],
    **{f"format.{name}": (lambda form=form: form) for name, form in _FORMATS.items()},
    "format.named": _named,
    "validate": _validate,
}
__all__ = ["FUNCTIONS", "TYPES", "Cidr", "Format", "Ip", "Quantity", "Semver", "UInt", "Url"]
