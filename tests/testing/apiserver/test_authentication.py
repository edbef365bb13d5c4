"""Who a request is of, decided without a network."""

import datetime as dt

import pytest

from reconcile.kube.request import HttpRequest
from reconcile.testing.apiserver import ApiServer, Rule, Rules, User
from reconcile.testing.apiserver.authentication import Authenticator, BadTokens, of_certificate, tokens
from reconcile.testing.apiserver.connection import Peer
from reconcile.testing.apiserver.failure import Failure
from reconcile.testing.apiserver.impersonation import impersonated, wanted
from reconcile.testing.apiserver.tokens import ISSUER, ServiceAccount, Tokens, authenticated

NOW = dt.datetime.now(dt.UTC)
NOBODY = Peer("127.0.0.1")
ACCOUNT = ServiceAccount("shop", "baker", "u-7")


def test_a_token_file_says_who_has_which_groups() -> None:
    found = tokens('a,jo,1,"x, y"\n\n# b,al,2\nc , al , 3\n')
    assert found == {
        "a": User("jo", ("x", "y", "system:authenticated"), "1"),
        "c": User("al", ("system:authenticated",), "3"),
    }


@pytest.mark.parametrize(
    ("line", "says"), [("a,b", "2 columns"), (",b,c", "token is empty"), ("a,,c", "user is empty")]
)
def test_a_line_that_is_wrong_is_named_without_its_token(line: str, says: str) -> None:
    with pytest.raises(BadTokens, match=f"^line 2: .*{says}"):
        tokens(f"good,jo,1\n{line}")


def test_a_certificate_shows_name_and_groups() -> None:
    shown = {"subject": ((("organizationName", "x"),), (("organizationName", "y"),), (("commonName", "jo"),))}
    assert of_certificate(shown) == User("jo", ("x", "y", "system:authenticated"))
    assert of_certificate({"subject": ((("organizationName", "x"),),)}) is None
    assert of_certificate(None) is None


@pytest.mark.parametrize("header", ["Bearer bad", "Basic YTpi", "Bearer", ""])
def test_who_shows_something_wrong_is_no_anonymous_user(header: str) -> None:
    for anonymous in (False, True):
        asked = Authenticator({"t": User("jo")}, anonymous=anonymous)
        if anonymous and not header:
            assert asked({}, NOBODY).name == "system:anonymous"
            continue
        with pytest.raises(Failure) as refused:
            asked({"authorization": header} if header else {}, NOBODY)
        assert (refused.value.code, refused.value.status["message"]) == (401, "Unauthorized")


class TestServiceAccounts:
    """A token is good for its time, its audience, and as long as its account lives."""

    ours = Tokens(b"key")

    def read(self, token: str, at: int = 100, live: dict[str, str] | None = None) -> User | None:
        live = live if live is not None else {"shop/baker": "u-7"}
        return authenticated(self.ours, token, at, lambda table, key: live.get(key))

    def test_it_says_whose_it_is(self) -> None:
        user = self.read(self.ours.issue(ACCOUNT, "j-1", at=50, seconds=100))
        assert user is not None
        assert (user.name, user.uid) == ("system:serviceaccount:shop:baker", "u-7")
        assert user.groups == ("system:serviceaccounts", "system:serviceaccounts:shop", "system:authenticated")
        assert user.extra == {"authentication.kubernetes.io/credential-id": ("JTI=j-1",)}

    @pytest.mark.parametrize(("at", "good"), [(49, False), (50, True), (149, True), (150, False)])
    def test_it_is_good_for_its_time(self, at: int, good: bool) -> None:
        assert (self.read(self.ours.issue(ACCOUNT, "j", at=50, seconds=100), at) is not None) is good

    def test_it_dies_with_its_account_or_with_what_it_is_bound_to(self) -> None:
        bound = ServiceAccount("shop", "baker", "u-7", ("Pod", "oven", "p-1"))
        token = self.ours.issue(bound, "j", at=50, seconds=100)
        assert self.read(token, live={"shop/baker": "u-7", "shop/oven": "p-1"}) is not None
        assert self.read(token, live={"shop/baker": "u-8", "shop/oven": "p-1"}) is None
        assert self.read(token, live={"shop/baker": "u-7", "shop/oven": "p-2"}) is None
        assert self.read(token, live={}) is None

    def test_nothing_else_passes_for_one(self) -> None:
        token = self.ours.issue(ACCOUNT, "j", at=50, seconds=100)
        head, claims, signature = token.split(".")
        foreign = Tokens(b"other").issue(ACCOUNT, "j", at=50, seconds=100)
        elsewhere = self.ours.issue(ACCOUNT, "j", at=50, seconds=100, audiences=["vault"])
        for bad in (foreign, elsewhere, f"{head}.{claims}.", f"{head}.{claims[:-2]}.{signature}", "", ".", "a.b.c"):
            assert self.read(bad) is None
        assert self.ours.read(elsewhere, at=100, audience="vault") == (ACCOUNT, "j")
        assert self.ours.read(token, at=100, audience=ISSUER) == (ACCOUNT, "j")


