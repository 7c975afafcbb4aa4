/**
 * A small seeded generator for workloads: xoshiro128** 1.1 (Blackman and Vigna,
 * https://prng.di.unimi.it/xoshiro128starstar.c), its state filled by splitmix32.
 * The same seed gives the same stream on every machine, so a printed seed replays a run.
 */
export interface Random {
  /** A uniform integer in [0, bound); bound is at most 2^32. */
  below(bound: number): number;
  /** A uniform number in [0, 1) with 32 random bits. */
  unit(): number;
  /**
   * A float64 with a full mantissa in about [0.1, 1.2 million): sums of it depend on their order.
   */
  fullMantissa(): number;
}

const rotl = (x: number, k: number) => ((x << k) | (x >>> (32 - k))) >>> 0;

export function seededRandom(seed: number): Random {
  const state = fillState(seed >>> 0);
  const next = (): number => {
    const [s0, s1, s2, s3] = state;
    const result = Math.imul(rotl(Math.imul(s1, 5) >>> 0, 7), 9) >>> 0;
    const t = s1 << 9;
    state[2] = s2 ^ s0;
    state[3] = s3 ^ s1;
    state[1] = s1 ^ state[2];
    state[0] = s0 ^ state[3];
    state[2] ^= t;
    state[3] = rotl(state[3] >>> 0, 11);
    return result;
  };
  const below = (bound: number) => Math.floor((next() / 2 ** 32) * bound);
  return {
    below,
    unit: () => next() / 2 ** 32,
    fullMantissa: () => (next() * 2 ** 18 + below(2 ** 18)) / 1e9 + 0.1,
  };
}

/** A Fisher–Yates shuffle of a copy. */
export function shuffled<T>(items: readonly T[], random: Random): T[] {
  const out = [...items];
  for (let i = out.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    const held = out[i] as T;
    out[i] = out[j] as T;
    out[j] = held;
  }
  return out;
}

/** A rank below `count`, the first ones most often: the n-th about 1 / n times as often. */
export function popular(count: number, random: Random): number {
  return Math.min(count - 1, Math.floor((count + 1) ** random.unit()) - 1);
}

function fillState(seed: number): [number, number, number, number] {
  let z = seed;
  const word = () => {
    z = (z + 0x9e3779b9) >>> 0;
    let x = z;
    x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
    x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
    return (x ^ (x >>> 15)) >>> 0;
  };
  return [word(), word(), word(), word()];
}
