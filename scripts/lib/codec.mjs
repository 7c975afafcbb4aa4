import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { sha256 } from '../guest/files.mjs';
import { root } from './paths.mjs';

/** Where the codec stands in the repository, and hence in every list of its files. */
const place = 'guest/codec';

/**
 * The files that a proof of the codec is about, by path: its manifest without what only tests
 * need, and its sources. Attestations, kits and manifests all name them by `codecDigest`.
 */
export function readCodec(directory = join(root, place)) {
  const manifest = readFileSync(join(directory, 'Cargo.toml'));
  const files = new Map([[`${place}/Cargo.toml`, withoutTests(manifest)]]);
  addTree(files, directory, 'src');
  return files;
}

function addTree(files, directory, folder) {
  for (const entry of readdirSync(join(directory, folder), { withFileTypes: true })) {
    const name = `${folder}/${entry.name}`;
    if (entry.isDirectory()) addTree(files, directory, name);
    else files.set(`${place}/${name}`, readFileSync(join(directory, name)));
  }
}

/** SHA-256 over the sorted list "path NUL sha256(file) LF" of the codec's files among these. */
export function codecDigest(files) {
  const lines = [...files]
    .filter(([name]) => name.startsWith(`${place}/`))
    .map(([name, bytes]) => `${name}\0${sha256(bytes)}\n`);
  return sha256(lines.sort().join(''));
}

/** A manifest without what only tests depend on. */
export function withoutTests(toml) {
  return Buffer.from(toml.toString().replace(/^\[dev-dependencies\]\n(?:[^[\n].*\n|\n)*/m, ''));
}
