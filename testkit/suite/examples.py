"""How many examples the generated tests try: few in `make test`, many in `make test-all`."""

from hypothesis import settings

USUAL = 100  # what hypothesis tries by default
MORE = 10  # times as many in `make test-all`


def register_profiles() -> None:
    """Make `--hypothesis-profile=thorough` known; tests without settings of their own follow it."""
    settings.register_profile("thorough", max_examples=MORE * USUAL, deadline=None)


def examples(usual: int) -> int:
    """The number for a test that sets its own: `usual`, or more in the thorough profile."""
    return usual * settings.get_profile(settings.get_current_profile_name()).max_examples // USUAL
