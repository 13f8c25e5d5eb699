"""What an import ends with: what was made, what was skipped and why, what to do next."""

import csv
import io
import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from celebahq.files import printable, write_atomic
from celebahq_builder.commands.import_decode import Fit
from celebahq_builder.commands.import_journal import ImportedImage
from celebahq_builder.commands.import_labels import Labels

_log = logging.getLogger("celebahq")


def tell(output: Path, fit: Fit, images: Sequence[ImportedImage], others: Counter[str], labels: Labels | None) -> None:
    """Write <output>.rows.csv where images were skipped; say what was made, and what to do with it."""
    rows = sum(image.is_row for image in images)
    kind = "gray images" if fit.channels == 1 else "images"
    made = f"{output}: {rows:,} {kind} of {fit.resolution}x{fit.resolution}"
    if labels is not None:
        shown = ", ".join((labels.names or ())[:6]) + (", ..." if len(labels.names or ()) > 6 else "")
        made += f", {labels.table.shape[1]} labels" + (f" ({shown})" if shown else "")
    _log.info(printable(made))
    if reasons := Counter(image.reason for image in images if not image.is_row):
        table = output.with_name(output.name + ".rows.csv")
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(["source", "status", "reason", "detail"])
        writer.writerows([i.source, "kept" if i.is_row else "skipped", i.reason, i.detail] for i in images)
        with write_atomic(table) as file:
            file.write(text.getvalue().encode("utf-8", "surrogateescape"))
        counts = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
        _log.info(printable(f"skipped: {sum(reasons.values())} ({counts}); each with its reason in {table}"))
    if others:
        counts = ", ".join(f"{kind} {count}" for kind, count in others.most_common(8))
        _log.info(printable(f"no images, and left alone: {sum(others.values())} ({counts})"))
    _log.info(printable(f"train on it: python -m train --dataset {output}"))
