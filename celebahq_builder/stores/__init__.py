"""Datasets in object stores and on other machines: a finished set is sent there, a set is fetched from there."""
