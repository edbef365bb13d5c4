"""Collections: which objects, in which order, in which pages, at which version."""

import base64

import orjson
import pytest

from tests.testing.callers import GROUP, Api, Reply, a_map

FAR = "99999999"
TOO_OLD = "The resourceVersion for the provided list is too old."


def names(reply: Reply) -> list[str]:
    assert reply.code == 200, reply.body
    return [item["metadata"]["name"] for item in reply["items"]]


# -- the whole -----------------------------------------------------------------------------------------------------


async def test_a_list_has_all_objects_in_the_order_of_their_names(api: Api) -> None:
    for name in ("b", "a.b", "a", "a-b"):
        await api.thing(name)
    listed = await api.get(api.things)
    assert names(listed) == ["a", "a-b", "a.b", "b"]
    assert (listed["kind"], listed["apiVersion"]) == ("ThingList", f"{GROUP}/v1")
    assert listed.meta.keys() == {"resourceVersion", "continue"}
    assert listed["items"][0] == (await api.get(f"{api.things}/a")).body
    assert int(listed.version) >= max(int(item["metadata"]["resourceVersion"]) for item in listed["items"])


async def test_items_of_a_built_in_kind_do_not_repeat_what_kind_they_are(api: Api) -> None:
    made = await api.map("a")
    listed = await api.get(api.maps)
    assert listed["kind"] == "ConfigMapList"
    assert listed.meta == {"resourceVersion": listed.version}
    rest = {name: value for name, value in made.body.items() if name not in ("kind", "apiVersion")}
    assert listed["items"] == [rest]


async def test_a_list_across_namespaces_has_the_objects_of_each(api: Api) -> None:
    await api.map("a", labels={"across": api.namespace})
    made = await api.made("/api/v1/namespaces", {"metadata": {"generateName": "test-"}})
    other = Api(api.transport, made.meta["name"])
    await other.map("b", labels={"across": api.namespace})
    found = await api.get("/api/v1/configmaps", labelSelector=f"across={api.namespace}")
    assert sorted(names(found)) == ["a", "b"]


async def test_an_empty_list_is_a_list(api: Api) -> None:
    listed = await api.get(api.things)
    assert listed["items"] == []
    assert (await api.get(api.maps))["items"] == []


# -- selections ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ("tier=web", "ab"),
        ("tier==web,env=dev", "a"),
        ("tier!=web", "cd"),
        ("env in (dev, prod)", "abc"),
        ("env notin (dev)", "bd"),
        ("env", "abc"),
        ("!env", "d"),
        ("", "abcd"),
    ],
)
async def test_labels_select(api: Api, selector: str, found: str) -> None:
    labels = {
        "a": {"tier": "web", "env": "dev"},
        "b": {"tier": "web", "env": "prod"},
        "c": {"tier": "db", "env": "dev"},
        "d": {},
    }
    for name, own in labels.items():
        await api.map(name, labels=own)
    assert names(await api.get(api.maps, labelSelector=selector)) == list(found)


async def test_fields_select_by_name_and_by_what_the_kind_offers(api: Api) -> None:
    await api.thing("a", {"text": "x"})
    await api.thing("b", {"text": "y"})
    assert names(await api.get(api.things, fieldSelector="metadata.name=b")) == ["b"]
    assert names(await api.get(api.things, fieldSelector="spec.text=x")) == ["a"]
    assert names(await api.get(api.things, fieldSelector="spec.text!=x,metadata.name!=c")) == ["b"]
    assert names(await api.get(api.things, fieldSelector=f"metadata.namespace={api.namespace}")) == ["a", "b"]
    reply = await api.get(api.things, fieldSelector="spec.count=5")
    assert reply.says == (400, "BadRequest", "field label not supported: spec.count")


async def test_a_selector_that_is_none_is_refused(api: Api) -> None:
    reply = await api.get(api.maps, labelSelector="a in b")
    assert reply.code == 400
    assert reply["message"].startswith("unable to parse requirement: ")
    assert (await api.get(api.maps, fieldSelector="metadata.name")).code == 400


# -- pages ---------------------------------------------------------------------------------------------------------


async def test_pages_together_are_the_list_at_the_version_of_the_first(api: Api) -> None:
    for name in "abcde":
        await api.thing(name)
    first = await api.get(api.things, limit=2)
    assert names(first) == ["a", "b"]
    assert first.meta["remainingItemCount"] == 3
    # what happens meanwhile does not show
    await api.delete(f"{api.things}/d")
    await api.thing("c2")
    await api.merge(f"{api.things}/e", {"spec": {"text": "new"}})
    second = await api.get(api.things, limit=2, continue_=first.meta["continue"])
    assert names(second) == ["c", "d"]
    assert second.meta["remainingItemCount"] == 1
    third = await api.get(api.things, limit=2, continue_=second.meta["continue"])
    assert names(third) == ["e"]
    assert "text" not in third["items"][0].get("spec", {})
    assert third.meta.get("continue") == ""
    assert "remainingItemCount" not in third.meta
    assert first.version == second.version == third.version


