import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { download, sumOf } from './download.mjs';
import { withLock } from './lock.mjs';
import { matchesLock } from './npm.mjs';
import { atLeast, cacheDirectory, pinnedVersion, versionIn } from './paths.mjs';
import { checkVersion } from './prerequisites.mjs';
import { run, runOrFail } from './run.mjs';
import { cargoParser, checkParser, nodeParser } from './runners.mjs';
import { ensureTool, natsServer, temporalCli, vmagent } from './tools.mjs';

const scratch = mkdtempSync(join(tmpdir(), 'ratchet-scripts-'));
after(() => rmSync(scratch, { recursive: true, force: true }));

describe('versions', () => {
  test('are read, compared and explained', () => {
    assert.deepEqual(versionIn('cargo 1.95.0 (f2d3ce0bd 2026-03-21)'), [1, 95, 0]);
    assert.deepEqual(versionIn('go version go1.26 linux/amd64'), [1, 26, 0]);
    assert.equal(versionIn('none'), null);
    const cases = [
      ['1.95.0', true],
      ['1.94.9', false],
      ['2.0.0', true],
    ];
    for (const [text, expected] of cases) {
      assert.equal(atLeast(versionIn(text), [1, 95, 0]), expected, text);
    }
    assert.match(checkVersion('rustc', null, [1, 95, 0], 'help')[0], /not installed.*help/);
    assert.match(checkVersion('rustc', 'rustc 1.80.1', [1, 95, 0], 'h')[0], /is 1\.80\.1, needed/);
    assert.deepEqual(checkVersion('rustc', 'rustc 1.96.0', [1, 95, 0], 'help'), []);
  });

  test('every tool is pinned', () => {
    assert.match(pinnedVersion(natsServer.module), /^v2\./);
    assert.match(pinnedVersion(temporalCli.module), /^v1\./);
    assert.equal(pinnedVersion(vmagent.module, vmagent.folder), 'v1.130.0');
    assert.throws(() => pinnedVersion('example.org/none'), /pins no version of example/);
  });

  test('which versions of the tools will do', () => {
    for (const [tool, text, expected] of [
      [natsServer, 'nats-server: v2.15.2', true],
      [natsServer, 'nats-server: v2.14.0', true],
      [natsServer, 'nats-server: v2.13.9', false],
      [natsServer, 'nats-server: v3.0.0', false],
      [temporalCli, 'temporal version 1.5.1 (Server 1.29.1, UI 2.42.1)', true],
      [temporalCli, 'temporal version 1.1.0 (Server 1.25.0, UI 2.30.3)', false],
      [temporalCli, 'tctl version 1.18', false],
      [vmagent, 'vmagent-v1.130.0', true],
      [vmagent, 'vmagent-v1.130.1', false],
    ]) {
      assert.equal(tool.compatible(text), expected, text);
    }
  });

  test('the cache follows the environment', () => {
    assert.equal(cacheDirectory({ RATCHET_CACHE: '/a' }), '/a');
    assert.equal(cacheDirectory({ XDG_CACHE_HOME: '/b' }), '/b/ratchet');
    assert.equal(cacheDirectory({ HOME: '/c' }), '/c/.cache/ratchet');
  });
});

describe('node_modules', () => {
  const lock = (packages) => JSON.stringify({ packages });
  const wanted = lock({ '': {}, a: { version: '1', integrity: 'x' }, b: { optional: true } });
  test('matches when every package that is not optional is there as locked', () => {
    const cases = [
      [lock({ a: { version: '1', integrity: 'x' } }), true],
      [lock({ a: { version: '2', integrity: 'x' } }), false],
      [lock({ a: { version: '1', integrity: 'y' } }), false],
      [lock({}), false],
      ['broken', false],
      [null, false],
    ];
    for (const [installed, expected] of cases) {
      assert.equal(matchesLock(wanted, installed), expected, String(installed));
    }
  });
});

