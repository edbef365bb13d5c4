"""What the strategies draw is what they say, and good enough to find what a program cannot bear."""

import anyio
from hypothesis import Phase, find, given, settings

from reconcile.kube.kinds import CONFIG_MAP
from reconcile.testing import strategies
from reconcile.testing.apiserver import ApiServer
from reconcile.testing.converge import assert_converges
from reconcile.testing.explore import explore
from reconcile.testing.faultplan import FaultPlan, Rule, Silent
from reconcile.testing.loop import run
from reconcile.testing.scenario import Scenario, Variation, step
from tests.testing import copies
from tests.testing.copies import AWAY, HOME, a_world, drop, is_there, put


@given(strategies.names(), strategies.labels())
@settings(max_examples=50)
async def test_names_and_labels_are_taken_by_a_server(name: str, labels: dict[str, str]) -> None:
    async with ApiServer() as server:
        body = {"metadata": {"name": name, "labels": labels}}
        made = await server.client().create(CONFIG_MAP, body, namespace="default")
        assert dict(made.metadata.labels) == labels


@given(strategies.fault_plans(until=30.0))
def test_a_plan_is_over_when_it_says(plan: FaultPlan) -> None:
    assert len(plan.rules) <= 4
    assert all(rule.start <= rule.end <= 30.0 for rule in plan.rules)


@given(strategies.fault_plans(until=30.0), strategies.seeds())
@settings(max_examples=15, phases=[Phase.generate, Phase.shrink])
def test_a_sound_controller_converges_under_any_faults_that_end(plan: FaultPlan, seed: int) -> None:
    async def story() -> None:
        async with a_world(copies.sound) as world:
            for cluster in (HOME, AWAY):
                world.fail(cluster, plan)
            world.start()
            for act in (put("a", size="1"), put("b", size="1"), put("a", size="2"), drop("b")):
                await act(world)
                await anyio.sleep(8)
            await assert_converges(world)
            assert is_there("a", world, AWAY)
            assert not is_there("b", world, AWAY)

    run(story(), seed=seed)


def test_variations_are_those_of_the_exploration() -> None:
    scenario = Scenario("copied", lambda: a_world(copies.sound), (step(put("a", size="1")),))
    exploration = explore(scenario, ["lost replies"])
    ids = {variation.id for variation in exploration}

    @given(strategies.variations(exploration))
    @settings(max_examples=20, database=None)
    def drawn(variation: Variation) -> None:
        assert variation.id in ids

    drawn()


def test_a_plan_is_shrunk_to_the_one_rule_that_matters() -> None:
    def matters(plan: FaultPlan) -> bool:
        return any(isinstance(rule.fault, Silent) for rule in plan.rules)

    plan = find(strategies.fault_plans(until=30.0), matters, settings=settings(database=None, derandomize=True))
    assert plan == FaultPlan((Rule(Silent(0), probability=0.5, end=30.0),))
