"""What a segmenter is, and what it was made from, as Markdown."""

from rtspk.engine.segmenter_network import SegmenterNetwork
from rtspk.train.recurrent_recipe import RecurrentRecipe
from rtspk.train.segmenter_recipe import SegmenterRecipe

__all__ = ["RATES", "activity_text", "recurrent_text"]

RATES = ("der", "miss", "false_alarm", "confusion")  # of `LocalError.rates`


def activity_text(
    recipe: SegmenterRecipe, identity: str, steps: int, network: SegmenterNetwork, error: dict[str, float]
) -> str:
    """Of a Conformer that hears log-mel; `error` is empty where nothing was measured."""
    parameters, seconds = sum(p.numel() for p in network.parameters()), recipe.data.crop_seconds
    lines = [
        f"# {identity}",
        "",
        f"Who of up to three local speakers is active in each 40 ms of {seconds:g} s of log-mel: one of the",
        "seven powerset classes (nobody, 1, 2, 3, 1+2, 1+3, 2+3).",
        f"{parameters / 1e6:.1f} M parameters; `model.onnx` multiplies matrices in eight bits.",
        "",
        f"Made by `rtspk train {recipe.name}` (seed {recipe.loop.seed}, {steps} steps). Licence: Apache-2.0.",
        f"Trained on the conversations of `{recipe.data.train}` and their exact references.",
    ]
    if recipe.data.teacher:
        share = recipe.data.teacher_share
        lines.append(f"Of the target {share:.0%} is what the teacher `{recipe.data.teacher}` says.")
    what = f"On the conversations of `{recipe.data.development}`, kept out of training, in windows of"
    how = "that length under the best order of the local speakers, no collar:"
    return _with_rates(lines, [what, how], error)


def recurrent_text(recipe: RecurrentRecipe, steps: int, error: dict[str, float]) -> str:
    """Of recurrences that hear several frames at a step; likewise."""
    lines = [
        f"# {recipe.name}",
        "",
        f"The segmenter `{recipe.data.teacher}`, whose recurrences hear {recipe.group} frames at a step.",
        "",
        f"Made by `rtspk train {recipe.name}` (seed {recipe.loop.seed}, {steps} steps).",
        f"Taught on the recordings of `{recipe.data.train}` to say what that segmenter says.",
    ]
    what = f"Against that segmenter on `{recipe.data.development}`, kept out of training, no collar:"
    return _with_rates(lines, [what], error)


def _with_rates(lines: list[str], what: list[str], error: dict[str, float]) -> str:
    if error:
        lines += [
            "",
            *what,
            "",
            "| local DER | miss | false alarm | confusion |",
            "| --- | --- | --- | --- |",
            f"| {' | '.join(f'{error[name]:.1%}' for name in RATES)} |",
        ]
    return "\n".join(lines) + "\n"
