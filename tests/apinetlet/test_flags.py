"""Command lines are read as Go's flag package reads them."""

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from apinetlet import flags
from apinetlet.flags import FlagError, setting


@frozen
class Some:
    leader_elect: bool = setting(False, "lead", group="A")
    namespace: str = setting("", "where", takes="namespace", group="A")
    workers: int = setting(4, "how many", group="B")
    resync: float = setting(36000.0, "how often", group="B")
    encoder: str = setting("json", "how", choices=("json", "console"), group="B")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], Some()),
        (["--namespace=blue"], Some(namespace="blue")),
        (["-namespace=blue"], Some(namespace="blue")),
        (["--namespace", "blue"], Some(namespace="blue")),
        (["-namespace", "blue"], Some(namespace="blue")),
        (["--namespace="], Some()),
        (["--namespace=a=b"], Some(namespace="a=b")),
        (["--namespace", "-x"], Some(namespace="-x")),
        (["--leader-elect"], Some(leader_elect=True)),
        (["-leader-elect"], Some(leader_elect=True)),
        (["--leader-elect=true"], Some(leader_elect=True)),
        (["--leader-elect=T"], Some(leader_elect=True)),
        (["--leader-elect=0"], Some()),
        (["--leader-elect", "--workers", "7"], Some(leader_elect=True, workers=7)),
        (["--workers=1", "--workers=2"], Some(workers=2)),
        (["--resync=1h30m"], Some(resync=5400.0)),
        (["--resync", "300ms"], Some(resync=0.3)),
        (["--resync", "1.5s"], Some(resync=1.5)),
        (["--resync=0"], Some(resync=0.0)),
        (["--encoder=console"], Some(encoder="console")),
    ],
)
def test_a_command_line_means_what_it_means_to_go(words: list[str], expected: Some) -> None:
    assert flags.parse(words, Some) == (expected, [])


@pytest.mark.parametrize(
    ("words", "rest"),
    [
        (["--leader-elect", "true"], ["true"]),  # a boolean never takes the next word
        (["--", "--workers=2"], ["--workers=2"]),
        (["demo", "--workers=2"], ["demo", "--workers=2"]),
        (["-"], ["-"]),
    ],
)
def test_flags_end_where_go_ends_them(words: list[str], rest: list[str]) -> None:
    assert flags.parse(words, Some)[1] == rest


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--worker=2"], "unknown flag --worker: did you mean --workers?"),
        (["--zzz"], "unknown flag --zzz: .*--help"),
        (["---workers=2"], "unknown flag ---workers"),
        (["--workers=two"], "'two' for flag --workers"),
        (["--workers"], "--workers needs a value: number"),
        (["--leader-elect=yes"], "'yes' for flag --leader-elect: must be true or false"),
        (["--resync=30"], "'30' for flag --resync: must be a duration"),
        (["--resync=1m 30s"], "must be a duration"),
        (["--encoder=xml"], "'xml' for flag --encoder: must be one of json, console"),
    ],
)
def test_a_wrong_command_line_is_told_in_one_line_that_names_the_flag(words: list[str], says: str) -> None:
    with pytest.raises(FlagError, match=says) as caught:
        flags.parse(words, Some)
    assert "\n" not in str(caught.value)


@given(st.lists(st.text(alphabet="-=abcdef0123456789workesnamp", max_size=12), max_size=6))
def test_any_words_are_read_or_refused(words: list[str]) -> None:
    try:
        value, rest = flags.parse(words, Some)
    except FlagError:
        return
    assert isinstance(value, Some)
    assert list(rest) == words[len(words) - len(rest) :]


def test_help_shows_every_flag_with_its_group_and_default() -> None:
    text = flags.describe(flags.flags_of(Some))
    assert text.startswith("A:\n  --leader-elect\n")
    assert "--workers number\n        how many (default 4)" in text
    assert "(default 36000s)" in text
