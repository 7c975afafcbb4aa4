import { FilterSyntaxError } from './errors.ts';

export type TokenKind = 'word' | 'quoted' | 'star' | 'colon' | 'open' | 'close' | 'comma' | 'end';

/** `start` and `end` are offsets into the text; `text` has its escapes resolved. */
export interface Token {
  kind: TokenKind;
  text: string;
  start: number;
  end: number;
  /** True for AND, OR, NOT and IN written bare. */
  keyword: boolean;
}

const bareCharacter = /[A-Za-z0-9_./@%+-]/;
const bareWord = /^[A-Za-z0-9_./@%+-]+$/;
const keywords: ReadonlySet<string> = new Set(['AND', 'OR', 'NOT', 'IN']);
const punctuation: Readonly<Record<string, TokenKind>> = {
  '*': 'star',
  ':': 'colon',
  '(': 'open',
  ')': 'close',
  ',': 'comma',
};

/** True when the text can stand in a filter without quotes. */
export function isBareWord(text: string): boolean {
  return bareWord.test(text) && !keywords.has(text);
}

/** 1-based column, in characters, of an offset. */
export function columnOf(text: string, offset: number): number {
  return [...text.slice(0, offset)].length + 1;
}

export function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < text.length) {
    const character = text.charAt(at);
    if (/\s/.test(character)) {
      at += 1;
      continue;
    }
    const token = readToken(text, at, character);
    tokens.push(token);
    at = token.end;
  }
  tokens.push({ kind: 'end', text: '', start: text.length, end: text.length, keyword: false });
  return tokens;
}

function readToken(text: string, at: number, character: string): Token {
  const kind = punctuation[character];
  if (kind !== undefined) {
    return { kind, text: character, start: at, end: at + 1, keyword: false };
  }
  if (character === '"') return readQuoted(text, at);
  if (character === '\\' || bareCharacter.test(character)) return readWord(text, at);
  const shown = String.fromCodePoint(text.codePointAt(at) ?? 0);
  throw new FilterSyntaxError(
    columnOf(text, at),
    `unexpected character ${JSON.stringify(shown)}: put names and values that contain it in ` +
      'double quotes',
  );
}

function readWord(text: string, start: number): Token {
  let at = start;
  let word = '';
  let escaped = false;
  while (at < text.length) {
    const character = text.charAt(at);
    if (character === '\\') {
      if (text.charAt(at + 1) !== '*') {
        throw new FilterSyntaxError(
          columnOf(text, at),
          'outside quotes only \\* may be escaped: put the value in double quotes',
        );
      }
      word += '*';
      escaped = true;
      at += 2;
    } else if (bareCharacter.test(character)) {
      word += character;
      at += 1;
    } else {
      break;
    }
  }
  return { kind: 'word', text: word, start, end: at, keyword: !escaped && keywords.has(word) };
}

function readQuoted(text: string, start: number): Token {
  let at = start + 1;
  let value = '';
  while (at < text.length) {
    const character = text.charAt(at);
    if (character === '"') {
      return { kind: 'quoted', text: value, start, end: at + 1, keyword: false };
    }
    if (character === '\\') {
      const next = text.charAt(at + 1);
      if (next !== '"' && next !== '\\' && next !== '*') {
        throw new FilterSyntaxError(
          columnOf(text, at),
          'unknown escape: in quotes use \\" for a quote, \\\\ for a backslash, \\* for a star',
        );
      }
      value += next;
      at += 2;
    } else {
      value += character;
      at += 1;
    }
  }
  throw new FilterSyntaxError(columnOf(text, start), 'this quote is never closed');
}
