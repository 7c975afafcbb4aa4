import { languageOf, lineAt, matches, type Problem, type Source } from './source.ts';

/** The one file whose functions may be believed without a look at their bodies. */
const trusted = 'guest/codec/src/trusted.rs';

/** Elsewhere these words mean nothing to a prover. */
const proven = (source: Source) =>
  /^(guest|proofs)\//.test(source.path) || /\b(vstd|verus)\b/.test(source.code);

export function assumptions(source: Source): Problem[] {
  if (languageOf(source.path) !== 'rust' || source.path === trusted || !proven(source)) return [];
  const pattern = /\b(assume|admit)\s*\(|\bexternal_body\b|\bassume_specification\b/g;
  return matches(source, source.code, pattern, `$0 outside ${trusted}`);
}

/** What makes a proof say less than it seems to; scripts/prove/holes.mjs has the same words. */
export function holes(source: Source): Problem[] {
  if (!isCodec(source)) return [];
  const words = [
    /\b(assume|admit)\s*\(/,
    /\b(assume_specification|axiom|assume_termination|inline_air_stmt)\b/,
    /\bexec_allows_no_decreases_clause\b/,
    /\bverifier\s*(::|\()\s*external(?!_body\b)\w*/,
  ];
  const pattern = new RegExp(words.map(({ source: word }) => word).join('|'), 'g');
  return matches(source, source.code, pattern, '$0 is a hole in the proofs');
}

/** A sentence says why a body is believed. */
export function trustedBodies(source: Source): Problem[] {
  if (source.path !== trusted) return [];
  const lines = source.text.split('\n');
  return bodies(source).filter(({ line }) => !isExplained(lines, line - 2));
}

/** proofs/README.md says how many bodies are believed: nobody adds one in passing. */
export function bodyCount(readme: string, sources: readonly Source[]): Problem[] {
  const found = sources.filter(isCodec).flatMap(bodies).length;
  const told = /^Trusted bodies: (\d+)\./m.exec(readme)?.[1];
  if (told === String(found)) return [];
  const message = `says "Trusted bodies: ${told ?? 'nothing'}.", the codec has ${found}`;
  return [{ path: 'proofs/README.md', line: 1, message }];
}

function isCodec(source: Source): boolean {
  return source.path.startsWith('guest/codec/src/') && languageOf(source.path) === 'rust';
}

function bodies(source: Source): Problem[] {
  return [...source.code.matchAll(/\bexternal_body\b/g)].map(({ index }) => {
    const line = lineAt(source.code, index);
    return { path: source.path, line, message: 'external_body needs a comment that says why' };
  });
}

/** Other attributes may stand between the comment and this one. */
function isExplained(lines: readonly string[], above: number): boolean {
  let at = above;
  while (/^\s*#\[/.test(lines[at] ?? '')) at -= 1;
  return /^\s*\/\/[/!]?\s*\S/.test(lines[at] ?? '');
}
