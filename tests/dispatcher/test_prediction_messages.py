"""What the webhook of a prediction is sent: Replicate's view of the job, not ours."""

import json
from datetime import timedelta

from standardwebhooks import Webhook as StandardWebhook

from core.outbound.fetch import Outbound
from core.records.ids import new_job_id
from core.records.job import Timing
from core.records.webhook import FINAL_EVENTS, Webhook, WebhookSecret
from core.store.roles.worker import WorkerStore
from testkit.deliveries import GATEWAY, Delivering, eventually
from testkit.jobs import MODEL, generation_request, stored_output
from testkit.store.tenant_jobs import TenantJobs
from testkit.web import always, http, web_server


async def test_message_is_a_prediction(
    async_store: TenantJobs, store: WorkerStore, secret: WebhookSecret, delivering: Delivering
) -> None:
    """Signed as any other; the output is a list of addresses."""
    async with web_server(always(http(status="204 No Content"))) as server, delivering(server):
        parsed = Outbound([f"127.0.0.1:{server.port}"]).parse(server.url)
        webhook = Webhook.for_url(server.url, parsed.host_header, FINAL_EVENTS)
        job_id = new_job_id()
        await async_store.submit(
            job_id,
            generation_request(),
            metadata={},
            ttl=timedelta(days=1),
            request_id="",
            webhook=webhook.model_copy(update={"form": "prediction"}),
        )
        claim = store.claim("gpu-1:7")
        assert claim is not None
        store.succeed(claim, [stored_output(b"film")], Timing(run_seconds=2.5), MODEL)
        await eventually(lambda: server.visits, "the message arrives")
    (visit,) = server.visits
    StandardWebhook(secret.secret).verify(visit.body, visit.headers)
    prediction = json.loads(visit.body)
    assert (prediction["id"], prediction["status"]) == (job_id, "succeeded")
    assert prediction["output"][0].startswith(GATEWAY)
    assert prediction["metrics"] == {"predict_time": 2.5}
    assert prediction["logs"].endswith("20/20\ndone in 2.5 s\n")
