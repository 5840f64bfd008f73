"""Base of everything that is stored as JSON."""

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """Never changes once it is made; what a newer version of the service added is left out."""

    model_config = ConfigDict(frozen=True)
