/**
 * The filter language.
 *
 *     filter  = or
 *     or      = and ("OR" and)*
 *     and     = not ("AND" not)*
 *     not     = "NOT" not | primary
 *     primary = "(" or ")" | "*" | key ":" value | key ":" "*" | key ":" value "*"
 *             | key "IN" "(" value ("," value)* ")"
 *
 * Nested ANDs and ORs are flattened; nothing else is rewritten. No white space is allowed around a
 * colon or before the star of a prefix.
 */
import { FilterSyntaxError } from './errors.ts';
import { columnOf, isBareWord, type Token, type TokenKind, tokenize } from './lexer.ts';
import { limits, textProblem } from './limits.ts';

export type Filter =
  | { op: 'all' }
  | { op: 'present'; key: string }
  | { op: 'eq'; key: string; value: string }
  | { op: 'prefix'; key: string; prefix: string }
  | { op: 'in'; key: string; values: string[] }
  | { op: 'not'; filter: Filter }
  | { op: 'and' | 'or'; filters: Filter[] };

/** Parses filter text; throws `FilterSyntaxError` with the column and what was expected. */
export function parseFilter(text: string): Filter {
  if (text.length > limits.filterCharacters) {
    throw new FilterSyntaxError(
      1,
      `the filter has ${text.length} characters, the limit is ${limits.filterCharacters}`,
    );
  }
  const state: State = { text, tokens: tokenize(text), at: 0, leaves: 0, nesting: 0 };
  const filter = parseJunction(state, 'or');
  if (peek(state).kind !== 'end') fail(state, 'expected AND, OR or the end of the filter');
  return filter;
}

/** Prints a filter as text that parses back to the same filter. */
export function printFilter(filter: Filter): string {
  switch (filter.op) {
    case 'all':
      return '*';
    case 'present':
      return `${quote(filter.key)}:*`;
    case 'eq':
      return `${quote(filter.key)}:${quote(filter.value)}`;
    case 'prefix':
      return `${quote(filter.key)}:${quote(filter.prefix)}*`;
    case 'in':
      return `${quote(filter.key)} IN (${filter.values.map(quote).join(', ')})`;
    case 'not':
      return `NOT ${printOperand(filter.filter, ['and', 'or'])}`;
    case 'and':
      return filter.filters.map((each) => printOperand(each, ['and', 'or'])).join(' AND ');
    case 'or':
      return filter.filters.map((each) => printOperand(each, ['or'])).join(' OR ');
  }
}

/** Levels of the tree: 1 for a leaf. */
export function filterDepth(filter: Filter): number {
  if (filter.op === 'not') return 1 + filterDepth(filter.filter);
  if (filter.op !== 'and' && filter.op !== 'or') return 1;
  return 1 + Math.max(...filter.filters.map(filterDepth));
}

export function filterLeaves(filter: Filter): number {
  if (filter.op === 'not') return filterLeaves(filter.filter);
  if (filter.op !== 'and' && filter.op !== 'or') return 1;
  return filter.filters.reduce((sum, each) => sum + filterLeaves(each), 0);
}

function printOperand(filter: Filter, parenthesized: readonly Filter['op'][]): string {
  const text = printFilter(filter);
  return parenthesized.includes(filter.op) ? `(${text})` : text;
}

function quote(text: string): string {
  return isBareWord(text) ? text : `"${text.replace(/["\\]/g, '\\$&')}"`;
}

interface State {
  readonly text: string;
  readonly tokens: readonly Token[];
  at: number;
  leaves: number;
  /** Open parentheses and NOTs: bounds the recursion whatever the text. */
  nesting: number;
}

const nestingMax = 4 * limits.filterDepth;

function parseJunction(state: State, op: 'and' | 'or'): Filter {
  const start = peek(state);
  const filters: Filter[] = [];
  do {
    const filter = op === 'or' ? parseJunction(state, 'and') : parseNot(state);
    if (filter.op === op) filters.push(...filter.filters);
    else filters.push(filter);
  } while (acceptKeyword(state, op === 'or' ? 'OR' : 'AND'));
  const [only] = filters;
  if (filters.length === 1 && only !== undefined) return only;
  return checkDepth(state, start, { op, filters });
}

function parseNot(state: State): Filter {
  const start = peek(state);
  if (!acceptKeyword(state, 'NOT')) return parsePrimary(state);
  enter(state, start);
  const filter = parseNot(state);
  state.nesting -= 1;
  return checkDepth(state, start, { op: 'not', filter });
}

function parsePrimary(state: State): Filter {
  const start = peek(state);
  if (accept(state, 'open')) {
    enter(state, start);
    const filter = parseJunction(state, 'or');
    if (!accept(state, 'close')) fail(state, 'expected AND, OR or ")"');
    state.nesting -= 1;
    return filter;
  }
  state.leaves += 1;
  if (state.leaves > limits.filterLeaves) {
    failAt(state, start, `the filter has more than ${limits.filterLeaves} conditions`);
  }
  if (accept(state, 'star')) return { op: 'all' };
  return parseCondition(state);
}

