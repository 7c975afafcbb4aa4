/** What would make a proof say less than it seems to, by the text of the codec's sources. */

const sources = 'guest/codec/src/';

/** The one file where a body may be believed: each such function counts, and says why. */
export const trusted = `${sources}trusted.rs`;

/** Words that switch the prover off, wherever they stand. */
const words = [
  /\b(?:assume|admit)\s*\(/g,
  /\b(?:assume_specification|axiom|assume_termination|inline_air_stmt)\b/g,
  /\bexec_allows_no_decreases_clause\b/g,
  /\bverifier\s*(?:::|\()\s*external(?!_body\b)\w*/g,
];
/** Code that the prover sees as it is compiled: nothing else may depend on who looks. */
const allowedCfg = /^cfg\((?:verus_keep_ghost|test|feature = "[^"]*")\)/;

/**
 * Functions outside `verus!`: what gathers a message to write, which no guest has, texts of errors,
 * and names for what is proven. They are safe Rust over the proven functions.
 */
const mayBeUnseen = new Map([
  ['payload/error.rs', ['reason', 'fmt']],
  ['payload/message.rs', ['values']],
  ['payload/dictionary.rs', ['iter']],
]);
const builder = /^payload\/write(?:\.rs|\/encode\.rs|\/interner\.rs)$/;

/** The holes in one file, by its code without comments and contents of strings: [{at, text}]. */
export function holesIn(path, code) {
  if (!path.startsWith(sources)) return [];
  const found = [...words, ...(path === trusted ? [] : [/\bexternal_body\b/g])].flatMap((pattern) =>
    [...code.matchAll(pattern)].map(({ 0: text, index }) => ({ at: index, text: text.trim() })),
  );
  if (path === trusted) return found;
  return [...found, ...hiddenIn(code), ...unseenIn(path, code)];
}

function hiddenIn(code) {
  return [...code.matchAll(/\bcfg(?:_attr)?!?\(/g)]
    .filter(({ index }) => !allowedCfg.test(code.slice(index)))
    .map(({ index }) => ({ at: index, text: code.slice(index).split('\n')[0].slice(0, 60) }));
}

function unseenIn(path, code) {
  const name = path.slice(sources.length);
  if (builder.test(name)) return [];
  const allowed = mayBeUnseen.get(name) ?? [];
  return functionsOutside(code)
    .filter((found) => !allowed.includes(found.name))
    .map(({ at, name: unseen }) => ({ at, text: `fn ${unseen} outside verus!` }));
}

/** The functions believed in the trusted file: [{at}], with `external_body` or outside `verus!`. */
export function bodiesIn(path, code) {
  if (path !== trusted) return [];
  const bodies = [...code.matchAll(/\bexternal_body\b/g)].map(({ index }) => ({ at: index }));
  return [...bodies, ...functionsOutside(code)].map(({ at }) => ({ at }));
}

/** Functions that are compiled, but neither in `verus! { … }` nor for tests: [{at, name}]. */
function functionsOutside(code) {
  let rest = code;
  for (const opening of [/\bverus!\s*\{/g, notCompiled]) {
    for (const match of rest.matchAll(opening)) {
      const open = match.index + match[0].length - 1;
      const end = closing(rest, open);
      const inside = rest.slice(match.index, end);
      rest = rest.slice(0, match.index) + inside.replace(/[^\n]/g, ' ') + rest.slice(end);
    }
  }
  return [...rest.matchAll(/\bfn\s+(\w+)/g)].map(({ 1: name, index }) => ({ at: index, name }));
}

const notCompiled = /#\[cfg\((?:test|verus_keep_ghost)\)\](?:\[[^\]]*\]|[^;{[])*\{/g;

function closing(code, open) {
  let depth = 0;
  for (let at = open; at < code.length; at += 1) {
    if (code[at] === '{') depth += 1;
    else if (code[at] === '}') depth -= 1;
    if (depth === 0) return at + 1;
  }
  return code.length;
}

/** Where these files have holes: ["path: text"]. */
export function findHoles(files) {
  return rust(files).flatMap(([name, code]) =>
    holesIn(name, code).map(({ text }) => `${name}: ${text}`),
  );
}

/** How many functions are believed without a look at their bodies. */
export function countTrusted(files) {
  return rust(files).reduce((sum, [name, code]) => sum + bodiesIn(name, code).length, 0);
}

function rust(files) {
  return [...files]
    .filter(([name]) => name.endsWith('.rs'))
    .map(([name, bytes]) => [name, blank(bytes.toString())]);
}

/** Blanks comments, and what is in strings and characters; offsets and lines stay. */
function blank(text) {
  const tokens = /\/\/[^\n]*|\/\*[\s\S]*?\*\/|"(?:\\[\s\S]|[^"\\])*"|'(?:\\.[^']*|[^'\\])'/g;
  return text.replace(tokens, (token) => {
    const inner = token.replace(/[^\n]/g, ' ');
    return token.startsWith('"') ? `"${inner.slice(1, -1)}"` : inner;
  });
}
