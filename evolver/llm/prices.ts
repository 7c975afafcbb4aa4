/**
 * Money, in whole micro-dollars: what a call cost by its usage, and what it can cost at most. Every
 * rounding is upwards, so that a sum of charges is never below the bill.
 */

/** Micro-dollars for a million tokens. */
export interface Price {
  input: number;
  cacheWrite: number;
  cacheRead: number;
  output: number;
}

export interface Tariff {
  price: Price;
  /** What a call costs, all of it, when its prompt has more tokens than `above`. */
  longPrompt: { above: number; price: Price } | null;
}

/** Tokens as the Messages API counts them: the three kinds of input do not overlap. */
export interface Usage {
  input: number;
  cacheWrite: number;
  cacheRead: number;
  output: number;
}

export const NO_USAGE: Usage = { input: 0, cacheWrite: 0, cacheRead: 0, output: 0 };

const MILLION = 1_000_000;

export function promptTokens({ input, cacheWrite, cacheRead }: Usage): number {
  return input + cacheWrite + cacheRead;
}

export function costOf(tariff: Tariff, usage: Usage): number {
  const price = priceAt(tariff, promptTokens(usage));
  const parts =
    usage.input * price.input +
    usage.cacheWrite * price.cacheWrite +
    usage.cacheRead * price.cacheRead +
    usage.output * price.output;
  return Math.ceil(parts / MILLION);
}

/** No call of at most these tokens costs more, whatever of it the cache holds. */
export function worstCost(tariff: Tariff, prompt: number, output: number): number {
  const prices = [tariff.price];
  if (tariff.longPrompt !== null && prompt > tariff.longPrompt.above) {
    prices.push(tariff.longPrompt.price);
  }
  const costs = prices.map((price) => {
    const dearest = Math.max(price.input, price.cacheWrite, price.cacheRead);
    return Math.ceil((prompt * dearest + output * price.output) / MILLION);
  });
  return Math.max(...costs);
}

export function inDollars(micro: number): string {
  return `$${(micro / MILLION).toFixed(6).replace(/0{1,4}$/, '')}`;
}

function priceAt({ price, longPrompt }: Tariff, prompt: number): Price {
  return longPrompt !== null && prompt > longPrompt.above ? longPrompt.price : price;
}
