"""A running server of `celebahq-data curate`, in a thread."""

import threading

import pytest

from celebahq_builder.hdf5 import open_dataset
from celebahq_builder.report.server import CurationSession, Server


@pytest.fixture
def serve():
    """A function (dataset file, photos, persons) -> running Server."""
    running = []

    def serve(path, photos=None, persons=None):
        dataset = open_dataset(path)
        server = Server(CurationSession(dataset, photos, persons), 0)
        running.append((server, dataset))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server

    yield serve
    for server, dataset in running:
        server.shutdown()
        server.server_close()
        dataset.close()
