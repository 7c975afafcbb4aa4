/**
 * Stage `publish`: bytes, then manifest by compare-and-set, then the aggregators' word that it
 * serves.
 */
import { readEvents } from '../../control/events.ts';
import { NatsFault } from '../../control/nats.ts';
import { sha256 } from '../../control/store/index.ts';
import type { Deps } from '../deps.ts';
import { fatal } from '../faults.ts';
import { beating, pause } from '../heartbeat.ts';
import { status } from '../shadow/service.ts';
import { payloadOf } from '../sign/dsse.ts';
import { activeOf, readStatement } from '../sign/statement.ts';
import type {
  ActiveReading,
  Activities,
  ConfirmInput,
  ConfirmVerdict,
  PublishInput,
  PublishVerdict,
} from '../types.ts';

type Publishing = Pick<Activities, 'readActive' | 'publish' | 'confirm'>;
type Needs = Pick<Deps, 'active' | 'modules' | 'nats' | 'store' | 'now'>;

const CONFIRM_POLL_MS = 500;
const EVENTS_MAX = 200;

export function publishActivities(deps: Needs): Publishing {
  return {
    readActive: (input) => readActive(deps, input),
    publish: (input) => publish(deps, input),
    confirm: (input) => beating({ version: input.version }, () => confirm(deps, input)),
  };
}

async function readActive(
  { active: table, nats, store }: Needs,
  { org, configuration }: { org: string; configuration: string | null },
): Promise<ActiveReading> {
  const entry = await table.read(org);
  const accepted =
    configuration === null ? 0 : (await status(nats, { org, configuration })).accepted_version;
  if (entry === null) return { active: null, revision: 0, next_version: accepted + 1 };
  const payload = payloadOf(entry.envelope);
  // Kept, so that a renewal or a rollback finds what the statement said of the code.
  const { digest } = await store.put(payload, 'application/vnd.in-toto+json');
  const active = activeOf(readStatement(payload), digest);
  const next_version = Math.max(active.version, accepted) + 1;
  return { active, revision: entry.revision, next_version };
}

/** The same envelope again is a no-op, so a retry after a lost answer changes nothing. */
async function publish(deps: Needs, input: PublishInput): Promise<PublishVerdict> {
  const { active: table, store } = deps;
  const envelope = await store.get(input.envelope);
  await putModule(deps, input.active.module);
  const before = await table.read(input.org);
  if (before !== null && sha256(before.envelope) === input.envelope.digest) {
    return { verdict: 'published', revision: before.revision };
  }
  const found = before?.revision ?? 0;
  if (found !== input.revision) return conflict(found, input.revision);
  try {
    const revision = await table.write(input.org, envelope, input.revision);
    return { verdict: 'published', revision };
  } catch (error) {
    if (!(error instanceof NatsFault) || error.code !== 'conflict') throw error;
  }
  // Somebody wrote between the two, and it may have been a try of this very activity.
  const after = await table.read(input.org);
  if (after !== null && sha256(after.envelope) === input.envelope.digest) {
    return { verdict: 'published', revision: after.revision };
  }
  return conflict(after?.revision ?? 0, input.revision);
}

function conflict(found: number, expected: number): PublishVerdict {
  return { verdict: 'conflict', reason: `revision ${found}, not ${expected}` };
}

/** Bytes come before the manifest that names them; a crash in between leaves harmless garbage. */
async function putModule({ modules, store }: Needs, module: string | null): Promise<void> {
  if (module === null || (await modules.has(module))) return;
  if (!(await store.has(module))) throw fatal('missingObject', `module ${module}`);
  await modules.put(await store.get(module));
}

async function confirm(deps: Needs, input: ConfirmInput): Promise<ConfirmVerdict> {
  const deadline = deps.now() + input.seconds * 1_000;
  for (;;) {
    const verdict = await look(deps, input).catch((error: unknown) => {
      // Aggregators that are away now may be back before the time is up.
      if (error instanceof NatsFault && error.code === 'unavailable') return null;
      throw error;
    });
    if (verdict !== null) return verdict;
    if (deps.now() >= deadline) return { verdict: 'timeout' };
    await pause(CONFIRM_POLL_MS);
  }
}

async function look({ nats }: Needs, input: ConfirmInput): Promise<ConfirmVerdict | null> {
  const { org, configuration, version, since_ms: sinceMs } = input;
  const request = { org, after: null, sinceMs, limit: EVENTS_MAX };
  const events = (await readEvents(nats, request)).filter(({ body }) => body.version === version);
  if (events.some(({ kind }) => kind === 'swapped')) return { verdict: 'swapped' };
  const { accepted_version } = await status(nats, { org, configuration });
  if (accepted_version >= version) return { verdict: 'swapped' };
  const refused = events.find(({ kind }) => kind === 'refused');
  if (refused === undefined) return null;
  const { reason, detail } = refused.body;
  return { verdict: 'refused', reason: `${String(reason)}: ${String(detail)}`.slice(0, 200) };
}
