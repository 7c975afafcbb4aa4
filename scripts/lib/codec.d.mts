/** See `codec.mjs`. */
export function readCodec(directory?: string): Map<string, Buffer>;
export function codecDigest(files: ReadonlyMap<string, Uint8Array>): string;
