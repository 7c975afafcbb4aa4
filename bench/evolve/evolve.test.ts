/** A small run of the real thing: stopped, taken up again, and made again from the book. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';

const { RATCHET_KIT: kit, RATCHET_AGGREGATOR: aggregator } = process.env;
const options = kit && aggregator ? {} : { skip: 'no kit, no aggregator: run the bootstrap' };
const folder = mkdtempSync(join(tmpdir(), 'ratchet-bench-evolve-'));
after(() => rmSync(folder, { recursive: true }));
const program = new URL('../evolve.ts', import.meta.url).pathname;
const few = ['--cases', 'a', '--arms', 'search', '--seeds', '1', '--evaluations', '4'];

interface Ended {
  code: number | null;
  out: string;
  /** Of generations in which something was built or measured. */
  worked: string[];
}

/** With `interrupt`, Ctrl-C behind the first generation. */
async function bench(args: string[], interrupt = false): Promise<Ended> {
  const child = spawn(process.execPath, ['--import', 'tsx', program, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let out = '';
  child.stdout.on('data', (chunk) => {
    out += chunk;
  });
  const worked: string[] = [];
  createInterface({ input: child.stderr }).on('line', (line) => {
    if (!/: \d+\/\d+, best /.test(line)) return;
    worked.push(line);
    if (interrupt) child.kill('SIGINT');
  });
  const code = await new Promise<number | null>((done) => child.once('close', done));
  return { code, out, worked };
}

test('a run that was stopped goes on, and made again gives the same', options, async () => {
  const args = [...few, '--json', '--messages', '32', '--out', folder];
  const stopped = await bench(args, true);
  assert.deepEqual([stopped.code, stopped.out], [130, '']);
  assert.match(stopped.worked.join('\n'), /^# a search 1: 0\/4, /);

  const whole = await bench(args);
  assert.equal(whole.code, 0);
  // One, two and one candidate: as many as are known.
  assert.equal(whole.worked.length, 3, 'the first generation was known');
  const last = JSON.parse(whole.out.trimEnd().split('\n').at(-1) ?? '');
  assert.equal(last.bench, 'evolve');
  assert.ok(last.metrics.builtin_a > 1, whole.out);
  assert.ok(last.metrics.candidates_per_minute > 0);
  const { runs } = JSON.parse(readFileSync(join(folder, 'evolve.json'), 'utf8'));
  assert.equal(runs[0].steps.at(-1).evaluations, 4);
  assert.deepEqual(runs[0].rejected, {});
  assert.match(readFileSync(join(folder, 'evolve.svg'), 'utf8'), /<polyline/);

  const again = await bench(args);
  assert.deepEqual([again.code, again.worked], [0, []]);
  assert.equal(again.out, whole.out);
});

test('bad options are named, and nothing is written', async () => {
  const before = readdirSync(folder);
  for (const [name, value] of [
    ['--cases', 'a,x'],
    ['--arms', ''],
    ['--seeds', '0'],
    ['--evaluations', '3'],
    ['--messages', '31'],
    ['--organizations', '51'],
  ] as const) {
    const { code, out } = await bench([name, value, '--out', join(folder, 'none')]);
    assert.deepEqual([code, out], [2, ''], `${name} ${value}`);
  }
  assert.deepEqual(readdirSync(folder), before);
});
