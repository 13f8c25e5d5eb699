"""What report.html says of licenses: of the models that a dataset was made with, and of its photographs."""

from celebahq_builder.report.page import Section


def licenses(detected: bool, restored: bool) -> Section:
    """Say whose terms a dataset falls under beside those of its photographs.

    Args:
        detected: its landmarks were found by dlib, not given.
        restored: its faces went through the restoration networks.
    """
    terms = []
    if detected:
        terms.append(
            "The landmarks were found by dlib's 68-point model. It was trained on iBUG 300-W, whose license excludes "
            "commercial use; ask its publishers (Imperial College London) before any. A build with --landmarks does "
            "without the model."
        )
    if restored:
        terms.append(
            "The faces were restored by networks under CC BY-NC 4.0, part of whose training data (BSDS500) is for "
            "non-commercial research only. A build with --restore off does without them."
        )
    terms.append("The photographs keep the licenses that they have, and whoever they show keeps their rights.")
    return Section(title="Licenses", about="What may be done with these faces.", text=terms)
