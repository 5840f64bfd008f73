"""Tell whether two requests are the same, for `Idempotency-Key`."""

import hashlib
import json
from collections.abc import Mapping

from api.schemas.interpolation import InterpolationBody
from core.store.roles.gateway import IdempotencyKey

# Of the fingerprint's form: one higher if the same request would get another fingerprint. Redis
# compares only fingerprints of one version, so an upgrade refuses no repeated request.
VERSION = 2


def idempotency(
    tenant: str, key: str, body: InterpolationBody, identities: Mapping[str, str]
) -> IdempotencyKey:
    """Return the key of one tenant and a fingerprint of the request that came with it.

    The same fields and images are the same request, whichever body form carried them; null is a
    field left out, and so is its default. The same URL is an image.

    Args:
        tenant: whose key it is.
        key: as sent.
        body: its fields.
        identities: what stands for each image, by pointer.
    """
    images = {name: {"__all__": {"image"}} for name in body.IMAGE_LISTS}
    fields = body.model_dump(mode="json", exclude=images, exclude_defaults=True)
    canonical = json.dumps([fields, identities], sort_keys=True)
    return IdempotencyKey(_digest(f"{tenant}:{key}"), f"{VERSION}:{_digest(canonical)}")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
