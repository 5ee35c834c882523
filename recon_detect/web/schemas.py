"""Types of the answers, as OpenAPI shows them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Problem(BaseModel):
    """The body of every answer that is an error."""

    detail: str = Field(description="What was expected, what came, and what to do next.")


class AnswerModel(BaseModel):
    """The verdict in words (`recon_detect.answers.Answer`)."""

    kind: Literal["found", "nothing", "undecided", "error"]
    headline: str = Field(description="One line.")
    meaning: str = Field(description="What that means, to somebody who has read nothing else.")
    tried: str = Field(description="Families, sizes and area that were looked at; empty where nothing was.")
    limits: list[str] = Field(description="Limits that apply to this picture.")
    one_in: float | None = Field(
        description="At most one photograph in so many has such a score, by the method's estimate; null without one."
    )
    family: str | None = Field(description="Readable name of the decoder family.")
    native_size: list[int] | None = Field(description="Width and height that the generator wrote.")


class PictureModel(BaseModel):
    """The result of one picture: a row as `recon-detect score --json` prints it, with the answer in words."""

    model_config = ConfigDict(extra="allow")

    path: str = Field(description="Name that the client gave the picture; bytes that are not text are escaped.")
    score: float | None = Field(description="Higher means more likely generated; null where there is an error.")
    scores: dict[str, float | None] = Field(description="By method; the first one ranks.")
    per_model: dict[str, dict[str, float | None]] = Field(description="By method, then model or decoder family.")
    details: dict[str, Any] = Field(description="By method: what it tried and found.")
    notes: list[str]
    error: str | None = Field(description="What went wrong with this picture, as 'Type: message'.")
    run: str = Field(description="Fingerprint of the settings: scores of equal fingerprints can be compared.")
    answer: AnswerModel


class ScoreModel(BaseModel):
    """The results of the pictures of a request, in its order."""

    results: list[PictureModel]


class MapModel(BaseModel):
    """A map of evidence over the picture."""

    name: str
    image: str = Field(description="PNG as a data: URL; transparent where the picture was not looked at.")
    scale: float = Field(description="Deviations of photographs that are shown brightest, in every map of this name.")
    meaning: str = Field(description="What bright and dark mean.")


class ExplanationModel(BaseModel):
    """The result of one picture, with what a page shows of it."""

    result: PictureModel
    maps: list[MapModel]
    claims: list[str] | None = Field(description="Sentences on what the file says of itself.")
    html: str | None = Field(description="The page of `recon-detect explain`, where it was asked for.")
    run: dict[str, Any] = Field(description="Settings, weights and versions that reproduce the score.")


class HealthModel(BaseModel):
    """The state of the server and its limits."""

    status: Literal["ok"]
    version: str
    methods: list[str]
    run: str = Field(description="Fingerprint of the settings.")
    waiting: int = Field(description="Requests that wait for the detector.")
    running: int
    abandoned: int = Field(description="Requests that are being scored and nobody waits for any more: 0 or 1.")
    max_bytes: int = Field(description="Most bytes of a request.")
    max_pixels: int = Field(description="Most pixels of a picture.")
    queue: int = Field(description="Most requests that wait.")
    timeout: float = Field(description="Seconds from the beginning of a request to its answer.")
    patience: float = Field(description="Seconds without a byte of a body, after which it is not waited for.")
