"""celebahq-build that goes no further than a moment: python holding_build.py PHOTOS OPTIONS ..., to be killed there.

PHOTOS: how many become rows before it holds. With 0, and at the latest, it holds before its file takes its name.
"""

import sys
import time

from celebahq_builder.__main__ import main
from celebahq_builder.hdf5_format.partial_file import PartialFile
from celebahq_builder.state.manifest import ManifestWriter

if __name__ == "__main__":
    left, append = [int(sys.argv.pop(1))], ManifestWriter.append

    def append_and_hold(*args):
        append(*args)
        left[0] -= 1
        if left[0] == 0:
            time.sleep(3600)

    ManifestWriter.append, PartialFile.publish = append_and_hold, lambda *args: time.sleep(3600)
    main()
