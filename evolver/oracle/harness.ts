/**
 * Compiles designs natively, all in one crate, and runs them beside the baseline: the test that a
 * design means what the rules mean. For tests and for work on the grammar; a generation measures
 * modules, not this.
 */
import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export interface Design {
  /** A Rust identifier. */
  name: string;
  corpus: string;
  specRs: string;
  aggregateRs: string;
}

export interface Corpus {
  name: string;
  blob: Uint8Array;
  messages: readonly Uint8Array[];
}

export interface Finding {
  name: string;
  /** Natively, microseconds a message; 0 when not timed. */
  us: number;
  /** What differs first from the baseline, or null. */
  difference: string | null;
}

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const run = promisify(execFile);

export async function checkDesigns(
  folder: string,
  designs: readonly Design[],
  corpora: readonly Corpus[],
  rounds = 0,
): Promise<Finding[]> {
  // Without timing, quick compilation matters more than quick designs.
  writeCrate(folder, designs, rounds > 0 ? 3 : 1);
  for (const corpus of corpora) {
    writeFileSync(join(folder, `${corpus.name}.blob`), corpus.blob);
    writeFileSync(join(folder, `${corpus.name}.rtc`), encodeCorpus(corpus.messages));
  }
  const target = targetFolder();
  const options = { cwd: folder, env: { ...process.env, CARGO_TARGET_DIR: target } };
  const limits = { ...options, maxBuffer: 64 << 20, timeout: 1_500_000 };
  await run('cargo', ['build', '--release', '--offline', '--quiet'], limits);
  const { stdout } = await run(
    join(target, 'release', 'ratchet-oracle'),
    [folder, `${rounds}`],
    limits,
  );
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Finding);
}

/** "RTC1", then each message behind its length. */
export function encodeCorpus(messages: readonly Uint8Array[]): Uint8Array {
  const parts = messages.flatMap((message) => {
    const length = Buffer.alloc(4);
    length.writeUInt32LE(message.length);
    return [length, message];
  });
  return Buffer.concat([Buffer.from('RTC1'), ...parts]);
}

function targetFolder(): string {
  const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache');
  const ratchet = process.env.RATCHET_CACHE ?? join(cache, 'ratchet');
  return process.env.CARGO_TARGET_DIR ?? join(ratchet, 'target-oracle');
}

function writeCrate(folder: string, designs: readonly Design[], level: number): void {
  rmSync(join(folder, 'src'), { recursive: true, force: true });
  const main = [readFileSync(new URL('./check.rs', import.meta.url), 'utf8')];
  const calls: string[] = [];
  for (const { name, corpus, specRs, aggregateRs } of designs) {
    const source = join(folder, 'src', name);
    mkdirSync(source, { recursive: true });
    writeFileSync(join(source, 'spec.rs'), embed(specRs));
    writeFileSync(join(source, 'aggregate.rs'), embed(aggregateRs));
    main.push(`#[allow(warnings)]\nmod ${name} { pub mod spec; pub mod aggregate; }`);
    calls.push(
      `report::<${name}::aggregate::Aggregator>(directory, "${name}", "${corpus}", rounds);`,
    );
  }
  const body = calls.map((call) => `    ${call}\n`).join('');
  main.push(`fn run_all(directory: &str, rounds: u32) {\n${body}}\n`);
  writeFileSync(join(folder, 'src', 'main.rs'), main.join('\n'));
  writeFileSync(join(folder, 'Cargo.toml'), manifest(level));
  copyFileSync(join(ROOT, 'Cargo.lock'), join(folder, 'Cargo.lock'));
}

/** A design is a crate of its own; here it is a module among others. */
function embed(source: string): string {
  return source
    .replace(/^#!\[forbid\(unsafe_code\)\]$/m, '')
    .replaceAll('use crate::spec', 'use super::spec');
}

function manifest(level: number): string {
  const own = (name: string, path: string) =>
    `${name} = { path = ${JSON.stringify(join(ROOT, path))} }`;
  const pinned = readFileSync(join(ROOT, 'Cargo.toml'), 'utf8');
  const hashbrown = /^hashbrown = .*$/m.exec(pinned)?.[0] ?? '';
  return [
    '[package]\nname = "ratchet-oracle"\nversion = "0.0.0"\nedition = "2021"\n',
    '[workspace]\n\n[dependencies]',
    own('ratchet-codec', 'guest/codec'),
    own('ratchet-rules', 'guest/rules'),
    own('ratchet-api', 'guest/api'),
    own('ratchet-design', 'guest/design'),
    own('ratchet-baseline', 'guest/baseline'),
    hashbrown,
    `\n[profile.release]\nopt-level = ${level}\ndebug = 0\ncodegen-units = 16\n`,
  ].join('\n');
}
