"""The parts of the file format that hdf5.py writes: reader, validation, levels, labels, the unfinished file."""
