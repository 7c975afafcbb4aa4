/**
 * What must be in no commit and in no log of the control plane: keys, passwords and tokens of the
 * stack, and values of points that were held back, which have so many digits that none is met by
 * chance.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inflateSync } from 'node:zlib';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { decodeMessage } from '../../control/payload/payload.ts';
import { connectNats, type Stack } from '../../control/stack/index.ts';

const MESSAGES_MAX = 32;
const DIGITS_MIN = 12;

export interface Searched {
  commits: number;
  canaries: number;
  /** Places that hold one. */
  leaks: string[];
}

export async function searchLeaks(stack: Stack): Promise<Searched> {
  const canaries = [...(await secrets(stack.stateDir)), ...(await heldBackValues(stack))];
  const texts = await commitTexts(join(stack.stateDir, 'lineage'));
  const commits = texts.filter(({ text }) => text.startsWith('commit ')).length;
  const log = join(stack.stateDir, 'logs', 'control.log');
  texts.push({ place: log, text: await readFile(log, 'utf8') });
  const leaks = texts.flatMap(({ place, text }) =>
    canaries.filter((canary) => text.includes(canary)).map((canary) => `${place}: ${canary}`),
  );
  return { commits, canaries: canaries.length, leaks };
}

async function secrets(state: string): Promise<string[]> {
  const folder = join(state, 'keys');
  const files = await readdir(folder);
  const keys = await Promise.all(files.map((file) => readFile(join(folder, file), 'utf8')));
  const tokens = await readFile(join(state, 'cli.json'), 'utf8');
  return [...keys.map((key) => key.trim()), ...(tokens.match(/ratchet_[\w-]{20,}/g) ?? [])];
}

/** Read with an aggregator's rights; nobody else has them. */
async function heldBackValues(stack: Stack): Promise<string[]> {
  const password = stack.secrets.password('aggregator');
  const nats = await connectNats(stack.addresses.nats, 'aggregator', password);
  try {
    const manager = await jetstreamManager(nats, { checkAPI: false });
    const held = (await manager.streams.info('VALIDATION')).state.messages;
    const consumer = await jetstream(nats, { checkAPI: false }).consumers.get('VALIDATION');
    const count = Math.min(held, MESSAGES_MAX);
    const messages: Uint8Array[] = [];
    for await (const message of await consumer.fetch({ max_messages: count, expires: 5_000 })) {
      messages.push(message.data);
    }
    const points = messages.flatMap((message) => decodeMessage(message).points);
    const values = points.map(({ value }) => String(value));
    return [...new Set(values)].filter((text) => text.length >= DIGITS_MIN);
  } finally {
    await nats.close();
  }
}

/** Every object of every repository: commits, trees, sources, notes and tags. */
async function commitTexts(lineage: string): Promise<{ place: string; text: string }[]> {
  const files = await readdir(lineage, { recursive: true, withFileTypes: true });
  const objects = files.filter(
    (file) => file.isFile() && /\/objects\/[0-9a-f]{2}$/.test(file.parentPath),
  );
  return await Promise.all(
    objects.map(async ({ parentPath, name }) => {
      const place = join(parentPath, name);
      return { place, text: inflateSync(await readFile(place)).toString('utf8') };
    }),
  );
}
