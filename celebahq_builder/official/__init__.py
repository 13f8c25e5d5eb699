"""The official CelebA-HQ, from CelebA's photographs and the published deltas, md5 for md5."""
