"""The daemon takes the Go daemon's command line."""

import pytest

from apinetlet import flags
from apinetlet.flags import FlagError
from apinetlet.settings import Settings

DEPLOYMENT = [
    "--leader-elect",
    "--api-net-namespace=apinet",
    "--health-probe-bind-address=:8081",
    "--metrics-bind-address=127.0.0.1:8080",
]

UPSTREAM = set(
    """
metrics-bind-address metrics-secure metrics-cert-path metrics-cert-name metrics-cert-key enable-http2
health-probe-bind-address leader-elect kubeconfig kubeconfig-secret-name kubeconfig-secret-namespace
bootstrap-kubeconfig rotate-certificates egress-selector-config qps burst api-net-kubeconfig
api-net-kubeconfig-secret-name api-net-kubeconfig-secret-namespace api-net-bootstrap-kubeconfig
api-net-rotate-certificates api-net-egress-selector-config api-net-qps api-net-burst api-net-namespace
namespace watch-filter is-node-affinity-aware disable-network-peering skip-migrations zap-devel zap-encoder
zap-log-level zap-stacktrace-level zap-time-encoding
""".split()  # noqa: SIM905 - a page of flags reads better than a page of quotes
)


def test_every_flag_of_the_go_daemon_is_known_under_its_name() -> None:
    assert not UPSTREAM - {flag.name for flag in flags.flags_of(Settings)}


def test_the_command_line_of_the_go_deployment_is_taken_as_it_is() -> None:
    settings, rest = flags.parse(DEPLOYMENT, Settings)
    assert rest == []
    assert settings.check() is settings
    assert settings.leader_elect
    assert settings.api_net_namespace == "apinet"


def test_the_words_of_zap_may_be_in_capitals_as_in_the_go_daemon() -> None:
    settings, _ = flags.parse(["--zap-encoder=JSON", "--zap-time-encoding=ISO8601"], Settings)
    assert (settings.zap_encoder, settings.zap_time_encoding) == ("json", "iso8601")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "--api-net-namespace is required"),
        (["--api-net-namespace=x", "--kubeconfig=a", "--kubeconfig-secret-name=b"], "exclude each other"),
        (
            ["--api-net-namespace=x", "--api-net-kubeconfig=a", "--api-net-kubeconfig-secret-name=b"],
            "--api-net-kubeconfig and",
        ),
        (["--api-net-namespace=x", "--rotate-certificates"], "--rotate-certificates needs a place to keep"),
        (["--api-net-namespace=X"], "--api-net-namespace must be a name .*, not 'X'"),
        (["--api-net-namespace=x", "--namespace=a/b"], "--namespace must be a name .*, not 'a/b'"),
        (
            ["--api-net-namespace=x", "--leader-election-namespace=a b"],
            "--leader-election-namespace must be a name .*, not 'a b'",
        ),
        (["--api-net-namespace=x", "--metrics-bind-address=foo"], "--metrics-bind-address: 'foo' is no address"),
        (["--api-net-namespace=x", "--debug-bind-address=:99999"], "--debug-bind-address: ':99999' is no address"),
        (["--api-net-namespace=x", "--health-probe-bind-address=8081"], "--health-probe-bind-address: '8081' is no"),
        (["--api-net-namespace=x", "--qps=nan"], "--qps must be a number that is finite, not nan"),
        (["--api-net-namespace=x", "--api-net-qps=-inf"], "--api-net-qps must be a number that is finite, not -inf"),
        (["--api-net-namespace=x", "--deletion-poll=0"], "--deletion-poll must be more than 0"),
        (["--api-net-namespace=x", "--watch-filter=a b"], "--watch-filter must be the value of a label, not 'a b'"),
        (
            ["--api-net-namespace=x", "--leader-elect", "--leader-election-retry-period=0"],
            "--leader-election-retry-period .* positive",
        ),
        (
            ["--api-net-namespace=x", "--leader-elect", "--leader-election-renew-deadline=2.2s"],
            "more than 1.2 x --leader-election-retry-period",
        ),
        (
            ["--api-net-namespace=x", "--leader-elect", "--leader-election-renew-deadline=14s"],
            "must together be less than --leader-election-lease-duration",
        ),
        (["--api-net-namespace=x", "--workers=0"], "--workers must be at least 1"),
        (["--api-net-namespace=x", "--network-workers=-1"], "--network-workers must not be negative, and is -1"),
        (["--api-net-namespace=x", "--backoff-base=2m"], "0 < --backoff-base <= --backoff-cap"),
        (["--api-net-namespace=x", "--request-timeout=0"], "--request-timeout and --reconcile-deadline must be"),
        (["--api-net-namespace=x", "--nat-gateway-min-public-ips=11"], "<= --nat-gateway-max-public-ips"),
        (
            ["--api-net-namespace=x", "--leader-election-renew-deadline=20s"],
            "renew-deadline < --leader-election-lease-duration",
        ),
    ],
)
def test_settings_that_do_not_go_together_are_refused_by_name(words: list[str], says: str) -> None:
    settings, _ = flags.parse(words, Settings)
    with pytest.raises(FlagError, match=says):
        settings.check()


def test_what_the_go_daemon_has_comes_before_what_it_has_not() -> None:
    groups = [flag.group for flag in flags.flags_of(Settings) if flag.name in UPSTREAM]
    ours = [flag.group for flag in flags.flags_of(Settings) if flag.name not in UPSTREAM]
    order = list(dict.fromkeys(flag.group for flag in flags.flags_of(Settings)))
    assert [flag.group for flag in flags.flags_of(Settings)] == sorted(groups + ours, key=order.index)
    assert max(map(order.index, groups)) < min(map(order.index, set(ours) - set(groups)))
