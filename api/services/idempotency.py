"""Tell whether two requests are the same, for `Idempotency-Key`."""

import hashlib
import json
from collections.abc import Mapping

from api.schemas.interpolation import InterpolationBody
from core.store.roles.gateway import IdempotencyKey


def idempotency(
    tenant: str, key: str, body: InterpolationBody, identities: Mapping[str, str]
) -> IdempotencyKey:
    """Return the key of one tenant and a fingerprint of the request that came with it.

    The same fields and images are the same request, whichever body form carried them; the same URL
    is an image.

    Args:
        tenant: whose key it is.
        key: as sent.
        body: its fields.
        identities: what stands for each image, by pointer.
    """
    fields = body.model_dump(mode="json", exclude={"keyframes"}) | {
        "images": [*identities.values()]
    }
    canonical = json.dumps(fields, sort_keys=True)
    return IdempotencyKey(
        *(hashlib.sha256(text.encode()).hexdigest() for text in (f"{tenant}:{key}", canonical))
    )
