"""Networks of a foreign file with their provenance, and the model folder that they become."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from celebahq.files import sha256_of, write_atomic
from zoo import weights
from zoo.folder import CONFIG_NAME, read_config
from zoo.importers.content import CheckpointImportError
from zoo.progan import Discriminator, Generator


@dataclass(frozen=True)
class Imported:
    """Networks of a foreign file and where they come from."""

    layout: str
    generator: Generator | None
    discriminator: Discriminator | None
    """Of the same config as the generator where both are there."""
    notes: tuple[str, ...]
    """One line each: which network of the file it is, its fade state, what was left out."""
    source: str
    """Name of the file."""
    source_sha256: str

    def provenance(self) -> dict[str, Any]:
        """Return plain data for config.json."""
        return {
            "layout": self.layout,
            "file": self.source,
            "file_sha256": self.source_sha256,
            "notes": list(self.notes),
        }

    def save(self, folder: str | Path, **card: Any) -> Path:
        """Write a model folder: the generator, its discriminator if there is one, and the provenance of both.

        Args:
            folder: made if it is missing.
            card: further fields of config.json, as weights.save takes them: license, dataset.

        Returns:
            The folder; `imported` in its config.json holds layout, file, file_sha256, notes and, of what was written,
            model_sha256 (and discriminator_sha256).

        Raises:
            CheckpointImportError: there is no generator, and a model folder has one.
            ModelError: the disk is full.
        """
        if self.generator is None:
            raise CheckpointImportError(
                f"{self.source}: got a discriminator alone, expected a generator for a model folder"
            )
        folder, provenance = Path(folder), self.provenance()
        if self.discriminator is not None:
            provenance["discriminator_sha256"] = sha256_of(weights.save(self.discriminator, folder))
        provenance["model_sha256"] = sha256_of(weights.save(self.generator, folder, **card))
        config = json.dumps(read_config(folder) | {"imported": provenance}, indent=2) + "\n"
        with write_atomic(folder / CONFIG_NAME, durable=True) as file:
            file.write(config.encode())
        return folder