describe('commands', () => {
  test('a failure shows status and output', async () => {
    const code = 'console.log("why"); process.exit(4)';
    const failing = () => runOrFail('a step', process.execPath, ['-e', code]);
    await assert.rejects(failing, /a step failed \(exit status 4\).*why/s);
    await assert.rejects(() => runOrFail('a step', 'no-such-program', []), /cannot run no-such/);
  });

  test('the time limit ends the whole group', async () => {
    const child = [
      "const { spawn } = require('child_process');",
      "const code = ['-e', 'setTimeout(() => {}, 60000)'];",
      "const child = spawn(process.execPath, code, { stdio: 'inherit' });",
      'console.log(child.pid);',
    ].join('\n');
    const pids = [];
    const begun = performance.now();
    const result = await run(process.execPath, ['-e', child], {
      timeoutMs: 500,
      onLine: (line) => pids.push(Number(line)),
    });
    assert.equal(result.timedOut, true);
    assert.ok(performance.now() - begun < 5_000);
    await sleep(100);
    assert.match(processState(pids[0]), /^(gone|Z)/);
  });
});

/** A killed orphan may stay a zombie until somebody reaps it. */
function processState(pid) {
  const result = spawnSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' });
  return result.stdout.trim() || 'gone';
}

describe('the bootstrap lock', () => {
  test('keeps two apart', async () => {
    const file = join(scratch, 'a.lock');
    const order = [];
    const work = (name) => async () => {
      order.push(`${name} in`);
      await sleep(60);
      order.push(`${name} out`);
    };
    await Promise.all([withLock(file, work('a')), withLock(file, work('b'))]);
    assert.deepEqual(order, ['a in', 'a out', 'b in', 'b out']);
    assert.equal(existsSync(file), false);
  });

  test('is released when the work fails', async () => {
    const file = join(scratch, 'b.lock');
    const failing = () => Promise.reject(new Error('broken'));
    await assert.rejects(() => withLock(file, failing), /broken/);
    assert.equal(await withLock(file, async () => 1), 1);
  });

  const old = new Date(Date.now() - 120_000);
  for (const [what, content, time] of [
    ['of a process that is gone', { pid: 4_194_303, host: hostname() }, new Date()],
    ['that nobody touched for a minute', { pid: process.pid, host: 'elsewhere' }, old],
    ['that is broken and old', 'x', old],
  ]) {
    test(`a lock ${what} is taken over`, async () => {
      const file = join(scratch, 'c.lock');
      writeFileSync(file, JSON.stringify(content));
      utimesSync(file, time, time);
      assert.equal(await withLock(file, async () => 2, { waitMs: 1_000 }), 2);
    });
  }

  test('a lock that is held is waited for, then reported', async () => {
    const file = join(scratch, 'd.lock');
    writeFileSync(file, JSON.stringify({ pid: process.pid, host: hostname() }));
    const lines = [];
    const options = { waitMs: 300, log: (line) => lines.push(line) };
    await assert.rejects(() => withLock(file, async () => 3, options), /held by process/);
    assert.match(lines[0], /waiting for another bootstrap/);
  });
});

