"""Settings come from the command line, the environment and a file, each by itself, the first that names it first."""

from pathlib import Path

import pytest
from attrs import evolve, frozen
from hypothesis import given as given_by
from hypothesis import strategies as st

from apinetlet import flags, given
from apinetlet.flags import FlagError, setting
from apinetlet.settings import Settings


@frozen
class Some:
    config: str = setting("", "file", group="A")
    leader_elect: bool = setting(False, "lead", group="A")
    watch_filter: str = setting("", "which", group="A")
    workers: int = setting(4, "how many", group="B")
    resync: float = setting(36000.0, "how often", group="B")


def test_nothing_given_is_all_defaults() -> None:
    assert given.read([], Some, {}) == (Some(), [])


@pytest.mark.parametrize("flag", flags.flags_of(Settings), ids=lambda flag: flag.name)
def test_every_flag_has_a_variable_and_a_key_in_the_file(flag: flags.Flag, tmp_path: Path) -> None:
    text: str
    expected: object
    match flag.default:
        case bool():
            text, expected = str(not flag.default).lower(), not flag.default
        case int():
            text, expected = "7", 7
        case float() if flag.takes == flags.NUMBER:
            text, expected = "0.5", 0.5
        case float():
            text, expected = "1m30s", 90.0
        case _:
            choices = flag.takes.split("|")
            text = choices[-1] if len(choices) > 1 else "some-text"
            expected = text
    name = flag.name.replace("-", "_")
    settings, _ = given.read([], Settings, {given.variable(flag): text} if name != "config" else {})
    if name != "config":
        assert getattr(settings, name) == expected
        file = tmp_path / "settings.yaml"
        file.write_text(f"{flag.name}: {text}\n")
        settings, _ = given.read([f"--config={file}"], Settings, {})
        assert getattr(settings, name) == expected


@given_by(st.integers(0, 7), st.integers(0, 7))
def test_each_setting_is_taken_from_the_first_place_that_names_it(workers: int, resync: int) -> None:
    file = Path(__file__).with_name("nothing-is-there")
    places = [("file", 1, 10.0), ("environment", 2, 20.0), ("words", 3, 30.0)]
    values: dict[str, dict[str, str]] = {name: {} for name, _, _ in places}
    expected = Some()
    for bit, (name, number, seconds) in enumerate(places):
        if workers & 1 << bit:
            values[name]["workers"] = str(number)
            expected = evolve(expected, workers=number)
        if resync & 1 << bit:
            values[name]["resync"] = f"{seconds:g}s"
            expected = evolve(expected, resync=seconds)
    environment = {f"APINETLET_{name.upper()}": text for name, text in values["environment"].items()}
    words = [f"--{name}={text}" for name, text in values["words"].items()]
    if values["file"]:
        with pytest.MonkeyPatch.context() as patched:
            text = "".join(f"{name}: {value}\n" for name, value in values["file"].items())
            patched.setattr(Path, "read_text", lambda *_args, **_options: text)
            found, _ = given.read([f"--config={file}", *words], Some, environment)
        expected = evolve(expected, config=str(file))
    else:
        found, _ = given.read(words, Some, environment)
    assert found == expected


def test_the_file_may_be_named_by_the_environment_and_holds_plain_yaml(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("leader-elect: true\nworkers: 8\nwatch-filter: 12\nresync: 5m\n# and nothing else\n")
    found, rest = given.read(["left"], Some, {"APINETLET_CONFIG": str(file), "APINETLET_PORT": "tcp://10.0.0.1:80"})
    expected = Some(config=str(file), leader_elect=True, workers=8, watch_filter="12", resync=300.0)
    assert (found, rest) == (expected, ["left"])


@pytest.mark.parametrize("text", ["yes", "010", "1_0", "2020-13-45", "2020-01-02", "1e3", "0x10", ".5", "<<"])
def test_text_in_a_file_means_what_it_means_on_the_command_line(text: str, tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(f"watch-filter: {text}\n")
    assert given.read([f"--config={file}"], Some, {})[0].watch_filter == text


@pytest.mark.parametrize(("text", "says"), [("yes", True), ("On", True), ("True", True), ("no", False), ("off", False)])
def test_a_boolean_in_a_file_may_be_spelled_as_yaml_spells_it(text: str, says: bool, tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(f"leader-elect: {text}\n")
    assert given.read([f"--config={file}"], Some, {})[0].leader_elect is says


def test_an_empty_file_says_nothing(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("# nothing\n")
    assert given.read([f"--config={file}"], Some, {})[0] == Some(config=str(file))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("workers: many", "invalid value 'many' for workers in {}"),
        ("resync: 300", "invalid value '300' for resync in {}: must be a duration"),
        ("worker: 8", "unknown flag worker in {}: did you mean --workers?"),
        ("--workers: 8", "unknown flag --workers in {}"),
        ("config: other", "unknown flag config in {}"),
        ("workers: [1, 2]", "flag workers in {} takes one value: number"),
        ("leader-elect:", "flag leader-elect in {} takes one value: true or false"),
        ("- workers", "must hold one flag a line"),
        ("workers: {", "is not YAML ({})"),
        ("watch-filter: !!int many", "is not YAML ({})"),
        ("[" * 600, "is not YAML ({}): it is nested too deep"),
        ("workers: 4\nworkers: 8", "is not YAML ({}): workers stands there twice, again in line 2"),
    ],
)
def test_what_is_wrong_in_a_file_is_told_with_its_place(content: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(content)
    with pytest.raises(FlagError) as caught:
        given.read([f"--config={file}"], Some, {})
    assert says.format(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_yaml_is_not_quoted(tmp_path: Path) -> None:
    """It may be a kubeconfig that was named by mistake."""
    file = tmp_path / "kubeconfig"
    file.write_text("users: [{name: a, user: {token: secret\n  x: : secret}}]")
    with pytest.raises(FlagError, match=r"is not YAML \(.*kubeconfig\): expected .*, line 2$") as caught:
        given.read([f"--config={file}"], Some, {})
    assert "secret" not in str(caught.value)


def test_a_file_that_is_not_there_and_a_variable_that_cannot_be_read_are_named() -> None:
    with pytest.raises(FlagError, match=r"file of --config cannot be read: .*no-such-file"):
        given.read(["--config=/no-such-file"], Some, {})
    with pytest.raises(FlagError, match=r"invalid value 'many' for \$APINETLET_WORKERS"):
        given.read([], Some, {"APINETLET_WORKERS": "many"})
