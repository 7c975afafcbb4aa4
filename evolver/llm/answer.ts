/**
 * What a model proposes, and whether it is a proposal at all: an edit of `aggregate.rs` and of
 * nothing else, that fits, and that changes something.
 */
import { type ProposalRequest, SOURCE_LIMIT } from '../mutator.ts';

export const FILE = 'aggregate.rs';
const EDITS_MAX = 64;
const SUMMARY_CHARS = 200;

export interface Edit {
  search: string;
  replace: string;
}

/** What was said, before it is judged. */
export interface Draft {
  path: string;
  summary: string;
  change: { kind: 'full'; content: string } | { kind: 'diff'; edits: Edit[] };
}

export type Refusal =
  /** no edit can be read from the answer */
  | 'unreadable'
  /** another file than `aggregate.rs` */
  | 'outside-file'
  | 'too-large'
  /** a search text that is not there, or there twice */
  | 'no-match'
  | 'unchanged'
  /** it was proposed before */
  | 'duplicate';

export type Judged =
  | { ok: true; source: string; summary: string; kind: 'full' | 'diff' }
  | { ok: false; refusal: Refusal; reason: string };

type Known = Pick<ProposalRequest, 'parent' | 'repetition'>;

export function judge(draft: Draft, { parent: from, repetition }: Known): Judged {
  const parent = from.source;
  const path = draft.path.trim().replace(/^\.\//, '');
  if (path !== FILE) {
    const reason = `an edit of ${JSON.stringify(path.slice(0, 100))}: only ${FILE} may be edited`;
    return { ok: false, refusal: 'outside-file', reason };
  }
  const applied = draft.change.kind === 'full' ? full(draft.change.content) : diff(draft, parent);
  if (typeof applied !== 'string') return applied;
  // The built-in search reads its designs from this mark; an edited source is none of them.
  const source = applied.replace(/^\/\/ genome:.*\n/m, '');
  const bytes = Buffer.byteLength(source);
  if (bytes >= SOURCE_LIMIT) {
    const reason = `${FILE} would have ${bytes} bytes; it must have fewer than ${SOURCE_LIMIT}`;
    return { ok: false, refusal: 'too-large', reason };
  }
  if (meaningOf(source) === meaningOf(parent)) {
    return { ok: false, refusal: 'unchanged', reason: 'the result is the parent itself' };
  }
  const known = repetition?.(source) ?? null;
  if (known !== null) return { ok: false, refusal: 'duplicate', reason: `its ${known} is known` };
  const summary = draft.summary.replace(/\s+/g, ' ').trim().slice(0, SUMMARY_CHARS);
  return { ok: true, source, summary, kind: draft.change.kind };
}

/** Reads an answer in text: `<summary>`, and one `<file>` or one `<edits>`. */
export function readAnswer(text: string): Draft | { unreadable: string } {
  const summary = /<summary>([\s\S]*?)<\/summary>/.exec(text)?.[1] ?? '';
  const files = [...text.matchAll(/<(file|edits) path="([^"\n]*)">\n?([\s\S]*?)<\/\1>/g)];
  const [only, ...more] = files;
  if (only === undefined) return { unreadable: 'there is neither a <file> nor an <edits> element' };
  const outside = files.find((match) => match[2] !== FILE);
  if (more.length > 0 && outside === undefined) {
    return { unreadable: 'there are several <file> or <edits> elements; one is wanted' };
  }
  const [, element, path = '', body = ''] = outside ?? only;
  if (element === 'file') {
    return { path, summary, change: { kind: 'full', content: withoutCodeFence(body) } };
  }
  const edits = readBlocks(body);
  if (typeof edits === 'string') return { unreadable: edits };
  return { path, summary, change: { kind: 'diff', edits } };
}

const SEARCH = '<<<<<<< SEARCH';
const MIDDLE = '=======';
const REPLACE = '>>>>>>> REPLACE';

function readBlocks(body: string): Edit[] | string {
  const edits: Edit[] = [];
  let search: string[] | null = null;
  let replace: string[] | null = null;
  for (const line of body.split('\n')) {
    const mark = line.trimEnd();
    if (search === null) {
      if (mark === SEARCH) search = [];
    } else if (replace === null) {
      if (mark === MIDDLE) replace = [];
      else search.push(line);
    } else if (mark === REPLACE) {
      edits.push({ search: search.join('\n'), replace: replace.join('\n') });
      [search, replace] = [null, null];
    } else replace.push(line);
  }
  if (search !== null) return `a block has no end: ${MIDDLE} or ${REPLACE} is missing`;
  if (edits.length === 0) return `<edits> has no block that begins with ${SEARCH}`;
  return edits;
}

function full(content: string): string {
  return content.endsWith('\n') ? content : `${content}\n`;
}

function diff({ change }: Draft, parent: string): string | Judged {
  if (change.kind !== 'diff') return parent;
  if (change.edits.length > EDITS_MAX) {
    const reason = `${change.edits.length} edits; at most ${EDITS_MAX} are read`;
    return { ok: false, refusal: 'unreadable', reason };
  }
  let source = parent;
  for (const [index, { search, replace }] of change.edits.entries()) {
    const found = search === '' ? 0 : source.split(search).length - 1;
    if (found !== 1) {
      const reason = `edit ${index + 1}: its search text occurs ${found} times, not once`;
      return { ok: false, refusal: 'no-match', reason };
    }
    const at = source.indexOf(search);
    source = source.slice(0, at) + replace + source.slice(at + search.length);
    if (source.length > 4 * SOURCE_LIMIT) break;
  }
  return full(source);
}

function withoutCodeFence(body: string): string {
  const fence = /^\s*```[a-z]*\n([\s\S]*?)\n```\s*$/.exec(body);
  return fence?.[1] ?? body;
}

/** Comments and spaces make no difference. */
function meaningOf(source: string): string {
  return source.replace(/\/\/.*$/gm, '').replace(/\s+/g, '');
}
