/**
 * StreamVByte runs of unsigned 32-bit integers (Lemire, Kurz, Rupp: "Stream VByte: Faster
 * Byte-Oriented Integer Compression", 2018): one control byte for four numbers, two bits each, the
 * length in bytes less one; then the numbers' bytes, least significant first.
 */
export function writeRun(numbers: ArrayLike<number>): Uint8Array {
  const count = numbers.length;
  const controls = (count + 3) >> 2;
  const out = new Uint8Array(controls + 4 * count);
  let at = controls;
  for (let i = 0; i < count; i++) {
    const n = numbers[i] ?? 0;
    const code = n < 0x100 ? 0 : n < 0x10000 ? 1 : n < 0x1000000 ? 2 : 3;
    out[i >> 2] = (out[i >> 2] ?? 0) | (code << (2 * (i & 3)));
    for (let k = 0; k <= code; k++) out[at++] = (n >>> (8 * k)) & 0xff;
  }
  return out.subarray(0, at);
}

/** Reads `count` numbers from the front of `run`; throws `RangeError` when it is cut. */
export function readRun(run: Uint8Array, count: number): Uint32Array {
  const controls = (count + 3) >> 2;
  if (controls > run.length) throw new RangeError(`a run of ${count} numbers is cut`);
  const out = new Uint32Array(count);
  let at = controls;
  for (let i = 0; i < count; i++) {
    const length = (((run[i >> 2] ?? 0) >> (2 * (i & 3))) & 3) + 1;
    if (at + length > run.length) throw new RangeError(`a run of ${count} numbers is cut at ${i}`);
    let n = 0;
    for (let k = length - 1; k >= 0; k--) n = n * 256 + (run[at + k] ?? 0);
    out[i] = n;
    at += length;
  }
  return out;
}
