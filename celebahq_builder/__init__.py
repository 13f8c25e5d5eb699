"""In-the-wild photographs to celebahq.h5: the data pipeline of Progressive Growing of GANs, Appendix C."""
