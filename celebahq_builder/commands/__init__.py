"""The commands of celebahq-data, a file each."""
