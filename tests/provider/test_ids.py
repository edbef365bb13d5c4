"""Provider IDs: the table of examples, row by row, and what holds for all of them."""

import contextlib
import copy
import itertools
import pickle
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider import BadPart, BadScheme, Meaning, ProviderID, ProviderIDError, Scheme, parse

NETWORK, NIC = Meaning.NETWORK, Meaning.NETWORK_INTERFACE
ONMETAL, IRONCORE = Scheme.ONMETAL, Scheme.IRONCORE
UID = "2c24a85c-b55d-44b8-bf6e-1872ecfef5db"

ACCEPTED = [
    (f"onmetal-api-net://namespace/name/node.dns.subdomain/{UID}", NIC, ONMETAL, "node.dns.subdomain"),
    (f"ironcore-net://namespace/name/node.dns.subdomain/{UID}", NIC, IRONCORE, "node.dns.subdomain"),
    (f"onmetal-api-net://namespace/name/foo/{UID}", NETWORK, ONMETAL, "foo"),
    (f"ironcore-net://namespace/name/foo/{UID}", NETWORK, IRONCORE, "foo"),
    (
        "ironcore-net://namespace/first-apinet-nic-name/first-node-name/first-metalnet-nic-uid",
        NIC,
        IRONCORE,
        "first-node-name",
    ),
    (
        "onmetal-api-net://ns/9f0c6f1e-6f43-4f3b-8a39-0d3c1a9d3b11/4711/0a4f6b0e-1f2d-4b57-9a55-2a4f0b6f7c88",
        NETWORK,
        ONMETAL,
        "4711",
    ),
    ("onmetal-api-net://ns/n/4711/u", NIC, ONMETAL, "4711"),
    ("onmetal-api-net://n-s/a--b.c/node/u", NIC, ONMETAL, "node"),
    ("onmetal-api-net://ns/n/My_Node/u", NETWORK, ONMETAL, "My_Node"),
]

OTHER_SCHEME = [
    "",
    "ns/n/node/u",
    "ironcore-net://ns/n/node/u",
    "ONMETAL-API-NET://ns/n/node/u",
    "onmetal-api-net:/ns/n/node/u",
    " onmetal-api-net://ns/n/node/u",
    "x:/n/node/u",
]

# what follows the scheme, position, value, a word of the reason
BAD_PARTS = [
    ("ns/n/node", 3, "", "missing"),
    ("ns", 1, "", "missing"),
    ("", 0, "", "empty"),
    ("ns/n/node/u/x", 4, "x", "surplus"),
    ("ns/n/node/u/x/y", 4, "x/y", "surplus"),
    ("ns/n/node/u/", 4, "", "surplus"),
    ("/n/node/u", 0, "", "empty"),
    ("ns//node/u", 1, "", "empty"),
    ("ns/n//u", 2, "", "empty"),
    ("ns/n/node/", 3, "", "empty"),
    ("///", 0, "", "empty"),
    ("ns/n/node/u u", 3, "u u", "space"),
    ("ns/n/node/u\n", 3, "u\n", "printable"),
    ("ns/n/node/ü", 3, "ü", "ASCII"),
    ("ns.x/n/node/u", 0, "ns.x", "label"),
    ("-ns/n/node/u", 0, "-ns", "label"),
    ("ns/N/node/u", 1, "N", "subdomain"),
    ("ns/n./node/u", 1, "n.", "subdomain"),
    (f"{'a' * 64}/n/node/u", 0, "a" * 64, "63"),
    (f"ns/{'a' * 254}/node/u", 1, "a" * 254, "253"),
    (f"ns/n/{'1' * 256}/u", 2, "1" * 256, "2"),
    (f"ns/n/node/{'u' * 129}", 3, "u" * 129, "128"),
]


@pytest.mark.parametrize(("text", "meaning", "scheme", "ref"), ACCEPTED)
def test_a_well_formed_text_gives_its_parts(text: str, meaning: Meaning, scheme: Scheme, ref: str) -> None:
    provider_id = parse(text, scheme=scheme, meaning=meaning)
    namespace, name, _, uid = text.removeprefix(scheme.prefix).split("/")
    assert provider_id == ProviderID(scheme, meaning, namespace=namespace, name=name, ref=ref, uid=uid)
    assert str(provider_id) == text


@pytest.mark.parametrize("meaning", Meaning)
@pytest.mark.parametrize("text", OTHER_SCHEME)
def test_a_missing_or_other_scheme_is_a_bad_scheme(text: str, meaning: Meaning) -> None:
    with pytest.raises(BadScheme) as caught:
        parse(text, scheme=ONMETAL, meaning=meaning)
    assert caught.value.text == text
    assert repr(text) in str(caught.value)


def test_the_empty_text_is_a_bad_scheme_in_the_other_generation_too() -> None:
    with pytest.raises(BadScheme):
        parse("", scheme=IRONCORE, meaning=NIC)


@pytest.mark.parametrize("meaning", Meaning)
@pytest.mark.parametrize(("rest", "position", "value", "reason"), BAD_PARTS)
def test_the_leftmost_bad_part_is_named(rest: str, position: int, value: str, reason: str, meaning: Meaning) -> None:
    text = ONMETAL.prefix + rest
    with pytest.raises(BadPart) as caught:
        parse(text, scheme=ONMETAL, meaning=meaning)
    assert (caught.value.position, caught.value.value, caught.value.text) == (position, value, text)
    assert reason in caught.value.reason
    assert repr(text) in str(caught.value)


