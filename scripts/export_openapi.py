"""Write openapi.yaml, the contract with callers, from the gateway's code; a test compares the
two.
"""

from pathlib import Path

import yaml

from api.main import create_app
from core.settings import Settings

TARGET = Path(__file__).resolve().parent.parent / "openapi.yaml"
HEADER = (
    "# Written by `make openapi` from api/. A change here is a change of what callers rely on.\n"
)


def contract() -> str:
    """The whole document as YAML, in the order in which the code says it."""
    document = create_app(Settings()).openapi()
    return HEADER + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)


def main() -> None:
    """Write the file beside the code."""
    TARGET.write_text(contract())
    print(f"wrote {TARGET.name}")


if __name__ == "__main__":
    main()
