"""celebahq.h5 to a trained generator: progressive growing with WGAN-GP."""
