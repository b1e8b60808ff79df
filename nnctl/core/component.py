"""Component: a frozen, named schema; the registry of its family; and the three YAML spellings.

Everything that a spec can name is a component: a frozen class whose fields are its YAML keys, whose field docstrings
are its documentation, and whose class statement registers it:

    class Adam(Optimizer, name="adam"):
        lr: Positive = 1e-3
        \"\"\"Learning rate.\"\"\"

A component is spelled in YAML as its name, as ``name: value`` (its one required field, or else its first), or as
``name: {field: value, ...}``, and in no fourth way.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, Strict, ValidationError, model_validator
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema

from nnctl.core.hints import did_you_mean
from nnctl.core.mistakes import UNKNOWN, Loc, listed, sentence, shown

__all__ = [
    "Component",
    "Items",
    "NonNegative",
    "Positive",
    "PositiveInt",
    "Schema",
    "Share",
    "did_you_mean",
]

T = TypeVar("T")

Items = Annotated[tuple[T, ...], Strict(strict=False)]  # a YAML list, kept as a tuple
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
PositiveInt = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0, lt=1)]


class Schema(BaseModel):
    """A frozen record with checked fields; the sections of a spec and all components are schemas.

    An unknown key is an error that names the known key it resembles, or what another framework's word
    (`field_synonyms`) is called here. Unknown keys and wrong values are reported together.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, defer_build=True)

    field_synonyms: ClassVar[Mapping[str, str]] = {}
    """What other frameworks call a field -> the field, or a field within it: ``training.epochs``."""
    advice: ClassVar[Mapping[str, str]] = {}
    """A word of other frameworks that is no field here -> what to write instead."""

    @model_validator(mode="wrap")
    @classmethod
    def _unknown_keys_are_errors(cls, value: Any, handler: Any) -> Any:
        if not isinstance(value, Mapping):
            if isinstance(value, cls):
                return handler(value)
            message = f"must be a mapping of some of these keys: {listed(cls.model_fields)}. Got {shown(value)}."
            raise ValidationError.from_exception_data(cls.__name__, [_error(message, (), value)])
        unknown = [key for key in value if key not in cls.model_fields]
        if not unknown:
            return handler(value)
        hints = {key: cls._hint(key) for key in unknown}
        errors = [
            _error(f"{UNKNOWN}{hints[key]}{_or_the_list(cls, hints[key])}", (key,), value[key]) for key in unknown
        ]
        try:
            handler({key: value[key] for key in value if key in cls.model_fields})
        except ValidationError as other:
            hinted = " ".join(hints.values())
            errors += [
                _error(sentence(e), e["loc"], e["input"])
                for e in other.errors(include_url=False)
                if not (e["type"] == "missing" and f"'{e['loc'][-1]}'" in hinted)
            ]
        raise ValidationError.from_exception_data(cls.__name__, errors)

    @classmethod
    def _hint(cls, word: str) -> str:
        advice = [vars(base)["advice"][word] for base in cls.__mro__ if word in vars(base).get("advice", {})]
        return f" {advice[0]}" if advice else did_you_mean(word, cls.model_fields, cls._synonyms())

    @classmethod
    def _synonyms(cls) -> dict[str, str]:
        merged: dict[str, str] = {}
        for base in reversed(cls.__mro__):
            ours = base.__dict__.get("field_synonyms", {})
            merged |= {word: field for word, field in ours.items() if field.split(".")[0] in cls.model_fields}
        return merged

    @classmethod
    def field_docs(cls) -> dict[str, str]:
        """Return the docstring that stands under each field; read from the source only when asked, since it is slow."""
        docs: dict[str, str] = {}
        for base in reversed(cls.__mro__):
            if not (issubclass(base, Schema) and base is not Schema):
                continue
            body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0].body  # type: ignore[attr-defined]
            for field, text in pairwise(body):
                if (
                    isinstance(field, ast.AnnAssign)
                    and isinstance(field.target, ast.Name)
                    and isinstance(text, ast.Expr)
                    and isinstance(text.value, ast.Constant)
                    and isinstance(text.value.value, str)
                ):
                    docs[field.target.id] = inspect.cleandoc(text.value.value)
        return {name: docs[name] for name in cls.model_fields if name in docs}

    def plain(self, *, full: bool = True) -> dict[str, Any]:
        """Return the fields as plain YAML values; with ``full=False`` only those that differ from their default."""
        return {
            name: _plain(getattr(self, name), full=full)
            for name, field in type(self).model_fields.items()
            if full or field.is_required() or getattr(self, name) != field.get_default(call_default_factory=True)
        }


