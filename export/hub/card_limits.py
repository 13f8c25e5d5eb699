"""What a card says about intended use, limits and bias: of generated faces, and of other images."""

from export.hub.license import License

FACE_TAGS = ("faces", "celeba-hq", "synthetic-faces")


def limits_of_faces(license: License, repo: str) -> str:
    """Return the sections of a model that generates faces, for readers who were not there when it was trained."""
    commercial = (
        "CelebA's photographs are for non-commercial research only, and so should be what learned from\n"
        "  them, whatever the license of the weights says."
    )
    if license.data and "celeb" not in license.data.lower():
        commercial = "Mind the terms of the photographs it learned from, below."
    return f"""\
## Intended use

For research and teaching on generative models: reproducing published results, measuring metrics, studying latent
spaces, comparing implementations, testing software that needs images of faces which must not be anybody's.

Not for:

- **Deception.** No made-up witnesses, reviewers, employees or profile images; no deepfakes; nothing that a viewer is
  meant to take for a photograph of a person. Say that an image is generated wherever you show it.
- **Identity.** A generated face identifies nobody and proves nothing. Do not use it to train, test or get past face
  recognition or checks of identity or age, and do not present it beside a real name.
- **Judging people.** The model has no idea of character, health, origin or intent, and neither do its images; do not
  build or evaluate systems on it that claim to read such things from faces.
- **Commerce.** {commercial}

## Limits and bias

- **Who it generates.** Celebrities, as press photographers show them: mostly young, light-skinned, made up, smiling,
  facing the camera, in good light. People who are rare in those photographs (older people, darker skin, children,
  headscarves, visible disabilities) come out seldom and worse. Its output is no sample of humanity, and a dataset
  made from it hands the same bias on. The moving average and any truncation narrow the variety further.
- **Nobody, but somebody.** The faces are invented, yet each is put together from real people's photographs, taken
  and collected without asking them. A generator can come close to an image it has seen, the more so the fewer there
  were; `python -m train.metrics --model {repo} --dataset FILE.h5 --metrics neighbours` shows the nearest ones. If a
  face resembles a real person, do not publish it.
- **How it fails.** Ears, earrings and glasses that differ left and right; teeth that do not sit in the middle; hair
  that melts into skin or background; hats, hands and second people as smears; backgrounds without sense. Every face
  is cropped and turned to stand in the same place, so nothing else in the image is modelled.
- **No control.** Seeds are not sorted: nothing chooses age, expression or gender, and directions in the latent space
  that seem to do so drag correlated features along.
"""


def limits_of_images(repo: str) -> str:
    """Return the sections of a model that generates something else."""
    return f"""\
## Intended use

For research and teaching on generative models: reproducing published results, measuring metrics, studying latent
spaces, comparing implementations. Say that an image is generated wherever you show it.

## Limits and bias

- It knows the images of its dataset and nothing else: what is rare there comes out seldom and worse, and what is
  wrong there (watermarks, captions, stereotypes) comes out too.
- A generator can come close to an image it has seen, the more so the fewer there were;
  `python -m train.metrics --model {repo} --dataset FILE.h5 --metrics neighbours` shows the nearest ones.
- Objects can have the wrong number of parts, text is unreadable, and nothing chooses what a seed shows.
"""
