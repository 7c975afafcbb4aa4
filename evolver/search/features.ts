/**
 * What a candidate's code is like, as numbers: the shape of the source (never its length in
 * characters), the size and the instruction mix of the component, and the fuel of a point.
 * Inspirations are chosen far from each other in them.
 */
import { tokenise } from './tokens.ts';

export type Features = Readonly<Record<string, number>>;

const WORDS: readonly (readonly [name: string, pattern: RegExp])[] = [
  ['functions', /^fn$/],
  ['loops', /^(for|while|loop)$/],
  ['branches', /^(if|match)$/],
  ['jumps', /^(return|break|continue)$/],
  ['bindings', /^let$/],
  ['types', /^(struct|enum|impl|trait)$/],
  ['maps', /^(HashMap|HashSet|BTreeMap|HashTable|RawTable|entry)$/],
  ['vectors', /^(Vec|vec|Box|with_capacity|resize|push)$/],
  ['bits', /^(<<|>>|\^|&=|\|=|<<=|>>=|count_ones|trailing_zeros|leading_zeros)$/],
  ['arithmetic', /^(\+|-|\*|%|\+=|-=|wrapping_add|wrapping_mul)$/],
  ['comparisons', /^(==|!=|<=|>=|partial_cmp|total_cmp|max|min)$/],
  ['indexing', /^(\[|get|get_mut|chunks|chunks_exact|windows)$/],
  ['iterators', /^(iter|iter_mut|into_iter|zip|map|filter|fold|enumerate)$/],
  ['calls', /^\($/],
];

/** Of the source alone: how often each kind of token occurs, and how deep blocks nest. */
export function sourceFeatures(source: string): Features {
  const tokens = tokenise(source);
  const features: Record<string, number> = {};
  for (const [name, pattern] of WORDS) {
    features[name] = tokens.filter(({ text }) => pattern.test(text)).length;
  }
  let depth = 0;
  let deepest = 0;
  for (const { text } of tokens) {
    if (text === '{') depth += 1;
    else if (text === '}') depth -= 1;
    deepest = Math.max(deepest, depth);
  }
  return { ...features, depth: deepest };
}

/** The classes of instructions that are counted in a component, as the aggregator names them. */
export const INSTRUCTIONS = [
  ...(['calls', 'branches', 'loops', 'loads', 'stores'] as const),
  ...(['bulk', 'integers', 'floats', 'conversions', 'vectors'] as const),
];
export type Instructions = Readonly<Record<(typeof INSTRUCTIONS)[number], number>>;

/**
 * Of the component: how many of so many counted instructions are of a class. A mix and not counts,
 * which nearly all tell the same, the size of the code.
 */
export function instructionMix(counts: Instructions): Features {
  const all = INSTRUCTIONS.reduce((sum, name) => sum + counts[name], 0);
  const shares = INSTRUCTIONS.map((name) => [
    `wasm.${name}`,
    Math.round((counts[name] / Math.max(1, all)) * MIX_OF),
  ]);
  return Object.fromEntries(shares);
}

/** So that also rare classes are well apart from none. */
const MIX_OF = 100_000;

export interface Featured {
  features: Features | null;
  moduleSize: number | null;
  fuelPerPoint: number | null;
}

/**
 * Root of the squared differences of logarithms: twice as many loops and twice as much fuel count
 * alike. What only one of the two knows is left out.
 */
export function codeDistance(a: Featured, b: Featured): number {
  const names = Object.keys(a.features ?? {}).filter((name) => b.features?.[name] !== undefined);
  const pairs: [number | null, number | null][] = names.map((name) => [
    a.features?.[name] ?? null,
    b.features?.[name] ?? null,
  ]);
  pairs.push([a.moduleSize, b.moduleSize], [a.fuelPerPoint, b.fuelPerPoint]);
  const sum = pairs.reduce((total, [left, right]) => {
    if (left === null || right === null) return total;
    return total + (Math.log1p(left) - Math.log1p(right)) ** 2;
  }, 0);
  return Math.sqrt(sum);
}
