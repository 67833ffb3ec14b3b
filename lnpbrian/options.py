"""Options, each written once: a field of a frozen dataclass that knows its help, its unit, its range and its choices.

From the fields come the checks, the documented parameters, the flags of the command line, and what result files record.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from math import inf
from textwrap import wrap
from typing import Any, Self, dataclass_transform, get_type_hints

from brian2 import Quantity, ms

from lnpbrian import checks
from lnpbrian.checks import InvalidInput

__all__ = ["Options", "as_flag", "flags", "option", "options"]


def option(
    *,
    default: Any = MISSING,
    help: str = "",
    choices: Iterable[str] = (),
    flag: str | None = None,
    recorded: bool = True,
    **bounds: Any,
) -> Any:
    """Declare an option of a class that is decorated with `options`.

    Parameters
    ----------
    default : object
        A `Quantity` is copied for every instance; without one the option has to be given.
    help : str
        A sentence that says what it is.
    choices : iterable of str
        What a str may be.
    flag : str, optional
        How the command line calls it, such as ``"new-edges"``; without one only a record or Python can set it.
    recorded : bool
        Whether result files hold it.
    **bounds
        Keyword arguments of the check that the type of the field calls for: `checks.count` for an int, `checks.real`
        for a float, `checks.seconds` for a Quantity; for an interval `at_least` (0) and whether its ends are
        `distinct` (True).

    Examples
    --------
    >>> @options
    ... class Readout(Options):
    ...     '''A readout.'''
    ...     ridge: float = option(default=1.0, help="Penalty.", above=0, flag="ridge")
    >>> Readout(-1.0)
    Traceback (most recent call last):
    lnpbrian.checks.InvalidInput: ridge must be a number in (0, inf), got -1.0
    """
    metadata = {"help": help, "choices": tuple(choices), "flag": flag, "recorded": recorded, "bounds": bounds}
    if isinstance(default, Quantity):
        return field(default_factory=lambda: default.copy(), metadata=metadata)
    return field(default=default, metadata=metadata)


class Options:
    """Base of all classes of options: their values are checked when they are made.

    Raises
    ------
    InvalidInput
        By the check of the option that is wrong, or by `check_together`.

    Examples
    --------
    >>> @options
    ... class Span(Options):
    ...     '''Two bounds.'''
    ...     low: float = option(default=0.0, flag="low")
    ...     high: float = option(default=1.0, flag="high")
    ...     def check_together(self):
    ...         if self.low > self.high:
    ...             raise InvalidInput("low must be at most high")
    >>> Span().with_flags({"low": 0.5})
    Span(low=0.5, high=1.0)
    >>> Span(low=2.0)
    Traceback (most recent call last):
    lnpbrian.checks.InvalidInput: low must be at most high
    """

    def __post_init__(self) -> None:
        for one in fields(self):  # type: ignore[arg-type]
            value, kind = getattr(self, one.name), one.default_factory
            if isinstance(kind, type) and issubclass(kind, Options):
                checks.instance(one.name, value, kind, f"use {kind.__name__}(...)")
            elif one.metadata.get("help") is not None and not (value is None and is_optional(one)):
                # 3.0 and np.int64(3) become 3: equal options are equal in every record.
                object.__setattr__(self, one.name, _checked(one, value, name=one.name))
        self.check_together()

    def check_together(self) -> None:
        """Refuse options that exclude each other."""

    def with_flags(self, given: Mapping[str, Any]) -> Self:
        """Return the options with those changed that are given by their flags, times in ms; see `flags`."""
        changes: dict[str, Any] = {}
        for one in fields(self):  # type: ignore[arg-type]
            flag, value = one.metadata.get("flag"), getattr(self, one.name)
            if isinstance(value, Options):
                changes[one.name] = value.with_flags(given)
            elif flag is not None and given.get(flag) is not None:
                changes[one.name] = _checked(one, _from_flag(one, given[flag]), name=f"--{flag}")
        return replace(self, **changes)  # type: ignore[type-var]


@dataclass_transform(frozen_default=True, field_specifiers=(option, field))
def options[T](cls: type[T]) -> type[T]:
    """Make a class of options a frozen dataclass, and list its options as parameters in its docstring.

    Examples
    --------
    >>> @options
    ... class Coffee(Options):
    ...     '''A cup of coffee.'''
    ...     sugar: int = option(default=0, help="Lumps.", minimum=0)
    >>> Coffee(2)
    Coffee(sugar=2)
    >>> Coffee(-1)
    Traceback (most recent call last):
    lnpbrian.checks.InvalidInput: sugar must be a whole number of at least 0, got -1
    """
    made = dataclass(frozen=True)(cls)
    listed = "\n".join(line for one in fields(made) for line in _documented(one))  # type: ignore[arg-type]
    head, mark, rest = (made.__doc__ or "").partition("\n\n")
    made.__doc__ = f"{head.rstrip()}\n\n    Parameters\n    ----------\n{listed}{mark}{rest.rstrip()}\n    "
    return made


def flags(cls: type[Options]) -> Iterator[tuple[str, Field[Any]]]:
    """Return the flags of a class of options and of the options that it is made of, each once, with their fields.

    Examples
    --------
    >>> @options
    ... class Outer(Options):
    ...     '''One option with a flag, one without.'''
    ...     ridge: float = option(default=1.0, flag="ridge")
    ...     seed: int = option(default=0)
    >>> [flag for flag, field in flags(Outer)]
    ['ridge']
    """
    seen: set[str] = set()
    kinds = get_type_hints(cls)
    for one in fields(cls):  # type: ignore[arg-type]
        inner = kinds[one.name]
        nested = (
            flags(inner)
            if isinstance(inner, type) and issubclass(inner, Options)
            else ((one.metadata.get("flag"), one),)
        )
        for flag, declared in nested:
            if flag is not None and flag not in seen:
                seen.add(flag)
                yield flag, declared


def as_flag(flag: str, value: Any) -> tuple[str, ...]:
    """Return the words of a command line that set an option, none for None.

    >>> as_flag("width", 0.5), as_flag("connected", False), as_flag("offset", -1.0)
    (('--width', '0.5'), ('--no-connected',), ('--offset=-1',))
    """
    if value is None:
        return ()
    if isinstance(value, bool):
        return (f"--{flag}" if value else f"--no-{flag}",)
    text = f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)
    # What begins with a dash would be taken for a flag.
    return (f"--{flag}={text}",) if text.startswith("-") else (f"--{flag}", text)


def _from_flag(one: Field[Any], value: Any) -> Any:
    if kind_of(one) == "Quantity":
        return value * ms
    # "roll-back" saves the quotes around "roll back".
    spaced = value.replace("-", " ") if isinstance(value, str) else value
    return spaced if spaced in one.metadata["choices"] else value


def kind_of(one: Field[Any]) -> str:
    """Return the name of the type of an option, without None.

    Examples
    --------
    >>> @options
    ... class Limits(Options):
    ...     '''A limit.'''
    ...     limit: float | None = option(default=None)
    >>> [(kind_of(one), default_of(one), is_optional(one)) for one in fields(Limits)]
    [('float', None, True)]
    """
    return _type_of(one).removesuffix(" | None")


def _type_of(one: Field[Any]) -> str:
    # Annotations are text only where the module says so.
    return one.type.__name__ if type(one.type) is type else str(one.type)


def default_of(one: Field[Any]) -> Any:
    """Return the default of an option, None if it has none.

    Examples
    --------
    >>> @options
    ... class Readout(Options):
    ...     '''A readout.'''
    ...     hold: Quantity = option(default=20 * ms)
    >>> [default_of(one) for one in fields(Readout)]
    [20. * msecond]
    """
    value = one.default_factory() if one.default_factory is not MISSING else one.default
    return None if value is MISSING else value


def is_optional(one: Field[Any]) -> bool:
    """Whether an option may be None.

    Examples
    --------
    >>> @options
    ... class Limits(Options):
    ...     '''Two limits.'''
    ...     low: float = option(default=0.0)
    ...     high: float | None = option(default=None)
    >>> [is_optional(one) for one in fields(Limits)]
    [False, True]
    """
    return "None" in _type_of(one)


def _checked(one: Field[Any], value: Any, *, name: str) -> Any:
    """Return the value of an option in the type that it has."""
    kind, bounds = kind_of(one), one.metadata.get("bounds", {})
    if one.metadata["choices"]:
        return checks.choice(name, value, one.metadata["choices"])
    if kind == "int":
        return checks.count(name, value, **bounds)
    if kind == "float":
        return checks.real(name, value, **bounds)
    if kind == "Quantity":
        checks.seconds(name, value, **bounds)
        # What a record says: of times such as 1.5 * 100 ms the last bit would not come back.
        return round(float(value / ms), 9) * ms or value
    elif kind == "bool" and not isinstance(value, bool):
        raise InvalidInput(f"{name} must be True or False, got {value!r}")
    elif kind == "str" and not isinstance(value, str):
        raise InvalidInput(f"{name} must be text, got {value!r}")
    elif kind == "tuple[str, ...]":
        if isinstance(value, str) or not isinstance(value, Sequence) or not all(isinstance(v, str) for v in value):
            raise InvalidInput(f"{name} must be a sequence of texts, got {value!r}")
        return tuple(value)
    elif kind == "tuple[float, float]":
        return _interval(name, value, **bounds)
    return value


def _interval(name: str, value: Any, *, at_least: float = 0.0, distinct: bool = True) -> tuple[float, float]:
    checks.array(name, value, shape=(2,), remedy="give the lower and the upper bound")
    low, high = (checks.real(name, bound) for bound in value)
    if not at_least <= low <= high or (distinct and low == high):
        least, less = "" if at_least == -inf else f"{at_least:g} <= ", "<" if distinct else "<="
        raise InvalidInput(f"{name} must be (lower, upper) with {least}lower {less} upper, got {value}")
    return low, high


def _documented(one: Field[Any]) -> list[str]:
    kind, known = _type_of(one), one.metadata.get("choices")
    shown = "{" + ", ".join(f'"{name}"' for name in known) + "}" if known else kind.replace(" | None", ", optional")
    value = default_of(one)
    if isinstance(value, Quantity):
        shown += f", default {float(value / ms):g} ms"
    elif value is not None and not isinstance(value, Options):
        shown += f", default {value!r}"
    return [f"    {one.name} : {shown}", *(f"        {line}" for line in wrap(one.metadata.get("help", ""), 108))]
