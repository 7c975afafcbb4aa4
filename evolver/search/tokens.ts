/**
 * Rust source as tokens, and as a normal form of its tokens: without comments and white space, and
 * with the names of local variables replaced by the order of their first appearance. It is a
 * tokenizer, not a parser: what it does not know for a local keeps its name, so that two sources of
 * the same normal form differ in layout, comments and names of locals only.
 */

const TOKEN = new RegExp(
  [
    String.raw`(?<space>\s+|\/\/[^\n]*)`,
    String.raw`(?<block>\/\*)`,
    String.raw`(?<text>b?r(?<hashes>#*)"[\s\S]*?"\k<hashes>|b?"(?:[^"\\]|\\[\s\S])*")`,
    String.raw`(?<char>b?'(?:[^'\\\n]|\\(?:x[0-9a-fA-F]{2}|u\{[0-9a-fA-F_]*\}|[^xu\n]))')`,
    String.raw`(?<life>'[A-Za-z_]\w*)`,
    String.raw`(?<number>\d(?:\w|\.(?=\d))*)`,
    String.raw`(?<name>(?:r#)?[A-Za-z_]\w*)`,
    String.raw`(?<mark><<=|>>=|\.\.=|\.\.\.|::|->|=>|==|!=|<=|>=|&&|\|\||<<|>>|\.\.|[-+*/%^&|]=|[\s\S])`,
  ].join('|'),
  'gy',
);

export type TokenKind = 'name' | 'number' | 'text' | 'life' | 'mark';

export interface Token {
  kind: TokenKind;
  text: string;
}

export function tokenise(source: string): Token[] {
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  for (let match = TOKEN.exec(source); match !== null; match = TOKEN.exec(source)) {
    const { space, block, text, char, life, number, name } = match.groups ?? {};
    if (block !== undefined) TOKEN.lastIndex = endOfBlock(source, match.index);
    else if (space === undefined) {
      const kind = kindOf({ text: text ?? char, life, number, name });
      tokens.push({ kind, text: match[0] });
    }
    if (TOKEN.lastIndex >= source.length) break;
  }
  return tokens;
}

function kindOf(groups: Record<string, string | undefined>): TokenKind {
  for (const kind of ['text', 'life', 'number', 'name'] as const) {
    if (groups[kind] !== undefined) return kind;
  }
  return 'mark';
}

/** Block comments nest. */
function endOfBlock(source: string, from: number): number {
  let depth = 0;
  for (let at = from; at < source.length; at++) {
    const two = source.slice(at, at + 2);
    if (two === '/*') depth += 1;
    else if (two === '*/') depth -= 1;
    else continue;
    at += 1;
    if (depth === 0) return at + 1;
  }
  return source.length;
}

/** The normal form, one line; equal for sources that differ in layout, comments and local names. */
export function normalForm(source: string): string {
  const tokens = tokenise(source);
  const locals = localsOf(tokens);
  const renamed = new Map<string, string>();
  return tokens
    .map((token, index) => {
      if (token.kind === 'number') return token.text.replaceAll('_', '');
      if (!locals.has(token.text) || !isVariable(tokens, index)) return token.text;
      const known = renamed.get(token.text) ?? `·${renamed.size}`;
      renamed.set(token.text, known);
      return known;
    })
    .join(' ');
}

const LOCAL = /^[a-z_][a-z0-9_]*$/;
const KEYWORDS = new Set(
  [
    'as break const continue crate else enum false fn for if impl in let loop match',
    'mod move mut pub ref return self static struct super trait true type unsafe use',
    'where while box',
  ].flatMap((line) => line.split(' ')),
);

function isLocalName(token: Token | undefined): boolean {
  return token?.kind === 'name' && LOCAL.test(token.text) && !KEYWORDS.has(token.text);
}

/** Names that `let`, `for`, a closure or a parameter binds somewhere in the file. */
function localsOf(tokens: readonly Token[]): Set<string> {
  const locals = new Set<string>();
  const add = (from: number, until: (text: string) => boolean) => {
    for (let at = from; at < tokens.length && at < from + BINDINGS_MAX; at++) {
      const token = tokens[at] as Token;
      if (until(token.text)) return;
      if (isLocalName(token) && isVariable(tokens, at)) locals.add(token.text);
    }
  };
  for (const [index, { text }] of tokens.entries()) {
    if (text === 'let') add(index + 1, (next) => [':', '=', ';', '{'].includes(next));
    else if (text === 'for') add(index + 1, (next) => ['in', '<', '{'].includes(next));
    else if (text === '|' && opensClosure(tokens, index)) add(index + 1, (next) => next === '|');
    else if (text === ':' && isParameter(tokens, index)) {
      locals.add((tokens[index - 1] as Token).text);
    }
  }
  return locals;
}

/** Longer patterns keep the rest of their names. */
const BINDINGS_MAX = 24;

function opensClosure(tokens: readonly Token[], index: number): boolean {
  const before = tokens[index - 1];
  return before?.kind === 'mark' ? !')]'.includes(before.text) : before?.text === 'move';
}

/** `name:` behind `(`, `,` or `mut` inside the parentheses of a function's head. */
function isParameter(tokens: readonly Token[], colon: number): boolean {
  if (!isLocalName(tokens[colon - 1])) return false;
  let depth = 0;
  for (let at = colon - 2; at >= 0 && at > colon - HEAD_MAX; at--) {
    const text = tokens[at]?.text ?? '';
    if (text === ')' || text === ']' || text === '>') depth += 1;
    else if (text === '[' || text === '<') depth -= 1;
    else if (text === '(' && depth > 0) depth -= 1;
    else if (text === '(') return isFunctionHead(tokens, at);
    else if (['{', '}', ';'].includes(text)) return false;
  }
  return false;
}

const HEAD_MAX = 200;

function isFunctionHead(tokens: readonly Token[], parenthesis: number): boolean {
  let at = parenthesis - 1;
  if (tokens[at]?.text === '>') while (at > 0 && tokens[at]?.text !== '<') at -= 1;
  if (tokens[at]?.text === '<') at -= 1;
  return tokens[at]?.kind === 'name' && tokens[at - 1]?.text === 'fn';
}

/** Fields, methods, paths, macros and the short form of a field's value keep their names. */
function isVariable(tokens: readonly Token[], index: number): boolean {
  const before = tokens[index - 1]?.text ?? '';
  const after = tokens[index + 1]?.text ?? '';
  if (before === '.' || before === '::' || after === '::' || after === '!') return false;
  return !((before === '{' || before === ',') && (after === '}' || after === ','));
}
