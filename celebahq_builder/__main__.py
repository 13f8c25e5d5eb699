"""celebahq-build --input in-the-wild/"""

import sys

import tyro

from celebahq_builder.config import BuildConfig, BuildError
from celebahq_builder.printable_name import printable


def main() -> None:
    try:
        config = tyro.cli(BuildConfig, prog="celebahq-build", config=(tyro.conf.FlagCreatePairsOff,))
        from celebahq_builder.build import build  # the image libraries load only once there is work: --help is instant

        build(config)
    except BuildError as error:
        print(f"celebahq-build: {printable(error)}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("celebahq-build: interrupted; run the same command again to continue", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
