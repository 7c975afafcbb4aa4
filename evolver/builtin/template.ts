/**
 * Rust text with alternatives. A line `//@ if name=a|b` keeps what follows up to its `//@ end` (or
 * `//@ else`) only when the setting `name` has one of these values; `{{name}}` becomes a setting's
 * value. Blocks nest.
 */
import { readFileSync } from 'node:fs';

export type Settings = Readonly<Record<string, string | readonly string[]>>;

export class TemplateError extends Error {
  override name = 'TemplateError';
}

const DIRECTIVE = /^\s*\/\/@ (?:(if) ([a-z_]+)=([a-z0-9_|]+)|(else)|(end))\s*$/;
const FOLDER = new URL('./templates/', import.meta.url);
const loaded = new Map<string, string>();

export function loadTemplate(name: string): string {
  const text = loaded.get(name) ?? readFileSync(new URL(`${name}.rs.txt`, FOLDER), 'utf8');
  loaded.set(name, text);
  return text;
}

export function render(template: string, settings: Settings): string {
  const kept: string[] = [];
  const open: { holds: boolean; outer: boolean }[] = [];
  let shown = true;
  for (const line of template.split('\n')) {
    if (!line.trimStart().startsWith('//@')) {
      if (shown) kept.push(fill(line, settings));
      continue;
    }
    const directive = DIRECTIVE.exec(line);
    if (directive === null) throw new TemplateError(`not a directive: ${line.trim()}`);
    const [, condition, name, values] = directive;
    if (condition !== undefined) {
      const holds = has(settings, name as string, (values as string).split('|'));
      open.push({ holds, outer: shown });
      shown = shown && holds;
      continue;
    }
    const block = open.at(-1);
    if (block === undefined) throw new TemplateError(`${line.trim()} without an if`);
    shown = directive[4] === undefined ? block.outer : block.outer && !block.holds;
    if (directive[5] !== undefined) open.pop();
  }
  if (open.length > 0) throw new TemplateError('an if without an end');
  return kept.join('\n');
}

function has(settings: Settings, name: string, values: readonly string[]): boolean {
  const setting = settings[name];
  if (setting === undefined) throw new TemplateError(`no setting ${name}`);
  return [setting].flat().some((each) => values.includes(each));
}

function fill(line: string, settings: Settings): string {
  return line.replace(/\{\{([a-z_]+)\}\}/g, (_, name: string) => {
    const setting = settings[name];
    if (typeof setting !== 'string') throw new TemplateError(`no text for {{${name}}}`);
    return setting;
  });
}
