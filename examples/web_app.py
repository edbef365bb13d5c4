"""A controller inside an asyncio web application: one process, one loop, each stops with the other.

``GET /`` answers from the controller's own cache, so a request costs the API server nothing. The application owns the
process; the manager is a block in its life and touches neither signals nor the loop.
"""

from collections.abc import AsyncIterator

from aiohttp import web

from examples.copier import copier
from reconcile import Client, Cluster, Manager, Watched, connect
from reconcile.kube.kinds import CONFIG_MAP

CLUSTER = web.AppKey("cluster", Cluster)


async def index(request: web.Request) -> web.Response:
    """The ConfigMaps that have a copy."""
    store = request.app[CLUSTER].store(CONFIG_MAP)
    keys = set(store.keys())
    return web.json_response(sorted(str(key) for key in keys if key._replace(name=f"{key.name}-copy") in keys))


def application(client: Client) -> web.Application:
    """The web application, with a controller that lives as long as it does."""

    async def controller(app: web.Application) -> AsyncIterator[None]:
        app[CLUSTER] = Cluster("main", client, [Watched(CONFIG_MAP)])
        async with client, Manager([app[CLUSTER]], [copier(app[CLUSTER])]) as manager:
            await manager.ready()
            yield

    app = web.Application()
    app.router.add_get("/", index)
    app.cleanup_ctx.append(controller)
    return app


if __name__ == "__main__":
    web.run_app(application(connect(field_manager="copier")), host="127.0.0.1", port=8080)
