/** Components as tenants bring them: a right one, and some that must not get through. */
import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findExecutable } from '../../../control/stack/executables.ts';

const run = promisify(execFile);

/** Says nothing about any message. */
const SILENT = [0x41, 16, 0x0b];
/** Never answers. */
const ENDLESS = [0x03, 0x40, 0x0c, 0x00, 0x0b, 0x00, 0x0b];
const PAYLOAD = 'ratchet:guest/payload@1.0.0';
/** Of the same length, so that the component stays one. */
const SOCKETS = 'wasi:sockets/network@0.2.60';

export interface Components {
  right: string;
  importsSockets: string;
  silent: string;
  endless: string;
}

/** Makes their files. The right one is the baseline itself, as if somebody else had written it. */
export async function makeComponents(directory: string): Promise<Components> {
  await mkdir(directory, { recursive: true });
  const baseline = await readFile(join(findExecutable('kit'), 'baseline.wasm'));
  const right = await componentize(directory, 'right', baseline);
  const text = (await readFile(right)).toString('latin1').replaceAll(PAYLOAD, SOCKETS);
  const importsSockets = join(directory, 'sockets.wasm');
  await writeFile(importsSockets, Buffer.from(text, 'latin1'));
  return {
    right,
    importsSockets,
    silent: await componentize(directory, 'silent', core(SILENT)),
    endless: await componentize(directory, 'endless', core(ENDLESS)),
  };
}

async function componentize(directory: string, name: string, core: Uint8Array): Promise<string> {
  const [from, to] = [join(directory, `${name}.core`), join(directory, `${name}.wasm`)];
  await writeFile(from, core);
  const args = ['componentize', '--core', from, '--out', to];
  const { stdout } = await run(findExecutable('aggregator'), args);
  if (!JSON.parse(stdout).ok) throw new Error(`${name}: ${stdout}`);
  return to;
}

/** A core module of the guest's world, assembled by hand: `process` is what is given. */
function core(process: readonly number[]): Uint8Array {
  const [i32, i64] = [0x7f, 0x7e];
  const type = (from: number[], to: number[]) => [0x60, from.length, ...from, to.length, ...to];
  const exported = (name: string, kind: number) => [name.length, ...Buffer.from(name), kind];
  const body = (code: readonly number[]) => [code.length + 1, 0, ...code];
  const section = (id: number, count: number, items: number[]) => {
    return [id, items.length + 1, count, ...items];
  };
  const realloc = [0x41, 0x80, 0xc0, 0x00, 0x0b];
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, 3, [
      ...type([i32, i32], []),
      ...type([i32, i32, i32, i32, i32, i32, i64, i64], [i32]),
      ...type([i32, i32, i32, i32], [i32]),
    ]),
    ...section(3, 3, [0, 1, 2]),
    ...section(5, 1, [0, 2]),
    ...section(7, 4, [
      ...[...exported('memory', 2), 0],
      ...[...exported('init', 0), 0],
      ...[...exported('process', 0), 1],
      ...[...exported('cabi_realloc', 0), 2],
    ]),
    ...section(10, 3, [...body([0x0b]), ...body(process), ...body(realloc)]),
  ]);
}
