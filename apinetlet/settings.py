"""Every setting of the daemon: the Go daemon's flags under their names, and ours.

Each field is a flag (``flags.py``), so the parser, ``--help`` and this value cannot disagree. What the generations
default differently is resolved by the caller once the generation is known. Pure.
"""

import math
import re
from typing import Final

import attrs
from attrs import frozen

from apinetlet import modes
from apinetlet.api import GENERATIONS
from apinetlet.flags import NUMBER, FlagError, setting
from reconcile import LeaderElection, Seconds
from reconcile.manager.web import Address

AUTO = "auto"
OFF = "0"
"""An address that means: do not listen."""

_SOURCE, _TARGET, _MAPPING = "Source cluster", "Api-net cluster", "What is mapped"
_SERVING, _ELECTION, _LOGGING = "Health and metrics", "Leader election", "Logging"
_LIMITS, _WORK = "Beyond the Go daemon", "Work"
_MAY_BE_NEGATIVE = {"burst", "api_net_burst"}
"""Below 0 is no limit, as in client-go."""
_NAMESPACE: Final = re.compile(r"(?=.{1,63}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LABEL: Final = re.compile(r"(?=.{1,63}$)[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")


@frozen
class Settings:
    """What command line, environment and file say. Durations are in seconds. What the Go daemon has comes first."""

    kubeconfig: str = setting(
        "",
        "kubeconfig; without it $KUBECONFIG, else the service account of the pod, else the user's own",
        takes="file",
        group=_SOURCE,
    )
    kubeconfig_secret_name: str = setting("", "Secret that holds the kubeconfig", takes="name", group=_SOURCE)
    kubeconfig_secret_namespace: str = setting("", "namespace of that Secret", takes="namespace", group=_SOURCE)
    bootstrap_kubeconfig: str = setting(
        "",
        "kubeconfig that only requests a client certificate, kept where --kubeconfig or the Secret is",
        takes="file",
        group=_SOURCE,
    )
    rotate_certificates: bool = setting(False, "keep renewing the client certificate", group=_SOURCE)
    egress_selector_config: str = setting("", "egress selector to dial through", takes="file", group=_SOURCE)
    qps: float = setting(0.0, "requests a second at most; 0: as many as the server takes", takes=NUMBER, group=_SOURCE)
    burst: int = setting(0, "so many at once all the same; 0: 10. Counts only with --qps", group=_SOURCE)

    api_net_kubeconfig: str = setting(
        "",
        "kubeconfig; without it $KUBECONFIG, else the service account of the pod, else the user's own",
        takes="file",
        group=_TARGET,
    )
    api_net_kubeconfig_secret_name: str = setting("", "Secret that holds the kubeconfig", takes="name", group=_TARGET)
    api_net_kubeconfig_secret_namespace: str = setting("", "namespace of that Secret", takes="namespace", group=_TARGET)
    api_net_bootstrap_kubeconfig: str = setting(
        "",
        "kubeconfig that only requests a client certificate, kept where --api-net-kubeconfig or the Secret is",
        takes="file",
        group=_TARGET,
    )
    api_net_rotate_certificates: bool = setting(False, "keep renewing the client certificate", group=_TARGET)
    api_net_egress_selector_config: str = setting("", "egress selector to dial through", takes="file", group=_TARGET)
    api_net_qps: float = setting(
        0.0, "requests a second at most; 0: as many as the server takes", takes=NUMBER, group=_TARGET
    )
    api_net_burst: int = setting(
        0, "so many at once all the same; 0: 10. Counts only with --api-net-qps", group=_TARGET
    )

    api_net_namespace: str = setting(
        "",
        "receives every api-net object (required); belongs to one source cluster only",
        takes="namespace",
        group=_MAPPING,
    )
    namespace: str = setting("", "the one source namespace to watch; empty: all", takes="namespace", group=_MAPPING)
    watch_filter: str = setting(
        "", "only source objects whose watch-filter label has this value; empty: all", takes="value", group=_MAPPING
    )
    is_node_affinity_aware: bool = setting(False, "ironcore only: load balancers follow node affinity", group=_MAPPING)
    disable_network_peering: bool = setting(False, "ironcore only: leave peering states alone", group=_MAPPING)
    skip_migrations: bool = setting(False, "ironcore only: leave objects of the former origin layout", group=_MAPPING)

    metrics_bind_address: str = setting(
        "", "address of /metrics; 0: none; unset: :8080 for onmetal, 0 for ironcore", takes="host:port", group=_SERVING
    )
    metrics_secure: bool = setting(
        True, "ironcore, or with a certificate: metrics over TLS, for those who may get /metrics", group=_SERVING
    )
    metrics_cert_path: str = setting("", "folder of the metrics certificate", takes="folder", group=_SERVING)
    metrics_cert_name: str = setting("tls.crt", "the certificate in it", takes="file name", group=_SERVING)
    metrics_cert_key: str = setting("tls.key", "the key in it", takes="file name", group=_SERVING)
    enable_http2: bool = setting(False, "accepted for compatibility: the metrics speak HTTP/1.1", group=_SERVING)
    health_probe_bind_address: str = setting(
        ":8081", "address of /healthz, /readyz and /livez; 0: none", takes="host:port", group=_SERVING
    )
    debug_bind_address: str = setting(
        OFF,
        "address of /debug/queues, /debug/why, /debug/informers and /debug/stacks; 0: none",
        takes="host:port",
        group=_SERVING,
    )

    leader_elect: bool = setting(False, "write only while holding the Lease in the source cluster", group=_ELECTION)
    leader_election_namespace: str = setting(
        "", "namespace of the Lease; default: the pod's", takes="namespace", group=_ELECTION
    )
    leader_election_lease_duration: Seconds = setting(15.0, "how long others wait for a silent leader", group=_ELECTION)
    leader_election_renew_deadline: Seconds = setting(
        10.0, "how long a leader tries to renew before it stops", group=_ELECTION
    )
    leader_election_retry_period: Seconds = setting(2.0, "pause between two tries", group=_ELECTION)

    zap_devel: bool = setting(True, "development defaults (console, debug); otherwise json, info", group=_LOGGING)
    zap_encoder: str = setting(
        "", "how a line is written", takes="json|console", choices=("", "json", "console"), group=_LOGGING
    )
    zap_log_level: str = setting("", "debug, info, error, or a whole number above 0", takes="level", group=_LOGGING)
    zap_stacktrace_level: str = setting(
        "", "info, error or panic: from here on with a stack trace", takes="level", group=_LOGGING
    )
    zap_time_encoding: str = setting(
        "rfc3339",  # as the Go daemon's library does; its --help says epoch
        "how times are written",
        choices=("epoch", "millis", "nano", "nanos", "iso8601", "rfc3339", "rfc3339nano"),
        group=_LOGGING,
    )

    config: str = setting(
        "", "YAML with flags as keys, for all that neither flags nor environment say", takes="file", group=_LIMITS
    )
    generation: str = setting(
        AUTO,
        "API generation of both clusters; auto asks the source cluster",
        choices=(AUTO, *GENERATIONS),
        group=_LIMITS,
    )
    certificate_key: str = setting(
        "ecdsa",
        "kind of key of our client certificates; rsa asks for key encipherment, too",
        choices=("ecdsa", "rsa"),
        group=_LIMITS,
    )
    nat_gateway_min_public_ips: int = setting(1, "public addresses that a NAT gateway has at least", group=_LIMITS)
    nat_gateway_max_public_ips: int = setting(10, "public addresses that a NAT gateway has at most", group=_LIMITS)

    expand_policy_rules: bool = setting(
        True, "ironcore only: write out what an empty list of peers or ports of a policy stands for", group=_LIMITS
    )

    dangling_number: int = setting(
        10, "so many counterparts of a kind may be deleted for want of a source, however many that are", group=_LIMITS
    )
    dangling_percent: int = setting(
        50, "this share of them may, however many that are; beyond both nothing is deleted", group=_LIMITS
    )
    dangling_unlimited: bool = setting(False, "delete counterparts without a source, however many", group=_LIMITS)

    workers: int = setting(4, "reconciles at once, a kind", group=_WORK)
    network_workers: int = setting(0, "of Networks; 0: as --workers", group=_WORK)
    load_balancer_workers: int = setting(0, "of LoadBalancers; 0: as --workers", group=_WORK)
    nat_gateway_workers: int = setting(0, "of NATGateways; 0: as --workers", group=_WORK)
    virtual_ip_workers: int = setting(0, "of VirtualIPs; 0: as --workers", group=_WORK)
    network_interface_workers: int = setting(0, "of NetworkInterfaces; 0: as --workers", group=_WORK)
    network_policy_workers: int = setting(0, "of NetworkPolicies; 0: as --workers", group=_WORK)
    resync: Seconds = setting(36000.0, "every mapped object is looked at again within this time", group=_WORK)
    request_timeout: Seconds = setting(30.0, "longest that one request may take before it is tried again", group=_WORK)
    reconcile_deadline: Seconds = setting(120.0, "longest that one reconcile may take", group=_WORK)
    backoff_base: Seconds = setting(0.2, "longest pause after the first error; it doubles with each more", group=_WORK)
    backoff_cap: Seconds = setting(60.0, "longest pause after repeated errors of one object", group=_WORK)
    deletion_poll: Seconds = setting(30.0, "how often a deletion looks for itself while its target stays", group=_WORK)
    drain: Seconds = setting(
        8.0, "to finish what is in work at a stop; keep it under the pod's grace period", group=_WORK
    )

    def check(self) -> "Settings":
        """Itself, if its values go together.

        Raises:
            FlagError: a required flag is missing, or two flags exclude each other; names them.
        """
        if not self.api_net_namespace:
            raise FlagError("flag --api-net-namespace is required: the namespace that receives every api-net object")
        self._check_words()
        if wrong := modes.problem(self):
            raise FlagError(wrong)
        if not 0 <= self.nat_gateway_min_public_ips <= self.nat_gateway_max_public_ips:
            raise FlagError("it must be 0 <= --nat-gateway-min-public-ips <= --nat-gateway-max-public-ips")
        if self.workers < 1:
            raise FlagError(f"--workers must be at least 1, not {self.workers}")
        for field in attrs.fields(type(self)):
            if field.type in (int, "int") and field.name not in _MAY_BE_NEGATIVE and getattr(self, field.name) < 0:
                raise FlagError(f"{_spelled(field.name)} must not be negative, and is {getattr(self, field.name)}")
        if not 0 < self.backoff_base <= self.backoff_cap:
            raise FlagError("it must be 0 < --backoff-base <= --backoff-cap")
        if min(self.request_timeout, self.reconcile_deadline) <= 0:
            raise FlagError("--request-timeout and --reconcile-deadline must be more than 0")
        if self.deletion_poll <= 0:
            raise FlagError("--deletion-poll must be more than 0")
        if (
            not self.leader_election_retry_period
            < self.leader_election_renew_deadline
            < self.leader_election_lease_duration
        ):
            raise FlagError(
                "leader election needs --leader-election-retry-period < --leader-election-renew-deadline"
                " < --leader-election-lease-duration"
            )
        if self.leader_elect:
            self._check_election()
        return self

    def _check_words(self) -> None:
        """What no server would take, told before one is asked for anything."""
        for name in ("api_net_namespace", "namespace", "leader_election_namespace"):
            if (said := getattr(self, name)) and not _NAMESPACE.fullmatch(said):
                raise FlagError(f"{_spelled(name)} must be a name (lower case, digits, '-'), not {said!r}")
        if self.watch_filter and not _LABEL.fullmatch(self.watch_filter):
            raise FlagError(f"--watch-filter must be the value of a label, not {self.watch_filter!r}")
        for name in ("metrics_bind_address", "health_probe_bind_address", "debug_bind_address"):
            try:
                Address.parse(getattr(self, name))
            except ValueError as error:
                raise FlagError(f"{_spelled(name)}: {error}") from error
        for name in ("qps", "api_net_qps"):
            if not math.isfinite(getattr(self, name)):
                raise FlagError(f"{_spelled(name)} must be a number that is finite, not {getattr(self, name)}")

    def _check_election(self) -> None:
        times = {name: getattr(self, f"leader_election_{name}") for name in _TIMES}
        try:
            LeaderElection(namespace="-", name="-", identity="-", **times)
        except ValueError as error:
            told = str(error).partition(": LeaderElection(")[0]
            for name in _TIMES:
                told = re.sub(rf"\b{name}\b", _spelled(f"leader_election_{name}"), told)
            raise FlagError(f"leader election cannot work: {told}") from error


_TIMES: Final = ("lease_duration", "renew_deadline", "retry_period")


def _spelled(field: str) -> str:
    return "--" + field.replace("_", "-")
