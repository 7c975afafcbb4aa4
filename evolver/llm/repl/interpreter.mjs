/**
 * The process that runs a model's programs, in QuickJS compiled to WebAssembly. It has no
 * environment and asks the host for everything, one line of JSON at a time, waiting for the answer:
 *
 *   host → { code }                 a cell to run
 *   here → { call, args }           host → { ok } | { error }
 *   here → { done, ok, output }     the cell is over
 *
 * Programs see a fixed clock and a fixed random source, so that the same cells with the same
 * answers of the host do the same again.
 */
import { readSync, writeSync } from 'node:fs';
import variant from '@jitl/quickjs-wasmfile-release-sync';
import { newQuickJSWASMModuleFromVariant } from 'quickjs-emscripten-core';

const [memoryMib, cellMs, outputChars] = process.argv.slice(2).map(Number);
const MIB = 1024 * 1024;
const STACK_BYTES = 192 * 1024;
const CHUNK = 64 * 1024;

const PRELUDE = `
(() => {
  const call = globalThis.__host;
  delete globalThis.__host;
  const ask = (name) => (...args) => {
    const answer = JSON.parse(call(name, JSON.stringify(args)));
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer.ok;
  };
  const group = (name, members) =>
    Object.freeze(Object.fromEntries(members.map((each) => [each, ask(name + '.' + each)])));
  const fixed = {
    repo: group('repo', ['list', 'read', 'grep', 'outline']),
    git: group('git', ['log', 'diff']),
    archive: group('archive', ['top', 'get', 'siblings']),
    profile: group('profile', ['traffic', 'parent']),
    notes: group('notes', ['get', 'set']),
  };
  for (const name of ['parent', 'spec', 'lastErrors', 'llm', 'llmBatch', 'budget', 'submit']) {
    fixed[name] = ask(name);
  }
  fixed.print = globalThis.__print;
  delete globalThis.__print;
  for (const [name, value] of Object.entries(fixed)) {
    Object.defineProperty(globalThis, name, { value, writable: false, configurable: false });
  }
  const RealDate = Date;
  globalThis.Date = class Date extends RealDate {
    constructor(...args) { args.length === 0 ? super(0) : super(...args); }
    static now() { return 0; }
  };
  let state = 0x9e3779b9;
  Math.random = () => {
    state ^= state << 13; state ^= state >>> 17; state ^= state << 5;
    return (state >>> 0) / 4294967296;
  };
})();
`;

let pending = Buffer.alloc(0);
let deadline = 0;
let output = '';

function receive() {
  for (;;) {
    const end = pending.indexOf(10);
    if (end !== -1) {
      const line = pending.subarray(0, end).toString('utf8');
      pending = pending.subarray(end + 1);
      return JSON.parse(line);
    }
    const chunk = Buffer.alloc(CHUNK);
    const read = readSync(0, chunk, 0, CHUNK, null);
    if (read === 0) process.exit(0);
    pending = Buffer.concat([pending, chunk.subarray(0, read)]);
  }
}

function send(message) {
  const bytes = Buffer.from(`${JSON.stringify(message)}\n`);
  for (let at = 0; at < bytes.length; ) at += writeSync(1, bytes, at);
}

/** Waiting for the host does not count as the cell's time. */
function askHost(call, args) {
  const left = deadline - performance.now();
  send({ call, args });
  const answer = receive();
  deadline = performance.now() + left;
  return answer;
}

function print(text) {
  const room = outputChars + 1 - output.length;
  if (room > 0) output += text.slice(0, room);
}

/** A value as text. What is neither text nor data has a name only. */
function show(context, handle) {
  const type = context.typeof(handle);
  if (type === 'undefined') return '';
  if (type === 'function' || type === 'symbol') return `[${type}]`;
  if (type === 'object' && context.getPromiseState(handle).notAPromise !== true) return '[promise]';
  const value = context.dump(handle);
  if (typeof value !== 'object' || value === null) return String(value);
  try {
    return JSON.stringify(value, null, 1);
  } catch {
    return '[object]';
  }
}

function newContext(quickjs) {
  const runtime = quickjs.newRuntime();
  runtime.setMemoryLimit(memoryMib * MIB);
  runtime.setMaxStackSize(STACK_BYTES);
  runtime.setInterruptHandler(() => performance.now() > deadline);
  const context = runtime.newContext();
  const host = context.newFunction('__host', (name, args) => {
    const answer = askHost(context.getString(name), JSON.parse(context.getString(args)));
    return context.newString(JSON.stringify(answer));
  });
  const say = context.newFunction('print', (...values) => {
    print(`${values.map((value) => show(context, value)).join(' ')}\n`);
  });
  context.setProp(context.global, '__host', host);
  context.setProp(context.global, '__print', say);
  deadline = performance.now() + cellMs;
  context.unwrapResult(context.evalCode(PRELUDE)).dispose();
  return context;
}

/** Cells are often written as if each began anew: what they declare may be declared again. */
function reusable(code) {
  return code.replace(/^(const|let)(?=[\s{[])/gm, 'var');
}

function run(context, code) {
  output = '';
  deadline = performance.now() + cellMs;
  const result = context.evalCode(reusable(code), 'cell.js');
  if (result.error) {
    const error = context.dump(result.error);
    result.error.dispose();
    const { name = 'Error', message = String(error), stack = '' } = error ?? {};
    print(`${name}: ${message}\n${String(stack).split('\n').slice(0, 5).join('\n')}`);
    return { done: true, ok: false, output };
  }
  const text = show(context, result.value);
  result.value.dispose();
  print(text);
  return { done: true, ok: true, output };
}

const context = newContext(await newQuickJSWASMModuleFromVariant(variant));
for (;;) {
  const { code } = receive();
  send(run(context, code));
}
