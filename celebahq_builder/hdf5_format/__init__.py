"""The parts of the file format that hdf5.py writes: reader, gate, levels, labels, the unfinished file."""
