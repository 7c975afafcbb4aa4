import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { sha256 } from '../guest/files.mjs';
import { codecDigest, readCodec, withoutTests } from '../lib/codec.mjs';
import {
  attestationFile,
  attestationOf,
  logFile,
  parseAttestation,
  writeAttestation,
} from './attestation.mjs';
import { check, vstdProblems } from './check.mjs';
import { countTrusted, findHoles } from './holes.mjs';
import { mutantProblems } from './mutants.mjs';
import { pins } from './pins.mjs';

const scratch = mkdtempSync(join(tmpdir(), 'ratchet-attestation-'));
after(() => rmSync(scratch, { recursive: true, force: true }));

/** A codec of one file. */
function filesOf(source) {
  return new Map([
    ['guest/codec/Cargo.toml', Buffer.from('[package]\nname = "ratchet-codec"\n')],
    ['guest/codec/src/lib.rs', Buffer.from(source)],
  ]);
}

function attested(home, source, { date = new Date(), externalBodies = 0, errors = 0 } = {}) {
  const log = `log of ${source}`;
  const run = {
    codec: codecDigest(filesOf(source)),
    tools: pins,
    runs: [1, 2, 3, 4, 5].map((seed) => ({ seed })),
    functions_verified: 7,
    errors,
    log_sha256: 'not yet',
  };
  const attestation = attestationOf(run, { externalBodies, date });
  attestation.log_sha256 = sha256(log);
  writeAttestation(attestation, log, home);
  return attestation;
}

describe('the digest of the codec', () => {
  const manifest = '[package]\nname = "c"\n\n[dependencies]\nvstd = "1"\n';
  const tests = '[dev-dependencies]\nbolero = "1"\nx = { path = "." }\n\n';

  test('leaves out what only tests need', () => {
    const cases = [
      [
        `${manifest}\n${tests}[lints]\nworkspace = true\n`,
        `${manifest}\n[lints]\nworkspace = true\n`,
      ],
      [`${manifest}\n${tests}`, `${manifest}\n`],
      [manifest, manifest],
    ];
    for (const [input, expected] of cases) {
      assert.equal(withoutTests(Buffer.from(input)).toString(), expected);
    }
  });

  test('is of the codec alone, whatever the order', () => {
    const files = [...filesOf('fn f() {}')];
    const other = ['guest/api/src/lib.rs', Buffer.from('fn g() {}')];
    const digest = codecDigest(new Map(files));
    assert.equal(codecDigest(new Map([other, ...files.reverse()])), digest);
    assert.notEqual(codecDigest(filesOf('fn f() { }')), digest);
  });

  test('covers manifest and sources of this repository', () => {
    const names = [...readCodec().keys()];
    assert.ok(names.includes('guest/codec/Cargo.toml'));
    assert.ok(names.includes('guest/codec/src/streamvbyte/decode.rs'));
    assert.deepEqual(
      names.filter((name) => name.includes('/tests/')),
      [],
    );
  });
});

