"""What the gateway is measured against: FastAPI and one Redis command per request, nothing else.

`python -m benchmarks.processes.bare_gateway PORT REDIS_URL`: `POST /write` (JSON into Redis),
`GET /read` (out of it).
"""

import sys
from typing import Any

import redis.asyncio
import uvicorn
from fastapi import FastAPI

KEY = "bare"


def create_app(redis_url: str) -> FastAPI:
    """Two endpoints as a tutorial writes them, with the same server and client libraries as the
    gateway's.
    """
    app = FastAPI()
    client: Any = redis.asyncio.Redis.from_url(redis_url, decode_responses=True)

    @app.post("/write", status_code=202)
    async def write(body: dict[str, Any]) -> dict[str, str]:
        await client.set(KEY, str(len(body)))
        return {"id": KEY, "status": "queued"}

    @app.get("/read")
    async def read() -> dict[str, str]:
        return {"id": KEY, "status": await client.get(KEY)}

    return app


if __name__ == "__main__":
    uvicorn.run(
        create_app(sys.argv[2]),
        port=int(sys.argv[1]),
        log_level="warning",
        access_log=False,
        http="h11",  # as the gateway
        ws="none",
    )
