"""What the api-net server does with the IDs of networks, inside the writes that ask for them."""

import pytest

from apinetlet.api import Generation
from reconcile import ApiError
from tests.apinetlet.demo.servers import HOME, Server, apinet_server, said


async def test_a_network_is_created_with_an_id_in_range_and_an_object_that_locks_it(apinet: Server) -> None:
    network = await apinet.create("networks", "blue", {})
    assert 200 <= int(network["spec"]["id"]) <= 16_777_215
    [(name, lock)] = apinet.all("networkids").items()
    assert name == network["spec"]["id"]
    assert lock["spec"]["claimRef"] == {
        "group": apinet.generation.apinet,
        "resource": "networks",
        "namespace": HOME,
        "name": "blue",
        "uid": network["metadata"]["uid"],
    }


async def test_a_network_gets_the_id_it_asks_for(apinet: Server) -> None:
    network = await apinet.create("networks", "blue", {"id": "300"})
    assert network["spec"]["id"] == "300"
    assert set(apinet.all("networkids")) == {"300"}


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("300", "provided ID is already allocated"),
        ("199", "the provided ID is not in range"),
        ("16777216", "the provided ID is not in range"),
        ("many", 'strconv.ParseInt: parsing "many": invalid syntax'),
    ],
)
async def test_an_id_that_cannot_be_had_is_a_500_with_plain_text(apinet: Server, asked: str, answer: str) -> None:
    await apinet.create("networks", "blue", {"id": "300"})
    with pytest.raises(ApiError) as caught:
        await apinet.create("networks", "green", {"id": asked})
    assert said(caught.value) == (500, answer)
    assert set(apinet.all("networks")) == {"blue"}


async def test_a_range_that_is_used_up_is_a_500_and_an_id_given_back_is_handed_out_again(
    generation: Generation,
) -> None:
    async with apinet_server(generation, lowest_id=200, highest_id=201) as apinet:
        ids = [(await apinet.create("networks", name, {}))["spec"]["id"] for name in ("blue", "green")]
        assert sorted(ids) == ["200", "201"]
        with pytest.raises(ApiError) as caught:
            await apinet.create("networks", "red", {})
        assert said(caught.value) == (500, "all IDs are allocated")
        await apinet.delete("networks", "blue")
        assert (await apinet.create("networks", "red", {}))["spec"]["id"] == ids[0]


async def test_an_id_is_held_as_long_as_somebody_holds_the_network(apinet: Server) -> None:
    await apinet.create("networks", "blue", {"id": "300"}, metadata={"finalizers": ["example.org/hold"]})
    await apinet.delete("networks", "blue")
    assert set(apinet.all("networkids")) == {"300"}
    await apinet.patch("networks", "blue", {"metadata": {"finalizers": None}})
    assert not apinet.all("networkids")


async def test_a_dry_run_takes_nothing_and_answers_with_the_lowest_id(apinet: Server) -> None:
    assert (await apinet.create("networks", "blue", {}, dry_run=True))["spec"]["id"] == "200"
    assert not apinet.all("networkids")
    assert not apinet.all("networks")


async def test_a_refused_network_gives_its_id_back(apinet: Server) -> None:
    with pytest.raises(ApiError) as caught:
        await apinet.create("networks", "not.a.label", {})
    assert caught.value.code == 422
    assert not apinet.all("networkids")


@pytest.mark.parametrize("name", ["007", "a", "1.5"])
async def test_the_name_of_a_network_id_is_a_number_as_it_is_written(apinet: Server, name: str) -> None:
    with pytest.raises(ApiError) as caught:
        await apinet.create("networkids", name, {})
    assert caught.value.code == 422
