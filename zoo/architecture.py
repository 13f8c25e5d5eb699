"""All that rebuilds a ProGAN: sizes, which official network, what other programs' networks differ in. No torch."""

from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from zoo.folder import CONFIG_NAME, ModelError, read_config

StddevKind = Literal["batch", "strided", "contiguous", "none"]
NEGATIVE_SLOPE = 0.2
"""Slope of the leaky ReLU for negative inputs, everywhere in both networks (paper, Appendix A)."""
LARGEST = 1 << 16
"""Of resolutions and channels: a larger number in config.json is a mistake, which would cost memory or overflow."""
LARGEST_FMAP_BASE = LARGEST * LARGEST // 2
"""Of fmap_base: what gives the largest channels at the largest resolution."""
LARGEST_FACTOR = 10_000
"""Of slopes and epsilons: with larger ones float32 overflows."""
FORMER_NAMES = {
    "generator_leak": "generator_slope", "discriminator_leak": "discriminator_slope", "from_rgb_leak": "from_rgb_slope",
    "last_rgb_only": "single_resolution", "stddev_uneven": "stddev_remainder",
}  # fmt: skip
"""What config.json and checkpoints of earlier versions call a field -> its name. They stay readable."""


def size_key(resolution: int) -> str:
    """Return the name of a resolution's modules: '8x8'."""
    return f"{resolution}x{resolution}"