function parseCondition(state: State): Filter {
  const key = peek(state);
  if ((key.kind !== 'word' && key.kind !== 'quoted') || key.keyword) {
    fail(state, 'expected a condition such as key:value, "(" or NOT');
  }
  state.at += 1;
  const next = peek(state);
  // A quoted star with no colon after it is how YAML and JSON users write "everything".
  if (key.kind === 'quoted' && key.text === '*' && !isConditionSign(next)) return { op: 'all' };
  checkText(state, key, 'key');
  if (acceptKeyword(state, 'IN')) return { op: 'in', key: key.text, values: parseValues(state) };
  if (next.kind !== 'colon') fail(state, `expected ":" or IN after the key ${show(key)}`);
  if (next.start !== key.end) failAt(state, next, 'expected no space before ":"');
  state.at += 1;
  return parseValue(state, key.text, next);
}

function isConditionSign(token: Token): boolean {
  return token.kind === 'colon' || (token.keyword && token.text === 'IN');
}

function parseValue(state: State, key: string, colon: Token): Filter {
  const value = peek(state);
  if (value.kind === 'end' || value.start !== colon.end) {
    failAfter(state, colon, 'expected a value directly after ":"');
  }
  if (accept(state, 'star')) {
    const following = peek(state);
    if (following.start === value.end) rejectGlued(state, following);
    return { op: 'present', key };
  }
  if (!accept(state, 'word') && !accept(state, 'quoted')) fail(state, 'expected a value after ":"');
  checkText(state, value, 'value');
  const star = peek(state);
  if (star.start !== value.end) return { op: 'eq', key, value: value.text };
  if (!accept(state, 'star')) {
    rejectGlued(state, star);
    return { op: 'eq', key, value: value.text };
  }
  const following = peek(state);
  if (following.start === star.end) rejectGlued(state, following);
  return { op: 'prefix', key, prefix: value.text };
}

/** After a value only white space, a parenthesis or the end may follow directly. */
function rejectGlued(state: State, token: Token): void {
  if (token.kind === 'end' || token.kind === 'open' || token.kind === 'close') return;
  if (token.kind === 'colon') {
    failAt(state, token, 'a value that contains ":" must be in double quotes');
  }
  failAt(state, token, 'expected a space here: a star stands only at the end of a prefix');
}

function parseValues(state: State): string[] {
  if (!accept(state, 'open')) fail(state, 'expected "(" after IN');
  const values: string[] = [];
  const seen = new Set<string>();
  do {
    const token = peek(state);
    if (token.kind === 'star') fail(state, 'prefixes cannot stand in an IN list');
    if (!accept(state, 'word') && !accept(state, 'quoted')) {
      fail(state, 'expected a value in the IN list');
    }
    checkText(state, token, 'value');
    if (peek(state).kind === 'star') fail(state, 'prefixes cannot stand in an IN list');
    if (seen.has(token.text)) failAt(state, token, `${show(token)} is in the IN list twice`);
    if (values.length === limits.filterValues) {
      failAt(state, token, `the IN list has more than ${limits.filterValues} values`);
    }
    seen.add(token.text);
    values.push(token.text);
  } while (accept(state, 'comma'));
  if (!accept(state, 'close')) fail(state, 'expected "," or ")" in the IN list');
  return values;
}

function checkText(state: State, token: Token, what: string): void {
  const problem = textProblem(token.text);
  if (problem !== null) failAt(state, token, `the ${what} ${problem}`);
}

function checkDepth(state: State, start: Token, filter: Filter): Filter {
  if (filterDepth(filter) > limits.filterDepth) {
    failAt(state, start, `the filter is nested deeper than ${limits.filterDepth} levels`);
  }
  return filter;
}

function enter(state: State, token: Token): void {
  state.nesting += 1;
  if (state.nesting > nestingMax) {
    failAt(state, token, `the filter is nested deeper than ${limits.filterDepth} levels`);
  }
}

function peek(state: State): Token {
  const token = state.tokens[Math.min(state.at, state.tokens.length - 1)];
  if (token === undefined) throw new Error('invariant: the token list ends with an end token');
  return token;
}

function accept(state: State, kind: TokenKind): boolean {
  if (peek(state).kind !== kind) return false;
  state.at += 1;
  return true;
}

function acceptKeyword(state: State, keyword: string): boolean {
  const token = peek(state);
  if (!token.keyword || token.text !== keyword) return false;
  state.at += 1;
  return true;
}

/** Fails at the next token, and says what was found there instead. */
function fail(state: State, expected: string): never {
  const token = peek(state);
  const found = token.kind === 'end' ? 'the end' : show(token);
  const lower = token.kind === 'word' && /^(and|or|not|in)$/i.test(token.text) && !token.keyword;
  const hint = lower ? '; operators are written in upper case' : '';
  failAt(state, token, `${expected}, found ${found}${hint}`);
}

function failAfter(state: State, token: Token, message: string): never {
  throw new FilterSyntaxError(columnOf(state.text, token.end), message);
}

function failAt(state: State, token: Token, message: string): never {
  throw new FilterSyntaxError(columnOf(state.text, token.start), message);
}

function show(token: Token): string {
  const text = token.text.length > 40 ? `${token.text.slice(0, 40)}…` : token.text;
  return JSON.stringify(text);
}
