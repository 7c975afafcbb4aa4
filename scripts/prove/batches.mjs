/**
 * Faults that one run of the verifier tells apart: none is in the function of another. What a body
 * does is nobody else's business, so a function fails for its own fault or for none.
 */

const most = 24;
const folder = 'guest/codec/src';

/** Lists of [{mutant, name}], where `name` is the function that is broken; others are left out. */
export function batchesOf(mutants, files) {
  const batches = [];
  for (const mutant of mutants) {
    const name = functionOf(mutant, files);
    if (name === null) continue;
    const open = batches.find((batch) => batch.length < most && !has(batch, mutant.file, name));
    if (open === undefined) batches.push([{ mutant, name }]);
    else open.push({ mutant, name });
  }
  return batches;
}

function has(batch, file, name) {
  return batch.some((other) => other.mutant.file === file && other.name === name);
}

function functionOf(mutant, files) {
  const text = textOf(files, mutant.file);
  const at = text.indexOf(mutant.old);
  if (at === -1) return null;
  const first = lineOf(text, at);
  const name = enclosing(text, first);
  return enclosing(text, lineOf(text, at + mutant.old.length - 1)) === name ? name : null;
}

/** The files with every fault of a batch in them. */
export function broken(files, batch) {
  const all = new Map(files);
  for (const { mutant } of batch) {
    const text = textOf(all, mutant.file).split(mutant.old).join(mutant.new);
    all.set(`${folder}/${mutant.file}`, Buffer.from(text));
  }
  return all;
}

/** What the verifier says of one fault of a batch; null where it proves that function. */
export function problemOf({ mutant, name }, files, { functions, text }) {
  const failed = functions.some(
    (asked) =>
      asked.success === false &&
      asked.module === moduleOf(mutant.file) &&
      asked.name.endsWith(`::${name}`),
  );
  if (!failed) return null;
  const source = textOf(files, mutant.file);
  const path = `${folder}/${mutant.file}`;
  const said = text.split(/^(?=\w)/m).find((block) => {
    const places = [...block.matchAll(/--> (\S+):(\d+):/g)].filter(({ 1: file }) => file === path);
    return (
      block.startsWith('error') &&
      places.some(({ 2: line }) => around(source, Number(line)) === name)
    );
  });
  return said?.split('\n')[0] ?? 'error: not proven';
}

/** `payload/message.rs` is the module `payload::message`. */
export function moduleOf(file) {
  return file.replace(/\.rs$/, '').replaceAll('/', '::');
}

const head = /^(\s*)(?:pub(?:\([^)]*\))?\s+)?((?:\w+\s+)*?)fn\s+(\w+)/;

/** The function that has this line in its body, or null; a specification's body is everybody's. */
function enclosing(text, line) {
  const found = functionAt(text.split('\n'), line);
  return found !== null && found.body < line && !found.spec ? found.name : null;
}

/** The function that has this line anywhere, or null. */
function around(text, line) {
  return functionAt(text.split('\n'), line)?.name ?? null;
}

/** By the indentation that rustfmt and verusfmt give; lines count from 1. */
function functionAt(lines, line) {
  for (let at = line; at > 0; at -= 1) {
    const match = head.exec(lines[at - 1]);
    if (match === null) continue;
    const [, indent, kind, name] = match;
    const starts = new RegExp(`^${indent}(?:\\{|\\).*\\{|(?:pub|fn|\\w+ fn)\\b.*\\{)$`);
    const body = find(lines, at, (text) => starts.test(text));
    const end = find(lines, at, (text) => text === `${indent}}`);
    if (end < line) return null;
    return { name, body, spec: /\bspec\b/.test(kind) };
  }
  return null;
}

function find(lines, from, wanted) {
  const at = lines.findIndex((text, index) => index >= from - 1 && wanted(text));
  return at === -1 ? 0 : at + 1;
}

function lineOf(text, at) {
  return text.slice(0, at).split('\n').length;
}

function textOf(files, file) {
  return files.get(`${folder}/${file}`)?.toString() ?? '';
}
