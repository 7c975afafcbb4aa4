import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { sha256 } from '../guest/files.mjs';
import { verusScript, writeProgram, zipOf } from './fakes.mjs';
import { findVerus, NoVerus } from './find.mjs';
import { install } from './install.mjs';
import { archives, pins, releases } from './pins.mjs';

const scratch = mkdtempSync(join(tmpdir(), 'ratchet-install-'));
after(() => rmSync(scratch, { recursive: true, force: true }));

let homes = 0;
const freshCache = () => {
  homes += 1;
  return join(scratch, `cache-${homes}`);
};

describe('finding the verifier', () => {
  const right = writeProgram(join(scratch, 'right', 'verus'), verusScript());
  const old = writeProgram(
    join(scratch, 'old', 'verus'),
    verusScript({ version: '0.2025.01.01.abc' }),
  );
  const changed = writeProgram(
    join(scratch, 'changed', 'verus'),
    verusScript({ version: `${pins.verus}.dirty` }),
  );
  const otherRust = writeProgram(join(scratch, 'rust', 'verus'), verusScript({ rust: '1.95.0' }));
  const silent = writeProgram(join(scratch, 'silent', 'verus'), '#!/bin/sh\nexit 1\n');
  const path = (...folders) => [...folders.map((name) => join(scratch, name)), '/usr/bin', '/bin'];
  const find = ({ given, variable, folders = [], cacheDir = freshCache() }) => {
    const env = { PATH: path(...folders).join(':'), ...(variable && { RATCHET_VERUS: variable }) };
    return findVerus({ path: given, env, cacheDir });
  };

  for (const [what, where, command, from] of [
    ['the path that is given', { given: right, variable: old }, right, '--verus'],
    ['the variable', { variable: right, folders: ['old'] }, right, 'RATCHET_VERUS'],
    ['PATH', { folders: ['right'] }, right, 'PATH'],
    ['the first of the right version on PATH', { folders: ['old', 'right'] }, right, 'PATH'],
    ['one built from changed sources', { given: changed }, changed, '--verus'],
  ]) {
    test(`by ${what}`, async () => {
      const found = await find(where);
      assert.deepEqual([found.command, found.from], [command, from]);
      assert.deepEqual({ ...found.tools, verus: pins.verus }, pins);
    });
  }

  for (const [what, where, expected] of [
    [
      'another version',
      { given: old },
      /--verus: .* is Verus 0\.2025\.01\.01\.abc, needed is 0\.2/,
    ],
    ['another version by variable', { variable: old }, /^RATCHET_VERUS: .* needed is/],
    ['another Rust', { given: otherRust }, /built for Rust 1\.95\.0, needed is/],
    ['one that does not run', { given: silent }, /does not run/],
    ['a path to nothing', { variable: join(scratch, 'no') }, /does not run/],
    ['only others on PATH', { folders: ['old', 'silent'] }, /passed over: .*abc\), .*does not run/],
    ['none', {}, /no Verus 0\.2\S+ found\. `npm run prove -- --install`/],
  ]) {
    test(`refuses ${what}`, async () => {
      await assert.rejects(find(where), (error) => {
        assert.ok(error instanceof NoVerus);
        assert.match(error.message, expected);
        return true;
      });
    });
  }
});

