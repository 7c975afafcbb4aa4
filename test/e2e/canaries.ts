/**
 * What must be written down nowhere: values of held-back messages, and the secrets of a stack.
 * Looks where the control plane, the evolver and Temporal keep what they know, and in all logs.
 */
import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { jetstream } from '@nats-io/jetstream';
import { decodeMessage } from '../../control/payload/payload.ts';
import { connectNats, type Stack } from '../../control/stack/index.ts';

export interface Canary {
  what: string;
  bytes: Buffer;
}

/** Where to look, and a text that is there: whoever cannot find it would find nothing. */
interface Place {
  name: string;
  holds: string;
}

const PLACES: Place[] = [
  { name: 'archive.sqlite', holds: '/gen/1/c0' },
  { name: 'lineage', holds: 'aggregate.rs' },
  { name: 'logs', holds: '"level"' },
  { name: 'stages', holds: '/gen/1/' },
  { name: 'store', holds: 'fn process' },
  { name: 'temporal', holds: '/gen/1' },
];
const VALUES_MAX = 64;
const MESSAGES_MAX = 512;
/** Fewer letters could be found by chance. */
const LETTERS_MIN = 12;
const GIT_BYTES = 256 * 1024 * 1024;

/** Canaries that were found, and places that could not be looked at. */
export async function leaks(stack: Stack, canaries: readonly Canary[]): Promise<string[]> {
  const found: string[] = [];
  for (const { name, holds } of PLACES) {
    const texts = await textsOf(stack.stateDir, name);
    if (!texts.some((text) => text.includes(holds))) found.push(`${name} has no ${holds}`);
    for (const { what, bytes } of canaries) {
      if (texts.some((text) => text.includes(bytes))) found.push(`${what} in ${name}`);
    }
  }
  return found;
}

async function textsOf(stateDir: string, name: string): Promise<Buffer[]> {
  const path = join(stateDir, name);
  if (name === 'lineage') return await historiesOf(path);
  const names = await readdir(stateDir);
  // A database has its journal beside it.
  const own = names.filter((each) => each === name || each.startsWith(`${name}-`));
  return (await Promise.all(own.map((each) => filesBelow(join(stateDir, each))))).flat();
}

async function filesBelow(path: string): Promise<Buffer[]> {
  const files = await readdir(path, { recursive: true, withFileTypes: true }).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOTDIR') return null;
      throw error;
    },
  );
  if (files === null) return [await readFile(path)];
  const whole = files.filter((file) => file.isFile());
  return await Promise.all(whole.map((file) => readFile(join(file.parentPath, file.name))));
}

/** Every change of every branch, with messages, trailers and notes. */
async function historiesOf(path: string): Promise<Buffer[]> {
  const run = promisify(execFile);
  const options = { encoding: 'buffer' as const, maxBuffer: GIT_BYTES };
  const log = ['log', '-p', '--all', '--notes=*'];
  const repositories = await readdir(path);
  const shown = repositories.map((each) => run('git', ['-C', join(path, each), ...log], options));
  return (await Promise.all(shown)).map(({ stdout }) => stdout);
}

/** Values of captured messages, as the payload and as people write them. */
export async function captured(stack: Stack): Promise<{ training: Canary[]; held: Canary[] }> {
  const nats = await connectNats(stack.addresses.nats, 'admin', stack.secrets.password('admin'));
  try {
    const training = await valuesIn(nats, 'TRAINING');
    const seen = new Set(training);
    const held = (await valuesIn(nats, 'VALIDATION')).filter((value) => !seen.has(value));
    return { training: canariesOf(training), held: canariesOf(held) };
  } finally {
    await nats.close();
  }
}

function canariesOf(values: readonly number[]): Canary[] {
  const rare = values.filter((value) => String(value).length >= LETTERS_MIN);
  const step = Math.max(1, Math.floor(rare.length / VALUES_MAX));
  return rare.filter((_, index) => index % step === 0).flatMap(valueCanaries);
}

function valueCanaries(value: number): Canary[] {
  const raw = Buffer.alloc(8);
  raw.writeDoubleLE(value);
  return [
    { what: `value ${value}`, bytes: Buffer.from(String(value)) },
    { what: `bits of ${value}`, bytes: raw },
  ];
}

type Nats = Awaited<ReturnType<typeof connectNats>>;

async function valuesIn(nats: Nats, stream: string): Promise<number[]> {
  const consumer = await jetstream(nats).consumers.get(stream);
  const { num_pending: pending } = await consumer.info();
  if (pending === 0) return [];
  const values: number[] = [];
  const count = Math.min(pending, MESSAGES_MAX);
  const batch = await consumer.fetch({ max_messages: count, expires: 10_000 });
  for await (const { data } of batch) {
    values.push(...decodeMessage(data).points.map(({ value }) => value));
  }
  return values;
}

/** Passwords, private keys and tokens of the stack. */
export async function secretsOf({ stateDir }: Stack): Promise<Canary[]> {
  const folder = join(stateDir, 'keys');
  const keys = await Promise.all(
    (await readdir(folder)).map(async (name) => {
      const text = await readFile(join(folder, name));
      return { what: name, bytes: trimmed(text) };
    }),
  );
  const file = JSON.parse(await readFile(join(stateDir, 'cli.json'), 'utf8')) as {
    token: string;
    producers: Record<string, string>;
  };
  const tokens = { administrator: file.token, ...file.producers };
  return [
    ...keys,
    ...Object.entries(tokens).map(([who, token]) => ({
      what: `the token of ${who}`,
      bytes: Buffer.from(token),
    })),
  ];
}

/** Without the line end that a file may have behind a text. */
function trimmed(bytes: Buffer): Buffer {
  return bytes.at(-1) === 10 ? bytes.subarray(0, -1) : bytes;
}
