import { bodiesIn, holesIn, trusted } from '../../scripts/prove/holes.mjs';
import { languageOf, lineAt, matches, type Problem, type Source } from './source.ts';

/** Elsewhere these words mean nothing to a prover. */
const proven = (source: Source) =>
  /^(guest|proofs)\//.test(source.path) || /\b(vstd|verus)\b/.test(source.code);

export function assumptions(source: Source): Problem[] {
  if (languageOf(source.path) !== 'rust' || source.path === trusted || !proven(source)) return [];
  const pattern = /\b(assume|admit)\s*\(|\bexternal_body\b|\bassume_specification\b/g;
  return matches(source, source.code, pattern, `$0 outside ${trusted}`);
}

/** Whatever makes a proof say less than it seems to. */
export function holes(source: Source): Problem[] {
  if (languageOf(source.path) !== 'rust') return [];
  return holesIn(source.path, source.code).map(({ at, text }) => {
    const line = lineAt(source.text, at);
    return { path: source.path, line, message: `${text}: the prover does not look at it` };
  });
}

/** A sentence says why a body is believed. */
export function trustedBodies(source: Source): Problem[] {
  if (languageOf(source.path) !== 'rust') return [];
  const lines = source.text.split('\n');
  return bodiesIn(source.path, source.code)
    .map(({ at }) => lineAt(source.text, at))
    .filter((line) => !isExplained(lines, line - 2))
    .map((line) => ({ path: source.path, line, message: 'needs a comment that says why' }));
}

/** proofs/README.md says how many bodies are believed: nobody adds one in passing. */
export function bodyCount(readme: string, sources: readonly Source[]): Problem[] {
  const found = sources.flatMap(({ path, code }) => bodiesIn(path, code)).length;
  const told = /^Trusted bodies: (\d+)\./m.exec(readme)?.[1];
  if (told === String(found)) return [];
  const message = `says "Trusted bodies: ${told ?? 'nothing'}.", the codec has ${found}`;
  return [{ path: 'proofs/README.md', line: 1, message }];
}

/** By a comment of its own, before its attributes, or by that of the `impl` it is in. */
function isExplained(lines: readonly string[], above: number): boolean {
  let at = above;
  while (/^\s*#\[/.test(lines[at] ?? '')) at -= 1;
  if (/^\s*\/\/[/!]?\s*\S/.test(lines[at] ?? '')) return true;
  while (at > 0 && /^(\s|$)/.test(lines[at] ?? '')) at -= 1;
  return /^impl\b/.test(lines[at] ?? '') && isExplained(lines, at - 1);
}
