"""How the contract describes a submission, whose two forms are read from the raw request."""

from typing import Any

from api.http.bodies import KEYFRAME_PART, REQUEST_PART

SUBMISSION_DOC: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/InterpolationBody"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        KEYFRAME_PART: {
                            "type": "array",
                            "items": {"type": "string", "format": "binary"},
                            "minItems": 2,
                            "maxItems": 2,
                            "description": "The keyframes, in order.",
                        },
                        REQUEST_PART: {"$ref": "#/components/schemas/InterpolationFields"},
                    },
                    "additionalProperties": {
                        "type": "string",
                        "format": "binary",
                        "description": "A file to which a `part` of the request refers.",
                    },
                    "description": "Files called `keyframe`, or the part `request`, or both.",
                    # `anyOf` would say which, and generators make no type of such a form
                    "minProperties": 1,
                },
                "encoding": {
                    KEYFRAME_PART: {"contentType": "image/png, image/jpeg, image/webp, image/tiff"},
                    REQUEST_PART: {"contentType": "application/json"},
                },
            },
        },
    }
}
