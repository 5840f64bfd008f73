"""The gateway: settings, lifespan, middleware, routers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig

from api.contract.openapi import describe
from api.errors import install_error_handlers
from api.middleware.install import install_middleware
from api.routers import (
    deliveries,
    docs,
    errors,
    estimate,
    events,
    files,
    health,
    jobs,
    models,
    queue,
    submit_and_read,
    uploads,
    webhooks,
)
from api.services.image_inspection import ImageInspector
from api.services.inputs import Inputs
from api.services.job_bodies import JobBodies
from api.services.jobs import Interpolations
from api.services.remote_images import RemoteImages, open_outbound
from api.services.submissions import Submissions
from api.services.uploads import Uploads
from api.services.watching import JobWatch
from api.services.webhooks import Webhooks, open_webhook_outbound
from core.objects.s3 import HURRIED
from core.objects.storage import open_storage
from core.settings import Settings
from core.store.changes import ChangeFeed
from core.store.deployment import AsyncDeployment
from core.store.roles.gateway import AsyncJobStore
from core.store.tenants.api_keys import AsyncApiKeys
from core.store.tenants.rates import AsyncRates
from core.store.uploads import AsyncUploadStore
from core.store.webhooks import WebhookStore

# FastAPI's own spans would name whole URLs, and with them signed links; ours
# (`api.middleware.tracing`) name none
NO_TELEMETRY: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "auto_configure": False,
}


def create_app(settings: Settings) -> FastAPI:
    """A gateway for these settings; it connects when it is asked for something, so Redis may start
    later.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
        redis_url = settings.find_redis()
        store, feed = (
            AsyncJobStore(redis_url, max_queued=settings.max_queued),
            ChangeFeed(redis_url),
        )
        deployment, upload_store = AsyncDeployment(redis_url), AsyncUploadStore(redis_url)
        storage, judge = open_storage(settings, HURRIED), ImageInspector(settings)
        uploads, outbound = Uploads(upload_store, storage, judge, settings), open_outbound(settings)
        inputs = Inputs(uploads, RemoteImages(outbound, settings), storage, judge)
        api_keys, rates = AsyncApiKeys(redis_url), AsyncRates(redis_url)
        webhook_store, to_receivers = WebhookStore(redis_url), open_webhook_outbound(settings)
        webhook_service = Webhooks(webhook_store, to_receivers)
        watch = app.state.watch = JobWatch(store, feed)
        feed.start()
        yield {
            "settings": settings,
            "submissions": Submissions(store, storage, inputs, webhook_service, settings),
            "interpolations": Interpolations(store, storage, watch, settings),
            "job_bodies": JobBodies(),
            "webhooks": webhook_service,
            "uploads": uploads,
            "storage": storage,
            "deployment": deployment,
            "api_keys": api_keys,
            "rates": rates,
        }
        await judge.close()
        await feed.close()
        await outbound.close()
        await to_receivers.close()
        await webhook_store.close()
        await store.close()
        await deployment.close()
        await upload_store.close()
        await api_keys.close()
        await rates.close()

    app = FastAPI(
        title="ToonCrafter service",
        summary="Generative in-betweening: drawn keyframes in, the drawings between them out.",
        version=version("tooncrafter-service"),
        lifespan=lifespan,
        # what generated clients call their functions
        generate_unique_id_function=lambda route: route.name,
        # FastAPI's own pages load their scripts from a public network; `docs` serves one that does
        # not
        docs_url=None,
        redoc_url=None,
        telemetry=NO_TELEMETRY,
    )
    install_middleware(app, settings)
    install_error_handlers(app)
    app.include_router(submit_and_read.router)
    app.include_router(jobs.router)
    app.include_router(estimate.router)
    app.include_router(events.router)
    app.include_router(deliveries.router)
    app.include_router(webhooks.router)
    app.include_router(uploads.router)
    app.include_router(files.router)
    app.include_router(models.router)
    app.include_router(queue.router)
    app.include_router(health.router)
    app.include_router(errors.router)
    app.include_router(docs.router)
    app.openapi = lambda: describe(app)  # type: ignore[method-assign]  # FastAPI's documented way to extend the contract
    return app
