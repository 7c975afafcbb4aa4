/** Which versions of what the stack is made of; asked of the programs themselves. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findExecutables } from '../stack/index.ts';

const run = promisify(execFile);

export async function stackVersions(): Promise<Record<string, string>> {
  const { temporal, nats, aggregator, kit } = findExecutables();
  const kitFile = JSON.parse(await readFile(join(kit, 'kit.json'), 'utf8')) as {
    kit: string;
    rustcVersion: string;
  };
  return {
    node: process.version,
    temporal: await version(temporal),
    nats: await version(nats),
    aggregator: await version(aggregator),
    guest_rustc: kitFile.rustcVersion,
    guest_kit: kitFile.kit,
  };
}

async function version(executable: string): Promise<string> {
  const { stdout } = await run(executable, ['--version'], { timeout: 10_000 });
  return stdout.trim().split('\n')[0] ?? '';
}
