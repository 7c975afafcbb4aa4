import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { answerOf, verusScript, writeProgram } from './fakes.mjs';
import { parseOptions } from './options.mjs';
import { pins } from './pins.mjs';
import { prove } from './prove.mjs';
import { command, runVerus } from './verus.mjs';

const scratch = mkdtempSync(join(tmpdir(), 'ratchet-prove-'));
after(() => rmSync(scratch, { recursive: true, force: true }));

const files = new Map([
  ['guest/codec/Cargo.toml', Buffer.from('[package]\n')],
  ['guest/codec/src/lib.rs', Buffer.from('mod bytes;\n')],
  ['guest/codec/src/bytes.rs', Buffer.from('let a = 1;\n')],
]);

let programs = 0;
function verusThat(body) {
  programs += 1;
  const file = join(scratch, `p${programs}`, 'verus');
  return { command: writeProgram(file, verusScript({ body })), tools: pins };
}

const says = (facts, status = 0) => `echo '${answerOf(facts)}'; exit ${status}`;

describe('a run of the verifier', () => {
  const cases = [
    ['everything', says({ verified: 9 }), [], ['verified', 9, 0]],
    ['an error', `echo 'error: not so' >&2; ${says({ errors: 2 }, 1)}`, [], ['refused', 7, 2]],
    ['cheating', says({ vir: true }, 1), [], ['broken', 7, 0]],
    ['nothing at all', says({ verified: 0 }), [], ['broken', 0, 0]],
    ['a part where all is wanted', says({ whole: false }), [], ['broken', 7, 0]],
    ['a part', says({ whole: false }), ['bytes'], ['verified', 7, 0]],
    ['good, then fails', says({}, 1), [], ['broken', 7, 0]],
    ['bad, then succeeds', says({ errors: 1 }), [], ['refused', 7, 1]],
    ['no success', says({ success: false }), [], ['broken', 7, 0]],
    ['no JSON', 'echo "error: cannot parse"; exit 1', [], ['broken', 0, 0]],
    ['an empty object', 'echo "{}"', [], ['broken', 0, 0]],
  ];
  for (const [what, body, modules, expected] of cases) {
    test(`that says ${what}`, async () => {
      const options = { seed: 1, timeoutMs: 10_000, modules };
      const { outcome, verified, errors } = await runVerus(verusThat(body), scratch, options);
      assert.deepEqual([outcome, verified, errors], expected);
    });
  }

  test('that takes too long is ended', async () => {
    const verus = verusThat('sleep 60');
    const result = await runVerus(verus, scratch, { seed: 1, timeoutMs: 300 });
    assert.deepEqual([result.outcome, result.problem], ['broken', 'took longer than 0.3 s']);
  });

  test('that nobody waits for any more is ended', async () => {
    const signal = AbortSignal.timeout(100);
    const result = await runVerus(verusThat('sleep 60'), scratch, {
      seed: 1,
      timeoutMs: 60_000,
      signal,
    });
    assert.equal(result.outcome, 'broken');
    assert.ok(result.seconds < 30);
  });

  test('has the seed and no more of our environment than it needs', async () => {
    const verus = verusThat(`echo "$@" >&2; env >&2; ${says({})}`);
    const env = { PATH: process.env.PATH, HOME: '/nowhere', SECRET: 'secret', RUSTUP_HOME: '/r' };
    const { text } = await runVerus(verus, scratch, { seed: 42, timeoutMs: 10_000, env });
    assert.match(text, /--no-cheating .*smt\.random_seed=42 guest\/codec\/src\/lib\.rs/);
    assert.match(text, /RUSTUP_HOME=\/r/);
    assert.doesNotMatch(text, /secret/);
  });
});

