import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import { pins } from './pins.mjs';

/** For tests: programs that answer as the verifier and rustup do, and archives to hold them. */

export function writeProgram(file, script) {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, script);
  chmodSync(file, 0o755);
  return file;
}

/** A shell script that says it is this version, and otherwise runs `body`. */
export function verusScript({ version = pins.verus, rust = pins.rust, body = '' } = {}) {
  const build = { verus: { version, toolchain: `${rust}-some-platform`, commit: 'c' } };
  return `#!/bin/sh
if [ "$1" = --version ]; then echo '${JSON.stringify(build)}'; exit 0; fi
${body}
`;
}

/** What the verifier prints at the end of a run. */
export function answerOf(facts) {
  const { verified = 7, errors = 0, vir = false, success, whole = true, failed = [] } = facts;
  const results = {
    'encountered-error': errors > 0,
    'encountered-vir-error': vir,
    success: success ?? (errors === 0 && !vir),
    verified,
    errors,
    'is-verifying-entire-crate': whole,
  };
  return JSON.stringify({ 'verification-results': results, 'times-ms': { smt: asked(failed) } });
}

/** What the solver was asked about: one lemma of `bytes`, and these functions of it that fail. */
function asked(failed) {
  const entry = (name, success) => {
    return { function: `ratchet_codec::bytes::${name}`, 'mode:': 'spec', success };
  };
  const functions = [entry('le', true), ...failed.map((name) => entry(name, false))];
  return { 'smt-run-module-times': [{ module: 'bytes', 'function-breakdown': functions }] };
}

/** A zip archive of these files. */
export function zipOf(entries) {
  const records = Object.entries(entries).map(([name, text]) => zipRecord(name, Buffer.from(text)));
  let offset = 0;
  const directory = records.map(({ header, name, local }) => {
    const place = Buffer.alloc(16);
    place.writeUInt32LE(offset, 12);
    offset += local.length;
    const made = Buffer.from([0x50, 0x4b, 1, 2, 20, 0]);
    return Buffer.concat([made, header, place.subarray(2), name]);
  });
  const central = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x0605_4b50, 0);
  end.writeUInt16LE(records.length, 8);
  end.writeUInt16LE(records.length, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...records.map(({ local }) => local), central, end]);
}

function zipRecord(path, bytes) {
  const name = Buffer.from(path);
  const packed = deflateRawSync(bytes);
  const header = Buffer.alloc(26);
  header.writeUInt16LE(20, 0);
  header.writeUInt16LE(8, 4);
  header.writeUInt32LE(crc32(bytes), 10);
  header.writeUInt32LE(packed.length, 14);
  header.writeUInt32LE(bytes.length, 18);
  header.writeUInt16LE(name.length, 22);
  const magic = Buffer.from([0x50, 0x4b, 3, 4]);
  return { header, name, local: Buffer.concat([magic, header, name, packed]) };
}

/** Node's own came with 20.15. */
function crc32(bytes) {
  let crc = 0xffff_ffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb8_8320 : 0);
  }
  return (crc ^ 0xffff_ffff) >>> 0;
}
