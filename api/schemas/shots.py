"""Parts of a request that lay out its shot."""

from api.schemas.body import Body
from api.schemas.images import ImageSource


class KeyframeBody(Body):
    """A drawing that the result has to pass through."""

    image: ImageSource
