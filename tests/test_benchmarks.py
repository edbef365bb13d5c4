"""The benchmarks run, on few things: whether they are fast is not asked here."""

import json
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from attrs import evolve

from benchmarks import peers, record, table
from benchmarks.measure import Benchmark, Figure, measure
from benchmarks.micro import BENCHMARKS, NOTHING, after

FEW = 3
ROOT = Path(__file__).resolve().parent.parent
FACTS = record.Facts(python="3.11.0", cores=2, uvloop=True, httptools=True, load=0.5)


@pytest.mark.parametrize(
    "benchmark", [one for one in BENCHMARKS if not one.name.startswith("import")], ids=lambda one: one.name
)
def test_every_benchmark_tells_a_positive_figure(benchmark: Benchmark) -> None:
    assert benchmark.run(min(benchmark.size, FEW)) > 0


def test_a_fresh_interpreter_tells_its_time_and_memory() -> None:
    spent, resident = after(NOTHING)
    assert 0 < spent < 10_000
    assert 1 < resident < 1_000


def test_no_two_benchmarks_share_a_name() -> None:
    names = [benchmark.name for benchmark in BENCHMARKS]
    assert len(set(names)) == len(names)


def test_rounds_take_turns_and_the_median_counts() -> None:
    values: Iterator[float] = iter([1.0, 9.0, 2.0, 3.0])
    steady = Benchmark("steady", "us", 1, lambda _: 7.0, rounds=1)
    shaky = Benchmark("shaky", "us", 1, lambda _: next(values), rounds=4)
    order: list[str] = []
    figures = measure([shaky, steady], lambda one: order.append(one.name))
    assert order == ["shaky", "steady", "shaky", "shaky", "shaky"]
    assert [figure.median for figure in figures] == [2.5, 7.0]


def test_what_was_recorded_stands_beside_the_figures(tmp_path: Path) -> None:
    file = tmp_path / "recorded.json"
    one, other = (Benchmark(name, "us", 1, lambda _: 1.0) for name in ("one", "other"))
    record.write([Figure(one, (2.0,)), Figure(other, (5.0,))], FACTS, file)
    record.write([Figure(one, (4.0,))], evolve(FACTS, load=1.0), file)
    recorded = record.read(file)
    assert recorded.facts == FACTS
    assert recorded.medians == {"one": 4.0, "other": 5.0}
    [row, _] = table.rows([Figure(one, (6.0, 5.0, 700.0)), Figure(other, (1.0,))], recorded.medians)
    assert row == ("one", "us", "6", "5", "700", "4", "1.50")
    assert "1.50" in table.plain([row])


def test_figures_of_another_machine_are_not_mixed_with_ours(tmp_path: Path) -> None:
    file = tmp_path / "recorded.json"
    one, other = (Benchmark(name, "us", 1, lambda _: 1.0) for name in ("one", "other"))
    record.write([Figure(one, (2.0,))], FACTS, file)
    record.write([Figure(other, (2.0,))], evolve(FACTS, cores=64), file)
    assert record.read(file).medians == {"other": 2.0}


def test_nothing_recorded_is_no_error(tmp_path: Path) -> None:
    assert record.read(tmp_path / "recorded.json").medians == {}


def test_the_recorded_figures_are_those_of_the_benchmarks_there_are() -> None:
    assert set(record.read().medians) <= {benchmark.name for benchmark in BENCHMARKS}


def test_the_picture_of_the_peers_is_drawn_from_the_figures_that_are_told(tmp_path: Path) -> None:
    peers.main(tmp_path / "peers.svg")
    assert (tmp_path / "peers.svg").read_text() == (ROOT / "docs/img/peers.svg").read_text(), "run benchmarks.peers"
    ElementTree.parse(tmp_path / "peers.svg")
    page = (ROOT / "docs/performance.md").read_text()
    for figures in json.loads(peers.FIGURES.read_text()).values():
        assert " | ".join(f"{figure:g}" for figure in figures.values()) in page
