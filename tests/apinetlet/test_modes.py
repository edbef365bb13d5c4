"""Which way in the flags of a connection choose, which of them exclude each other, and whom certificates are for."""

import itertools

import pytest

from apinetlet import flags
from apinetlet.api import IRONCORE, ONMETAL, Generation
from apinetlet.flags import FlagError
from apinetlet.modes import Mode, Side, SideName, store_manager, subject
from apinetlet.settings import Settings


def settings(*words: str) -> Settings:
    read, rest = flags.parse(["--api-net-namespace=apinet", *words], Settings)
    assert not rest
    return read


@pytest.mark.parametrize(
    ("words", "mode"),
    [
        ((), Mode.PLAIN),
        (("--{}kubeconfig=a",), Mode.PLAIN),
        (("--{}kubeconfig-secret-name=a",), Mode.PLAIN),
        (("--{}kubeconfig=a", "--{}bootstrap-kubeconfig=b"), Mode.BOOTSTRAP),
        (("--{}kubeconfig-secret-name=a", "--{}bootstrap-kubeconfig=b"), Mode.BOOTSTRAP),
        (("--{}kubeconfig=a", "--{}rotate-certificates"), Mode.ROTATE),
        (("--{}kubeconfig=a", "--{}rotate-certificates", "--{}bootstrap-kubeconfig=b"), Mode.ROTATE),
    ],
)
@pytest.mark.parametrize(("side", "prefix"), [("source", ""), ("apinet", "api-net-")])
def test_each_side_has_the_mode_that_its_own_flags_choose(
    words: tuple[str, ...], mode: Mode, side: SideName, prefix: str
) -> None:
    read = settings(*(word.format(prefix) for word in words)).check()
    assert Side.of(read, side).mode is mode
    assert Side.of(read, "apinet" if side == "source" else "source").mode is Mode.PLAIN


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--{}kubeconfig=a", "--{}kubeconfig-secret-name=b"), "--{}kubeconfig and --{}kubeconfig-secret-name exclude"),
        (("--{}rotate-certificates",), "--{}rotate-certificates needs a place to keep the certificate"),
        (("--{}bootstrap-kubeconfig=b",), "--{}bootstrap-kubeconfig needs a place to keep the certificate"),
        (("--{}bootstrap-kubeconfig=b", "--{}kubeconfig=./b"), "--{}kubeconfig and --{}bootstrap-kubeconfig name one"),
        (("--{}kubeconfig-secret-name=A_b",), "--{}kubeconfig-secret-name must be a name"),
        (("--{}kubeconfig-secret-name=a", "--{}kubeconfig-secret-namespace=?"), "--{}kubeconfig-secret-namespace must"),
    ],
)
@pytest.mark.parametrize("prefix", ["", "api-net-"])
def test_flags_that_contradict_each_other_are_named_in_one_line(words: tuple[str, ...], says: str, prefix: str) -> None:
    with pytest.raises(FlagError) as caught:
        settings(*(word.format(prefix) for word in words)).check()
    assert str(caught.value).startswith(says.replace("{}", prefix))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "words",
    [
        ("--kubeconfig=a", "--api-net-kubeconfig=./a", "--rotate-certificates"),
        ("--kubeconfig=a", "--api-net-kubeconfig=a", "--api-net-bootstrap-kubeconfig=b"),
        ("--kubeconfig-secret-name=a", "--api-net-kubeconfig-secret-name=a", "--rotate-certificates"),
        ("--kubeconfig=a", "--rotate-certificates", "--api-net-kubeconfig=c", "--api-net-bootstrap-kubeconfig=a"),
    ],
)
def test_two_connections_never_keep_their_certificates_in_one_place(words: tuple[str, ...]) -> None:
    with pytest.raises(FlagError, match="so give two"):
        settings(*words).check()


def test_two_connections_may_share_a_kubeconfig_that_nobody_writes() -> None:
    settings("--kubeconfig=a", "--api-net-kubeconfig=a").check()
    settings("--kubeconfig-secret-name=a", "--api-net-kubeconfig-secret-name=a").check()
    both = ("--kubeconfig-secret-name=a", "--api-net-kubeconfig-secret-name=a", "--rotate-certificates")
    settings(*both, "--kubeconfig-secret-namespace=other").check()


def test_no_pair_of_flags_is_both_refused_and_used() -> None:
    """Every combination either has a mode with what it needs, or is refused."""
    words = ("--kubeconfig=a", "--kubeconfig-secret-name=s", "--bootstrap-kubeconfig=b", "--rotate-certificates")
    for count in range(len(words) + 1):
        for chosen in itertools.combinations(words, count):
            read = settings(*chosen)
            side = Side.of(read, "source")
            both = bool(side.kubeconfig and side.secret_name)
            homeless = side.mode is not Mode.PLAIN and not side.place
            if both or homeless:
                with pytest.raises(FlagError):
                    read.check()
            else:
                read.check()


@pytest.mark.parametrize("number", ["0", "-1", "20", "0.5"])
def test_limits_may_be_negative_and_broken_as_in_client_go(number: str) -> None:
    read = settings(f"--qps={number}", "--burst=-1", f"--api-net-qps={number}").check()
    assert Side.of(read, "source").qps == float(number)


@pytest.mark.parametrize(
    ("generation", "side", "name", "group"),
    [
        (
            ONMETAL,
            "source",
            "networking.api.onmetal.de:system:networkplugin:onmetal-api-net",
            "networking.api.onmetal.de:system:networkplugins",
        ),
        (
            ONMETAL,
            "apinet",
            "apinet.api.onmetal.de:system:apinetlet:apinet",
            "apinet.api.onmetal.de:system:apinetlets",
        ),
        (
            IRONCORE,
            "source",
            "networking.ironcore.dev:system:networkplugin:ironcore-net",
            "networking.ironcore.dev:system:networkplugins",
        ),
        (IRONCORE, "apinet", "apinet.ironcore.dev:system:apinetlet:apinet", "apinet.ironcore.dev:system:apinetlets"),
    ],
)
def test_certificates_are_for_the_names_that_the_api_servers_know(
    generation: Generation, side: SideName, name: str, group: str
) -> None:
    found = subject(generation, side, "apinet")
    assert (found.name, found.groups) == (name, (group,))


def test_the_kubeconfig_in_a_secret_has_the_field_manager_of_the_go_daemon() -> None:
    assert store_manager(ONMETAL) == "api.onmetal.de/config-read-writer"
    assert store_manager(IRONCORE) == "ironcore.dev/config-read-writer"