class TestImpersonation:
    """As somebody else, where that is allowed."""

    rules = Rules({"jo": (Rule(("impersonate",), ("",), ("users",), ("al",)), Rule(("list",), ("",), ("pods",)))})

    def test_who_may_act_as_another_has_the_rights_of_the_other(self) -> None:
        user = impersonated({"impersonate-user": "al"}, User("jo"), self.rules, "/")
        assert user == User("al", ("system:authenticated",))

    @pytest.mark.parametrize(
        ("headers", "says"),
        [
            ({"impersonate-user": "bo"}, 'users "bo" is forbidden: User "jo" cannot impersonate resource "users"'),
            ({"impersonate-user": "al", "impersonate-group": "g"}, 'groups "g" is forbidden: User "jo" cannot'),
            ({"impersonate-user": "al", "impersonate-uid": "1"}, 'uids.authentication.k8s.io "1" is forbidden'),
            ({"impersonate-user": "al", "impersonate-extra-scope": "s"}, 'userextras.authentication.k8s.io "s" is'),
            ({"impersonate-user": "system:serviceaccount:n:a"}, 'serviceaccounts "a" is forbidden: User "jo" cannot'),
        ],
    )
    def test_each_thing_asked_for_needs_its_own_right(self, headers: dict[str, str], says: str) -> None:
        with pytest.raises(Failure) as refused:
            impersonated(headers, User("jo"), self.rules, "/")
        assert refused.value.code == 403
        assert refused.value.status["message"].startswith(says)

    def test_groups_without_a_user_make_no_sense(self) -> None:
        with pytest.raises(Failure, match="without impersonating a user"):
            impersonated({"impersonate-group": "g"}, User(), self.rules, "/")

    def test_the_headers_name_groups_uid_and_extra(self) -> None:
        headers = {
            "impersonate-user": "al",
            "impersonate-group": "a, b\nc",
            "impersonate-uid": "u",
            "impersonate-extra-example.com%2Fscope": "x\ny",
        }
        extra = {"example.com/scope": ("x", "y")}
        assert wanted(headers) == User("al", ("a, b", "c", "system:authenticated"), "u", extra)
        account = wanted({"impersonate-user": "system:serviceaccount:n:a"})
        assert account.groups == ("system:serviceaccounts", "system:serviceaccounts:n", "system:authenticated")

    async def test_a_request_is_answered_as_the_other_would_be(self) -> None:
        async with ApiServer(rules=self.rules) as server:
            request = HttpRequest("GET", "/api/v1/namespaces", (), {"impersonate-user": "jo"})
            assert (await server.answer(request)).response.status == 403
            assert (await server.answer(HttpRequest("GET", "/api/v1/namespaces"))).response.status == 200
