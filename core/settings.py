"""Define the settings: one frozen class, read only where a process starts."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, ByteSize, Field, HttpUrl, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from core.setting_types import Canvas, HomePath, Offload, Origin, OwnHost, Proxy, Seconds

PREFIX = "TOONCRAFTER_"
ENV_FILE = ".env"


class Settings(BaseSettings):
    """`TOONCRAFTER_*` from the environment, else from `.env`, else the default. Empty means
    unset.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=ENV_FILE,
        env_file_encoding="utf-8-sig",  # whatever the locale; Windows editors put a mark before it
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        use_attribute_docstrings=True,
    )

    state_dir: HomePath = Path(".state")
    """Folder of a stack on one machine: sockets, Redis data, stored objects, logs."""
    redis_url: str | None = None
    """`redis://`, `rediss://` or `unix://` address. Unset: the Redis of the stack in the state
    folder.
    """

    host: str = "127.0.0.1"
    """Address on which the gateway listens."""
    port: int = Field(default=8000, ge=0, le=65535)
    """Port on which the gateway listens."""
    initial_key_file: HomePath | None = None
    """File with a first API key, taken over when a gateway starts unless it was revoked: a secret
    that the container's keeper mounts.
    """
    trusted_proxies: list[Proxy] = []
    """Addresses or networks of proxies before the gateway, a JSON list such as `["10.0.0.0/8"]`.
    Only what they say in `X-Forwarded-For` and `X-Forwarded-Proto` counts.
    """
    public_url: HttpUrl | None = None
    """Address under which callers reach the gateway. Unset: the address of each request."""
    max_body: ByteSize = ByteSize(64 * 2**20)
    """Largest request body, in bytes or as `64MiB`."""
    max_bodies: ByteSize = ByteSize(512 * 2**20)
    """Request bodies held at one time, in bytes or as `512MiB`."""
    body_timeout: Seconds = timedelta(minutes=2)
    """How long a request body may take to arrive, in seconds."""
    keep_alive_timeout: Seconds = Field(default=timedelta(seconds=5), gt=timedelta(0))
    """How long a connection may be idle after an answer, in seconds. Behind a proxy that keeps
    connections, longer than it keeps them: else it sends requests into connections that are being
    closed.
    """
    gateway_names: list[str] = []
    """Names without port under which the gateway may be called, a JSON list; those of the loopback
    interface and of the public address may always be.
    """
    cors_origins: list[Origin] = []
    """Web pages of other sites that may call the gateway, a JSON list such as
    `["https://studio.example"]`.
    """
    max_image: ByteSize = ByteSize(20 * 2**20)
    """Largest single image, in bytes or as `20MiB`."""
    max_image_pixels: int = Field(default=33_000_000, gt=0)
    """Largest single image, in pixels."""
    decoders: int = Field(default=2, gt=0)
    """Images that a gateway decodes at the same time, each in a process of its own; others wait.
    Such a process takes 40 MB, and up to 20 bytes more for each pixel while it decodes.
    """
    decode_timeout: Seconds = Field(default=timedelta(seconds=10), ge=timedelta(seconds=1))
    """CPU time that the decoding of one image may take, in whole seconds; more is refused."""
    allowed_hosts: list[OwnHost] = []
    """Hosts of your own that URLs in requests may name though they are private, a JSON list such as
    `["127.0.0.1:9000"]`. For exactly that host and port, http and any address are fine; else a URL
    has to be https on port 443 of a public host.
    """
    fetch_timeout: Seconds = timedelta(seconds=20)
    """By when all images that a request names by URL have to be there, in seconds."""
    fetch_concurrency: int = Field(default=8, gt=0)
    """Images that a gateway fetches at the same time; others wait for their turn."""
    result_ttl: Seconds = timedelta(days=7)
    """How long a job and its objects are kept, in seconds."""

    upload_ttl: Seconds = timedelta(hours=1)
    """How long an upload is kept that no job uses, in seconds."""
    max_queued: int = Field(default=10_000, gt=0)
    """How many jobs may wait for a worker; further ones are refused with 503."""

    tenant_submissions_per_minute: int = Field(default=600, gt=0)
    """Jobs that a tenant may submit each minute; further ones are refused with 429."""
    tenant_reads_per_minute: int = Field(default=6_000, gt=0)
    """Other calls that a tenant may make each minute; further ones get 429."""
    tenant_max_queued: int = Field(default=1_000, gt=0)
    """Jobs of one tenant that may wait; further ones are refused with 429."""
    tenant_max_running: int | None = Field(default=None, gt=0)
    """Jobs of one tenant that may run at the same time; others wait. Unset: any."""
    tenant_fetch_concurrency: int = Field(default=4, gt=0)
    """Images of one tenant that a gateway fetches at the same time; others wait."""
    tenant_max_upload_bytes: ByteSize = ByteSize(10 * 2**30)
    """Uploads of one tenant that are kept at the same time, in bytes or as `10GiB`."""
    tenant_max_retention: Seconds | None = Field(default=None, gt=timedelta(0))
    """Largest `expires_in` of a job, in seconds. Unset: how long jobs are kept anyway."""

    orphan_age: Seconds = timedelta(hours=1)
    """Stored objects without a record are deleted once they are so old, in seconds. Longer than any
    submission takes.
    """
    audit_interval: Seconds = timedelta(minutes=10)
    """How often the dispatcher compares records, sets and stored objects, in seconds."""

    s3_bucket: str | None = None
    """Bucket for keyframes and results. Unset: the folder `objects` in the state folder."""
    s3_prefix: str = ""
    """Put before every key in the bucket, such as `tooncrafter/`."""
    s3_endpoint_url: str | None = None
    """Address of an S3-compatible server. Unset: AWS."""
    s3_public_endpoint_url: str | None = None
    """Address of the same server for callers, who follow links to it. Unset: the same."""
    s3_region: str = "us-east-1"
    """Region of the bucket."""
    s3_access_key_id: str | None = None
    """Unset: found by boto3's usual chain (roles, `~/.aws`, …)."""
    s3_secret_access_key: SecretStr | None = None
    """Belongs to the access key."""
    presigned_ttl: Seconds = timedelta(hours=1)
    """Life of a link to an output, in seconds."""

    model: Annotated[str, AfterValidator(os.path.expanduser)] | None = None
    """A diffusers folder, a published checkpoint file, `preview` (the preview engine, not
    ToonCrafter), `tiny-experimental` (a small ToonCrafter taught on kittens, not the published
    weights) or `tiny` (untrained, for tests). Unset: `make up` and `make demo` use `preview`, any
    other worker refuses to start.
    """
    adapters: list[HomePath] = []
    """Low-rank adapters (LoRA) of the model, a JSON list of files or folders. Each is a model of
    its own, by the name of its file or folder, and costs no worker.
    """
    preview_worker: bool = True
    """`make up` starts a worker for `preview` beside one for another model, on CPU cores."""
    model_cache: HomePath | None = None
    """Where a published file is converted to. Unset: the folder `models` in the state folder."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda`, `cuda:1`, `mps`."""
    devices: list[str] = []
    """One worker for each, a JSON list such as `["cuda:0", "cuda:1"]`. Empty: one worker, on the
    device above.
    """
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    """Precision of the weights. `auto`: float16 on CUDA, float32 elsewhere."""
    threads: int = Field(default=0, ge=0)
    """CPU threads of a worker's model. 0: all cores."""
    offload: Offload = "none"
    """What leaves the device while it is idle. `encoders`: text and image towers after encoding.
    `model`: all but the part that works. `group`: all but the layer that works; smallest and
    slowest.
    """
    compile: bool = False
    """Compile UNet and decoder before the worker is ready. Needs a C++ compiler; pays on a GPU."""
    warm_canvases: list[Canvas] = ["512x320"]
    """Canvases that a compiling worker runs once before it is ready, a JSON list."""
    segment_quota: ByteSize = ByteSize(4 * 2**30)
    """Finished segments that a tenant's jobs keep for later ones, in bytes or as `4GiB`; the oldest
    go first. 0: none are kept, and a job whose worker dies begins again.
    """
    max_canvas_pixels: int | None = Field(default=None, gt=0)
    """Largest canvas that a worker takes, width times height; larger jobs wait for a worker that
    takes them. Unset: what the worker's card has memory for.
    """
    job_timeout: Seconds = Field(default=timedelta(hours=1), gt=timedelta(0))
    """How long one attempt at a job may compute before the job fails, in seconds."""
    watchdog_timeout: Seconds = Field(default=timedelta(minutes=5), gt=timedelta(0))
    """How long a device may compute without finishing a step, in seconds. Then its process is ended
    and its worker quarantined; more than the slowest step and the whole decoding take.
    """
    shutdown_grace: Seconds = timedelta(seconds=30)
    """How long a worker that stops may finish its job, in seconds."""

    metrics_host: str = "127.0.0.1"
    """Address on which each process serves its metrics, health and readiness."""
    metrics_port: int | None = Field(default=None, ge=0, le=65535)
    """Port for them, never the public one. Processes that share a host need a port each: `make up`
    and the workers of one command count on from it. Unset: `make up` chooses free ones, other
    commands serve none.
    """

    traces: bool = False
    """Send traces, by OTLP over HTTP. Where to and how many, say the usual variables of
    OpenTelemetry, which have to stand in the environment: `OTEL_EXPORTER_OTLP_ENDPOINT`,
    `OTEL_TRACES_SAMPLER` and others.
    """

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least level that is logged."""
    log_format: Literal["json", "text"] = "json"
    """`json`: one object per line. `text`: for people."""

    @property
    def gateway_url(self) -> str:
        """Where callers reach the gateway, without a slash at the end: for messages, which answer
        no request.
        """
        host = f"[{self.host}]" if ":" in self.host else self.host
        return str(self.public_url or f"http://{host}:{self.port}").rstrip("/")

    @property
    def redis_url_file(self) -> Path:
        """Where a stack on this machine writes the address of its Redis."""
        return self.state_dir / "redis.url"

    def find_redis(self) -> str:
        """The address of Redis: as set, else of the stack that runs in the state folder.

        Raises:
            RuntimeError: nothing is set and no stack runs there.
        """
        if self.redis_url:
            return self.redis_url
        try:
            return self.redis_url_file.read_text().strip()
        except FileNotFoundError:
            raise RuntimeError(
                f"no stack runs in {self.state_dir} (start one with `make up`) and "
                "TOONCRAFTER_REDIS_URL is not set"
            ) from None
