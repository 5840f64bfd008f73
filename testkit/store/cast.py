"""Who takes part in `JobStoreMachine`: tenants with their limits, and models with workers."""

from core.records.offer import Engine
from core.records.tenant import DEFAULT_TENANT
from testkit.jobs import TENANT_LIMITS

TENANTS = {
    "acme": TENANT_LIMITS.model_copy(update={"max_queued": 3}),
    "zoo": TENANT_LIMITS.model_copy(update={"max_running": 1}),
    DEFAULT_TENANT: None,
}
# What jobs are for: any ToonCrafter model, one of them, the preview engine.
MODELS = {"": Engine.TOONCRAFTER, "tiny": Engine.TOONCRAFTER, "preview": Engine.PREVIEW}
