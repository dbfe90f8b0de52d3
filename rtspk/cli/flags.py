"""Commands in whose help flags take nothing; Typer's own show `<bool>` behind them."""

from typing import Protocol, TypeVar

from typer.core import TyperCommand, TyperGroup

__all__ = ["Command", "Group"]


class Parameter(Protocol):
    """An option or argument."""

    metavar: str | None


P = TypeVar("P", bound=Parameter)


# The types of `get_params` have another home in each version of Typer, so it is left without.
class Command(TyperCommand):
    """A verb."""

    def get_params(self, ctx):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201, D102
        return _without_values(super().get_params(ctx))


class Group(TyperGroup):
    """A group of verbs."""

    def get_params(self, ctx):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201, D102
        return _without_values(super().get_params(ctx))


def _without_values(parameters: list[P]) -> list[P]:
    for one in parameters:
        if getattr(one, "is_flag", False):
            one.metavar = ""
    return parameters
