"""Settings of the gateway, and those that all processes share."""

from datetime import timedelta
from pathlib import Path

from pydantic import ByteSize, Field, HttpUrl
from pydantic_settings import BaseSettings

from core.setting_types import HomePath, Origin, OwnHost, Proxy, Seconds


class GatewaySettings(BaseSettings):
    """Addresses, limits of requests, and what a tenant may take."""

    state_dir: HomePath = Field(
        default=Path(".state"),
        description="Folder of a stack on one machine: sockets, Redis data, stored objects, logs.",
    )
    redis_url: str | None = Field(
        default=None,
        description="`redis://`, `rediss://` or `unix://` address. Unset: the Redis of the stack "
        "in the state folder.",
    )

    host: str = Field(default="127.0.0.1", description="Address on which the gateway listens.")
    port: int = Field(
        default=8000, ge=0, le=65535, description="Port on which the gateway listens."
    )
    initial_key_file: HomePath | None = Field(
        default=None,
        description="File with a first API key, taken over when a gateway starts unless it was "
        "revoked: a secret that the container's keeper mounts.",
    )
    trusted_proxies: list[Proxy] = Field(
        default=[],
        description="Addresses or networks of proxies before the gateway, a JSON list such as "
        '`["10.0.0.0/8"]`. Only what they say in `X-Forwarded-For` and `X-Forwarded-Proto` counts.',
    )
    public_url: HttpUrl | None = Field(
        default=None,
        description="Address under which callers reach the gateway. Unset: the address of each "
        "request.",
    )
    max_body: ByteSize = Field(
        default=ByteSize(64 * 2**20), description="Largest request body, in bytes or as `64MiB`."
    )
    max_bodies: ByteSize = Field(
        default=ByteSize(512 * 2**20),
        description="Request bodies held at one time, in bytes or as `512MiB`.",
    )
    body_timeout: Seconds = Field(
        default=timedelta(minutes=2),
        description="How long a request body may take to arrive, in seconds.",
    )
    keep_alive_timeout: Seconds = Field(
        default=timedelta(seconds=5),
        gt=timedelta(0),
        description="How long a connection may be idle after an answer, in seconds. Behind a proxy "
        "that keeps connections, longer than it keeps them: else it sends requests into "
        "connections that are being closed.",
    )
    gateway_names: list[str] = Field(
        default=[],
        description="Names without port under which the gateway may be called, a JSON list; those "
        "of the loopback interface and of the public address may always be.",
    )
    cors_origins: list[Origin] = Field(
        default=[],
        description="Web pages of other sites that may call the gateway, a JSON list such as "
        '`["https://studio.example"]`.',
    )
    max_image: ByteSize = Field(
        default=ByteSize(20 * 2**20), description="Largest single image, in bytes or as `20MiB`."
    )
    max_image_pixels: int = Field(
        default=33_000_000, gt=0, description="Largest single image, in pixels."
    )
    decoders: int = Field(
        default=2,
        gt=0,
        description="Images that a gateway decodes at the same time, each in a process of its own; "
        "others wait. Such a process takes 40 MB, and up to 20 bytes more for each pixel while it "
        "decodes.",
    )
    decode_timeout: Seconds = Field(
        default=timedelta(seconds=10),
        ge=timedelta(seconds=1),
        description="CPU time that the decoding of one image may take, in whole seconds; more is "
        "refused.",
    )
    allowed_hosts: list[OwnHost] = Field(
        default=[],
        description="Hosts of your own that URLs in requests may name though they are private, a "
        'JSON list such as `["127.0.0.1:9000"]`. For exactly that host and port, http and any '
        "address are fine; else a URL has to be https on port 443 of a public host.",
    )
    fetch_timeout: Seconds = Field(
        default=timedelta(seconds=20),
        description="By when all images that a request names by URL have to be there, in seconds.",
    )
    fetch_concurrency: int = Field(
        default=8,
        gt=0,
        description="Images that a gateway fetches at the same time; others wait for their turn.",
    )
    result_ttl: Seconds = Field(
        default=timedelta(days=7),
        description="How long a job and its objects are kept, in seconds.",
    )

    upload_ttl: Seconds = Field(
        default=timedelta(hours=1),
        description="How long an upload is kept that no job uses, in seconds.",
    )
    max_queued: int = Field(
        default=10_000,
        gt=0,
        description="How many jobs may wait for a worker; further ones are refused with 503.",
    )

    tenant_submissions_per_minute: int = Field(
        default=600,
        gt=0,
        description="Jobs that a tenant may submit each minute; further ones are refused with 429.",
    )
    tenant_reads_per_minute: int = Field(
        default=6_000,
        gt=0,
        description="Other calls that a tenant may make each minute; further ones get 429.",
    )
    tenant_max_queued: int = Field(
        default=1_000,
        gt=0,
        description="Jobs of one tenant that may wait; further ones are refused with 429.",
    )
    tenant_max_running: int | None = Field(
        default=None,
        gt=0,
        description="Jobs of one tenant that may run at the same time; others wait. Unset: any.",
    )
    tenant_fetch_concurrency: int = Field(
        default=4,
        gt=0,
        description="Images of one tenant that a gateway fetches at the same time; others wait.",
    )
    tenant_max_upload_bytes: ByteSize = Field(
        default=ByteSize(10 * 2**30),
        description="Uploads of one tenant that are kept at the same time, in bytes or as `10GiB`.",
    )
    tenant_max_retention: Seconds | None = Field(
        default=None,
        gt=timedelta(0),
        description="Largest `expires_in` of a job, in seconds. Unset: how long jobs are kept "
        "anyway.",
    )
