import assert from 'node:assert/strict';
import { createHash, createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { ensureKeys, repositoryRoot, StackError } from '../../control/stack/index.ts';
import { openLog, tail } from '../../control/stack/logs.ts';
import { collectorEnvironment } from '../../control/stack/nats/collector.ts';
import {
  claimPort,
  claimPorts,
  freePorts,
  portNames,
  portsFromEnvironment,
} from '../../control/stack/ports.ts';
import { parseTemporalConfig, temporalFlags } from '../../control/stack/temporal-config.ts';

const scratch = mkdtempSync(join(tmpdir(), 'ratchet-config-'));
after(() => rmSync(scratch, { recursive: true, force: true }));

const shipped = readFileSync(join(repositoryRoot, 'temporal-dev.yaml'), 'utf8');

describe('temporal-dev.yaml', () => {
  test('the file of the repository becomes flags', () => {
    const config = parseTemporalConfig(shipped, 'temporal-dev.yaml');
    assert.equal(config.namespace, 'ratchet');
    const flags = temporalFlags(config, { server: 1, ui: 2, metrics: 3 }, 'file.db').join(' ');
    for (const part of [
      '--ip 127.0.0.1 --ui-ip 127.0.0.1',
      '--port 1 --ui-port 2 --metrics-port 3',
      '--namespace ratchet --db-filename file.db',
      '--search-attribute OrgId=Keyword',
      '--search-attribute Generation=Int',
      '--dynamic-config-value matching.enableFairness=true',
      '--sqlite-pragma journal_mode=wal',
    ]) {
      assert.ok(flags.includes(part), `${part} in ${flags}`);
    }
  });

  const wrong: [string, string, RegExp][] = [
    ['an unknown key', `${shipped}\nportz: 1\n`, /temporal-dev\.yaml: unknown key "portz"/],
    ['a nested unknown key', shipped.replace('  ui:', '  web:'), /unknown key "web" below ports/],
    ['a repeated key', `${shipped}\nnamespace: two\n`, /unique/],
    ['a port', shipped.replace('8233', '82330'), /ports\.ui: .*65535/],
    ['another address', shipped.replace('127.0.0.1', '0.0.0.0'), /address: .*127\.0\.0\.1 only/],
    ['a type', shipped.replace('Generation: Int', 'Generation: Integer'), /search_attributes\.G/],
    ['a path', shipped.replace('temporal.db', '../x.db'), /database: is not a plain file name/],
    ['no mapping', '- a', /temporal-dev\.yaml: .*object/],
    ['bad YAML', 'a: [', /temporal-dev\.yaml: /],
  ];
  for (const [what, text, expected] of wrong) {
    test(`refuses ${what}`, () => {
      assert.throws(
        () => parseTemporalConfig(text, 'temporal-dev.yaml'),
        (error) => error instanceof StackError && expected.test(error.message),
      );
    });
  }
});

describe('ports', () => {
  test('a taken port is named, with the variable that changes it', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const expected = new RegExp(`port ${port} \\(nats\\) is taken.*RATCHET_NATS_PORT`);
    await assert.rejects(() => claimPort('nats', port), expected);
    server.close();
  });

  test('free ports are distinct', async () => {
    const ports = await claimPorts(freePorts, portNames);
    assert.equal(new Set(Object.values(ports)).size, portNames.length);
  });

  test('the environment overrides, and a bad value is named', () => {
    const env = { RATCHET_API_PORT: '9', RATCHET_NATS_PORT: '' };
    assert.deepEqual(portsFromEnvironment(freePorts, env), { ...freePorts, api: 9 });
    for (const value of ['70000', 'x', '-1', '1.5']) {
      const expected = new RegExp(`RATCHET_API_PORT: "${value}" is not a port`);
      assert.throws(() => portsFromEnvironment(freePorts, { RATCHET_API_PORT: value }), expected);
    }
  });
});

describe('keys', () => {
  test('seeds sign, trust.json verifies, a second call changes nothing', () => {
    const files = ensureKeys(join(scratch, 'a'));
    const trust = JSON.parse(readFileSync(files.trust, 'utf8'));
    assert.equal(trust.schema, 1);
    assert.deepEqual(
      trust.keys.map((key: { role: string }) => key.role),
      ['builder', 'validator'],
    );
    for (const { keyid, role, public: encoded } of trust.keys) {
      const raw = Buffer.from(encoded, 'base64');
      assert.equal(keyid, createHash('sha256').update(raw).digest('hex'));
      const file = role === 'builder' ? files.builder : files.validator;
      const seed = Buffer.from(readFileSync(file, 'utf8').trim(), 'base64');
      assert.equal(seed.length, 32);
      const jwk = { kty: 'OKP', crv: 'Ed25519', x: raw.toString('base64url') };
      const pair = { ...jwk, d: seed.toString('base64url') };
      const message = Buffer.from('message');
      const signature = sign(null, message, createPrivateKey({ key: pair, format: 'jwk' }));
      assert.ok(verify(null, message, createPublicKey({ key: jwk, format: 'jwk' }), signature));
    }
    const before = readFileSync(files.builder, 'utf8');
    ensureKeys(join(scratch, 'a'));
    assert.equal(readFileSync(files.builder, 'utf8'), before);
  });

  test('a key that trust.json does not hold is an error', () => {
    const files = ensureKeys(join(scratch, 'b'));
    writeFileSync(files.builder, Buffer.alloc(32, 7).toString('base64'));
    assert.throws(() => ensureKeys(join(scratch, 'b')), /does not hold the builder key/);
    writeFileSync(files.builder, 'c2hvcnQ=');
    assert.throws(() => ensureKeys(join(scratch, 'b')), /holds 5 bytes/);
  });
});

describe('logs', () => {
  test('a large log is moved aside when it is opened; three are kept', () => {
    const file = join(scratch, 'server.log');
    for (let round = 1; round <= 6; round += 1) {
      openLog(file, 10);
      writeFileSync(file, `run ${round}, with more than ten bytes\n`);
    }
    assert.match(tail(file, 1), /run 6/);
    assert.match(readFileSync(`${file}.3`, 'utf8'), /run 3/);
    assert.throws(() => readFileSync(`${file}.4`), /ENOENT/);
  });

  test('the tail has the last lines only', () => {
    const file = join(scratch, 'tail.log');
    writeFileSync(file, Array.from({ length: 5_000 }, (_, line) => `line ${line}`).join('\n'));
    assert.equal(tail(file, 2), 'line 4998\nline 4999');
    assert.equal(tail(join(scratch, 'none.log'), 2), '');
  });
});

test("nats-server's heap may grow to a quarter of the memory, or as the caller says", () => {
  const gib = 1024 ** 3;
  for (const [environment, memory, expected] of [
    [{}, 8 * gib, { GOGC: '400', GOMEMLIMIT: '2048MiB' }],
    [{ GOGC: '100' }, 2 * gib, { GOGC: '100', GOMEMLIMIT: '512MiB' }],
    [{}, gib / 2, { GOGC: '400', GOMEMLIMIT: '256MiB' }],
    [{ GOMEMLIMIT: '1GiB', OTHER: 'x' }, gib, { GOGC: '400', GOMEMLIMIT: '1GiB' }],
  ] as const) {
    assert.deepEqual(collectorEnvironment(environment, memory), expected);
  }
});
