"""THE TABLE OF DETECTORS: what --detector takes, the network that ships with it, when its score is sure, its terms.

How each looks at a photo stands in landmarks.py, `_looks`.
"""

from dataclasses import dataclass
from typing import Literal

Detector = Literal["auto", "hog", "cnn", "centerface"]


@dataclass(frozen=True)
class FaceFinder:
    """What finds faces.

    confident_score: from which on a detection needs no agreement of its landmarks. ships: its model folder in
    zoo/pretrained, whose hash a build records. remark: of a face that it found, in the face's row. terms: which license
    it brings into a build, after "Faces were found by X".
    """

    confident_score: float
    ships: str | None = None
    remark: str = ""
    terms: str = ""


FINDERS = {
    "dlib": FaceFinder(confident_score=0.3),
    "centerface": FaceFinder(
        confident_score=0.6,
        ships="centerface",
        remark="found by CenterFace",
        terms="(MIT License, Copyright (c) 2019 StarClouds). It was trained on WIDER FACE, photographs from the web "
        "that its publishers give out under CC BY-NC-ND 4.0; CenterFace's authors put no such limit on it. Whether a "
        "network is bound by its training data is not settled; a lawyer may know.",
    ),
}


@dataclass(frozen=True)
class DetectorChoice:
    """A value of --detector: what looks at a photo, in order, a later one where those before found nothing; and how
    report.html names it."""

    finders: tuple[str, ...]
    name: str


DETECTORS: dict[str, DetectorChoice] = {
    "auto": DetectorChoice(("dlib", "centerface"), "dlib's HOG detector and, where that found none, by CenterFace"),
    "hog": DetectorChoice(("dlib",), "dlib's HOG detector"),
    "cnn": DetectorChoice(("dlib",), "dlib's network"),
    "centerface": DetectorChoice(("centerface",), "CenterFace"),
}


def shipped_networks(detector: str) -> list[str]:
    """Return the model folders in zoo/pretrained that a value of --detector looks with."""
    return [ships for name in DETECTORS[detector].finders if (ships := FINDERS[name].ships)]


def terms_of(detector: str) -> list[str]:
    """Return the terms that what looks at a photo brings; empty of a detector that this version does not know."""
    known = DETECTORS.get(detector)
    return [terms for name in (known.finders if known else ()) if (terms := FINDERS[name].terms)]