describe('proving', () => {
  const seeds = [1, 2, 3, 4, 5];

  test('runs over the files that are given, once a seed', async () => {
    const reads = `cat guest/codec/src/bytes.rs >/dev/null || exit 1; ${says({})}`;
    const result = await prove({ verus: verusThat(reads), files, seeds });
    assert.equal(result.verdict, 'verified');
    assert.deepEqual(
      result.runs.map(({ seed }) => seed),
      seeds,
    );
    assert.deepEqual([result.functions_verified, result.errors], [7, 0]);
  });

  test('has the same log every time, without a path', async () => {
    const body = `echo "note: $PWD/guest/codec/src/lib.rs" >&2; sleep 0.0$$; ${says({})}`;
    const verus = verusThat(body);
    const [first, second] = [
      await prove({ verus, files, seeds }),
      await prove({ verus, files, seeds }),
    ];
    assert.equal(first.log_sha256, second.log_sha256);
    assert.ok(first.log.includes(command.join(' ')));
    assert.match(first.log, /^note: guest\/codec\/src\/lib\.rs$/m);
    assert.match(first.log, /^spec ratchet_codec::bytes::le$/m);
    assert.ok(!first.log.includes(tmpdir()));
  });

  const onSeed3 = (then) => `case "$*" in *seed=3*) ${then};; esac; ${says({})}`;
  for (const [what, body, expected] of [
    ['one seed is refused', onSeed3(says({ errors: 1 }, 1)), /^seed 3: refused/],
    ['one seed verifies less', onSeed3(says({ verified: 6 })), /the seeds disagree .* 7, 6/],
    ['it does not build', 'echo "error: no such thing" >&2; exit 1', /^seed 1: broken: error: no/],
  ]) {
    test(`fails where ${what}`, async () => {
      const { verdict, reason } = await prove({ verus: verusThat(body), files, seeds });
      assert.equal(verdict, 'failed');
      assert.match(reason, expected);
    });
  }

  test('fails where the verifier sees less than there is', async () => {
    const more = new Map(files).set('guest/codec/src/lib.rs', Buffer.from('fn unseen() {}'));
    const { verdict, reason } = await prove({ verus: verusThat(says({})), files: more, seeds });
    assert.equal(verdict, 'failed');
    assert.match(reason, /^holes: guest\/codec\/src\/lib\.rs: fn unseen outside verus!/);
  });

  test('fails without a seed', async () => {
    assert.match((await prove({ verus: verusThat(''), files, seeds: [] })).reason, /no seed/);
  });

  test('leaves no files behind', async () => {
    const place = join(scratch, 'where');
    await prove({ verus: verusThat(`pwd > '${place}'; ${says({})}`), files, seeds: [1] });
    const directory = readFileSync(place, 'utf8').trim();
    assert.match(directory, /ratchet-proof-/);
    assert.equal(existsSync(directory), false);
  });
});

describe('options', () => {
  const base = { mode: 'prove', json: false, help: false, seeds: 5 };
  for (const [args, expected] of [
    [[], base],
    [['--check', '--json'], { ...base, mode: 'check', json: true }],
    [['--mutate', '--only', 'varint'], { ...base, mode: 'mutate', only: 'varint' }],
    [
      ['--seeds=7', '--verus=/v', '--sources', 'd'],
      { ...base, seeds: 7, verus: '/v', sources: 'd' },
    ],
    [['--install', '-h'], { ...base, mode: 'install', help: true }],
  ]) {
    test(args.join(' ') || 'none', () => assert.deepEqual(parseOptions(args), expected));
  }

  for (const [args, expected] of [
    [['--chek'], /unknown option "--chek"/],
    [['check'], /unknown option "check"/],
    [['--check', '--mutate'], /--check and --mutate together/],
    [['--seeds', '0'], /--seeds: "0" is not/],
    [['--seeds', 'many'], /"many" is not/],
    [['--seeds'], /--seeds needs a value/],
    [['--only', 'x'], /--only is for --mutate/],
    [['--mutate', '--sources', 'd'], /--sources is not for --mutate/],
  ]) {
    test(`refused: ${args.join(' ')}`, () => assert.throws(() => parseOptions(args), expected));
  }
});
