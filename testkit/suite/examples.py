"""How many examples the generated tests try: few in `make test`, many in `make test-all`."""

from hypothesis import settings

USUAL = 100  # what hypothesis tries by default
FEW = 15  # in `make test`
MANY = 300  # in `make test-all`


def register_profiles() -> None:
    """Take few examples, unless `--hypothesis-profile=thorough` asks for many."""
    settings.register_profile("few", max_examples=FEW, deadline=None)
    settings.register_profile("thorough", max_examples=MANY, deadline=None)
    settings.load_profile("few")  # hypothesis's plugin loads afterwards what its option names


def examples(usual: int) -> int:
    """The number for a test that sets its own, as a share of what hypothesis tries by default."""
    return usual * settings.get_profile(settings.get_current_profile_name()).max_examples // USUAL