describe('downloads', () => {
  const archive = makeArchive();
  const sum = createHash('sha256').update(archive).digest('hex');

  async function serve(files, use) {
    const server = createServer((request, response) => {
      const body = files[request.url.slice(1)];
      response.writeHead(body === undefined ? 404 : 200).end(body);
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    try {
      return await use(`http://127.0.0.1:${server.address().port}`);
    } finally {
      server.close();
      server.closeAllConnections();
    }
  }

  const release = (base, pinned) => {
    return { base, archive: 'tool.tar.gz', member: 'tool/tool', sums: 'SUMS', pinned };
  };

  for (const [what, files, pinned, expected] of [
    ['a pinned sum', {}, { 'tool.tar.gz': sum }, /checked against the pinned sum/],
    ['the published sum', { SUMS: `${sum}  tool.tar.gz\n` }, {}, /release's own SUMS/],
  ]) {
    test(`are checked against ${what}`, async () => {
      const target = join(scratch, `tool-${what.length}`);
      const use = (base) => download(release(base, pinned), target);
      assert.match(await serve({ 'tool.tar.gz': archive, ...files }, use), expected);
      assert.equal(spawnSync(target, { encoding: 'utf8' }).stdout, 'hello\n');
    });
  }

  for (const [what, files, pinned, expected] of [
    [
      'another sum',
      { 'tool.tar.gz': archive },
      { 'tool.tar.gz': 'f'.repeat(64) },
      /pinned sum says f/,
    ],
    ['no sum', { 'tool.tar.gz': archive, SUMS: '' }, {}, /SUMS lists no tool/],
    ['no archive', {}, {}, /answered 404/],
  ]) {
    test(`with ${what} are refused`, async () => {
      const target = join(scratch, 'refused');
      const use = (base) => download(release(base, pinned), target);
      await assert.rejects(() => serve(files, use), expected);
      assert.equal(existsSync(target), false);
    });
  }

  test('a sums file is read in both of its forms', () => {
    const text = `${'a'.repeat(64)}  x.tar.gz\n${'B'.repeat(64)} *y.tar.gz\n`;
    assert.equal(sumOf(text, 'x.tar.gz'), 'a'.repeat(64));
    assert.equal(sumOf(text, 'y.tar.gz'), 'b'.repeat(64));
    assert.equal(sumOf(text, 'z.tar.gz'), null);
  });

  function makeArchive() {
    mkdirSync(join(scratch, 'tool'));
    writeFileSync(join(scratch, 'tool', 'tool'), '#!/bin/sh\necho hello\n');
    spawnSync('tar', ['-czf', 'tool.tar.gz', 'tool/tool'], { cwd: scratch });
    return readFileSync(join(scratch, 'tool.tar.gz'));
  }
});

describe('a tool by its variable', () => {
  test('must run', async () => {
    const env = { RATCHET_NATS_SERVER: join(scratch, 'nowhere') };
    const find = () => ensureTool(natsServer, scratch, () => {}, env);
    await assert.rejects(find, /RATCHET_NATS_SERVER: .*nowhere does not run/);
  });

  test('of another version is used with a warning', async () => {
    const env = { RATCHET_NATS_SERVER: process.execPath };
    const found = await ensureTool(natsServer, scratch, () => {}, env);
    assert.equal(found.value, process.execPath);
    assert.match(found.did, /WARNING/);
  });
});

describe('what runners say', () => {
  const feed = (parser, text, ok) => {
    for (const line of text.split('\n')) parser.line(line);
    return parser.finish({ ok, output: text });
  };
  const names = ({ failed }) => failed.map(({ name }) => name);

  test('cargo test', () => {
    const text = [
      'running 3 tests',
      'test a::one ... ok',
      'test a::two ... FAILED',
      'test a::three ... ignored, slow',
      'test src/lib.rs - f (line 3) ... ok',
      'test panics - should panic ... ok',
      '---- a::two stdout ----',
      'it was 3',
      'failures:',
      'test result: FAILED. 1 passed; 1 failed; 1 ignored',
    ].join('\n');
    const result = feed(cargoParser(), text, false);
    assert.equal(result.passed, 3);
    assert.deepEqual(result.failed, [{ name: 'a::two', detail: 'it was 3' }]);
    assert.deepEqual(result.skipped, [{ name: 'a::three', why: 'slow' }]);
  });

  test('a crash counts as a failure', () => {
    assert.deepEqual(names(feed(cargoParser(), 'error: could not compile', false)), [
      'cargo test ended without a result',
    ]);
    assert.deepEqual(names(feed(nodeParser(String), '', false)).length, 1);
    assert.deepEqual(names(feed(checkParser('lint'), 'bad', false)), ['lint']);
    assert.equal(feed(checkParser('lint'), '', true).passed, 1);
  });

  test('node: tests count, groups and parents of failures do not', () => {
    const event = (fields) =>
      JSON.stringify({
        ratchet: 'pass',
        kind: 'test',
        file: 'f',
        name: 'n',
        skip: false,
        todo: false,
        ...fields,
      });
    const text = [
      event({}),
      event({ kind: 'suite' }),
      event({ name: 'later', skip: 'no server' }),
      event({ name: 'left out', skip: 'test name does not match pattern' }),
      event({ ratchet: 'fail', name: 'bad', error: 'because' }),
      event({ ratchet: 'fail', kind: 'suite', name: 'group', failure: 'subtestsFailed' }),
      event({ ratchet: 'fail', kind: 'suite', name: 'hook', failure: 'hookFailed', error: 'hook' }),
      'noise',
    ].join('\n');
    const result = feed(nodeParser(String), text, false);
    assert.equal(result.passed, 1);
    assert.deepEqual(names(result), ['f › bad', 'f › hook']);
    assert.deepEqual(result.skipped, [{ name: 'f › later', why: 'no server' }]);
  });
});
