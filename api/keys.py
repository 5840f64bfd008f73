"""Forward `python -m api.keys` to `admin.keys`; the old name goes with the next release."""

import sys

from admin.keys import main

if __name__ == "__main__":
    sys.stderr.write("api.keys is now `python -m admin`; this name goes with the next release\n")
    main()
