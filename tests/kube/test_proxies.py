"""Which proxy leads to a server."""

import pytest

from reconcile.kube.proxies import proxy_for

PROXIES = {"HTTPS_PROXY": "http://proxy:3128", "HTTP_PROXY": "http://plain:3128"}


@pytest.mark.parametrize(
    ("url", "environment", "proxy"),
    [
        ("https://one", {}, ""),
        ("https://one", PROXIES, "http://proxy:3128"),
        ("http://one", PROXIES, "http://plain:3128"),
        ("https://one", {"https_proxy": "low:1"}, "http://low:1"),
        ("https://one", {"HTTPS_PROXY": "http://up", "https_proxy": "http://low"}, "http://up"),
        ("https://localhost:6443", PROXIES, ""),
        ("https://127.0.0.9:6443", PROXIES, ""),
        ("https://[::1]:6443", PROXIES, ""),
        ("https://one", {**PROXIES, "NO_PROXY": "*"}, ""),
        ("https://10.1.2.3", {**PROXIES, "NO_PROXY": "x, 10.0.0.0/8"}, ""),
        ("https://11.1.2.3", {**PROXIES, "NO_PROXY": "10.0.0.0/8"}, "http://proxy:3128"),
        ("https://10.1.2.3", {**PROXIES, "no_proxy": "10.1.2.3"}, ""),
        ("https://10.1.2.3:6443", {**PROXIES, "no_proxy": "10.1.2.3:443"}, "http://proxy:3128"),
        ("https://10.1.2.3:6443", {**PROXIES, "no_proxy": "10.1.2.3:6443"}, ""),
        ("https://[fd00::1]:6443", {**PROXIES, "no_proxy": "[fd00::1]:6443"}, ""),
        ("https://[fd00::1]", {**PROXIES, "no_proxy": "fd00::1"}, ""),
        ("https://[fd00::1]", {**PROXIES, "no_proxy": "fd00::/8"}, ""),
        ("https://a.example.com", {**PROXIES, "no_proxy": "example.com"}, ""),
        ("https://example.com", {**PROXIES, "no_proxy": "Example.com"}, ""),
        ("https://example.com", {**PROXIES, "no_proxy": ".example.com"}, "http://proxy:3128"),
        ("https://a.example.com", {**PROXIES, "no_proxy": ".example.com"}, ""),
        ("https://a.example.com", {**PROXIES, "no_proxy": "*.example.com"}, ""),
        ("https://badexample.com", {**PROXIES, "no_proxy": "example.com"}, "http://proxy:3128"),
        ("https://one", {**PROXIES, "no_proxy": "10.0.0.0/99,,x/y"}, "http://proxy:3128"),
    ],
)
def test_the_environment_is_read_as_go_reads_it(url: str, environment: dict[str, str], proxy: str) -> None:
    assert proxy_for(url, environment) == proxy
