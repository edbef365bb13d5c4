"""What the controllers of the api-net cluster delete themselves, whether or not owner references are followed.

Source: the load balancer controller of the Go api-net servers.
"""

from attrs import frozen

from apinetlet.demo.actors.desk import Desk, goes
from reconcile import DONE, Controller, For, Request, Result
from reconcile.controller.predicate import exactly


@frozen
class Routings:
    """The routing of a load balancer goes with it."""

    desk: Desk

    async def reconcile(self, request: Request) -> Result:
        routing = self.desk.there("loadbalancerroutings", request.key)
        if routing is not None and self.desk.there("loadbalancers", request.key) is None:
            await self.desk.apinet.delete(routing)
        return DONE


def controllers(desk: Desk) -> list[Controller]:
    """Load balancers and their routings, which have one name."""
    balancers = For(desk.apinet, desk.at_apinet["loadbalancers"], exactly(goes))
    return [Controller("load-balancers", Routings(desk), [balancers])]
