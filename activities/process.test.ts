import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { type Finished, type Limits, ProcessFault, runLimited } from './process.ts';

let directory = '';
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ratchet-process-'));
});
after(() => rm(directory, { recursive: true, force: true }));

const limits: Limits = {
  milliseconds: 5_000,
  processorSeconds: 5,
  memoryBytes: 512 * 1024 * 1024,
  fileBytes: 1024 * 1024,
  outputBytes: 1_000,
};

function shell(
  script: string,
  changes: Partial<Limits> = {},
  signal?: AbortSignal,
): Promise<Finished> {
  return runLimited({
    command: '/bin/sh',
    args: ['-c', script],
    cwd: directory,
    environment: { PATH: '/usr/bin:/bin' },
    limits: { ...limits, ...changes },
    signal,
  });
}

test('output, exit status and environment are those of the program', async () => {
  const { code, stdout, stderr } = await shell('echo out; echo err >&2; env | wc -l; exit 3');
  assert.deepEqual([code, stderr], [3, 'err\n']);
  assert.match(stdout, /^out\n/);
  assert.equal(stdout.includes(process.env.HOME ?? 'HOME'), false);
});

const limited: Record<
  string,
  { script: string; changes: Partial<Limits>; met: (f: Finished) => boolean }
> = {
  'wall clock': {
    script: 'sleep 30 & wait',
    changes: { milliseconds: 200 },
    met: ({ timedOut, signal }) => timedOut && signal === 'SIGKILL',
  },
  'processor time': {
    script: 'while :; do :; done',
    changes: { processorSeconds: 1 },
    met: ({ timedOut, signal }) => !timedOut && (signal === 'SIGXCPU' || signal === 'SIGKILL'),
  },
  'file size': {
    script: 'exec dd if=/dev/zero of=big bs=65536 count=64',
    changes: {},
    met: ({ code }) => code !== 0,
  },
  'address space': {
    script: 'exec dd if=/dev/zero of=/dev/null bs=900M count=1',
    changes: {},
    met: ({ code }) => code !== 0,
  },
  output: {
    script: 'yes | head -c 300000',
    changes: {},
    met: ({ code, stdout }) => code === 0 && stdout.length === 1_000,
  },
};

for (const [name, { script, changes, met }] of Object.entries(limited)) {
  test(`limit: ${name}`, async () => {
    const finished = await shell(script, changes);
    assert.ok(met(finished), JSON.stringify(finished));
  });
}

test('cancelling kills the whole group', async () => {
  const controller = new AbortController();
  const file = join(directory, 'grandchild.pid');
  const script = `sleep 60 & echo $! > ${file}; wait`;
  const running = shell(script, {}, controller.signal);
  let pid = 0;
  for (let turn = 0; turn < 50 && pid === 0; turn++) {
    await wait(50);
    pid = Number(await readFile(file, 'utf8').catch(() => '0'));
  }
  assert.ok(pid > 0);
  controller.abort();
  await assert.rejects(running, ProcessFault);
  await wait(50);
  assert.equal(await isRunning(pid), false);
});

async function isRunning(pid: number): Promise<boolean> {
  const state = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null);
  return state !== null && !/\) Z /.test(state);
}

test('a program that is not there is a fault, and so is a cancelled start', async () => {
  const missing = runLimited({
    command: '/no/such/program',
    args: [],
    cwd: directory,
    environment: {},
    limits,
  });
  await assert.rejects(missing, /\/no\/such\/program: .*not found/);
  await assert.rejects(shell('true', {}, AbortSignal.abort()), /cancelled/);
});
