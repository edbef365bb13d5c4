"""Where the way in is found, and what is said when there is none."""

import base64
import logging
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from reconcile.kube import kubeconfig, login
from reconcile.kube.access import ClusterAccess, access
from reconcile.kube.kubeconfig import LoginError, merge

SECRET = "s3cr3t-that-nobody-may-see"


def config(user: Any = None, cluster: Any = None, **changes: Any) -> dict[str, Any]:
    """A kubeconfig with one context, ``dev``: cluster ``c``, user ``u``."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": "https://one:6443", **(cluster or {})}}],
        "users": [{"name": "u", "user": user if user is not None else {"token": SECRET}}],
        "contexts": [{"name": "dev", "context": {"cluster": "c", "user": "u", "namespace": "blue"}}],
        "current-context": "dev",
        **changes,
    }


def b64(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def write(path: Path, document: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(document if isinstance(document, str) else yaml.safe_dump(document))
    return path


def find(path: Path, context: str | None = None) -> ClusterAccess:
    return login.find(path, context, environment={})


# where it is found


@pytest.fixture
def places(tmp_path: Path) -> dict[str, Path]:
    """All four places, each with a server of its name."""
    pod = tmp_path / "pod"
    write(pod / "token", "t\n")
    write(pod / "namespace", "mine\n")
    return {
        "named": write(tmp_path / "named", config(cluster={"server": "https://named"})),
        "variable": write(tmp_path / "variable", config(cluster={"server": "https://variable"})),
        "pod": pod,
        "home": write(tmp_path / "home" / ".kube" / "config", config(cluster={"server": "https://home"})),
    }


@pytest.mark.parametrize(
    ("there", "context", "server"),
    [
        (("named", "variable", "pod", "home"), None, "https://named"),
        (("variable", "pod", "home"), None, "https://variable"),
        (("pod", "home"), None, "https://10.0.0.1:443"),
        (("pod", "home"), "dev", "https://home"),  # a pod has no contexts
        (("home",), None, "https://home"),
    ],
)
def test_the_first_place_in_kubectls_order_wins(
    places: dict[str, Path], there: tuple[str, ...], context: str | None, server: str
) -> None:
    environment = {"HOME": str(places["home"].parent.parent)}
    if "variable" in there:
        environment["KUBECONFIG"] = str(places["variable"])
    if "pod" in there:
        environment["KUBERNETES_SERVICE_HOST"] = "10.0.0.1"
    named = places["named"] if "named" in there else None
    found = login.find(named, context, environment=environment, pod_files=places["pod"])
    assert found.server == server


def test_a_pod_reaches_its_server_by_the_service_account(places: dict[str, Path]) -> None:
    environment = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "6443"}
    found = login.find(environment=environment, pod_files=places["pod"])
    assert found.server == "https://[fd00::1]:6443"
    assert found.namespace == "mine"
    assert found.token_file == places["pod"] / "token"
    assert found.ca == places["pod"] / "ca.crt"


def test_without_any_place_the_error_tells_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(LoginError, match=r"no kubeconfig was found .*\.kube/config") as caught:
        login.find(environment={"HOME": str(tmp_path)}, pod_files=tmp_path / "pod")
    assert caught.value.remedy


# several files


def test_files_of_the_variable_are_merged_and_absent_ones_are_skipped(tmp_path: Path) -> None:
    first = write(tmp_path / "1", config({"token": "first"}, contexts=None))
    second = write(tmp_path / "2", config({"token": "second", "username": "x"}, **{"current-context": "other"}))
    environment = {"KUBECONFIG": os.pathsep.join([str(first), str(tmp_path / "absent"), str(second)])}
    found = login.find(environment=environment)
    assert found.token == "first"
    assert found.username == ""  # entries of one name are not mixed
    assert found.namespace == "blue"  # only the second file has the context


def test_a_variable_that_names_only_absent_files_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LoginError, match="names no file that exists"):
        login.find(environment={"KUBECONFIG": str(tmp_path / "absent")})


@st.composite
def kubeconfigs(draw: st.DrawFn) -> kubeconfig.Kubeconfig:
    names = st.sampled_from("abc")
    file = Path("/") / draw(names)
    servers = st.dictionaries(names, st.sampled_from(["https://1", "https://2", "https://3"]))
    clusters = {name: (kubeconfig.Cluster(server), file) for name, server in draw(servers).items()}
    return kubeconfig.Kubeconfig(clusters, {}, {}, draw(st.sampled_from(["", "x", "y"])), (file,))


@given(kubeconfigs(), kubeconfigs(), kubeconfigs())
def test_merging_is_associative_and_the_first_file_wins(
    a: kubeconfig.Kubeconfig, b: kubeconfig.Kubeconfig, c: kubeconfig.Kubeconfig
) -> None:
    assert merge([merge([a, b]), c]) == merge([a, merge([b, c])]) == merge([a, b, c])
    assert merge([a, b]).clusters == {**b.clusters, **a.clusters}
    assert merge([a, b]).current_context == (a.current_context or b.current_context)


def test_of_two_entries_with_one_name_in_a_file_the_first_counts(tmp_path: Path) -> None:
    users = [{"name": "u", "user": {"token": token}} for token in ("first", "second")]
    assert find(write(tmp_path / "c", config(users=users))).token == "first"


# what it says


def test_paths_start_at_the_file_that_names_them(tmp_path: Path) -> None:
    user = {
        "client-certificate": "u.crt",
        "client-key": "/abs/u.key",
        "tokenFile": "t",
        "exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "bin/plugin"},
    }
    found = find(write(tmp_path / "sub" / "config", config(user, {"certificate-authority": "../ca.crt"})))
    assert found.certificate == tmp_path / "sub" / "u.crt"
    assert found.key == Path("/abs/u.key")
    assert found.token_file == tmp_path / "sub" / "t"
    assert found.ca == tmp_path / "sub" / ".." / "ca.crt"
    assert found.plugin is not None
    assert found.plugin.directory == tmp_path / "sub"


def test_data_wins_over_files(tmp_path: Path) -> None:
    user = {
        "client-certificate": "x",
        "client-certificate-data": b64("cert"),
        "client-key": "y",
        "client-key-data": b64("key"),
    }
    found = find(write(tmp_path / "c", config(user, {"certificate-authority-data": b64("ca")})))
    assert (found.certificate, found.key, found.ca) == (b"cert", b"key", b"ca")


def test_every_other_field_arrives(tmp_path: Path) -> None:
    user = {
        "username": "me",
        "password": SECRET,
        "as": "admin",
        "as-uid": "u-1",
        "as-groups": ["g1", "g2"],
        "as-user-extra": {"scope": ["a", "b"]},
    }
    cluster = {
        "server": "https://one/prefix/",
        "tls-server-name": "name",
        "insecure-skip-tls-verify": True,
        "proxy-url": "http://proxy",
        "disable-compression": True,
    }
    found = find(write(tmp_path / "c", config(user, cluster)))
    assert found.server == "https://one/prefix"
    assert (found.tls_server_name, found.is_insecure, found.proxy_url) == ("name", True, "http://proxy")
    assert (found.username, found.password, found.namespace) == ("me", SECRET, "blue")
    other = found.impersonation
    assert other is not None
    assert (other.user, other.uid, other.groups) == ("admin", "u-1", ("g1", "g2"))
    assert other.extra == {"scope": ("a", "b")}


def test_a_plugin_gets_the_extension_of_the_cluster_that_is_meant_for_it(tmp_path: Path) -> None:
    extensions = [
        {"name": "other", "extension": 1},
        {"name": "client.authentication.k8s.io/exec", "extension": {"audience": "x"}},
    ]
    found = find(write(tmp_path / "c", config(cluster={"extensions": extensions})))
    assert found.plugin_config == {"audience": "x"}


def test_nulls_read_as_absent(tmp_path: Path) -> None:
    document = config({"token": "t", "exec": None, "as-groups": None}, preferences=None)
    assert find(write(tmp_path / "c", document)).token == "t"


def test_a_context_without_a_user_is_anonymous(tmp_path: Path) -> None:
    document = config(users=None, contexts=[{"name": "dev", "context": {"cluster": "c"}}])
    found = find(write(tmp_path / "c", document))
    assert (found.token, found.username, found.certificate, found.plugin) == ("", "", None, None)


# bad input: what, where, and what to do

EXEC = {"apiVersion": "client.authentication.k8s.io/v1", "command": "no-such-plugin", "installHint": "get it there"}
BAD: dict[str, tuple[object, tuple[str, ...]]] = {
    "not YAML": ("a: [", ("not YAML", "line ")),
    "a tab": ("a:\n\tb: 1", ("not YAML", "line 2")),
    "a list": ([1], ("no mapping",)),
    "empty": ("", ("no context is chosen",)),
    "no current context": (config(**{"current-context": ""}), ("no context is chosen", "dev")),
    "unknown context": (config(**{"current-context": "prod"}), ("no context 'prod'", "there are: dev")),
    "unknown cluster": (config(clusters=[]), ("no cluster 'c'", "context 'dev'", "there are: none")),
    "unknown user": (config(users=[{"name": "you", "user": {}}]), ("no user 'u'", "context 'dev'", "you")),
    "no server": (config(cluster={"server": ""}), ("no server", "cluster 'c'", "https://host:port")),
    "server without scheme": (config(cluster={"server": "one:6443"}), ("'one:6443' is no URL", "https://")),
    "no host": (config(cluster={"server": "https://"}), ("server has no host", "cluster 'c'", "https://host:port")),
    "a port too high": (config(cluster={"server": "https://one:99999"}), ("server has a host or port that can be",)),
    "a port of letters": (config(cluster={"server": "https://one:x"}), ("server has a host or port that can be",)),
    "port 0": (config(cluster={"server": "https://one:0"}), ("server has a host or port that can be none",)),
    "half an address": (config(cluster={"server": "https://[::1"}), ("server has a host or port that can be none",)),
    "dots alone": (config(cluster={"server": "https://a..b"}), ("server has a host or port that can be none",)),
    "a query": (config(cluster={"server": "https://one/p?q"}), ("server has a query or fragment",)),
    "a login in the server": (config(cluster={"server": f"https://me:{SECRET}@one"}), ("a login in it", "user.pass")),
    "the same without scheme": (config(cluster={"server": f"me:{SECRET}@one"}), ("server is no URL", "https://")),
    "proxy with a bad port": (config(cluster={"proxy-url": f"http://me:{SECRET}@p:x"}), ("proxy-url has a host or p",)),
    "proxy of another kind": (config(cluster={"proxy-url": "socks5://p:1"}), ("proxy-url is for neither http nor",)),
    "proxy without scheme": (config(cluster={"proxy-url": "p:1"}), ("proxy-url is for neither http nor https",)),
    "bad base64": (config({"client-key-data": "%", "client-certificate": "x"}), ("not base64", "user 'u'")),
    "key without certificate": (config({"client-key": "x"}), ("no client-certificate", "user 'u'")),
    "certificate without key": (config({"client-certificate": "x"}), ("no client-key", "user 'u'")),
    "token and basic": (config({"token": SECRET, "username": "x"}), ("both a token and a username", "remove")),
    "auth provider": (config({"auth-provider": {"name": "oidc"}}), ("auth-provider is not supported", "exec")),
    "groups of nobody": (config({"as-groups": ["g"]}), ("of nobody", "user.as")),
    "wrong type": (config({"token": [SECRET]}), ("text", "users[0].user.token")),
    "a number as name": (config({"username": 5}), ("quote it", "users[0].user.username")),
    "users is a mapping": (config(users={"u": {}}), ("a list is expected", "users")),
    "old plugin": (
        config({"exec": {**EXEC, "apiVersion": "client.authentication.k8s.io/v1alpha1"}}),
        ("version 'client.authentication.k8s.io/v1alpha1'", "newer release"),
    ),
    "no command": (config({"exec": {**EXEC, "command": ""}}), ("without a command",)),
    "a terminal": (config({"exec": {**EXEC, "interactiveMode": "Always"}}), ("wants a terminal",)),
    "odd mode": (config({"exec": {**EXEC, "interactiveMode": "Maybe"}}), ("interactiveMode 'Maybe'", "Never")),
    "missing plugin": (config({"exec": EXEC}), ("'no-such-plugin' is not installed", "get it there")),
    "missing authority": (config(cluster={"certificate-authority": "x.crt"}), ("x.crt cannot be read", "No such")),
    "missing token file": (config({"tokenFile": "t"}), ("cannot be read: No such file", "user 'u'")),
    "missing key": (config({"client-key": "k", "client-certificate-data": b64("x")}), ("client-key", "No such")),
    "authority and insecure": (
        config(cluster={"certificate-authority-data": b64("x"), "insecure-skip-tls-verify": True}),
        ("would not be used", "remove insecure-skip-tls-verify"),
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_answered_with_what_where_and_what_to_do(tmp_path: Path, case: str) -> None:
    document, expected = BAD[case]
    path = write(tmp_path / "config", document)
    with pytest.raises(LoginError) as caught:
        login.load(path, environment={"PATH": ""})
    message = str(caught.value)
    assert [part for part in (*expected, str(path)) if part not in message] == []
    assert caught.value.remedy
    assert SECRET not in message


@pytest.mark.parametrize("proxy", [f"http://me:{SECRET}@p:x", f"socks5://me:{SECRET}@p:1", f"me:{SECRET}@p:x"])
def test_a_proxy_of_the_environment_that_can_be_none_is_told_at_start(tmp_path: Path, proxy: str) -> None:
    path = write(tmp_path / "config", config())
    with pytest.raises(LoginError, match=r"the proxy for https://one:6443 ") as caught:
        login.load(path, environment={"HTTPS_PROXY": proxy})
    assert "$HTTPS_PROXY" in str(caught.value)
    assert SECRET not in str(caught.value)
    login.load(path, environment={"HTTPS_PROXY": proxy, "NO_PROXY": "one"})
    login.load(path, environment={"HTTPS_PROXY": f"me:{SECRET}@p:1", "HTTP_PROXY": proxy})


def test_a_missing_file_that_was_named_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LoginError, match="no such kubeconfig"):
        login.load(tmp_path / "absent", environment={})


def test_an_unreadable_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LoginError, match="kubeconfig cannot be read"):
        login.load(tmp_path, environment={})  # a folder: unreadable for root too


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["name", "user", "cluster", "exec"]), inner),
        max_leaves=8,
    ),
    st.sampled_from(["clusters", "users", "contexts", "current-context"]),
)
def test_whatever_a_file_holds_the_answer_is_an_access_or_a_login_error(value: Any, where: str) -> None:
    try:
        access(kubeconfig.read({**config(), where: value}, Path("/x")))
    except LoginError as error:
        assert "/x" in str(error)  # noqa: PT017 (both ends are right)


# secrets


def test_secrets_are_in_no_repr(tmp_path: Path) -> None:
    user = {
        "token": SECRET,
        "client-key-data": b64(SECRET),
        "client-certificate-data": b64(SECRET),
        "exec": {**EXEC, "args": [SECRET], "env": [{"name": "X", "value": SECRET}]},
    }
    cluster = {"proxy-url": f"http://x:{SECRET}@proxy"}
    path = write(tmp_path / "c", config(user, cluster))
    text = path.read_text()
    parsed = kubeconfig.read(yaml.safe_load(text), path)
    credentials = login.RenewedCredentials(find(path), environment={"X": SECRET})
    for value in (parsed, find(path), credentials, login.Grant((("authorization", SECRET),))):
        assert SECRET not in repr(value)
        assert b64(SECRET) not in repr(value)


def test_skipping_verification_is_warned_about(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "c", config(cluster={"insecure-skip-tls-verify": True}))
    with caplog.at_level(logging.WARNING):
        login.load(path, environment={})
    assert "insecure-skip-tls-verify" in caplog.text
