"""Holds a decoder until it is killed: `python -m testkit.images.holds_a_decoder ORDER`."""

import sys
import time
from datetime import timedelta

from core.images.decoder import DecoderLimits
from core.images.pool import Decoders
from testkit.images.decoders import DYING, MAX_PIXELS

if __name__ == "__main__":
    decoders = Decoders(DecoderLimits(MAX_PIXELS, 2**20, timedelta(seconds=1)), DYING)
    try:
        decoders.inspect(sys.argv[1].encode())
    except Exception as error:
        print(error, flush=True)
    time.sleep(600)
