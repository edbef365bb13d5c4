"""``provider-id`` and ``version``: what is printed of which words."""

import importlib.metadata
import json

import pytest

from apinetlet import cli
from apinetlet.api import GENERATIONS
from apinetlet.tools import version

NIC = ["--namespace=apinet", "--name=nic", "--uid=u-1"]


@pytest.mark.parametrize("generation", GENERATIONS.values(), ids=lambda one: one.name)
def test_an_id_that_is_put_together_comes_apart_again(generation: object, capsys: pytest.CaptureFixture[str]) -> None:
    name = getattr(generation, "name", "")
    assert cli.main(["provider-id", "format", f"--generation={name}", *NIC, "--node=worker-1"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert cli.main(["provider-id", "parse", made["providerID"]]) == 0
    assert json.loads(capsys.readouterr().out) == made
    assert (made["generation"], made["networkIDOrNode"], made["uid"]) == (name, "worker-1", "u-1")


def test_several_are_a_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["provider-id", "parse", "ironcore-net://a/b/1/u", "onmetal-api-net://a/b/1/u"]) == 0
    assert [one["generation"] for one in json.loads(capsys.readouterr().out)] == ["ironcore", "onmetal"]


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["parse", "aws:///i-1"], 1, "starts with neither onmetal-api-net:// nor ironcore-net://"),
        (["parse", "ironcore-net://a//1/u"], 1, "part 1 '' is empty"),
        (["parse"], 2, "a word is missing"),
        (["print"], 2, "say what to do"),
        (["format", "x"], 2, "unexpected word 'x'"),
        (["format", "--generation=ironcore", "--namespace=a"], 2, "--name is required"),
        (["format", "--generation=ironcore", *NIC], 2, "give one of --id"),
        (["format", "--generation=ironcore", *NIC, "--id=1", "--node=n"], 2, "give one of --id"),
        (["format", "--generation=ironcore", *NIC, "--node=N!"], 1, "part 2 'N!'"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(
    words: list[str], status: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["provider-id", *words]) == status
    [line] = capsys.readouterr().err.splitlines()
    assert says in line


def test_the_version_tells_of_its_generations(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["version", "-o=json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in found["generations"]] == list(GENERATIONS)
    assert cli.main(["version"]) == 0
    text = capsys.readouterr().out
    assert all(one.apinet in text for one in GENERATIONS.values())


@pytest.mark.parametrize(("origin", "commit"), [('{"vcs_info": {"commit_id": "abc"}}', "abc"), ("{}", ""), (None, "")])
def test_the_commit_is_the_one_that_the_installer_fetched(
    origin: str | None, commit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Distribution:
        def read_text(self, _name: str) -> str | None:
            return origin

    monkeypatch.setattr(importlib.metadata, "distribution", lambda _name: Distribution())
    monkeypatch.setattr(version, "BUILT_FROM", "no-such-file")
    assert version.commit() == commit
