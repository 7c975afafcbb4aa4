/** DSSE envelopes: what is signed is the payload's exact bytes, with its type before them. */
import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { sha256 } from '../../control/store/index.ts';

export const PAYLOAD_TYPE = 'application/vnd.in-toto+json';

/** The pre-authentication encoding of the DSSE specification, version 1. */
export function preAuthenticationEncoding(type: string, payload: Uint8Array): Buffer {
  const head = `DSSEv1 ${Buffer.byteLength(type)} ${type} ${payload.length} `;
  return Buffer.concat([Buffer.from(head, 'utf8'), payload]);
}

export interface WireSignature {
  keyid: string;
  sig: string;
}

/** RFC 8410: what stands before the 32 bytes of an Ed25519 seed, or of a public key. */
const SEED_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');
const PUBLIC_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');
const KEY_BYTES = 32;

export interface Signer {
  keyid: string;
  sign(payload: Uint8Array): WireSignature;
}

/** `seed`: base64 of the 32 bytes. */
export function signer(seed: string): Signer {
  const bytes = keyBytes(seed);
  const key = createPrivateKey({
    key: Buffer.concat([SEED_PREFIX, bytes]),
    format: 'der',
    type: 'pkcs8',
  });
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' });
  const keyid = sha256(spki.subarray(PUBLIC_PREFIX.length));
  return {
    keyid,
    sign: (payload) => {
      const encoded = preAuthenticationEncoding(PAYLOAD_TYPE, payload);
      return { keyid, sig: sign(null, encoded, key).toString('base64') };
    },
  };
}

/** `publicKey`: base64 of the 32 bytes. */
export function verifies(publicKey: string, payload: Uint8Array, signature: string): boolean {
  const encoded = preAuthenticationEncoding(PAYLOAD_TYPE, payload);
  return verify(null, encoded, publicObject(publicKey), Buffer.from(signature, 'base64'));
}

function publicObject(publicKey: string): KeyObject {
  const key = Buffer.concat([PUBLIC_PREFIX, keyBytes(publicKey)]);
  return createPublicKey({ key, format: 'der', type: 'spki' });
}

function keyBytes(base64: string): Buffer {
  const bytes = Buffer.from(base64.trim(), 'base64');
  if (bytes.length !== KEY_BYTES) throw new RangeError(`a key of ${bytes.length} bytes`);
  return bytes;
}

export function encodeEnvelope(payload: Uint8Array, signatures: WireSignature[]): string {
  return JSON.stringify({
    payloadType: PAYLOAD_TYPE,
    payload: Buffer.from(payload).toString('base64'),
    signatures,
  });
}

/** The payload of an envelope, unverified. */
export function payloadOf(envelope: Uint8Array): Uint8Array {
  const parsed = JSON.parse(Buffer.from(envelope).toString('utf8')) as { payload?: unknown };
  if (typeof parsed.payload !== 'string') throw new SyntaxError('an envelope without payload');
  return new Uint8Array(Buffer.from(parsed.payload, 'base64'));
}
