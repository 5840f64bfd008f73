"""Uploads as tests make them."""

from httpx import AsyncClient, Response

from core.store import redis_keys
from testkit.api.gateway import BASE_URL
from testkit.servers import RedisServer

UPLOADS = "/v1/uploads"


async def send(client: AsyncClient, link: str, data: bytes) -> Response:
    """As any HTTP client does, without a key: to the gateway, or past it to the bucket."""
    if link.startswith(BASE_URL):
        return await client.put(link, content=data)
    async with AsyncClient() as anybody:
        return await anybody.put(link, content=data)


def by_reference(*upload_ids: str, **fields: object) -> dict[str, object]:
    return {"keyframes": [{"image": {"upload": upload_id}} for upload_id in upload_ids]} | fields


def let_time_pass(server: RedisServer, *members: str) -> None:
    """Let uploads and what is in the trash be due now."""
    for key in (redis_keys.UPLOADS, redis_keys.TRASH):
        server.client.zadd(key, dict.fromkeys(members, 0), xx=True)


async def uploaded(client: AsyncClient, data: bytes) -> str:
    """The id of an upload that has received these bytes."""
    upload = (await client.post(UPLOADS)).json()
    assert (await send(client, upload["upload_url"], data)).is_success
    upload_id: str = upload["id"]
    return upload_id
