"""Which model a request gets, by what the deployment's workers have offered."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from api.services.model_choice import ModelChoice, ModelChooser, choose
from core.records.offer import Offer, Sampling
from core.records.request import Quality
from core.store.client import AsyncRedis
from core.store.deployment import DeploymentReader
from core.store.roles.worker import WorkerStore
from testkit.servers import RedisServer

TINY, PREVIEW = Offer.of_setting("tiny"), Offer.of_setting("preview")
SLOW = Offer(
    name="slow", engine=TINY.engine, qualities=[Quality.FINAL], sampling=Sampling(steps=60)
)


@dataclass
class Wish:
    model: str | None = None
    quality: str | None = None
    sketches: list[object] = field(default_factory=list)
    keyframes: list[SimpleNamespace] = field(default_factory=list)
    variants: int = 1
    model_fields_set: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.quality = Quality(self.quality) if self.quality else None


def chosen(choice: ModelChoice) -> tuple[str | None, str]:
    assert choice.problems == []
    return choice.model, choice.quality


def refused(choice: ModelChoice) -> tuple[str, str]:
    (problem,) = choice.problems
    return problem.pointer, problem.code


class TestWhatIsLeftOut:
    def test_model_and_quality_are_those_of_the_first_offer(self) -> None:
        assert chosen(choose(Wish(), [TINY, PREVIEW])) == ("tiny", "final")

    def test_a_deployment_with_the_preview_engine_alone_draws_previews(self) -> None:
        assert chosen(choose(Wish(), [PREVIEW])) == ("preview", "preview")

    def test_a_quality_finds_the_model_that_draws_it(self) -> None:
        assert chosen(choose(Wish(quality="preview"), [TINY, PREVIEW])) == ("preview", "preview")

    def test_a_model_brings_its_usual_quality_and_its_sampling(self) -> None:
        assert chosen(choose(Wish(model="preview"), [TINY, PREVIEW])) == ("preview", "preview")
        assert choose(Wish(model="slow"), [TINY, SLOW]).sampling.steps == 60

    @pytest.mark.parametrize("offers", [[TINY, PREVIEW], [SLOW, TINY], []])
    def test_a_draft_has_its_own_sampling(self, offers: list[Offer]) -> None:
        """Few steps without fresh noise; the model is one that draws drafts."""
        choice = choose(Wish(quality="draft"), offers)
        assert chosen(choice) == ("tiny" if offers else None, "draft")
        assert choice.sampling == TINY.draft
        assert choice.sampling.eta == 0


class TestRefusals:
    def test_unknown_model_is_told_the_known_ones(self) -> None:
        choice = choose(Wish(model="tinny"), [TINY, PREVIEW])
        assert refused(choice) == ("/model", "unknown_model")
        assert choice.problems[0].detail == (
            "`model` has to be one of `tiny`, `preview` but is `tinny`"
        )

    @pytest.mark.parametrize(
        ("wish", "offers"),
        [
            (Wish(quality="final"), [PREVIEW]),
            (Wish(quality="preview"), [TINY]),
            (Wish(quality="draft"), [SLOW, PREVIEW]),
            (Wish(model="preview", quality="final"), [TINY, PREVIEW]),
        ],
    )
    def test_what_no_model_draws_is_not_available(self, wish: Wish, offers: list[Offer]) -> None:
        assert refused(choose(wish, offers)) == ("/quality", "not_available")

    def test_previews_take_no_sketches_and_no_variants(self) -> None:
        wish = Wish(quality="preview", sketches=[object()], variants=2)
        found = {(one.pointer, one.code) for one in choose(wish, [TINY, PREVIEW]).problems}
        assert found == {("/sketches", "not_available"), ("/variants", "not_available")}


class TestSketches:
    """They need a model whose folder has a sketch encoder."""

    PLAIN = TINY.model_copy(update={"name": "plain", "sketches": False})

    def test_go_to_a_model_that_they_can_guide(self) -> None:
        wish = Wish(sketches=[object()])
        assert chosen(choose(wish, [self.PLAIN, TINY])) == ("tiny", "final")
        assert chosen(choose(Wish(), [self.PLAIN, TINY])) == ("plain", "final")

    def test_without_one_the_operator_is_told_what_to_load(self) -> None:
        choice = choose(Wish(sketches=[object()]), [self.PLAIN, PREVIEW])
        assert refused(choice) == ("/sketches", "not_available")
        assert "`--sketch-encoder`" in choice.problems[0].detail

    def test_where_no_worker_lives_they_are_accepted_with_a_warning(self) -> None:
        choice = choose(Wish(sketches=[object()]), [])
        assert chosen(choice) == (None, "final")
        assert [one.code for one in choice.warnings] == ["no_worker"]


class TestWarnings:
    def test_fields_of_the_diffusion_model_have_no_effect_on_previews(self) -> None:
        given = {"prompt", "seed", "steps", "fps", "quality"}
        choice = choose(Wish(quality="preview", model_fields_set=given), [TINY, PREVIEW])
        assert {(one.code, one.pointer) for one in choice.warnings} == {
            ("no_effect", "/prompt"),
            ("no_effect", "/seed"),
            ("no_effect", "/steps"),
        }
        assert choose(Wish(model_fields_set=given), [TINY, PREVIEW]).warnings == []

    def test_a_keyframes_own_prompt_has_none_either(self) -> None:
        keys = [SimpleNamespace(prompt=None), SimpleNamespace(prompt="it leaps")]
        choice = choose(Wish(quality="preview", keyframes=keys), [TINY, PREVIEW])
        assert [one.pointer for one in choice.warnings] == ["/keyframes/1/prompt"]
        assert choose(Wish(keyframes=keys), [TINY, PREVIEW]).warnings == []

    @pytest.mark.parametrize(
        ("wish", "model", "quality"),
        [
            (Wish(), None, "final"),
            (Wish(quality="preview"), "preview", "preview"),
            (Wish(model="style"), "style", "final"),
        ],
    )
    def test_where_nothing_is_known_everything_is_accepted(
        self, wish: Wish, model: str | None, quality: str
    ) -> None:
        """Before the first worker of a deployment has announced its model."""
        choice = choose(wish, [])
        assert chosen(choice) == (model, quality)
        assert [one.code for one in choice.warnings] == ["no_worker"]

    def test_setting_decides_until_a_worker_has_announced_itself(self) -> None:
        """Else the first job of `make up` would wait for a ToonCrafter that never comes."""
        assert chosen(choose(Wish(), [], expected="preview")) == ("preview", "preview")
        assert chosen(choose(Wish(quality="final"), [], expected="preview")) == (None, "final")
        assert chosen(choose(Wish(), [TINY], expected="preview")) == ("tiny", "final")


class TestKnownModels:
    async def test_live_toon_crafter_comes_first_then_others_then_the_preview_engine(
        self, async_redis: AsyncRedis, redis_server: RedisServer
    ) -> None:
        """So `final` waits for a ToonCrafter worker that is being restarted."""
        for offer in (PREVIEW, TINY, SLOW):
            WorkerStore(redis_server.url, offer=offer).report(offer.name, state="idle")
        redis_server.client.zincrby("tc:offered", -60_000, "slow")
        chooser = ModelChooser(DeploymentReader(async_redis))
        assert chosen(await chooser.choose(Wish())) == ("tiny", "final")
        redis_server.client.zincrby("tc:offered", -120_000, "tiny")
        later = ModelChooser(DeploymentReader(async_redis))
        assert chosen(await later.choose(Wish())) == ("slow", "final")
