"""Probes: names, texts and codes as kubelet and people know them."""

import pytest

from reconcile.manager.probes import Probes
from reconcile.manager.web import Call


def some_probes() -> Probes:
    probes = Probes()
    probes.add("caches", lambda: "networks of home: waiting for the first list", "readyz")
    probes.add("loop", lambda: "", "livez", "readyz")
    return probes


async def ask(probes: Probes, path: str, rest: str = "", **query: str) -> tuple[int, str]:
    reply = await probes.routes()[path](Call(rest, query))
    return reply.status, reply.body.decode()


async def test_all_is_well_is_a_short_ok() -> None:
    assert await ask(some_probes(), "/livez") == (200, "ok")


async def test_verbose_lists_every_check_as_the_api_server_does() -> None:
    assert await ask(some_probes(), "/livez", verbose="") == (200, "[+]ping ok\n[+]loop ok\nlivez check passed\n")


@pytest.mark.pain(2)
async def test_one_failed_check_fails_its_path_with_the_reason_and_no_other_path() -> None:
    status, text = await ask(some_probes(), "/readyz")
    assert status == 500
    assert text == (
        "[+]ping ok\n[-]caches failed: networks of home: waiting for the first list\n[+]loop ok\nreadyz check failed\n"
    )
    assert await ask(some_probes(), "/healthz") == (200, "ok")


async def test_a_check_can_be_left_out_or_asked_alone() -> None:
    assert await ask(some_probes(), "/readyz", exclude="caches,nonsense") == (200, "ok")
    assert await ask(some_probes(), "/readyz", "loop") == (200, "ok\n")
    assert await ask(some_probes(), "/readyz", "caches") == (500, "networks of home: waiting for the first list\n")
    assert await ask(some_probes(), "/livez", "caches") == (404, "/livez has: ping, loop\n")


async def test_a_check_that_raises_has_failed_and_the_others_are_still_asked() -> None:
    probes = Probes()
    probes.add("bad", lambda: str(1 / 0), "livez")
    probes.add("good", lambda: "", "livez")
    assert dict(probes.report("livez").results) == {
        "ping": "",
        "bad": "the check failed: ZeroDivisionError: division by zero",
        "good": "",
    }


def test_two_checks_of_one_name_are_refused_so_that_none_is_lost() -> None:
    probes = some_probes()
    with pytest.raises(ValueError, match="there is a check 'loop' at /livez already"):
        probes.add("loop", lambda: "", "healthz", "livez")
    assert "loop" not in probes.report("healthz").results


@pytest.mark.parametrize("name", ["", "a/b"])
def test_a_name_that_no_path_could_carry_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="needs a name"):
        Probes().add(name, lambda: "", "livez")
