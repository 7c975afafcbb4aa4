import { closing, isTest, languageOf, matches, type Problem, type Source } from './source.ts';

/** Left-over notes belong in an issue. */
export function leftovers(source: Source): Problem[] {
  // Written so that it does not find itself.
  return matches(
    source,
    source.text,
    /\b(TO[D]O|FIX[M]E|X{3})\b/g,
    '$0: finish it or open an issue',
  );
}

export function looseTypes(source: Source): Problem[] {
  if (languageOf(source.path) !== 'ts') return [];
  const anyType = /(:\s*|\bas\s+|<\s*|,\s*|\|\s*|=\s*)any\b(?=\s*[\])>,;|&={\n[]|\s*$)/gm;
  return [
    ...matches(source, source.code, anyType, 'any switches the type checker off: use unknown'),
    ...matches(source, source.text, /@ts-(ignore|nocheck|expect-error)\b/g, '$0 hides an error'),
  ];
}

const mayPrint = /^(scripts|control\/(bin|cli|commands?))\//;

export function consoleUse(source: Source): Problem[] {
  if (languageOf(source.path) !== 'ts' || mayPrint.test(source.path)) return [];
  return matches(source, source.code, /\bconsole\.\w+/g, '$0: use the logger');
}

/** Code whose result may depend on its arguments alone. */
const pure = [
  /^workflows\//,
  /^control\/configuration\//,
  /^evolver\/(builtin\/|search\/|arms\b)/,
  /^evolver\/(sampling|random|promotion|mutator|specialise|profile|drift|gain)\b/,
  /(^|\/)manifest[^/]*\.ts$/,
];

/** The one place where the replayed time of a workflow is read. */
const clock = 'workflows/clock.ts';

export function clockAndChance(source: Source): Problem[] {
  if (languageOf(source.path) !== 'ts' || isTest(source.path) || source.path === clock) return [];
  if (!pure.some((pattern) => pattern.test(source.path))) return [];
  const pattern = /\bMath\.random\b|\bDate\.now\b|\bnew Date\(\s*\)|\bperformance\.now\b/g;
  return matches(source, source.code, pattern, '$0 in pure code: pass time and chance in');
}

/** The SDK ignores what an asynchronous validator answers: nothing would be refused. */
export function asyncValidators(source: Source): Problem[] {
  if (languageOf(source.path) !== 'ts') return [];
  const message = 'an Update validator must be synchronous';
  const direct = matches(source, source.code, /\bvalidator\s*:\s*async\b/g, message);
  const named = [...source.code.matchAll(/\bvalidator\s*:\s*([A-Za-z_$][\w$]*)\s*[,}\n]/g)];
  const byName = named.flatMap((match) => {
    const declared = new RegExp(
      `\\basync\\s+function\\s+${match[1]}\\b|\\b${match[1]}\\s*=\\s*async\\b`,
      'g',
    );
    return matches(source, source.code, declared, message);
  });
  return [...direct, ...byName];
}

/** The bench has a reader that checks nothing, to measure the codec by. */
const mayBeUnsafe = /^(guest\/api|bench\/codec)\//;

export function unsafeRust(source: Source): Problem[] {
  if (languageOf(source.path) !== 'rust' || mayBeUnsafe.test(source.path)) return [];
  return matches(source, source.code, /\bunsafe\b/g, '$0 outside guest/api and bench/codec');
}

export function panics(source: Source): Problem[] {
  if (languageOf(source.path) !== 'rust' || isTest(source.path)) return [];
  // Proofs are not run, and a build script has nobody to return an error to.
  if (/(^|\/)(build|tests|proof|theorems)\.rs$/.test(source.path)) return [];
  const code = withoutTests(source.code);
  const reasons = [...code.matchAll(/\.expect\(/g)].flatMap((match) => {
    const argument = source.text.slice(match.index + match[0].length).trimStart();
    if (/^&?(format!\()?"invariant: /.test(argument)) return [];
    return matches(
      { ...source, code },
      blankBefore(code, match.index, match.index + 8),
      /\.expect\(/g,
      '.expect needs a reason that starts with "invariant: "',
    );
  });
  return [...matches(source, code, /\.unwrap\(\)/g, '$0: return the error'), ...reasons];
}

/** Blanks `#[cfg(test)]` items: their bodies, or a declaration up to its semicolon. */
export function withoutTests(code: string): string {
  let result = code;
  for (const match of code.matchAll(/#\[cfg\((all\()?test\b[^\]]*\)\]/g)) {
    const from = match.index + match[0].length;
    const brace = code.indexOf('{', from);
    const semicolon = code.indexOf(';', from);
    const declaration = semicolon !== -1 && (brace === -1 || semicolon < brace);
    const end = declaration ? semicolon : brace === -1 ? code.length : closing(code, brace);
    result = blankBetween(result, match.index, end);
  }
  return result;
}

function blankBetween(text: string, from: number, to: number): string {
  return text.slice(0, from) + text.slice(from, to).replace(/[^\n]/g, ' ') + text.slice(to);
}

function blankBefore(text: string, from: number, to: number): string {
  return text.slice(0, from).replace(/[^\n]/g, ' ') + text.slice(from, to);
}

/** What is true of one machine only; and package registries, which everybody configures. */
export function machineDetails(source: Source): Problem[] {
  const paths = /(?<![\w.$}~-])\/(root|work|Users\/\w+|home\/(?!someone\b)\w+)\/[\w.-]*/g;
  const hosts = /\b(registry\.npmjs\.org|(static|index)\.crates\.io|proxy\.golang\.org)\b/g;
  return [
    ...matches(source, source.text, paths, '$0 is a path of one machine'),
    ...matches(source, source.text, hosts, '$0: a registry is chosen by configuration'),
  ];
}
