"""The data sets that travel with scikit-learn, read from its files without importing it (which takes a second)."""

from __future__ import annotations

import gzip
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import ClassVar

import numpy as np

from nnctl.core.arrays import Float
from nnctl.core.errors import DataError
from nnctl.data.sources.source import Source
from nnctl.data.table import Table

__all__ = ["BreastCancer", "Diabetes", "Digits", "Iris", "Wine"]


def _read(file: str, separator: str = ",") -> tuple[list[str], Float]:
    """Return the header, if there is one, and the numbers (N, D) of one of scikit-learn's files."""
    spec = find_spec("sklearn")
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin).parent / "datasets" / "data" / file
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"scikit-learn's file {path} cannot be read ({error}). Reinstall scikit-learn, 1.5 or newer."
        ) from error
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()
    first, rest = text.split("\n", 1)
    header = first.split(separator)
    has_header = header[-1].strip().isidentifier()
    lines = rest if has_header else text
    return header if has_header else [], np.loadtxt(StringIO(lines), delimiter=separator, ndmin=2)


class _NamedClasses(Source):
    """A classification set whose file starts with ``rows,columns,names of the classes``."""

    file: ClassVar[str]
    columns: ClassVar[tuple[str, ...]]

    def load(self, base: Path, seed: int) -> Table:  # noqa: ARG002 - a fixed set
        """Return the rows as scikit-learn's loader does."""
        header, rows = _read(self.file)
        return Table(rows[:, :-1], rows[:, -1].astype(np.int64), self.columns, classes=tuple(header[2:]))


class Iris(_NamedClasses, name="iris"):
    """150 iris flowers, 4 lengths in cm, 3 species of 50 each; two of them overlap (Fisher, 1936)."""

    file = "iris.csv"
    columns = ("sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)")


class Wine(_NamedClasses, name="wine"):
    """178 Italian wines, 13 chemical measurements, 3 growers (Forina et al., 1991; UCI)."""

    file = "wine_data.csv"
    columns = (
        *("alcohol", "malic_acid", "ash", "alcalinity_of_ash", "magnesium", "total_phenols", "flavanoids"),
        *(
            "nonflavanoid_phenols",
            "proanthocyanins",
            "color_intensity",
            "hue",
            "od280/od315_of_diluted_wines",
            "proline",
        ),
    )


_CELL = (
    *("radius", "texture", "perimeter", "area", "smoothness", "compactness", "concavity", "concave points"),
    *("symmetry", "fractal dimension"),
)


class BreastCancer(_NamedClasses, name="breast_cancer"):
    """569 tumours, 30 measurements of cell nuclei, 212 malignant, 357 benign (Street, Wolberg, Mangasarian, 1993)."""

    file = "breast_cancer.csv"
    columns = (*(f"mean {c}" for c in _CELL), *(f"{c} error" for c in _CELL), *(f"worst {c}" for c in _CELL))


class Digits(Source, name="digits"):
    """1,797 handwritten digits as rows of 8 x 8 grey values 0 to 16; 10 classes (Alpaydin and Kaynak, 1998)."""

    def load(self, base: Path, seed: int) -> Table:  # noqa: ARG002 - a fixed set
        """Return the rows as scikit-learn's load_digits does."""
        _, rows = _read("digits.csv.gz")
        names = tuple(f"pixel_{row}_{column}" for row in range(8) for column in range(8))
        return Table(rows[:, :-1], rows[:, -1].astype(np.int64), names, classes=tuple(map(str, range(10))))


class Diabetes(Source, name="diabetes"):
    """442 patients, 10 measurements; how far diabetes got in a year, 25 to 346 (Efron et al., 2004)."""

    scaled: bool = True
    """Each column with mean 0 and sum of squares 1, as scikit-learn's load_diabetes has it; false for raw units."""

    def load(self, base: Path, seed: int) -> Table:  # noqa: ARG002 - a fixed set
        """Return the rows as scikit-learn's load_diabetes does."""
        _, x = _read("diabetes_data_raw.csv.gz", " ")
        _, y = _read("diabetes_target.csv.gz", " ")
        if self.scaled:
            x = (x - x.mean(0)) / x.std(0) / np.sqrt(len(x))
        return Table(x, y[:, 0], ("age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6"), "progression")
