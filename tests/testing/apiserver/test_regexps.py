"""Patterns are read as Go reads them, and nobody's pattern holds the server up.

What Go says and finds was asked of the package ``regexp`` of Go 1.26.
"""

import json

import pytest

from reconcile.kube.kinds import CRD
from reconcile.kube.request import HttpRequest
from reconcile.testing.apiserver import ApiServer, regexps
from reconcile.testing.apiserver.extras import MissingExtra, needed

UNREADABLE = {
    "(abc": "missing closing ): `(abc`",
    "abc)": "unexpected ): `abc)`",
    "*a": "missing argument to repetition operator: `*`",
    "a|*": "missing argument to repetition operator: `*`",
    "[a": "missing closing ]: `[a`",
    "[]a": "missing closing ]: `[]a`",
    "(?=a)": "invalid or unsupported Perl syntax: `(?=`",
    "(?!a)": "invalid or unsupported Perl syntax: `(?!`",
    "(?<=a)b": "invalid named capture: `(?<=a)b`",
    "(?<!a)b": "invalid named capture: `(?<!a)b`",
    "(?P=n)": "invalid or unsupported Perl syntax: `(?P`",
    "(?P<n": "invalid named capture: `(?P<n`",
    "(?P<n>a": "missing closing ): `(?P<n>a`",
    "(?<n)": "invalid named capture: `(?<n)`",
    "a**": "invalid nested repetition operator: `**`",
    "a*+": "invalid nested repetition operator: `*+`",
    "a++": "invalid nested repetition operator: `++`",
    "a{2}{3}": "invalid nested repetition operator: `{2}{3}`",
    "a{1001}": "invalid repeat count: `{1001}`",
    "a{3,1}": "invalid repeat count: `{3,1}`",
    "[z-a]": "invalid character class range: `z-a`",
    "[a-\\d]": "invalid escape sequence: `\\d`",
    "\\8": "invalid escape sequence: `\\8`",
    "\\pX": "invalid character class range: `\\pX`",
    "\\p{Nope}": "invalid character class range: `\\p{Nope}`",
    "a\\": "trailing backslash at end of expression: ``",
    "\\Z": "invalid escape sequence: `\\Z`",
    "\\G": "invalid escape sequence: `\\G`",
    "(?z)": "invalid or unsupported Perl syntax: `(?z`",
    "(?i": "invalid or unsupported Perl syntax: `(?i`",
    "x{1000}{1000}": "invalid nested repetition operator: `{1000}{1000}`",
    "(((a{100}){100}){100})": "invalid repeat count: `{100}`",
    "(?>a)": "invalid or unsupported Perl syntax: `(?>`",
    "[[:nope:]]": "invalid character class range: `[:nope:]`",
    "\\x{110000}": "invalid escape sequence: `\\x{110000`",
}


@pytest.mark.parametrize("pattern", UNREADABLE)
def test_what_go_cannot_read_is_told_in_its_words(pattern: str) -> None:
    with pytest.raises(regexps.BadPattern) as refused:
        regexps.check(pattern)
    assert str(refused.value) == f"error parsing regexp: {UNREADABLE[pattern]}"


# pattern, text, whether Go finds the one in the other
FOUND = [
    ("^\\d+$", "12", True),
    ("^\\d+$", "١٢", False),
    ("^\\w+$", "é", False),
    ("^a$", "a\n", False),
    ("(?m)^a$", "a\nb", True),
    ("a.c", "a\nc", False),
    ("(?s)a.c", "a\nc", True),
    ("^\\s$", "\xa0", False),
    ("^\\s$", "\x0b", False),
    ("(?i)straße", "STRASSE", False),
    ("(?i)^k$", "K", True),
    ("[[:word:]]", "é", False),
    ("\\bé", "é", False),
    ("\\p{Greek}", "λ", True),
    ("^[^a]$", "é", True),
    ("^.{2}$", "é", False),
    ("a{,2}", "a{,2}", True),
    ("a{,2}", "aa", False),
    ("\\Aab\\z", "ab", True),
    ("\\Q.\\E", "x", False),
    ("(a+)+$", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", False),
    ("x*", "", True),
    ("[\\d-]", "-", True),
    ("[]a]", "]", True),
    ("\\07", "\x07", True),
    ("\\a", "\x07", True),
    ("^😀$", "😀", True),
    ("^(a+)+$", "a" * 100_000 + "!", False),
]


@pytest.mark.parametrize(("pattern", "text", "is_in"), FOUND)
def test_a_pattern_finds_what_go_finds(pattern: str, text: str, is_in: bool) -> None:
    assert regexps.matches(pattern, text) is is_in


def test_all_that_is_found_comes_from_left_to_right() -> None:
    assert list(regexps.found("[a-ä]+|\\d", "ab1ä2")) == ["ab", "1", "ä", "2"]


def test_re2_takes_a_single_byte_that_go_does_not() -> None:
    regexps.check(r"\C")


def test_a_library_that_is_missing_is_named_with_what_to_install() -> None:
    says = "regular expressions need the package 'google-re2': install the extra 'server'"
    with pytest.raises(MissingExtra, match=says), needed("google-re2", "regular expressions"):
        raise ModuleNotFoundError


async def test_a_pattern_that_would_backtrack_for_ever_is_judged_at_once() -> None:
    schema = {"type": "object", "properties": {"spec": {"type": "string", "pattern": "^(a+)+$"}}}
    definition = {
        "metadata": {"name": "things.shop.example.com"},
        "spec": {
            "group": "shop.example.com",
            "scope": "Namespaced",
            "names": {"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }
    thing = {"apiVersion": "shop.example.com/v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": "a" * 5000 + "!"}
    request = HttpRequest(
        "POST",
        "/apis/shop.example.com/v1/namespaces/default/things",
        (),
        {"content-type": "application/json"},
        json.dumps(thing).encode(),
    )
    async with ApiServer() as server:
        await server.client().create(CRD, definition)
        answer = await server.answer(request)
        assert answer.response.status == 422
        assert "should match '^(a+)+$'" in answer.response.body.decode()
