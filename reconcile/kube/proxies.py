"""Which proxy leads to a server, by the environment, as kubectl reads it.

``HTTPS_PROXY`` (or ``https_proxy``) counts for https, ``HTTP_PROXY`` for http. ``NO_PROXY`` lists, separated by commas,
``*``, addresses, networks (``10.0.0.0/8``), domains (``example.com`` with what is below it, ``.example.com`` only what
is below), each with a port if need be. This machine is never reached through a proxy. Pure.

Source: Go's ``httpproxy`` package, as every Go client of Kubernetes uses it; Python's own reader knows no networks.
"""

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit


def proxy_for(url: str, environment: Mapping[str, str]) -> str:
    """The proxy's URL, or "" for a direct connection."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".").lower()
    port = parts.port or (443 if parts.scheme == "https" else 80)
    proxy = _variable(environment, f"{parts.scheme}_proxy")
    if not proxy or _is_local(host) or any(_covers(rule, host, port) for rule in _rules(environment)):
        return ""
    return proxy if "://" in proxy else f"http://{proxy}"


def _rules(environment: Mapping[str, str]) -> list[str]:
    return [rule for rule in map(str.strip, _variable(environment, "no_proxy").lower().split(",")) if rule]


def _covers(rule: str, host: str, port: int) -> bool:
    if rule == "*":
        return True
    address = _address(host)
    if "/" in rule:
        try:
            return address is not None and address in ipaddress.ip_network(rule, strict=False)
        except ValueError:
            return False
    rule, wanted = _split_port(rule)
    if wanted is not None and wanted != port:
        return False
    if address is not None:
        return _address(rule) == address
    suffix = rule.removeprefix("*").removeprefix(".")
    return host.endswith(f".{suffix}") or (host == suffix and not rule.startswith((".", "*")))


def _split_port(rule: str) -> tuple[str, int | None]:
    if _address(rule) is not None:  # an IPv6 address has colons of its own
        return rule, None
    host, colon, port = rule.rpartition(":")
    return (host.strip("[]"), int(port)) if colon and port.isdecimal() else (rule.strip("[]"), None)


def _is_local(host: str) -> bool:
    address = _address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return None


def _variable(environment: Mapping[str, str], name: str) -> str:
    return environment.get(name.upper()) or environment.get(name) or ""