async def test_a_page_of_a_selection_does_not_say_how_much_is_left(api: Api) -> None:
    for name in "abcd":
        await api.map(name, labels={"l": "x" if name in "acd" else "y"})
    first = await api.get(api.maps, limit=2, labelSelector="l=x")
    assert names(first) == ["a", "c"]
    assert "remainingItemCount" not in first.meta
    second = await api.get(api.maps, limit=2, labelSelector="l=x", continue_=first.meta["continue"])
    assert names(second) == ["d"]
    assert "continue" not in second.meta


async def test_a_continue_token_carries_its_version(api: Api) -> None:
    for name in "ab":
        await api.map(name)
    first = await api.get(api.maps, limit=1)
    reply = await api.get(api.maps, continue_=first.meta["continue"], resourceVersion=first.version)
    text = "specifying resource version is not allowed when using continue"
    assert reply.says == (400, "BadRequest", text)


@pytest.mark.parametrize("token", ["!", "e30", base64.urlsafe_b64encode(orjson.dumps({"v": "x"})).decode()])
async def test_a_token_that_nobody_gave_is_refused(api: Api, token: str) -> None:
    reply = await api.get(api.maps, continue_=token)
    assert reply.code == 400
    assert reply["message"].startswith("invalid continue token: continue key is not valid: ")


# -- versions ------------------------------------------------------------------------------------------------------


async def test_a_list_shows_the_state_at_the_very_version_that_is_asked_for(api: Api) -> None:
    first = await api.map("a", {"x": "1"})
    await api.merge(f"{api.maps}/a", {"data": {"x": "2"}})
    second = await api.map("b")
    await api.delete(f"{api.maps}/a")
    then = await api.get(api.maps, resourceVersion=first.version, resourceVersionMatch="Exact")
    assert (names(then), then.version) == (["a"], first.version)
    assert then["items"][0]["data"] == {"x": "1"}
    then = await api.get(api.maps, resourceVersion=second.version, resourceVersionMatch="Exact")
    assert names(then) == ["a", "b"]
    assert names(await api.get(api.maps)) == ["b"]


@pytest.mark.parametrize("match", ["NotOlderThan", ""])
async def test_a_list_may_be_newer_than_asked_for_and_never_older(api: Api, match: str) -> None:
    first = await api.map("a")
    second = await api.map("b")
    query = {"resourceVersion": second.version, **({"resourceVersionMatch": match} if match else {})}
    listed = await api.get(api.maps, **query)
    assert names(listed) == ["a", "b"]
    assert int(listed.version) >= int(second.version) > int(first.version)
    assert names(await api.get(api.maps, resourceVersion="0")) in (["a", "b"], ["a"], [])


async def test_a_version_that_never_was_is_waited_for_and_then_refused(api: Api) -> None:
    for path in (api.maps, f"{api.maps}/a"):
        reply = await api.get(path, resourceVersion=FAR)
        assert reply.code == 504
        assert reply["reason"] == "Timeout"
        assert reply["message"].startswith(f"Timeout: Too large resource version: {FAR}, current: ")
        assert [cause["reason"] for cause in reply["details"]["causes"]] == ["ResourceVersionTooLarge"]
        assert reply["details"]["retryAfterSeconds"] == 1


@pytest.mark.parametrize(
    ("query", "field", "message"),
    [
        (
            {"resourceVersionMatch": "Exact"},
            "resourceVersionMatch",
            "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided",
        ),
        (
            {"resourceVersionMatch": "Exact", "resourceVersion": "0"},
            "resourceVersionMatch",
            'Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"',
        ),
        (
            {"resourceVersionMatch": "Roughly", "resourceVersion": "1"},
            "resourceVersionMatch",
            'Unsupported value: "Roughly": supported values: "Exact", "NotOlderThan", ""',
        ),
        (
            {"sendInitialEvents": "true"},
            "sendInitialEvents",
            "Forbidden: sendInitialEvents is forbidden for list",
        ),
    ],
    ids=["match alone", "exactly any", "unknown match", "initial events"],
)
async def test_what_list_options_cannot_mean_is_refused(
    api: Api, query: dict[str, str], field: str, message: str
) -> None:
    reply = await api.get(api.maps, **query)
    assert reply.code == 422
    assert [(cause[0], cause[2]) for cause in reply.causes] == [(field, message)]
    assert reply["message"].startswith('ListOptions.meta.k8s.io "" is invalid: ')


async def test_a_version_is_a_number(api: Api) -> None:
    reply = await api.get(api.maps, resourceVersion="x")
    text = 'resourceVersion: Invalid value: "x": strconv.ParseUint: parsing "x": invalid syntax'
    assert reply.says == (400, "BadRequest", f"invalid resource version: {text}")
    reply = await api.get(api.maps, limit="x")
    assert reply.says == (400, "BadRequest", 'strconv.ParseInt: parsing "x": invalid syntax')


async def test_a_deletion_of_a_collection_and_its_list_agree(api: Api) -> None:
    for name in "abc":
        await api.made(api.maps, a_map(name))
    assert (await api.delete(api.maps)).code == 200
    assert names(await api.get(api.maps)) == []
