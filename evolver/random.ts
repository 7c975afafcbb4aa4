/**
 * The random source of every choice the evolver makes: xoshiro128** 1.1 (D. Blackman and S. Vigna,
 * "Scrambled linear pseudorandom number generators", 2021; the reference code is in the public
 * domain), seeded by SplitMix64 over an FNV-1a hash. Its state is plain JSON, so a generation's
 * choices can be stored, and made again from the same state.
 */

/**
 * Four 32-bit words, not all zero. A value: functions answer a new state and leave the old one
 * alone.
 */
export interface RandomState {
  algorithm: 'xoshiro128**';
  words: [number, number, number, number];
}

/**
 * A cursor over a state, for code that draws many numbers; take `state()` at the end and store it.
 */
export interface Random {
  /** A 32-bit unsigned integer. */
  next(): number;
  /** A number in [0, 1) with 53 random bits. */
  unit(): number;
  /** An integer in [0, bound). */
  below(bound: number): number;
  /**
   * An index, drawn in proportion to its weight; weights are finite, not negative, not all zero.
   */
  weighted(weights: readonly number[]): number;
  state(): RandomState;
}

/** The state that a text stands for; equal texts give equal states. */
export function seedRandom(text: string): RandomState {
  let hash = 0xcbf29ce484222325n;
  for (const byte of new TextEncoder().encode(text)) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  }
  const words: number[] = [];
  for (let i = 0; i < 2; i++) {
    hash = BigInt.asUintN(64, hash + 0x9e3779b97f4a7c15n);
    const mixed = splitMix(hash);
    words.push(Number(mixed & 0xffffffffn), Number(mixed >> 32n));
  }
  const [a = 1, b = 0, c = 0, d = 0] = words;
  return {
    algorithm: 'xoshiro128**',
    words: a === 0 && b === 0 && c === 0 ? [1, b, c, d] : [a, b, c, d],
  };
}

export function random(from: RandomState): Random {
  checkState(from);
  let [a, b, c, d] = from.words;
  const next = (): number => {
    const result = Math.imul(rotate(Math.imul(b, 5), 7), 9) >>> 0;
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = rotate(d, 11);
    return result;
  };
  const unit = () => ((next() >>> 5) * 2 ** 26 + (next() >>> 6)) / 2 ** 53;
  return {
    next,
    unit,
    below: (bound) => Math.floor(unit() * checkBound(bound)),
    weighted: (weights) => pick(weights, unit()),
    state: () => ({
      algorithm: 'xoshiro128**',
      words: [a >>> 0, b >>> 0, c >>> 0, d >>> 0],
    }),
  };
}

function splitMix(value: bigint): bigint {
  let z = value;
  z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
  z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
  return z ^ (z >> 31n);
}

function rotate(value: number, by: number): number {
  return (value << by) | (value >>> (32 - by));
}

function pick(weights: readonly number[], at: number): number {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  if (!(total > 0) || !Number.isFinite(total) || weights.some((weight) => weight < 0)) {
    throw new RangeError(`weights must be finite, not negative and not all zero: ${weights}`);
  }
  let left = at * total;
  for (const [index, weight] of weights.entries()) {
    if (left < weight) return index;
    left -= weight;
  }
  // Rounding may leave a sliver behind the last weight: it belongs to the last that has any.
  return weights.findLastIndex((weight) => weight > 0);
}

function checkBound(bound: number): number {
  if (!Number.isSafeInteger(bound) || bound < 1) throw new RangeError(`bound ${bound}`);
  return bound;
}

function checkState(state: RandomState): void {
  const valid =
    state.algorithm === 'xoshiro128**' &&
    state.words.length === 4 &&
    state.words.every((word) => Number.isInteger(word) && word >= 0 && word < 2 ** 32) &&
    state.words.some((word) => word !== 0);
  if (!valid) throw new RangeError(`not a random state: ${JSON.stringify(state)}`);
}
