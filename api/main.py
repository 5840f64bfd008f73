"""Build the gateway from settings, lifespan, middleware and routers."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version
from typing import Protocol, TypedDict, TypeVar

from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.telemetry import TelemetryConfig
from starlette.middleware.cors import CORSMiddleware

from api.errors import METHODS, install_error_handlers
from api.http.answers import HEADERS
from api.middleware.authentication import Authentication, RateLimits
from api.middleware.body_limits import BodyLimits
from api.middleware.head import Head
from api.middleware.hosts import Hosts
from api.middleware.key_cache import KeyCache
from api.middleware.request_log import RequestLog, show_at_zero
from api.openapi import describe
from api.routers import (
    deployment,
    docs,
    events,
    files,
    health,
    jobs,
    outputs,
    predictions,
    studio,
    uploads,
    webhooks,
)
from api.services.image_inspection import ImageInspector
from api.services.inputs import Inputs
from api.services.jobs import Interpolations
from api.services.model_choice import ModelChooser
from api.services.predictions import Predictions
from api.services.remote_images import RemoteImages, open_outbound
from api.services.submissions import Submissions
from api.services.uploads import Uploads
from api.services.watching import JobWatch
from api.services.webhooks import Webhooks, open_webhook_outbound
from core.objects.s3 import HURRIED
from core.objects.storage import ObjectStorage, open_storage
from core.settings import Settings
from core.store.changes import ChangeFeed
from core.store.client import AsyncRedis
from core.store.deployment import DeploymentReader
from core.store.roles.gateway import GatewayStore
from core.store.tenants.api_keys import ApiKeyLookup
from core.store.tenants.rates import RateCounters
from core.store.uploads import UploadStore
from core.store.webhooks import WebhookStore

# FastAPI's own spans name whole URLs, and with them signed links; those of `RequestLog` do not
NO_TELEMETRY: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "auto_configure": False,
}

# Not by `include_router`: FastAPI would prepare the endpoints again for each app, which takes more
# time than most tests, and look twice for the route of each request.
ROUTES = [
    route
    for module in (
        *(jobs, events, outputs, webhooks, uploads, files, deployment, predictions),
        *(health, docs, studio),
    )
    for route in module.router.routes
]
for route in ROUTES:
    if isinstance(route, APIRoute):
        route.operation_id = route.name  # generated clients use the names
        show_at_zero(route)


class State(TypedDict):
    """What the lifespan puts into the state of each request."""

    settings: Settings
    key_cache: KeyCache
    rate_limits: RateLimits
    submissions: Submissions
    predictions: Predictions
    interpolations: Interpolations
    webhooks: Webhooks
    uploads: Uploads
    storage: ObjectStorage
    deployment: DeploymentReader


def create_app(settings: Settings) -> FastAPI:
    """Make a gateway; it connects with its first request, so Redis may start later."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[State]:
        async with AsyncExitStack() as stack:
            yield _open(app, settings, stack)

    app = FastAPI(
        title="ToonCrafter service",
        summary="Generative in-betweening: drawn keyframes in, the drawings between them out.",
        version=version("tooncrafter-service"),
        lifespan=lifespan,
        routes=ROUTES,
        # `docs` serves the contract, and a page whose scripts come from no public network
        openapi_url=None,
        # a redirect would lead past the proxy's path and scheme, and a POST would repeat its body
        redirect_slashes=False,
        telemetry=NO_TELEMETRY,
    )
    app.openapi = lambda: describe(app, settings)  # type: ignore[method-assign]  # as FastAPI's docs do
    install_error_handlers(app)
    _add_middleware(app, settings)
    return app


def _add_middleware(app: FastAPI, settings: Settings) -> None:
    """Surround the routers; what is added last is outermost."""
    app.add_middleware(Head)
    app.add_middleware(BodyLimits, settings=settings)
    app.add_middleware(Authentication)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=METHODS,
            allow_headers=["*"],
            # the operator trusts them, so they may reach a gateway in a private network as well
            allow_private_network=True,
            expose_headers=list(HEADERS),
        )
    app.add_middleware(Hosts, settings=settings)
    app.add_middleware(RequestLog)


class _Closable(Protocol):
    async def close(self) -> None: ...


AnyClosable = TypeVar("AnyClosable", bound=_Closable)


def _open(app: FastAPI, settings: Settings, stack: AsyncExitStack) -> State:
    """Wire the services; the stack closes what they use, in reverse order."""

    def opened(resource: AnyClosable) -> AnyClosable:
        stack.push_async_callback(resource.close)
        return resource

    redis_url = settings.find_redis()
    redis = opened(AsyncRedis(redis_url))
    store = GatewayStore(redis, max_queued=settings.max_queued)
    storage, inspector = open_storage(settings, HURRIED), opened(ImageInspector(settings))
    uploads = Uploads(UploadStore(redis), storage, inspector, settings)
    remote_images = RemoteImages(opened(open_outbound(settings)), settings)
    inputs = Inputs(uploads, remote_images, storage, inspector, settings)
    webhooks = Webhooks(WebhookStore(redis), opened(open_webhook_outbound(settings)))
    deployment = DeploymentReader(redis)
    models = ModelChooser(deployment, settings.model or "")
    submissions = Submissions(store, storage, inputs, webhooks, models, settings)
    feed = opened(ChangeFeed(redis_url))
    feed.start()
    app.state.watch = watch = JobWatch(store, feed)  # `api.__main__` closes it at a signal
    return {
        "settings": settings,
        "key_cache": KeyCache(settings, ApiKeyLookup(redis)),
        "rate_limits": RateLimits(RateCounters(redis)),
        "submissions": submissions,
        "predictions": Predictions(submissions),
        "interpolations": Interpolations(store, storage, watch, settings),
        "webhooks": webhooks,
        "uploads": uploads,
        "storage": storage,
        "deployment": deployment,
    }
