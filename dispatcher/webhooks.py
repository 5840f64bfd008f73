"""Run `python -m dispatcher.webhooks`, which delivers webhook events.

It is a process of its own, so that no receiver ever delays a job; several may run.
"""

import asyncio
import signal
from functools import partial

from core.environment import read_settings
from core.objects.links import output_link
from core.objects.storage import open_storage
from core.outbound.fetch import Outbound
from core.outbound.guard import SystemResolver
from core.outbound.webhooks import WebhookSender
from core.settings import Settings
from core.store.check import check_redis_in_background
from core.store.client import AsyncRedis
from core.store.webhooks import WebhookStore
from core.telemetry.logging import configure_logging
from core.telemetry.registries import registry_of
from core.telemetry.server import serve_metrics
from core.telemetry.tracing import begin_tracing, end_tracing
from dispatcher.deliverer import MAX_IN_FLIGHT, Deliverer


def main() -> None:
    """Run until SIGTERM or SIGINT; attempts under way end first, within `TIME_LIMIT`."""
    settings = read_settings()
    configure_logging(settings.log_level, settings.log_format)
    begin_tracing(settings, "webhooks")
    check_redis_in_background(settings.find_redis())
    serve_metrics(settings, registry_of("webhooks"), is_ready=lambda: True)
    asyncio.run(deliver(settings))
    end_tracing()


async def deliver(settings: Settings) -> None:
    """Deliver the events of a deployment until the process is told to stop."""
    redis = AsyncRedis(settings.find_redis())
    resolver = SystemResolver(MAX_IN_FLIGHT)  # name servers may hang as receivers do
    outbound = Outbound(settings.allowed_hosts, max_connections=MAX_IN_FLIGHT, resolve=resolver)
    link = partial(output_link, open_storage(settings), settings.presigned_ttl)
    deliverer = Deliverer(WebhookStore(redis), WebhookSender(outbound), link, settings.gateway_url)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, deliverer.stop)
    try:
        await deliverer.run()
    finally:
        await outbound.close()
        await redis.close()


if __name__ == "__main__":
    main()