describe('an attestation is read strictly', () => {
  const source = 'verus! { fn f() {} }';
  const valid = attested(join(scratch, 'valid'), source);
  const { tools, seeds, command } = valid;
  const other = 'ab'.repeat(32);
  const parse = (text) => parseAttestation(text, valid.codec);
  const cases = {
    accepted: [
      ['as it is written', {}],
      [
        'of a verifier built from changed sources',
        { tools: { ...tools, verus: `${pins.verus}.dirty` } },
      ],
      ['more seeds', { seeds: [0, 1, 2, 3, 4, 5, 77] }],
      ['trusted bodies', { external_body: 3 }],
    ],
    refused: [
      ['another schema', { schema: 2 }, /^schema: 2 is not 1/],
      ['a field missing', { errors: undefined }, /^errors: missing/],
      ['a field too many', { note: 'fine' }, /^note: no such field/],
      ['of another codec', { codec: other }, /^codec: "abab.* is not/],
      ['another release', { tools: { ...tools, verus: '0.1' } }, /^tools: verus "0\.1" is not/],
      [
        'another change',
        { tools: { ...tools, verus: `${pins.verus}.dirty.dirty` } },
        /^tools: verus/,
      ],
      ['another Z3', { tools: { ...tools, z3: '4.13.0' } }, /^tools: z3 "4\.13\.0" is not 4/],
      [
        'a tool missing',
        { tools: { ...tools, z3: undefined } },
        /^tools: has rust verus vstd, not/,
      ],
      ['a tool too many', { tools: { ...tools, cvc5: '1' } }, /^tools: has cvc5 /],
      ['no tools', { tools: null }, /^tools: is no object/],
      [
        'cheating',
        { command: command.filter((arg) => arg !== '--no-cheating') },
        /^command: is not/,
      ],
      ['a command as text', { command: command.join(' ') }, /^command: is not/],
      ['four seeds', { seeds: seeds.slice(1) }, /^seeds: are 4, needed are 5/],
      ['a seed twice', { seeds: [...seeds, 1] }, /^seeds: has a seed twice/],
      ['a negative seed', { seeds: [...seeds, -1] }, /^seeds: is no list/],
      ['nothing verified', { functions_verified: 0 }, /^functions_verified: 0 is no number/],
      ['an error', { errors: 1 }, /^errors: 1 is not 0/],
      ['errors as text', { errors: '0' }, /^errors: "0" is not 0/],
      ['fewer bodies than none', { external_body: -1 }, /^external_body: -1/],
      ['a short digest', { log_sha256: other.slice(1) }, /^log_sha256: .* is no SHA-256/],
      ['a digest in capitals', { log_sha256: other.toUpperCase() }, /^log_sha256/],
      ['a date in words', { date: 'yesterday' }, /^date: "yesterday" is no time/],
      ['a day that is none', { date: '2026-02-30T00:00:00.000Z' }, /^date/],
    ],
  };
  for (const [name, changes] of cases.accepted) {
    test(`accepted: ${name}`, () => {
      const value = { ...valid, ...changes };
      assert.deepEqual(parse(JSON.stringify(value)), value);
    });
  }

  for (const [name, changes, expected] of cases.refused) {
    test(`refused: ${name}`, () => {
      const text = JSON.stringify({ ...valid, ...changes });
      assert.throws(() => parse(text), { message: expected });
    });
  }

  for (const [name, text, expected] of [
    ['nothing', '', /JSON/],
    ['cut off', JSON.stringify(valid).slice(0, -1), /JSON/],
    ['a list', JSON.stringify([valid]), /^schema: missing/],
    ['null', 'null', /^schema: missing/],
    ['too long', ' '.repeat(70_000), /^longer than 65536/],
  ]) {
    test(`refused: ${name}`, () => assert.throws(() => parse(text), { message: expected }));
  }
});

describe('the check without a verifier', () => {
  const source = 'verus! { fn f() {} }';
  const checked = (home, files = filesOf(source)) => check(files, home).problems.join('\n');
  const home = (name) => join(scratch, name);

  test('passes where sources, attestation and log agree', () => {
    attested(home('good'), source);
    assert.equal(checked(home('good')), '');
  });

  test('fails for other sources', () => {
    attested(home('other'), source);
    assert.match(checked(home('other'), filesOf('verus! {}')), /^no attestation of the codec/);
  });

  for (const [what, facts, expected] of [
    ['errors', { errors: 1 }, /is not valid: errors: 1 is not 0/],
    [
      'another number of trusted bodies',
      { externalBodies: 2 },
      /external_body: 0 in .* 2 attested/,
    ],
  ]) {
    test(`fails for ${what}`, () => {
      attested(home(what), source, facts);
      assert.match(checked(home(what)), expected);
    });
  }

  test('fails for another log, and for none', () => {
    const { codec } = attested(home('log'), source);
    writeFileSync(logFile(codec, home('log')), 'all fine');
    assert.match(checked(home('log')), /^the log has SHA-256 .* is attested$/);
    rmSync(logFile(codec, home('log')));
    assert.match(checked(home('log')), /^no log of the codec/);
  });

  test('fails for a broken attestation', () => {
    const { codec } = attested(home('broken'), source);
    writeFileSync(attestationFile(codec, home('broken')), '{');
    assert.match(checked(home('broken')), /is not valid: .*JSON/);
  });

  test('fails for a hole, attested or not', () => {
    const hole = 'verus! { proof fn f() { assume(false); } }';
    attested(home('hole'), hole);
    assert.match(
      checked(home('hole'), filesOf(hole)),
      /^a hole in the proof: .*lib\.rs: assume\($/,
    );
  });

  test('the oldest attestations go, with their logs', () => {
    const codecs = [1, 2, 3, 4, 5].map((day) => {
      const date = new Date(Date.UTC(2026, 0, day));
      return attested(home('many'), `fn f${day}() {}`, { date }).codec;
    });
    const left = codecs.filter((codec) => existsSync(attestationFile(codec, home('many'))));
    assert.deepEqual(left, codecs.slice(2));
    assert.equal(readdirSync(join(home('many'), 'logs')).length, 3);
  });

  test('the library must be the one of the verifier', () => {
    assert.deepEqual(vstdProblems(`vstd = { version = "=${pins.vstd}", x = 1 }`), []);
    assert.match(vstdProblems('vstd = { version = "=0.0.1" }')[0], /vstd is 0\.0\.1, .*is 0\.0\.0/);
    assert.match(vstdProblems('vstd = "1"')[0], /vstd is not pinned/);
  });
});

describe('holes', () => {
  const inside = (code) => `verus! {\n${code}\n}`;
  const holesIn = (source) => findHoles(filesOf(source)).map((hole) => hole.split(': ')[1]);
  for (const [source, expected] of [
    [inside('proof { assume(a); admit(); }'), ['assume(', 'admit(']],
    [inside('pub assume_specification[ f ](a: u8);'), ['assume_specification']],
    [inside('broadcast axiom fn f();'), ['axiom']],
    [inside('#[verifier::external]\nfn f() {}'), ['verifier::external']],
    [inside('#[verifier(external)]\nfn f() {}'), ['verifier(external']],
    [inside('#[verifier::external_derive]'), ['verifier::external_derive']],
    [inside('#[verifier::external_body]\nfn f() {}'), ['external_body']],
    [inside('#[verifier::exec_allows_no_decreases_clause]'), ['exec_allows_no_decreases_clause']],
    [inside('// assume(a)\nlet s = "admit()"; fn assumed(a: u8) {} /* axiom */'), []],
    ['fn f() {}', ['fn f outside verus!']],
    [`${inside('fn f() {}')}\nimpl A { fn g() {} }`, ['fn g outside verus!']],
    ['#[cfg(test)]\npub fn f(a: [u8; 3]) {}\n#[cfg(test)]\nmod tests { fn g() {} }', []],
    ['#[cfg(verus_keep_ghost)]\nmod proof;\nfn f() {}', ['fn f outside verus!']],
    [inside('#[cfg(not(verus_keep_ghost))]\nfn f() {}'), ['cfg(not(verus_keep_ghost))]']],
    [inside('#[cfg(target_arch = "wasm32")]\nfn f() {}'), ['cfg(target_arch = "      ")]']],
    [inside('if cfg!(debug_assertions) {}'), ['cfg!(debug_assertions) {}']],
    ['#[cfg(feature = "write")]\nmod write;', []],
  ]) {
    test(source.replaceAll('\n', ' '), () => assert.deepEqual(holesIn(source), expected));
  }

  test('trusted bodies are counted, in the one file where they may be', () => {
    const trusted = (source) => new Map([['guest/codec/src/trusted.rs', Buffer.from(source)]]);
    const body = inside('#[verifier::external_body]\nfn f() {}\nfn proven() {}');
    const files = trusted(`${body}\nimpl A for B { fn g() {} }\n// fn h() external_body`);
    assert.equal(countTrusted(files), 2);
    assert.deepEqual(findHoles(files), []);
    assert.equal(countTrusted(filesOf(body)), 0);
  });

  test('what is no payload byte may be unseen by name, the builder altogether', () => {
    const found = (name) => {
      const source = Buffer.from('fn iter() {}');
      return findHoles(new Map([[`guest/codec/src/${name}`, source]])).length;
    };
    const names = ['dictionary', 'write', 'write/encode', 'write/message', 'message'];
    assert.deepEqual(
      names.map((name) => found(`payload/${name}.rs`)),
      [0, 0, 0, 1, 1],
    );
  });
});

describe('the list of mutants', () => {
  const mutant = { file: 'lib.rs', fault: 'off by one', old: 'i + 1', new: 'i + 2' };
  const row = '| lib.rs | off by one | refused: postcondition not satisfied | 1.0 |';
  const filler = Array.from({ length: 39 }, (_, index) => {
    return { file: 'lib.rs', fault: `fault ${index}`, old: `a${index};`, new: 'b' };
  });
  const source = `${filler.map(({ old }) => old).join('\n')}\ni + 1;`;
  const rows = filler.map(({ fault }) => `| lib.rs | ${fault} | refused: x | 1.0 |`).join('\n');
  const problems = (list, report, text = source) =>
    mutantProblems([...filler, ...list], filesOf(text), `${rows}\n${report}`).join('\n');

  for (const [what, list, report, text, expected] of [
    ['true to the sources', [mutant], row, source, /^$/],
    ['of changed sources', [mutant], row, source.replace('i + 1', 'j'), /occurs 0 times/],
    ['ambiguous', [mutant], row, `${source} i + 1`, /off by one: the text .* occurs 2 times/],
    ['of another file', [{ ...mutant, file: 'a.rs' }], row, source, /a\.rs: .* occurs 0 times/],
    ['without effect', [{ ...mutant, new: 'i + 1' }], row, source, /changes nothing/],
    ['named twice', [mutant, mutant], row, source, /is there twice/],
    ['not run', [mutant], '', source, /not in mutants\.md/],
    ['survived', [mutant], row.replace('refused: ', '**SURVIVED** '), source, /not every mutant/],
    ['not built', [mutant], row.replace('refused', 'broken'), source, /not every mutant/],
    ['too short', [], '', source, /39 mutants are too few/],
  ]) {
    test(what, () => assert.match(problems(list, report, text), expected));
  }
});
