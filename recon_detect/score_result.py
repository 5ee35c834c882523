"""The results of several images: a sequence of rows, and tables of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from recon_detect.answers import answer_in, without_type
from recon_detect.errors import InputError, UnknownName, UsageError
from recon_detect.names import counted
from recon_detect.output.writers import table_of
from recon_detect.results import Drift, Row, RunInfo, Score

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_NO_SCORE = Score(math.nan)
# Cards that a notebook shows of a result; each may hold two small pictures.
_CARDS = 20


@dataclass(frozen=True, repr=False)
class ScoreResult(Sequence[Row]):
    """The results of several images, in input order; a sequence of rows.

    Attributes:
        rows: One per image.
        run: Everything that decides the scores, besides the images.
        drift: How the images differ from the photographs of the calibration; None without one, or of few images.
    """

    rows: tuple[Row, ...]
    run: RunInfo
    drift: Drift | None = None

    @property
    def scores(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """(N,) float64 of the first method; higher means more likely generated, NaN where there is an error."""
        return np.array([row.score for row in self.rows], dtype=np.float64)

    def scores_of(self, method: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """(N,) float64 of any method of the run.

        Raises:
            UnknownName: No such method in this run.
        """
        names = [info.name for info in self.run.methods]
        if method not in names:
            raise UnknownName("method of this run", method, names)
        return np.array([row.scores.get(method, _NO_SCORE).value for row in self.rows], dtype=np.float64)

    @property
    def per_model(self) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
        """(N, K) float64 of the first method, columns in the order of `models`; NaN where there is an error."""
        values = [[row.per_model.get(model, math.nan) for model in self.models] for row in self.rows]
        return np.array(values, dtype=np.float64).reshape(len(self.rows), len(self.models))

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the K models of the first method."""
        return self.run.methods[0].models

    @property
    def maps(self) -> list[np.ndarray[Any, Any] | None]:
        """Error maps (h, w), at the resolution of the distance; None where not asked for, or an error."""
        return [row.map for row in self.rows]

    @property
    def errors(self) -> dict[int, str]:
        """Index to message, of the images that failed."""
        return {row.index: row.error for row in self.rows if row.error is not None}

    @property
    def labels(self) -> list[list[dict[str, Any]]]:
        """``[{"label": ..., "score": ...}]`` for each image: the kind of its answer, and the first method's score."""
        answers = (answer_in(row, self.run) for row in self.rows)
        return [[{"label": answer.kind, "score": row.score}] for row, answer in zip(self.rows, answers, strict=True)]

    def to_arrow(self) -> pa.Table:
        """Table with the columns of the Parquet output, and the run in its metadata under ``recon_detect``."""
        return table_of(self.rows, self.run)

    def to_pandas(self) -> pd.DataFrame:
        """Data frame with the columns of `to_arrow`; NaN where an integer is missing.

        Raises:
            UsageError: pandas is not installed.
        """
        try:
            import pandas as pd  # noqa: F401
        except ImportError as error:
            raise UsageError(f"to_pandas() needs pandas ({error}): pip install pandas, or take to_arrow()") from error
        return self.to_arrow().to_pandas()

    def raise_for_errors(self) -> ScoreResult:
        """Raises if an image failed; otherwise returns the result, so that calls can be chained."""
        if self.errors:
            index, message = next(iter(self.errors.items()))
            more = f" (and {len(self.errors) - 1} more)" if len(self.errors) > 1 else ""
            raise InputError(f"{self.rows[index].path}: {without_type(message)}{more}")
        return self

    def __getitem__(self, index: Any) -> Any:
        return self.rows[index]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __repr__(self) -> str:
        failed = f", {len(self.errors)} failed" if self.errors else ""
        return f"ScoreResult({counted(len(self), 'image')}{failed}; {self.run.in_short}; run {self.run.fingerprint})"

    def _repr_html_(self) -> str:
        """The cards of the first rows, for notebooks."""
        more = f"<div>... and {len(self) - _CARDS} more</div>" if len(self) > _CARDS else ""
        return "".join(row._repr_html_() for row in self.rows[:_CARDS]) + more
