"""Whatever JSON comes is refused in order, and leaves nothing behind."""

import asyncio
import json
from collections.abc import Callable, Iterator

import pytest
from httpx import AsyncClient
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as st

from core.settings import Settings
from testkit.api.calls import URL, problems
from testkit.api.gateway import gateway
from testkit.suite.examples import examples


@pytest.fixture(autouse=True)
def _leaves_nothing(nothing_left: Callable[[], None]) -> Iterator[None]:
    yield
    nothing_left()


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELDS = [
    *("keyframes", "steps", "prompt", "width", "height", "outputs", "metadata", "seed", "eta"),
    *("spacing", "exposure", "sketches", "loop", "frames_between", "fps", "background"),
]


class TestAnything:
    @limits(
        max_examples=examples(80),
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(
        value=JSON_VALUES
        | st.dictionaries(st.sampled_from(FIELDS) | st.text(), JSON_VALUES, max_size=4)
    )
    def test_json_is_refused_in_order(self, settings: Settings, value: object) -> None:
        """Whatever JSON comes, the answer is a problem document that says so and never a failure of
        ours.
        """

        async def send() -> None:
            async with gateway(settings) as client:
                text = json.dumps(value).encode()
                response = await client.post(
                    URL, content=text, headers={"Content-Type": "application/json"}
                )
                problems(response, 422, "invalid_request")

        asyncio.run(send())

    @pytest.mark.parametrize(
        "text",
        [
            '{"\\ud800": 1}',
            '{"metadata": {"\\udfff": 1}}',
            '{"prompt": "\\ud800"}',
            '{"steps": 1e999}',
        ]
        + [
            f'{{"steps": {"[" * depth}{"]" * depth}}}'
            for depth in (100, 400, 700, 800, 850, 900, 940)
        ],
    )
    async def test_json_that_python_reads_but_cannot_always_write(
        self, client: AsyncClient, text: str
    ) -> None:
        """Half characters, infinity, deep nesting."""
        response = await client.post(
            URL, content=text, headers={"Content-Type": "application/json"}
        )
        assert response.status_code in (400, 422), response.text
        problems(response, response.status_code, response.json()["code"])
