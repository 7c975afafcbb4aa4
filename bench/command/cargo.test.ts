/** Of cargo, what a bench needs beside what it builds: that it ends, and how. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { processIdentity } from '../../control/stack/identity.ts';
import { cargoBuild } from './cargo.ts';

const folder = mkdtempSync(join(tmpdir(), 'ratchet-cargo-'));
after(() => rmSync(folder, { recursive: true }));

function program(name: string, text: string): string {
  const file = join(folder, name);
  writeFileSync(file, `#!/bin/sh\n${text}\n`);
  chmodSync(file, 0o755);
  return file;
}

test('a build gets its arguments, and is told with them when it fails', async ({ signal }) => {
  const cargo = { program: program('builds', 'test "$*" = "build -p x"'), env: {}, signal };
  await cargoBuild(cargo, ['-p', 'x']);
  await assert.rejects(cargoBuild(cargo, ['-p', 'y']), /cargo build -p y ended with 1$/);
});

test('an interruption ends cargo and its compilers', { timeout: 10_000 }, async () => {
  const note = join(folder, 'compiler');
  const text = `sleep 60 &\necho $! > ${note}.new\nmv ${note}.new ${note}\nwait`;
  const interrupt = new AbortController();
  const cargo = { program: program('compiles', text), env: process.env, signal: interrupt.signal };
  const building = assert.rejects(cargoBuild(cargo, []), { name: 'AbortError' });
  while (!existsSync(note)) await sleep(10);
  const compiler = Number(readFileSync(note, 'utf8'));
  assert.notEqual(processIdentity(compiler), null);
  interrupt.abort();
  await building;
  while (processIdentity(compiler) !== null) await sleep(10);
  await assert.rejects(cargoBuild(cargo, []), { name: 'AbortError' });
});
