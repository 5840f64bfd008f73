"""Make the bucket that the settings name, if it does not exist yet.

`python -m core.objects.bucket` is for a storage that starts empty, as in docker-compose.yml; a
bucket at AWS is made with its owner's tools.
"""

import sys
import time

from core.environment import read_settings
from core.objects.s3 import s3_client
from core.settings import Settings

PATIENCE_SECONDS = 60.0  # for a server that starts at the same time


def make_bucket(settings: Settings, patience_seconds: float = PATIENCE_SECONDS) -> bool:
    """Whether the bucket had to be made.

    Raises:
        ValueError: the settings name no bucket.
        botocore.exceptions.BotoCoreError: no server answered in time.
        botocore.exceptions.ClientError: the server refused.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    if not settings.s3_bucket:
        raise ValueError("TOONCRAFTER_S3_BUCKET has to name the bucket but is not set")
    client, deadline = s3_client(settings), time.monotonic() + patience_seconds
    while True:
        try:
            if any(
                found["Name"] == settings.s3_bucket for found in client.list_buckets()["Buckets"]
            ):
                return False
            client.create_bucket(Bucket=settings.s3_bucket)
            return True
        except (BotoCoreError, ClientError):
            if time.monotonic() > deadline:
                raise
            time.sleep(1)


if __name__ == "__main__":
    own = read_settings()
    try:
        print(f"bucket {own.s3_bucket}: {'made' if make_bucket(own) else 'is there'}")  # noqa: T201  # a command line
    except Exception as error:
        sys.exit(f"bucket: {error}")
