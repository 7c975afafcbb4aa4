import { closing, languageOf, lineAt, type Problem, type Source } from './source.ts';

const lineLimit = 100;
const fileLimit = 500;
const functionLimit = 70;
/** The steps of a proof stand in the body of the function that they prove. */
const verifiedLimit = 100;

/** Wide lines do not fit two panes. A line that is one long word (a URL, a digest) may stay. */
export function lineLength(source: Source): Problem[] {
  return source.text.split('\n').flatMap((text, index) => {
    const width = [...text].length;
    if (width <= lineLimit || /^\W*\S+\W*$/.test(text.trim())) return [];
    const message = `the line has ${width} columns, the limit is ${lineLimit}`;
    return [{ path: source.path, line: index + 1, message }];
  });
}

export function fileLength(source: Source): Problem[] {
  const lines = source.text.trimEnd().split('\n').length;
  if (lines <= fileLimit) return [];
  const message = `the file has ${lines} lines, the limit is ${fileLimit}: split it by concept`;
  return [{ path: source.path, line: fileLimit + 1, message }];
}

export function functionLength(source: Source): Problem[] {
  const bodies = languageOf(source.path) === 'rust' ? rustBodies(source) : tsBodies(source);
  return bodies.flatMap(({ start, open, limit = functionLimit }) => {
    const first = lineAt(source.code, start);
    const lines = lineAt(source.code, closing(source.code, open)) - first + 1;
    if (lines <= limit) return [];
    const message = `the function has ${lines} lines, the limit is ${limit}`;
    return [{ path: source.path, line: first, message }];
  });
}

interface Body {
  readonly start: number;
  readonly open: number;
  readonly limit?: number;
}

/** From `fn` to the brace that closes the first brace outside of its signature's brackets. */
function rustBodies({ code }: Source): Body[] {
  return [...code.matchAll(/\bfn\s+[A-Za-z_]\w*/g)].flatMap((match) => {
    const open = rustOpening(code, match.index + match[0].length);
    if (open === null) return [];
    if (!contract.test(code.slice(match.index, open))) return [{ start: match.index, open }];
    // A contract may be long and hold braces; the body follows on a line of its own.
    const body = /\n[ \t]*\{[ \t]*\n/g;
    body.lastIndex = match.index;
    const found = body.exec(code);
    if (found === null) return [];
    const start = found.index + found[0].indexOf('{');
    return [{ start, open: start, limit: verifiedLimit }];
  });
}

const contract = /\b(requires|ensures|recommends|decreases|returns|no_unwind)\b/;

function rustOpening(code: string, from: number): number | null {
  let at = from;
  while (at < code.length) {
    const character = code[at];
    if (character === ';') return null;
    if (character === '{') return at;
    at = character === '(' || character === '[' ? closing(code, at) + 1 : at + 1;
  }
  return null;
}

const notFunctions = /(^|[^\w$.])(if|for|while|switch|catch|with|await)\s*$/;
/** Groups of tests, which hold functions of their own. */
const groups = /\b(describe|suite)(\.\w+)?\($/;

function tsBodies({ code }: Source): Body[] {
  return [...code.matchAll(/\{/g)].flatMap(({ index: open }) => {
    const head = code.slice(Math.max(0, open - 600), open).trimEnd();
    const offset = Math.max(0, open - 600);
    const parameters = parametersEnd(head);
    if (parameters === null) return [];
    const start = opening(code, offset + parameters);
    const before = code.slice(Math.max(0, start - 80), start);
    if (notFunctions.test(before) || isGroup(code, start)) return [];
    return [{ start, open }];
  });
}

/** Where the `)` of a function's parameters is, if a function's body may follow this text. */
function parametersEnd(head: string): number | null {
  const arrow = head.endsWith('=>');
  const text = arrow ? head.slice(0, -2).trimEnd() : head;
  if (text.endsWith(')')) return text.length - 1;
  const typed = /\)\s*:\s*[\w$.<>[\]|&, '"\n]+$/.exec(text);
  if (typed !== null) return typed.index;
  return arrow && /[\w$]$/.test(text) ? text.length - 1 : null;
}

function opening(code: string, end: number): number {
  if (code[end] !== ')') return end;
  let depth = 0;
  for (let at = end; at >= 0; at -= 1) {
    if (code[at] === ')') depth += 1;
    else if (code[at] === '(') depth -= 1;
    if (depth === 0) return at;
  }
  return end;
}

/** `describe('…', () => {`: the text before the arrow's parameters ends in the call's start. */
function isGroup(code: string, start: number): boolean {
  const call = code.slice(Math.max(0, start - 200), start).trimEnd();
  const argument = /(['"`])[^'"`]*\1\s*,\s*(async\s*)?$/.exec(call);
  return argument !== null && groups.test(call.slice(0, argument.index).trimEnd());
}