def test_a_node_name_must_be_a_subdomain() -> None:
    with pytest.raises(BadPart, match="'My_Node' is not a DNS-1123 subdomain") as caught:
        parse("onmetal-api-net://ns/n/My_Node/u", scheme=ONMETAL, meaning=NIC)
    assert caught.value.position == 2


@pytest.mark.parametrize(("part", "position"), [("namespace", 0), ("name", 1), ("ref", 2), ("uid", 3)])
@pytest.mark.parametrize("value", ["", "a/b", "a b", "a\n", "é", "a" * 300])
@pytest.mark.parametrize("meaning", Meaning)
def test_a_value_that_could_not_be_read_back_cannot_exist(
    part: str, position: int, value: str, meaning: Meaning
) -> None:
    parts = {"namespace": "ns", "name": "n", "ref": "r", "uid": "u"} | {part: value}
    with pytest.raises(BadPart) as caught:
        ProviderID(ONMETAL, meaning, **parts)
    assert (caught.value.position, caught.value.value) == (position, value)


def test_a_scheme_that_is_none_of_the_two_cannot_be_given() -> None:
    with pytest.raises(TypeError):
        ProviderID("http", NETWORK, namespace="ns", name="n", ref="r", uid="u")  # type: ignore[arg-type]


def test_the_longest_parts_are_accepted() -> None:
    name = ".".join(["a" * 126, "b" * 126])
    provider_id = ProviderID.network(ONMETAL, namespace="n" * 63, name=name, id="9" * 255, uid="u" * 128)
    assert parse(str(provider_id), scheme=ONMETAL, meaning=NETWORK) == provider_id


def test_each_meaning_has_its_own_constructor() -> None:
    network = ProviderID.network(IRONCORE, namespace="ns", name="n", id="4711", uid="u")
    interface = ProviderID.network_interface(IRONCORE, namespace="ns", name="n", node="4711", uid="u")
    assert str(network) == str(interface) == "ironcore-net://ns/n/4711/u"
    assert (network.meaning, interface.meaning) == (NETWORK, NIC)
    assert network != interface


@pytest.mark.parametrize("error", [BadScheme("x", "y://"), BadPart(2, "v", "is empty", "t")])
def test_an_error_keeps_its_facts_when_it_is_copied(error: ProviderIDError) -> None:
    for copied in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert (type(copied), vars(copied), str(copied)) == (type(error), vars(error), str(error))


def labels() -> st.SearchStrategy[str]:
    return st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True)


def subdomains() -> st.SearchStrategy[str]:
    return st.lists(labels(), min_size=1, max_size=3).map(".".join)


def plain(limit: int) -> st.SearchStrategy[str]:
    return st.text(
        st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="/"), min_size=1, max_size=limit
    )


@st.composite
def provider_ids(draw: st.DrawFn) -> ProviderID:
    meaning = draw(st.sampled_from(Meaning))
    ref = draw(plain(255) if meaning is NETWORK else subdomains())
    scheme = draw(st.sampled_from(Scheme))
    return ProviderID(scheme, meaning, namespace=draw(labels()), name=draw(subdomains()), ref=ref, uid=draw(plain(128)))


def nearly_ids() -> st.SearchStrategy[str]:
    """Texts that a careless parser could take for an ID."""
    pieces = st.sampled_from([*(scheme.prefix for scheme in Scheme), "/", "//", ":", " ", "\n", "a", "A_", "x.y", "é"])
    return st.text() | st.lists(pieces, max_size=12).map("".join)


@given(provider_ids())
def test_every_provider_id_survives_a_round_trip(provider_id: ProviderID) -> None:
    assert parse(str(provider_id), scheme=provider_id.scheme, meaning=provider_id.meaning) == provider_id


@given(nearly_ids(), st.sampled_from(Scheme), st.sampled_from(Meaning))
def test_no_text_raises_anything_but_a_provider_id_error_or_is_written_back_changed(
    text: str, scheme: Scheme, meaning: Meaning
) -> None:
    with contextlib.suppress(BadScheme, BadPart):
        assert str(parse(text, scheme=scheme, meaning=meaning)) == text


def test_a_name_is_accepted_exactly_when_api_servers_would_accept_it() -> None:
    label = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
    names = {"".join(letters) for length in range(1, 7) for letters in itertools.product("a-.", repeat=length)}
    accepted = set()
    for name in names:
        with contextlib.suppress(BadPart):
            accepted.add(ProviderID.network(ONMETAL, namespace="ns", name=name, id="1", uid="u").name)
    assert accepted == {name for name in names if re.fullmatch(rf"{label}(\.{label})*", name)}


@given(provider_ids())
def test_no_slash_and_no_character_of_the_scheme_can_be_left_out(provider_id: ProviderID) -> None:
    text = str(provider_id)
    scheme_end = len(provider_id.scheme.prefix)
    for position, character in enumerate(text):
        if character == "/" or position < scheme_end:
            with pytest.raises(ProviderIDError):
                parse(text[:position] + text[position + 1 :], scheme=provider_id.scheme, meaning=provider_id.meaning)
