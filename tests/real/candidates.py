"""A candidate for leadership as a program: while it leads it writes its name into a ConfigMap, as fast as it can.

    python -m tests.real.candidates KUBECONFIG NAMESPACE IDENTITY

Its identity is its user agent, too, so the audit log of the API server tells whose write is whose. Ends with 0 when it
was told to stop, and with 3 when it has lost the lead.
"""

import logging
import sys
from functools import partial
from typing import Final

import anyio
from anyio.abc import TaskStatus
from attrs import frozen

from reconcile import Client, Cluster, LeaderElection, LeaderElector, Manager, ManagerSettings, ObjectKey, connect
from reconcile.core.clock import Seconds
from reconcile.kube import Fenced, KubeError, MergePatch
from reconcile.kube.client import ClientSettings
from reconcile.kube.kinds import CONFIG_MAP
from reconcile.manager.manager import PartEnded

MARKS: Final = "marks"
LEASE_DURATION: Final[Seconds] = 4.0
LOST: Final = 3
_REQUEST_TIMEOUT: Final[Seconds] = 0.8


@frozen
class Marker:
    """Writes without a pause; runs only while we lead, and leaves it to the fence that none is sent later."""

    client: Client
    namespace: str
    identity: str
    name: str = "marker"

    async def run(self, *, task_status: TaskStatus[None]) -> None:
        """Until cancelled. What the server refuses or the way loses is tried again."""
        task_status.started()
        number = 0
        while True:
            try:
                patch = MergePatch({"data": {"writer": self.identity, "number": str(number)}})
                await self.client.patch(CONFIG_MAP, ObjectKey(self.namespace, MARKS), patch)
                number += 1
            except Fenced:
                await anyio.sleep(0.001)  # try on: nothing but the fence shall keep us from it
            except KubeError:
                await anyio.sleep(0.01)
            await anyio.sleep(0.005)


async def main(kubeconfig: str, namespace: str, identity: str) -> int:
    reach = partial(connect, kubeconfig, user_agent=identity, settings=ClientSettings(call_timeout=_REQUEST_TIMEOUT))
    election = LeaderElection(
        namespace=namespace,
        name="the-one",
        identity=identity,
        lease_duration=LEASE_DURATION,
        renew_deadline=2.5,
        retry_period=0.5,
        request_timeout=_REQUEST_TIMEOUT,
    )
    async with reach() as client:
        marker = Marker(client, namespace, identity)
        elector = LeaderElector(election, reach, cluster="home")
        cluster = Cluster("home", client, kinds=[CONFIG_MAP])
        settings = ManagerSettings(preflight="off")
        try:
            async with Manager([cluster], [], leader_services=[marker], election=elector, settings=settings) as manager:
                await manager.run(signals=True)
        except PartEnded as ended:
            print(ended, flush=True)
            return LOST
    return 0


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s.%(msecs)03d %(message)s", datefmt="%H:%M:%S")
    _, *asked = sys.argv
    sys.exit(anyio.run(partial(main, kubeconfig=asked[0], namespace=asked[1], identity=asked[2])))