class Component(Schema):
    """A schema with a name, registered in its family.

    A family is declared with ``class Layer(Component, family="layer")`` and a member with
    ``class Dense(Layer, name="dense")``. A class with neither is an abstract step between the two.
    """

    name: ClassVar[str] = ""
    """How a spec names it."""
    family: ClassVar[str] = ""
    """The word for its kind in messages: layer, loss, optimizer, ..."""
    registry: ClassVar[dict[str, type[Component]]] = {}
    """Every member of the family by name, once those that come `later` are there."""
    later: ClassVar[list[Callable[[], None]]] = []
    """On a family: what registers the members that plain runs do without, called when one is asked for."""
    synonyms: ClassVar[Mapping[str, str]] = {}
    """On a family: what other frameworks call a member -> its name."""

    def __init_subclass__(cls, *, name: str = "", family: str = "", **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.name = name
        if family:
            cls.family = family
            cls.registry = {}
            cls.later = []
        if name:
            if name in cls.registry:
                raise TypeError(f"{cls.family} '{name}' is registered twice")
            cls.registry[name] = cls

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        # A field typed by a family takes any member in any spelling; a named class validates its own fields.
        if cls.name:
            return handler(source)
        return core_schema.no_info_plain_validator_function(
            cls.parse, metadata={"pydantic_js_functions": [lambda _schema, _handler: {"x-family": cls.__name__}]}
        )

    @classmethod
    def members(cls) -> dict[str, type[Self]]:
        """Return the members that are subclasses of this class, by name."""
        while cls.later:
            cls.later.pop()()
        return {name: member for name, member in sorted(cls.registry.items()) if issubclass(member, cls)}

    @classmethod
    def member(cls, name: str) -> type[Self] | None:
        """Return the member of that name; None where there is none."""
        known = cls.registry.get(name)
        return known if known is not None and issubclass(known, cls) else cls.members().get(name)

    @classmethod
    def value_field(cls) -> str | None:
        """Return the field that ``name: value`` sets: the one required field, or else the first."""
        required = [name for name, field in cls.model_fields.items() if field.is_required()]
        return required[0] if len(required) == 1 else next(iter(cls.model_fields), None)

    @classmethod
    def parse(cls, value: Any) -> Self:
        """Make a member of this family from its YAML spelling.

        Raises
        ------
        pydantic.ValidationError
            With one entry for every mistake, each located by the keys as written.
        """
        if isinstance(value, cls) and value.name:
            return value
        name: Any
        fields: Any = {}
        if isinstance(value, str):
            name = value
        elif isinstance(value, Mapping) and len(value) == 1:
            name, fields = next(iter(value.items()))
        elif isinstance(value, Mapping) and value:
            raise cls._refusal(
                f"must name one {cls.family}. Got {len(value)} keys: {listed(map(str, value))}. "
                f"Indent what belongs to the first.",
                value,
            )
        else:
            article = "an" if cls.family[0] in "aeiou" else "a"
            raise cls._refusal(f"must name {article} {cls.family}: {listed(cls.members())}. Got {shown(value)}.", value)
        member = cls.member(name) if isinstance(name, str) else None
        loc = () if isinstance(value, str) else (str(name),)
        if member is None:
            hint = did_you_mean(str(name), cls.members(), cls.synonyms)
            known = "" if hint else f" Known: {listed(cls.members())}."
            raise cls._refusal(f"unknown {cls.family} {shown(name)}.{hint}{known}", value, loc)
        return member._from_fields(fields, loc, value)  # noqa: SLF001 - the same class

    @classmethod
    def _from_fields(cls, fields: Any, loc: Loc, value: Any) -> Self:
        if fields is None:
            raise cls._refusal(f"is empty. Write '{cls.name}' alone for the defaults.", value, loc)
        if not isinstance(fields, Mapping):
            field = cls.value_field()
            if field is None:
                raise cls._refusal(f"takes no value. Got {shown(fields)}. Write '{cls.name}' alone.", value, loc)
            fields = {field: fields}
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            raise ValidationError.from_exception_data(
                cls.__name__,
                [_error(sentence(e), (*loc, *e["loc"]), e["input"]) for e in error.errors(include_url=False)],
            ) from None

    @classmethod
    def _refusal(cls, message: str, value: Any, loc: Loc = ()) -> ValidationError:
        return ValidationError.from_exception_data(cls.__name__, [_error(message, loc, value)])

    def spelled(self, *, full: bool = True) -> Any:
        """Return the YAML spelling: the name alone where it has no fields to say, else ``{name: {field: value}}``."""
        fields = self.plain(full=full)
        return {self.name: fields} if fields else self.name


def _plain(value: Any, *, full: bool) -> Any:
    if isinstance(value, Component):
        return value.spelled(full=full)
    if isinstance(value, Schema):
        return value.plain(full=full)
    if isinstance(value, Mapping):
        return {key: _plain(item, full=full) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, full=full) for item in value]
    return value


def _error(message: str, loc: Loc, value: Any) -> InitErrorDetails:
    return InitErrorDetails(type=PydanticCustomError("nnctl", message), loc=loc, input=value)


def _or_the_list(cls: type[Schema], hint: str) -> str:
    return "" if hint else f" Known: {listed(cls.model_fields)}."
