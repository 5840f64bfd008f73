"""Bodies and views of Replicate's API, as far as its clients need them."""