@dataclass(frozen=True, kw_only=True)
class ProGANConfig:
    """Everything that rebuilds the two networks. The defaults are Table 2.

    From `widths` on, the fields describe networks that other programs trained: zoo.importers sets them, config.json
    holds those that are not at their default, and everything that generates, exports or trains honours them.
    """

    resolution: int = 1024
    """Side of the images, a power of two from 4."""
    latent_size: int = 512
    """Components of z."""
    label_size: int = 0
    """Components of the label; 0 is unconditional."""
    image_channels: int = 3
    """Channels of the images: 3 RGB, 1 gray."""
    fmap_base: int = 8192
    """Feature maps at resolution R: min(2 * fmap_base / R, fmap_max)."""
    fmap_max: int = 512
    """Most feature maps of any layer."""
    variant: Literal["paper", "released", "mnist1k"] = "paper"
    """paper: activation, then pooling, in D; minibatch stddev over the whole batch; z normalized, then the label joins.
    released: the TensorFlow program's defaults, pooling before bias and activation, groups of stddev_group, strided,
    z and label normalized together. mnist1k: the small networks of Appendix E, see zoo.mnist1k."""
    stddev_group: int = 4
    """Samples that share a minibatch stddev where it is taken in groups."""

    widths: tuple[int, ...] | None = None
    """Feature maps at 4x4, 8x8, ...; None: as fmap_base and fmap_max say."""
    latent_norm: Literal["z", "joined", "twice", "both", "none"] | None = None
    """What is normalized before the first layer: z alone; z and label joined; twice, first z and again once the label,
    if any, has joined it; both, the same with z multiplied by the root of its size in between (genforce until December
    2020); nothing; None: as the variant says."""
    latent_epsilon: float = 1e-8
    """Epsilon of that normalization."""
    per_pixel_bias: bool = False
    """Whether the bias of G's first layer differs from pixel to pixel of the 4x4."""
    pixelnorm: Literal["all", "not_first", "none"] = "all"
    """The layers of G with pixelwise normalization; not_first: all but the first."""
    pixelnorm_epsilon: float = 1e-8
    """Its epsilon."""
    epsilon_outside_root: bool = False
    """Whether both normalizations are x / (rms + epsilon) instead of x / sqrt(mean square + epsilon)."""
    generator_slope: float = NEGATIVE_SLOPE
    """Slope of G's leaky ReLU; 0 is ReLU."""
    tanh: bool = False
    """Whether images go through tanh."""
    single_resolution: bool = False
    """Whether G has an output layer for its full resolution alone: it can then neither fade nor generate less."""
    discriminator_slope: float = NEGATIVE_SLOPE
    """Slope of D's leaky ReLU."""
    from_rgb_slope: float | None = None
    """Slope of the one after D's input layers; None: the same; 1 is no activation."""
    discriminator_hidden: int | None = None
    """Size of D's dense layer before the score; None: min(fmap_base, fmap_max), as released."""
    discriminator_conv: bool = True
    """Whether D's 4x4 has its 3x3 convolution."""
    discriminator_fades_from: int = 8
    """The smallest resolution whose block D fades in; a new block below that is in at once."""
    pool_first: bool | None = None
    """Whether D's blocks pool before bias and activation; None: as the variant says."""
    stddev: StddevKind | None = None
    """Who shares a minibatch stddev: the whole batch, or stddev_group samples, n, n + groups, ... or n, n + 1, ...;
    None: as the variant says."""
    stddev_unbiased: bool = False
    """Whether its variance divides by one less than the samples; a sample alone then has the value 0."""
    stddev_remainder: Literal["refused", "batch"] = "refused"
    """What a batch does that is no whole number of groups; batch: it is one group."""
    equalized: bool = True
    """Whether He's constant scales the weights at run time; else it scales their initial values, once."""
    generator_norm: Literal["none", "batch"] = "none"
    """Whether G's layers have batch normalization, before bias and activation."""
    discriminator_norm: Literal["none", "batch", "layer"] = "none"
    """Normalization of D's 3x3 and 4x4 convolutions, before bias and activation."""
    minibatch_discrimination: int = 0
    """Kernels of minibatch discrimination before the score; 0 is none."""
    discriminator_divisor: int = 1
    """K of Appendix E: D has so many times fewer feature maps; of the variant mnist1k."""
    direct_input: int = 0
    """The resolution whose images D takes as they are, without an input layer (mnist1k); 0 is none."""
    lod: float = 0.0
    """Fade state: 0 is fully grown, 0.25 a newest block at weight 0.75, 1.25 the same one resolution lower."""

    def __post_init__(self) -> None:
        for name, hint in get_type_hints(type(self)).items():
            object.__setattr__(self, name, _checked(name, getattr(self, name), hint))
        if self.resolution < 4 or self.resolution & (self.resolution - 1):
            raise ValueError(f"resolution: got {self.resolution}, expected a power of two from 4")
        for name in ("latent_size", "image_channels", "fmap_base", "fmap_max", "stddev_group", "discriminator_hidden",
                     "discriminator_divisor"):  # fmt: skip
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name}: got {value}, expected at least 1")
        if self.variant != "mnist1k" and (self.discriminator_divisor != 1 or self.direct_input):
            raise ValueError(f"discriminator_divisor, direct_input: got them with {self.variant}, expected mnist1k")
        if self.variant == "mnist1k" and self.minibatch_discrimination:
            raise ValueError("minibatch_discrimination: got it with mnist1k, expected none: there is no layer for it")
        for name in ("label_size", "minibatch_discrimination", "direct_input"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}: got {getattr(self, name)}, expected 0 or more")
        if self.widths is not None and (len(self.widths) != len(self.resolutions) or min(self.widths) < 1):
            raise ValueError(f"widths: got {self.widths}, expected {len(self.resolutions)} numbers, at least 1 each")
        if self.lod > len(self.resolutions) - 1:
            raise ValueError(f"lod: got {self.lod}, expected at most {len(self.resolutions) - 1}")
        sizes = ("resolution", "latent_size", "label_size", "image_channels", "fmap_max", "discriminator_hidden",
                 "minibatch_discrimination")  # fmt: skip
        limits = dict.fromkeys((*sizes, "stddev_group"), LARGEST) | {"fmap_base": LARGEST_FMAP_BASE}
        factors = ("latent_epsilon", "pixelnorm_epsilon", "generator_slope", "discriminator_slope", "from_rgb_slope")
        for name, most in (limits | dict.fromkeys(factors, LARGEST_FACTOR)).items():
            if (getattr(self, name) or 0) > most:
                raise ValueError(f"{name}: got a number larger than any network's, expected at most {most}")
        if max(self.widths or (0,)) > LARGEST:
            raise ValueError(f"widths: got numbers larger than any network's, expected at most {LARGEST} each")

    @property
    def resolutions(self) -> list[int]:
        """The resolutions of the blocks, 4 first."""
        return [4 << i for i in range(self.resolution.bit_length() - 2)]

    def feature_maps(self, resolution: int) -> int:
        """Feature maps that G's block of this resolution gives and D's takes (paper, Table 2)."""
        if self.widths is not None:
            return self.widths[resolution.bit_length() - 3]
        doubled = 2 if self.variant == "mnist1k" else 1  # there G's 8x8 has what is elsewhere at 4x4
        return max(1, min(2 * doubled * self.fmap_base // resolution, self.fmap_max))

    def discriminator_maps(self, resolution: int) -> int:
        """Feature maps that D's block of this resolution takes."""
        if self.variant != "mnist1k" or self.widths is not None:
            return self.feature_maps(resolution)
        if resolution == self.direct_input:
            return self.image_channels
        return max(1, min(2 * self.fmap_base // resolution // self.discriminator_divisor, self.fmap_max))

    @property
    def hidden_size(self) -> int:
        """Size of D's dense layer before the score; the released program counts it as a 2x2."""
        return self.discriminator_hidden or min(self.fmap_base, self.fmap_max)

    @property
    def input_slope(self) -> float:
        """Slope of the leaky ReLU after D's input layers."""
        return self.discriminator_slope if self.from_rgb_slope is None else self.from_rgb_slope

    @property
    def stddev_kind(self) -> StddevKind:
        """How minibatch stddev groups its samples: batch, strided, contiguous or none."""
        return self.stddev or ("strided" if self.variant == "released" else "batch")

    @property
    def stddev_group_size(self) -> int | None:
        """Samples a minibatch stddev group; None is the whole batch."""
        return self.stddev_group if self.stddev_kind in ("strided", "contiguous") else None

    def stddev_group_for(self, samples: int) -> int | None:
        """Return the samples a group in a batch of so many; None is the whole batch."""
        group = self.stddev_group_size
        return None if group and self.stddev_remainder == "batch" and samples % min(group, samples) else group

    @property
    def latent_normalization(self) -> str:
        """What of the latent is normalized: z, joined, twice, both or none."""
        return self.latent_norm or ("joined" if self.variant == "released" else "z")

    @property
    def fused_pooling(self) -> bool:
        """Whether D's blocks pool before bias and activation."""
        return self.variant == "released" if self.pool_first is None else self.pool_first

    @property
    def whole_batch(self) -> str | None:
        """What of the networks looks at a whole minibatch at once, so that it cannot be divided; None: nothing."""
        if "batch" in (self.generator_norm, self.discriminator_norm):
            return "batch normalization"
        return "minibatch discrimination" if self.minibatch_discrimination else None

    @property
    def has_adjoint(self) -> bool:
        """Whether train.gradient_penalty knows D's layers; else double backward finds their gradient."""
        known = self.discriminator_norm == "none" and not self.minibatch_discrimination
        return known and self.variant != "mnist1k"

    @property
    def noise_channels(self) -> int:
        """Channels of all that goes into D's 3x3 and 4x4 convolutions together."""
        maps = [self.discriminator_maps(r) for r in self.resolutions]
        if self.variant == "mnist1k":
            return sum(maps) + (self.stddev_kind != "none")
        with_stddev = maps[0] + (self.stddev_kind != "none")
        below = sum(2 * width for width in maps[1:])
        return below + with_stddev + (maps[0] if self.discriminator_conv else 0)

    def at(self, resolution: int) -> "ProGANConfig":
        """Return the config of the same networks up to a resolution, fully grown."""
        widths = self.widths and self.widths[: resolution.bit_length() - 2]
        return replace(self, resolution=resolution, widths=widths, lod=0.0)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, for config.json; those of other programs' networks only where they are not the default."""
        defaults = {field.name: field.default for field in fields(self)}
        always = list(defaults)[: list(defaults).index("widths")]
        values = asdict(self) | {"widths": self.widths and list(self.widths)}  # a list, as JSON will give it back
        return {name: value for name, value in values.items() if name in always or value != defaults[name]}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "ProGANConfig":
        """Build from config.json's fields, of earlier versions too; an unknown one is an error, never ignored."""
        fields = current_names(fields)
        unknown = sorted(set(fields) - set(cls.__dataclass_fields__))
        if unknown:
            raise ValueError(
                f"architecture: got {', '.join(unknown)}, expected fields of this version; a newer one wrote it?"
            )
        return cls(**fields)


def current_names(fields: dict[str, Any]) -> dict[str, Any]:
    """Return fields or options that an earlier version may have written, under the names of this one."""
    return {FORMER_NAMES.get(name, name): value for name, value in fields.items()}


def read_architecture(folder: str | Path) -> ProGANConfig:
    """Return what config.json of a model folder says of its generator and discriminator.

    Raises:
        ModelError: there is none, or it is of another network.
    """
    folder = Path(folder)
    config = read_config(folder)
    if config.get("class", "Generator") != "Generator":
        raise ModelError(f"{folder / CONFIG_NAME}: got a network {config['class']}, expected a Generator")
    try:
        return ProGANConfig.from_dict(config["architecture"])
    except (TypeError, ValueError) as error:
        raise ModelError(f"{folder / CONFIG_NAME}: {error}") from None


def _checked(name: str, value: Any, hint: Any) -> Any:
    """Return a field's value in its type; a wrong one, say 512.0 for 512, would fail much later, far from the file.

    Raises:
        ValueError: it is of another type.
    """
    options = get_args(hint)
    if NoneType in options:
        if value is None:
            return None
        hint = next(option for option in options if option is not NoneType)
    if get_origin(hint) is Literal:
        right, wanted = value in get_args(hint), " or ".join(map(repr, get_args(hint)))
    elif hint is bool:
        right, wanted = type(value) is bool, "true or false"
    elif hint is int:
        right, wanted = type(value) is int, "an integer"
    elif hint is float:
        right, wanted = type(value) in (int, float) and 0 <= value < float("inf"), "a number from 0"
        value = float(value) if right else value
    else:
        right, wanted = type(value) in (list, tuple) and all(type(x) is int for x in value), "a list of integers"
        value = tuple(value) if right else value
    if not right:
        raise ValueError(f"{name}: got {value!r}, expected {wanted}")
    return value
