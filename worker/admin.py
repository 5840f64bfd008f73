"""Forward `python -m worker.admin` to `admin.workers`; the old name goes with the next release."""

import sys

from admin.workers import main

if __name__ == "__main__":
    sys.stderr.write(
        "worker.admin is now `python -m admin`; this name goes with the next release\n"
    )
    main()
