"""The arithmetic of the actors: port ranges, numbers of addresses, free parts of prefixes."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apinetlet.demo.actors.room import Room
from apinetlet.demo.actors.slots import FIRST, LAST, Target, desired, slots_of, table


@pytest.mark.parametrize(("ports", "slots"), [(2048, 31), (64, 1008), (64512, 1), (65536, 0)])
def test_an_address_has_so_many_slots(ports: int, slots: int) -> None:
    assert slots_of(ports) == slots


@pytest.mark.parametrize(
    ("count", "requested", "wanted"),
    [(0, 0, 1), (1, 31, 1), (1, 61, 1), (1, 62, 2), (3, 0, 1), (2, 31, 1), (2, 32, 2), (1, 10_000, 10)],
)
def test_a_gateway_grows_by_whole_addresses_and_stays_within_its_bounds(
    count: int, requested: int, wanted: int
) -> None:
    assert desired(count, requested, 2048, lowest=1, highest=10) == wanted


def targets(names: list[str]) -> list[Target]:
    return [Target(name, name, "node", "192.168.0.1") for name in names]


names = st.lists(st.sampled_from("abcdefghij"), unique=True)


@given(before=names, after=names, ports=st.sampled_from([16384, 21504, 32256]))
def test_nobody_shares_a_range_and_who_had_one_keeps_it(before: list[str], after: list[str], ports: int) -> None:
    addresses = ["10.0.0.1", "10.0.0.2"]
    first = table(addresses, ports, targets(before))
    second = table(addresses, ports, targets(after), first)

    def places(found: list[dict[str, object]]) -> dict[str, tuple[object, int, int]]:
        return {
            section["targetRef"]["uid"]: (ip["ip"], section["port"], section["endPort"])
            for ip in found
            for section in ip["sections"]  # type: ignore[attr-defined]
        }

    old, new = places(first), places(second)
    assert len(set(new.values())) == len(new) == min(len(after), 2 * slots_of(ports))
    assert all(low >= FIRST and high <= LAST for _, low, high in new.values())
    assert all(new[name] == old[name] for name in after if name in old)


@given(taken=st.lists(st.tuples(st.integers(0, 63), st.integers(26, 32))), length=st.integers(26, 32))
def test_the_first_free_part_of_a_prefix_is_free_and_there_is_none_before_it(
    taken: list[tuple[int, int]], length: int
) -> None:
    whole = ip_network("10.0.0.0/26")
    used = [ip_network((int(whole.network_address) + at, bits), strict=False) for at, bits in taken]
    candidates = [one for one in whole.subnets(new_prefix=length) if not any(one.overlaps(other) for other in used)]
    found = Room.of(str(whole), map(str, used)).take_first(length)
    assert found == (str(candidates[0]) if candidates else None)


@given(lengths=st.lists(st.integers(26, 32), max_size=80))
def test_parts_that_are_given_away_never_overlap_and_the_room_is_used_up(lengths: list[int]) -> None:
    room, whole = Room.of("10.0.0.0/26", []), ip_network("10.0.0.0/26")
    given_away = [ip_network(found) for length in lengths if (found := room.take_first(length)) is not None]
    assert all(one.subnet_of(whole) for one in given_away)  # type: ignore[arg-type]
    assert all(not one.overlaps(other) for number, one in enumerate(given_away) for other in given_away[:number])
    left = sum(room.take_first(32) is not None for _ in range(whole.num_addresses))
    assert left + sum(one.num_addresses for one in given_away) == whole.num_addresses


def test_a_certain_part_is_given_once() -> None:
    room = Room.of("10.0.0.0/26", ["10.0.0.0/30"])
    assert [room.take(one) for one in ("10.0.0.2/32", "10.0.0.16/28", "10.0.0.0/26", "10.0.0.16/28")] == [
        None,
        "10.0.0.16/28",
        None,
        None,
    ]
