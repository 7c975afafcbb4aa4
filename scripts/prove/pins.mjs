import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../lib/paths.mjs';

/**
 * The one release of the verifier that we use, and what belongs to it: `vstd`, the library that
 * the codec is compiled with, must be the release's own.
 */
export const pins = JSON.parse(readFileSync(join(root, 'proofs', 'tools.json'), 'utf8'));

/** The release's archives; a platform that is not here is not installed by us. */
export const archives = {
  'linux-x64': {
    name: `verus-${pins.verus}-x86-linux.zip`,
    sha256: '7097a91ea4bf5896a418d90743626cbe5c085ce5ef8a64ed8d84c0aa5e49ac55',
  },
  'darwin-x64': {
    name: `verus-${pins.verus}-x86-macos.zip`,
    sha256: '7eebd809babe59ef72fd619411c3b89f8becd2d6500bf01abad88d0595828f35',
  },
};

const project = 'https://github.com/verus-lang/verus';
export const releases = `${project}/releases/download/release/${pins.verus}`;

/**
 * A verifier that was built from the release's commit with some file changed says so by this
 * suffix. It is accepted, but told, and recorded as it is.
 */
const modified = '.dirty';

export function isPinned(version) {
  return version === pins.verus || isModified(version);
}

export function isModified(version) {
  return version === pins.verus + modified;
}
