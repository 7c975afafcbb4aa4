/** A file of the repository, as the rules see it. */
export interface Source {
  /** Relative to the root, with forward slashes. */
  readonly path: string;
  readonly text: string;
  /** The text with comments and the content of strings blanked; same length, same lines. */
  readonly code: string;
}

export interface Problem {
  readonly path: string;
  readonly line: number;
  readonly message: string;
}

export type Rule = (source: Source) => Problem[];

export type Language = 'ts' | 'rust' | 'other';

export function languageOf(path: string): Language {
  if (/\.(ts|mts|mjs|js)$/.test(path)) return 'ts';
  return path.endsWith('.rs') ? 'rust' : 'other';
}

export function sourceOf(path: string, text: string): Source {
  const language = languageOf(path);
  return { path, text, code: language === 'other' ? text : blank(text, language) };
}

export function isTest(path: string): boolean {
  return /\.test\.(ts|mjs)$/.test(path) || /(^|\/)(tests?|benches|examples|oracle)\//.test(path);
}

export function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length;
}

/** Every match of a pattern as a problem. */
export function matches(source: Source, text: string, pattern: RegExp, message: string): Problem[] {
  return [...text.matchAll(pattern)].map((match) => ({
    path: source.path,
    line: lineAt(text, match.index),
    message: message.replace('$0', match[0].trim()),
  }));
}

/** The offset of the bracket that closes the one at `open`, or the end of the text. */
export function closing(code: string, open: number): number {
  const pairs: Record<string, string> = { '{': '}', '(': ')', '[': ']' };
  const opener = code[open] ?? '{';
  const closer = pairs[opener] ?? '}';
  let depth = 0;
  for (let at = open; at < code.length; at += 1) {
    if (code[at] === opener) depth += 1;
    else if (code[at] === closer) depth -= 1;
    if (depth === 0) return at;
  }
  return code.length;
}

function blank(text: string, language: 'ts' | 'rust'): string {
  const pieces: string[] = [];
  let at = 0;
  while (at < text.length) {
    const end = language === 'ts' ? tokenTs(text, at) : tokenRust(text, at);
    if (end === at) {
      pieces.push(text[at] ?? '');
      at += 1;
    } else {
      pieces.push(spaces(text.slice(at, end)));
      at = end;
    }
  }
  return pieces.join('');
}

/** Blanks keep newlines, and the quotes at both ends, so that a string still looks like one. */
function spaces(token: string): string {
  const inner = token.replace(/[^\n]/g, ' ');
  if (!/^["'`]/.test(token) || token.length < 2) return inner;
  return `${token[0]}${inner.slice(1, -1)}${token.at(-1)}`;
}

/** The end of a comment, string or regular expression that starts at `at`; else `at`. */
function tokenTs(text: string, at: number): number {
  const comment = commentEnd(text, at, false);
  if (comment > at) return comment;
  const quote = text[at] ?? '';
  if (quote === '"' || quote === "'") return quoted(text, at, quote);
  if (quote === '`') return template(text, at);
  if (quote === '/' && startsRegex(text.slice(Math.max(0, at - 40), at))) return regexEnd(text, at);
  return at;
}

function tokenRust(text: string, at: number): number {
  const comment = commentEnd(text, at, true);
  if (comment > at) return comment;
  const raw = /^b?r(#*)"/.exec(text.slice(at, at + 12));
  if (raw !== null && !/[A-Za-z0-9_]/.test(text[at - 1] ?? ' ')) {
    const end = text.indexOf(`"${raw[1]}`, at + raw[0].length);
    return end === -1 ? text.length : end + 1 + (raw[1] ?? '').length;
  }
  if (text[at] === '"') return quoted(text, at, '"');
  const character = /^'(\\[^\n]{1,8}?|[^'\\\n])'/u.exec(text.slice(at, at + 14));
  return character === null ? at : at + character[0].length;
}

function commentEnd(text: string, at: number, nested: boolean): number {
  if (text.startsWith('//', at)) {
    const end = text.indexOf('\n', at);
    return end === -1 ? text.length : end;
  }
  if (!text.startsWith('/*', at)) return at;
  let depth = 1;
  let cursor = at + 2;
  while (cursor < text.length && depth > 0) {
    if (text.startsWith('*/', cursor)) depth -= 1;
    else if (nested && text.startsWith('/*', cursor)) depth += 1;
    else {
      cursor += 1;
      continue;
    }
    cursor += 2;
  }
  return cursor;
}

function quoted(text: string, at: number, quote: string): number {
  for (let cursor = at + 1; cursor < text.length; cursor += 1) {
    if (text[cursor] === '\\') cursor += 1;
    else if (text[cursor] === quote) return cursor + 1;
  }
  return text.length;
}

/** A template is blanked with its expressions: no rule needs those. */
function template(text: string, at: number): number {
  for (let cursor = at + 1; cursor < text.length; cursor += 1) {
    if (text[cursor] === '\\') cursor += 1;
    else if (text[cursor] === '`') return cursor + 1;
    else if (text.startsWith('${', cursor)) cursor = expressionEnd(text, cursor + 1);
  }
  return text.length;
}

function expressionEnd(text: string, open: number): number {
  let depth = 0;
  let cursor = open;
  while (cursor < text.length) {
    if (text[cursor] === '{') depth += 1;
    else if (text[cursor] === '}') depth -= 1;
    if (depth === 0) return cursor;
    const end = tokenTs(text, cursor);
    cursor = end === cursor ? cursor + 1 : end;
  }
  return text.length;
}

/** After an operand a slash divides; anywhere else it starts a regular expression. */
function startsRegex(before: string): boolean {
  const tail = before.trimEnd();
  if (/\b(return|typeof|case|in|of|await|yield)$/.test(tail)) return true;
  return tail === '' || /[([{,;=:?!&|+\-*%<>~^]$/.test(tail);
}

function regexEnd(text: string, at: number): number {
  let inClass = false;
  for (let cursor = at + 1; cursor < text.length; cursor += 1) {
    const character = text[cursor];
    if (character === '\n') return at;
    if (character === '\\') cursor += 1;
    else if (character === '[') inClass = true;
    else if (character === ']') inClass = false;
    else if (character === '/' && !inClass) return cursor + 1;
  }
  return at;
}
