"""A plain folder, 00000.png and on, with labels.csv: what `extract` writes, as a format to convert to."""

from pathlib import Path

from celebahq_builder.formats.export_rows import SUFFIX, ExportRows, WriteOptions
from celebahq_builder.hdf5 import Dataset

OPENED_BY = "PIL.Image.open('{output}/00000.png')"


def write(dataset: Dataset, output: Path, options: WriteOptions) -> None:
    """Write one image a row, and labels.csv where there are labels: file, then a number for each column."""
    from celebahq_builder.commands.extract import label_table

    rows = ExportRows(dataset, options)
    digits = max(5, len(str(len(dataset) - 1)))
    names = [f"{i:0{digits}}{SUFFIX[options.image]}" for i in range(len(dataset))]
    output.mkdir(exist_ok=True)  # of this command, killed
    for row in rows:
        row.write(output / names[row.index], options.image)
    if dataset.labels is not None:
        (output / "labels.csv").write_bytes(label_table(dataset, list(enumerate(names))))
