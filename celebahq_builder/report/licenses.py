"""What report.html says of licenses: of the models that a dataset was made with, and of its photographs."""

from celebahq_builder.detectors import DETECTORS, terms_of
from celebahq_builder.report.page import Section


def licenses(detector: str | None, landmarks_from: str, restore: str) -> Section:
    """Say whose terms a dataset falls under beside those of its photographs.

    Args:
        detector, landmarks_from: as the options of these names; None where its landmarks were given by a list.
        restore: as the option of this name, resolved: "off" where its faces went through no restoration networks.
    """
    terms = []
    if detector is not None and landmarks_from == "dlib68":
        terms.append(
            "The landmarks were placed by dlib's 68-point model. It was trained on iBUG 300-W, whose license excludes "
            "commercial use; ask its publishers (Imperial College London) before any. A build with --landmarks does "
            "without the model, and so does one with --detector centerface --landmarks-from detector."
        )
    if detector is not None:
        placed = ", which also placed the landmarks" if landmarks_from == "detector" else ""
        terms += [f"Faces were found by {DETECTORS[detector].name}{placed} {brought}" for brought in terms_of(detector)]
    if restore == "fast-free":
        terms.append(
            "The faces were restored by networks under the Apache License 2.0, trained only on images in the public "
            "domain, CC0 and CC BY; the cards of artifacts-fast-free and superres-fast-free-gan name their authors."
        )
    elif restore != "off":
        terms.append(
            "The faces were restored by networks under CC BY-NC 4.0, part of whose training data (BSDS500) is for "
            "non-commercial research only. A build with --restore fast-free or off does without them."
        )
    terms.append("The photographs keep the licenses that they have, and whoever they show keeps their rights.")
    return Section(title="Licenses", about="What may be done with these faces.", text=terms)