describe('installing the verifier', () => {
  const bytes = zipOf({
    'verus-x86-linux/verus': verusScript(),
    'verus-x86-linux/rust_verify': 'rust_verify',
    'verus-x86-linux/z3': 'z3',
  });
  const archive = { name: 'verus.zip', sha256: sha256(bytes) };

  /** rustup as it is with or without the toolchain; what it was asked goes to a file. */
  function rustup(folder, toolchains) {
    const asked = join(scratch, folder, 'asked');
    const script = [
      '#!/bin/sh',
      `echo "$@" >> '${asked}'`,
      `[ "$2" = list ] && echo '${toolchains}'`,
      'exit 0',
    ];
    writeProgram(join(scratch, folder, 'rustup'), script.join('\n'));
    return { asked, env: { PATH: [join(scratch, folder), process.env.PATH].join(':') } };
  }

  async function installFrom(body, options) {
    const { wanted = archive, cacheDir = freshCache(), env, cutOff = false } = options;
    let requests = 0;
    const server = createServer((_request, response) => {
      requests += 1;
      if (body === null) response.writeHead(404).end();
      else if (!cutOff) response.end(body);
      else {
        response.writeHead(200, { 'content-length': body.length });
        response.write(body.subarray(0, 100), () => response.destroy());
      }
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const base = `http://127.0.0.1:${server.address().port}`;
    const all = { ...env, RATCHET_VERUS_RELEASES: base };
    try {
      const found = await install({ cacheDir, env: all, archive: wanted, report: () => {} });
      return { ...found, requests };
    } finally {
      server.close();
      server.closeAllConnections();
    }
  }

  test('puts it where it is found, and is free the second time', async () => {
    const cacheDir = freshCache();
    const { env, asked } = rustup('with', `${pins.rust}-x86_64-unknown-linux-gnu`);
    const first = await installFrom(bytes, { cacheDir, env });
    assert.equal(first.requests, 1);
    assert.equal((await installFrom(null, { cacheDir, env })).requests, 0);
    const found = await findVerus({ env: { PATH: '/usr/bin:/bin' }, cacheDir });
    assert.deepEqual([found.command, found.from], [first.command, 'the cache']);
    assert.deepEqual(readdirSync(join(cacheDir, 'verus')), [pins.verus]);
    assert.equal(readFileSync(asked, 'utf8'), 'toolchain list\n'.repeat(2));
  });

  test('fetches the Rust that it runs on where it is missing', async () => {
    const { env, asked } = rustup('without', 'stable-x86_64-unknown-linux-gnu (default)');
    await installFrom(bytes, { env });
    const command = `toolchain install ${pins.rust} --profile minimal --no-self-update`;
    assert.deepEqual(readFileSync(asked, 'utf8').trim().split('\n'), ['toolchain list', command]);
  });

  const flipped = Buffer.from(bytes);
  flipped[40] ^= 1;
  const empty = zipOf({ 'readme.txt': 'nothing here' });
  const ofEmpty = { ...archive, sha256: sha256(empty) };
  for (const [what, body, options, expected] of [
    ['changed', flipped, {}, /has SHA-256 .*, pinned is/],
    ['cut off', bytes, { cutOff: true }, /terminated|aborted/],
    ['not there', null, {}, /answered 404.*unpack it yourself.* set RATCHET_VERUS/],
    ['without a verifier', empty, { wanted: ofEmpty }, /holds 0 folders with a verus/],
  ]) {
    test(`refuses an archive that is ${what}, and leaves nothing`, async () => {
      const cacheDir = freshCache();
      const { env } = rustup('refused', `${pins.rust}-x`);
      await assert.rejects(installFrom(body, { ...options, cacheDir, env }), { message: expected });
      assert.deepEqual(readdirSync(join(cacheDir, 'verus')), []);
      assert.ok(existsSync((await installFrom(bytes, { cacheDir, env })).command));
    });
  }

  test('names what is missing to unpack or to run it', async () => {
    const bare = join(scratch, 'bare');
    writeProgram(join(bare, 'rustup'), '#!/bin/sh\nexit 1\n');
    await assert.rejects(installFrom(bytes, { env: { PATH: bare } }), /install one of unzip/);
    const env = { PATH: [bare, process.env.PATH].join(':') };
    await assert.rejects(installFrom(bytes, { env }), /rustup is needed for Rust 1\.96\.0/);
  });

  test('pins are whole', () => {
    assert.ok(releases.endsWith(`/release/${pins.verus}`));
    for (const { name, sha256: digest } of Object.values(archives)) {
      assert.match(digest, /^[0-9a-f]{64}$/, name);
      assert.ok(name.includes(pins.verus), name);
    }
  });
});
