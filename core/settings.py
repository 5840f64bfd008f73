"""Define the settings: one frozen class, read only where a process starts."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, ByteSize, Field, SecretStr
from pydantic_settings import SettingsConfigDict

from core.gateway_settings import GatewaySettings
from core.setting_types import Canvas, HomePath, Offload, Seconds

PREFIX = "TOONCRAFTER_"
ENV_FILE = ".env"


class Settings(GatewaySettings):
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
    )

    orphan_age: Seconds = Field(
        default=timedelta(hours=1),
        description="Stored objects without a record are deleted once they are so old, in seconds. "
        "Longer than any submission takes.",
    )
    audit_interval: Seconds = Field(
        default=timedelta(minutes=10),
        description="How often the dispatcher compares records, sets and stored objects, in "
        "seconds.",
    )

    s3_bucket: str | None = Field(
        default=None,
        description="Bucket for keyframes and results. Unset: the folder `objects` in the state "
        "folder.",
    )
    s3_prefix: str = Field(
        default="", description="Put before every key in the bucket, such as `tooncrafter/`."
    )
    s3_endpoint_url: str | None = Field(
        default=None, description="Address of an S3-compatible server. Unset: AWS."
    )
    s3_public_endpoint_url: str | None = Field(
        default=None,
        description="Address of the same server for callers, who follow links to it. Unset: the "
        "same.",
    )
    s3_region: str = Field(default="us-east-1", description="Region of the bucket.")
    s3_access_key_id: str | None = Field(
        default=None, description="Unset: found by boto3's usual chain (roles, `~/.aws`, …)."
    )
    s3_secret_access_key: SecretStr | None = Field(
        default=None, description="Belongs to the access key."
    )
    presigned_ttl: Seconds = Field(
        default=timedelta(hours=1), description="Life of a link to an output, in seconds."
    )

    model: Annotated[str, AfterValidator(os.path.expanduser)] | None = Field(
        default=None,
        description="A diffusers folder, a published checkpoint file, `preview` (the preview "
        "engine, not ToonCrafter), `tiny-experimental` (a small ToonCrafter taught on kittens, not "
        "the published weights) or `tiny` (untrained, for tests). Unset: `make up` and `make demo` "
        "use `preview`, any other worker refuses to start.",
    )
    adapters: list[HomePath] = Field(
        default=[],
        description="Low-rank adapters (LoRA) of the model, a JSON list of files or folders. Each "
        "is a model of its own, by the name of its file or folder, and costs no worker.",
    )
    preview_worker: bool = Field(
        default=True,
        description="`make up` starts a worker for `preview` beside one for another model, on CPU "
        "cores.",
    )
    model_cache: HomePath | None = Field(
        default=None,
        description="Where a published file is converted to. Unset: the folder `models` in the "
        "state folder.",
    )
    device: str = Field(default="auto", description="`auto`, `cpu`, `cuda`, `cuda:1`, `mps`.")
    devices: list[str] = Field(
        default=[],
        description='One worker for each, a JSON list such as `["cuda:0", "cuda:1"]`. Empty: one '
        "worker, on the device above.",
    )
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = Field(
        default="auto",
        description="Precision of the weights. `auto`: float16 on CUDA, float32 elsewhere.",
    )
    threads: int = Field(
        default=0, ge=0, description="CPU threads of a worker's model. 0: all cores."
    )
    offload: Offload = Field(
        default="none",
        description="What leaves the device while it is idle. `encoders`: text and image towers "
        "after encoding. `model`: all but the part that works. `group`: all but the layer that "
        "works; smallest and slowest.",
    )
    compile: bool = Field(
        default=False,
        description="Compile UNet and decoder before the worker is ready. Needs a C++ compiler; "
        "pays on a GPU.",
    )
    warm_canvases: list[Canvas] = Field(
        default=["512x320"],
        description="Canvases that a compiling worker runs once before it is ready, a JSON list.",
    )
    segment_quota: ByteSize = Field(
        default=ByteSize(4 * 2**30),
        description="Finished segments that a tenant's jobs keep for later ones, in bytes or as "
        "`4GiB`; the oldest go first. 0: none are kept, and a job whose worker dies begins again.",
    )
    max_canvas_pixels: int | None = Field(
        default=None,
        gt=0,
        description="Largest canvas that a worker takes, width times height; larger jobs wait for "
        "a worker that takes them. Unset: what the worker's card has memory for.",
    )
    job_timeout: Seconds = Field(
        default=timedelta(hours=1),
        gt=timedelta(0),
        description="How long one attempt at a job may compute before the job fails, in seconds.",
    )
    watchdog_timeout: Seconds = Field(
        default=timedelta(minutes=5),
        gt=timedelta(0),
        description="How long a device may compute without finishing a step, in seconds. Then its "
        "process is ended and its worker quarantined; more than the slowest step and the whole "
        "decoding take.",
    )
    shutdown_grace: Seconds = Field(
        default=timedelta(seconds=30),
        description="How long a worker that stops may finish its job, in seconds.",
    )

    metrics_host: str = Field(
        default="127.0.0.1",
        description="Address on which each process serves its metrics, health and readiness.",
    )
    metrics_port: int | None = Field(
        default=None,
        ge=0,
        le=65535,
        description="Port for them, never the public one. Processes that share a host need a port "
        "each: `make up` and the workers of one command count on from it. Unset: `make up` "
        "chooses free ones, other commands serve none.",
    )

    traces: bool = Field(
        default=False,
        description="Send traces, by OTLP over HTTP. Where to and how many, say the usual "
        "variables of OpenTelemetry, which have to stand in the environment: "
        "`OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_TRACES_SAMPLER` and others.",
    )

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least level that is logged."
    )
    log_format: Literal["json", "text"] = Field(
        default="json", description="`json`: one object per line. `text`: for people."
    )

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
