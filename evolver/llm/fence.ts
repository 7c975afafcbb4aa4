/**
 * Prompts from words of this program and data of others. Data stands between marks that no data can
 * hold: they are made from the digest of all of it, so whoever writes a tag value, a comment or a
 * log line cannot know them. Data is cut to its limit and told to be cut.
 */
import { createHash } from 'node:crypto';

interface Data {
  label: string;
  text: string;
}

type Part = { say: string } | Data;

/** What cannot be seen: control characters but for tab and line feed, marks that turn text. */
const INVISIBLE = /(?![\t\n])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

export class Prompt {
  readonly #parts: Part[] = [];

  say(text: string): this {
    this.#parts.push({ say: text });
    return this;
  }

  /** `limit` counts characters. */
  data(label: string, text: string, limit: number): this {
    const clean = text.replace(INVISIBLE, '\ufffd');
    const rest = clean.length - limit;
    const cut = rest <= 0 ? clean : `${clean.slice(0, limit)}\n[cut: ${rest} more characters]`;
    this.#parts.push({ label, text: cut });
    return this;
  }

  /** `seed` makes the marks of equal prompts in different places differ. */
  render(seed: string): string {
    const mark = `data-${markOf(seed, this.#parts)}`;
    return this.#parts
      .map((part) => {
        if ('say' in part) return part.say;
        return `<${mark} label=${JSON.stringify(part.label)}>\n${part.text}\n</${mark}>`;
      })
      .join('\n\n');
  }
}

export function fenced(label: string, text: string, limit: number, seed: string): string {
  return new Prompt().data(label, text, limit).render(seed);
}

function markOf(seed: string, parts: readonly Part[]): string {
  const text = JSON.stringify([seed, ...parts]);
  return createHash('sha256').update(text).digest('hex').slice(0, 24);
}
