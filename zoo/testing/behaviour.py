"""Batches, seeds, state and the inference form: what a call may depend on, and what it may leave behind."""

from __future__ import annotations

from collections.abc import Callable

from zoo.inference.optimize import optimize
from zoo.interfaces.models import ImageSynthesizer, Model
from zoo.rng import Rng
from zoo.testing.asker import Asker
from zoo.testing.comparing import Counted, apart, changed, global_randomness_untouched, rows, state_of
from zoo.testing.samples import Samples
from zoo.testing.subject import Subject

ALL = [0, 1, 2]
CERTAIN = ("edit:remove", "edit:interpolate", "parse", "guide")
Ask = Callable[[Model], Asker]


class Behaviour(Subject):
    """Tests of what every call owes."""

    def test_a_sample_does_not_depend_on_its_batch(self, model: Model, asker: Ask) -> None:
        """Three samples at once are those made one by one: random numbers bit for bit, the rest to `tolerance`."""
        asked = asker(model)
        for ability in asked.abilities:
            together = asked.ask(ability, ALL, Rng(5, ALL))
            for i in ALL:
                alone = asked.ask(ability, [i], Rng(5, [i]))
                differences = apart(alone, rows(together, [i]), tolerance=self.tolerance, share=self.map_tolerance)
                assert not differences, f"{ability}, sample {i} alone and in a batch of three: {'; '.join(differences)}"

    def test_the_same_seed_gives_the_same_and_another_another(self, model: Model, asker: Ask) -> None:
        """Bit for bit the same; what draws from its rng differs with another seed, but for edits that leave nothing to chance."""
        asked = asker(model)
        for ability in asked.abilities:
            source = Counted(Rng(1, ALL), [])
            with global_randomness_untouched():
                first = asked.ask(ability, ALL, source)
                again = asked.ask(ability, ALL, Rng(1, ALL))
                other = asked.ask(ability, ALL, Rng(2, ALL))
            assert not apart(again, first), f"{ability}, the same seed twice: {apart(again, first)}"
            made = [{k: v for k, v in answer.items() if not k.startswith("drawn.")} for answer in (other, first)]
            differs, drawn = apart(*made), bool(source.draws) and ability not in CERTAIN
            assert differs or not drawn, f"{ability} draws {source.draws[:4]}, but another seed changes nothing"
            assert drawn or not differs, f"{ability} should leave nothing to chance, but another seed changes {differs}"

    def test_two_ways_to_one_answer_agree(self, model: Model, samples: Samples, asker: Ask) -> None:
        """Drawn inside the call or given as latents; from the map, from its layout, from a layout that reuses another's rows;
        one map for several styles, or that map several times."""
        asked = asker(model)
        name = asked.abilities[0]
        answer = asked.ask(name, ALL, Rng(8, ALL))
        first = next(iter(answer))
        for other in [key for key in answer if key.startswith(("from ", "of "))]:
            differences = apart({first: answer[other]}, {first: answer[first]}, tolerance=self.tolerance)
            assert not differences, f"{name}, {first} and {other}: {'; '.join(differences)}"
        if isinstance(model, ImageSynthesizer) and model.styles:
            several = samples.maps[0].repeat_interleave(3)
            style = asked.any.sample_style(several, Rng(8, ALL), prior=None if "prior" in model.styles else "mean")
            differences = apart(
                {"image": asked.any.synthesize(model.layout(samples.maps[0]), style, **asked.options)},
                {"image": asked.any.synthesize(several, style, **asked.options)},
                tolerance=self.tolerance,
            )
            assert not differences, f"a layout of one map and three styles: {'; '.join(differences)}"

    def test_calls_leave_nothing_behind(self, model: Model, asker: Ask) -> None:
        """Weights, buffers and attributes are the same after all calls, and so is the first answer."""
        asked = asker(model)
        before = state_of(model)
        first = {ability: asked.ask(ability, ALL, Rng(0, ALL)) for ability in asked.abilities}
        for ability in asked.abilities:
            asked.ask(ability, [2, 0], Rng(3, [7, 8]))
        assert not changed(before, state_of(model)), f"calls change the model: {changed(before, state_of(model))[:4]}"
        for ability, answer in first.items():
            differences = apart(asked.ask(ability, ALL, Rng(0, ALL)), answer)
            assert not differences, f"{ability} gives something else after other calls: {'; '.join(differences)}"

    def test_the_inference_form_is_equal(self, model: Model, asker: Ask) -> None:
        """`zoo.optimize` changes no answer by more than `inference_tolerance`, and not the model that it was made of."""
        before = state_of(model)
        plain, fast = asker(model), asker(optimize(model))
        assert fast.abilities == plain.abilities
        for ability in plain.abilities:
            differences = apart(
                fast.ask(ability, ALL, Rng(4, ALL)),
                plain.ask(ability, ALL, Rng(4, ALL)),
                tolerance=self.inference_tolerance,
                share=self.map_tolerance,
            )
            assert not differences, f"{ability}, inference form and plain one: {'; '.join(differences)}"
        assert not changed(before, state_of(model)), "making the inference form changes the model"
