"""What a preprocessing.json must look like; one that was touched is told, and never reaches the network."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, PositiveInt, ValidationError

from nnctl.data.targets import Task

__all__ = ["refuse_another_form"]

Names = list[str]


class _Form(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class _Affine(_Form):
    center: Any
    scale: Any


class _Encoder(_Form):
    numeric: Names
    fills: list[float] | None
    categorical: Names
    category_fills: Names
    categories: list[Names]
    encoding: Literal["onehot", "ordinal"]


class _Preprocessing(_Form):
    task: Task
    inputs: Names
    input_shape: list[PositiveInt]
    encoder: _Encoder | None
    scaling: _Affine
    target: str
    classes: Names | None
    target_scaling: _Affine | None
    tokens: Names | None = None
    text: dict[str, Any] | None = None
    series: dict[str, Any] | None = None
    audio: dict[str, Any] | None = None


def refuse_another_form(plain: Any) -> None:
    """Refuse what `Preprocessing.to_json` did not write.

    Raises
    ------
    ValueError
        Says the first key that is wrong.
    """
    try:
        form = _Preprocessing.model_validate(plain)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg'].lower()}") from None
    _refuse_unfit(form.scaling, "scaling", tuple(form.input_shape))
    if (form.classes is None) == (form.target_scaling is None):
        raise ValueError("there must be either classes or target_scaling")
    if form.target_scaling is not None:
        _refuse_unfit(form.target_scaling, "target_scaling", (np.size(form.target_scaling.center),))
    if form.encoder is not None:
        lengths = {len(form.encoder.categorical), len(form.encoder.category_fills), len(form.encoder.categories)}
        if len(lengths) > 1:
            raise ValueError("encoder: categorical, category_fills and categories are not of one length")
        if form.encoder.fills is not None and len(form.encoder.fills) != len(form.encoder.numeric):
            raise ValueError("encoder: numeric and fills are not of one length")


def _refuse_unfit(affine: _Affine, name: str, shape: tuple[int, ...]) -> None:
    for key, values in (("center", affine.center), ("scale", affine.scale)):
        try:
            numbers = np.broadcast_to(np.asarray(values, np.float64), shape)
        except (ValueError, TypeError):
            raise ValueError(f"{name}.{key}: must be numbers for a row of shape {shape}") from None
        if not np.isfinite(numbers).all() or (key == "scale" and not numbers.all()):
            raise ValueError(f"{name}.{key}: must be finite, and a scale not 0")
