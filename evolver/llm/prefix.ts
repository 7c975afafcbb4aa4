/** The static prefix of prompts: the same in every question of an arm, so that it is cached. */
import { readFileSync } from 'node:fs';
import { Library } from './library.ts';

export type ArmKind = 'single' | 'rlm';

const EXAMPLES = ['guest/candidate/src/aggregate.rs', 'guest/api/src/meaning.rs'];

export function staticPrefix(kind: ArmKind, library: Library = Library.open()): string {
  const manner = kind === 'single' ? 'single' : 'exploration';
  const examples = EXAMPLES.map((path) => `## ${path}\n\n${fence(library.read(path) ?? '')}`);
  const shown = ['# Examples', ...examples].join('\n\n');
  return [text('contract'), shown, text(manner)].join('\n\n');
}

function text(name: string): string {
  return readFileSync(new URL(`./prompts/${name}.md`, import.meta.url), 'utf8').trim();
}

function fence(source: string): string {
  return `\`\`\`rust\n${source.trim()}\n\`\`\``;
}
