import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { readKit } from './kit.ts';
import { COMPILER_LIMITS, type Compiled, compile } from './rustc.ts';

const directory = findKit();
const options = directory === null ? { skip: 'no kit: run the bootstrap' } : {};
const candidate = new URL('../../guest/candidate/src/', import.meta.url);
const spec = readFileSync(new URL('spec.rs', candidate));
const aggregate = readFileSync(new URL('aggregate.rs', candidate), 'utf8');

function findKit(): string | null {
  if (process.env.RATCHET_KIT) return process.env.RATCHET_KIT;
  const cache = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  const kits = join(process.env.RATCHET_CACHE || join(cache, 'ratchet'), 'kit');
  if (!existsSync(kits)) return null;
  const name = readdirSync(kits).find((each) => existsSync(join(kits, each, 'kit.json')));
  return name === undefined ? null : join(kits, name);
}

async function build(source: string, limits = COMPILER_LIMITS): Promise<Compiled> {
  const kit = await readKit(directory);
  const { signal } = new AbortController();
  return await compile(kit, { spec, aggregate: Buffer.from(source) }, signal, limits);
}

test('the same sources give the same bytes', options, async () => {
  const [first, second] = [await build(aggregate), await build(aggregate)];
  assert.ok(first.verdict === 'compiled' && second.verdict === 'compiled');
  assert.deepEqual(first.core, second.core);
  assert.equal(Buffer.from(first.core).includes('ratchet-build-'), false);
});

const ENDLESS = `
const fn f(mut i: u64) -> u64 { loop { i = i.wrapping_add(1); } }
#[allow(long_running_const_eval)]
pub const N: u64 = f(0);`;

/** What the source policy would refuse: the compiler's limits must hold without it. */
const hostile: Record<string, { source: string; verdict: Compiled['verdict'][]; reason: RegExp }> =
  {
    'a type error': {
      source: aggregate.replace('count: u32,', 'count: NoSuchType,'),
      verdict: ['compile-error'],
      reason: /^error\[E\d+\]/,
    },
    'an endless macro': {
      source: `${aggregate}\nmacro_rules! m { ($($t:tt)*) => { m!($($t)* x $($t)*); } }\nm!(a);`,
      verdict: ['compile-error', 'timeout', 'out-of-memory'],
      reason: /./,
    },
    'an endless constant': {
      source: `${aggregate}${ENDLESS}`,
      verdict: ['timeout', 'compile-error'],
      reason: /./,
    },
    'a huge array': {
      source: `${aggregate}\n#[no_mangle]\npub static BIG: [u64; 1 << 28] = [7; 1 << 28];`,
      verdict: ['compile-error', 'out-of-memory', 'timeout', 'too-large'],
      reason: /./,
    },
    'a file that is not there': {
      source: `${aggregate}\npub const TEXT: &str = include_str!("../../../../etc/no-such-file");`,
      verdict: ['compile-error'],
      reason: /no-such-file/,
    },
  };

for (const [name, expected] of Object.entries(hostile)) {
  test(`${name} is a verdict, within its limits`, options, async () => {
    const limits = { ...COMPILER_LIMITS, milliseconds: 15_000, processorSeconds: 12 };
    const compiled = await build(expected.source, limits);
    assert.ok(expected.verdict.includes(compiled.verdict), compiled.verdict);
    assert.match('reason' in compiled ? compiled.reason : '', expected.reason);
    assert.ok(compiled.seconds < 20, `${compiled.seconds} s`);
  });
}

test('a cancelled build leaves no process behind', options, async () => {
  const kit = await readKit(directory);
  const controller = new AbortController();
  const endless = `${aggregate}${ENDLESS}`;
  const building = compile(kit, { spec, aggregate: Buffer.from(endless) }, controller.signal);
  await wait(400);
  controller.abort();
  await assert.rejects(building, /cancelled/);
});
