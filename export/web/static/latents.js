// The latents of a seed, as numpy.random.RandomState(seed).randn draws them, and the way from one latent to another.

export const MAX_SEED = 2 ** 32 - 1;

// MT19937 (Matsumoto and Nishimura 1998) and Marsaglia's polar method, in the order in which numpy's legacy generator
// calls them. numpy guarantees that stream for ever, so a seed is the same face here and on the command line.
export class RandomState {
  #key = new Uint32Array(624);
  #position = 624;
  #spare = null;

  constructor(seed) {
    let word = seed >>> 0;
    for (let i = 0; i < 624; i++) {
      this.#key[i] = word;
      word = (Math.imul(1812433253, word ^ (word >>> 30)) + i + 1) >>> 0;
    }
  }

  #twist() {
    const key = this.#key;
    for (let i = 0; i < 624; i++) {
      const word = (key[i] & 0x80000000) | (key[(i + 1) % 624] & 0x7fffffff);
      key[i] = key[(i + 397) % 624] ^ (word >>> 1) ^ (word & 1 ? 0x9908b0df : 0);
    }
    this.#position = 0;
  }

  // 32 random bits.
  #bits() {
    if (this.#position === 624) this.#twist();
    let word = this.#key[this.#position++];
    word ^= word >>> 11;
    word ^= (word << 7) & 0x9d2c5680;
    word ^= (word << 15) & 0xefc60000;
    return (word ^ (word >>> 18)) >>> 0;
  }

  // A double in [0, 1) with 53 random bits.
  uniform() {
    const high = this.#bits() >>> 5;
    const low = this.#bits() >>> 6;
    return (high * 67108864 + low) / 9007199254740992;
  }

  // A double ~ N(0, 1). They come in pairs: the first of each pair is kept for the next call.
  normal() {
    if (this.#spare !== null) {
      const spare = this.#spare;
      this.#spare = null;
      return spare;
    }
    let x, y, square;
    do {
      x = 2 * this.uniform() - 1;
      y = 2 * this.uniform() - 1;
      square = x * x + y * y;
    } while (square >= 1 || square === 0);
    const factor = Math.sqrt((-2 * Math.log(square)) / square);
    this.#spare = factor * x;
    return factor * y;
  }
}

// The latent of a seed, Float32Array(size) ~ N(0, 1).
export function latent(seed, size) {
  const random = new RandomState(seed);
  return Float32Array.from({ length: size }, () => random.normal());
}

const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);

// From latent a (fraction 0) to b (1) along the great circle: a straight line would leave the hypersphere that latents
// are drawn from. The length goes linearly from one to the other.
export function slerp(a, b, fraction) {
  const lengthA = Math.max(Math.sqrt(dot(a, a)), 1e-12);
  const lengthB = Math.max(Math.sqrt(dot(b, b)), 1e-12);
  const cosine = Math.min(1, Math.max(-1, dot(a, b) / (lengthA * lengthB)));
  const angle = Math.min(Math.PI - 1e-6, Math.max(1e-6, Math.acos(cosine))); // parallel: the arc is the line
  const weightA = Math.sin((1 - fraction) * angle) / Math.sin(angle) / lengthA;
  const weightB = Math.sin(fraction * angle) / Math.sin(angle) / lengthB;
  const length = lengthA + (lengthB - lengthA) * fraction;
  return Float32Array.from(a, (value, i) => (value * weightA + b[i] * weightB) * length);
}

// A latent moved by amounts (one a direction, in standard deviations) along directions (rows of unit length).
export function moved(z, directions, amounts) {
  const result = Float32Array.from(z);
  amounts.forEach((amount, k) => {
    if (amount) for (let i = 0; i < result.length; i++) result[i] += amount * directions[k * result.length + i];
  });
  return result;
}
