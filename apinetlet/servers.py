"""How the two API servers of the daemon are reached, as its settings say."""

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from attrs import frozen

from apinetlet.settings import Settings
from reconcile import Client, connect
from reconcile.kube.client import ClientSettings

Connect: TypeAlias = Callable[..., Client]
"""Makes a client with connections of its own; takes what ``reconcile.connect`` takes by name."""


@frozen
class Servers:
    """Both of them. Nobody is asked before a client is entered."""

    source: Connect
    apinet: Connect


def servers(settings: Settings) -> Servers:
    """The servers that the kubeconfigs of ``settings`` name.

    A call raises:
        LoginError: a kubeconfig that cannot be used.
    """
    reach = partial(connect, settings=ClientSettings(call_timeout=settings.request_timeout))
    return Servers(
        source=partial(reach, settings.kubeconfig or None), apinet=partial(reach, settings.api_net_kubeconfig or None)
    )
