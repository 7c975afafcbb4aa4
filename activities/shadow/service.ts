/**
 * The shadow service of the aggregators, as NATS requests: answers are checked, whatever their
 * sender.
 */
import type { NatsConnection } from '@nats-io/transport-node';
import { z } from 'zod';
import { guardNats, NatsFault } from '../../control/nats.ts';

const refusal = z.object({ error: z.string().max(200), detail: z.string().max(4_000).default('') });
const count = z.int().nonnegative();

const statusSchema = z.object({ held_back: count, training: count, accepted_version: count });
const evaluateSchema = z.object({ verdict: z.enum(['pass', 'fail', 'insufficient']) });
const countersignSchema = z.object({
  keyid: z.string().regex(/^[0-9a-f]{64}$/),
  sig: z.base64().max(100),
});

export type ShadowStatus = z.output<typeof statusSchema>;
export type Refusal = z.output<typeof refusal>;
export type Answer<T> = { ok: true; value: T } | { ok: false; refusal: Refusal };

const QUICK_MS = 5_000;

export async function status(
  nats: NatsConnection,
  about: { org: string; configuration: string },
): Promise<ShadowStatus> {
  const answer = await ask(nats, 'shadow.status', about, QUICK_MS, statusSchema);
  if (answer.ok) return answer.value;
  const { error, detail } = answer.refusal;
  throw new NatsFault('unavailable', `shadow.status of ${about.org}: ${error}: ${detail}`);
}

export interface Evaluation {
  org: string;
  configuration: string;
  module: string;
  size: number;
  generation: string;
  candidate: string;
  foreign?: true;
}

export function evaluate(nats: NatsConnection, request: Evaluation, timeoutMs: number) {
  return ask(nats, 'shadow.evaluate', request, timeoutMs, evaluateSchema);
}

export function countersign(nats: NatsConnection, statement: Uint8Array) {
  const request = { statement: Buffer.from(statement).toString('base64') };
  return ask(nats, 'shadow.countersign', request, QUICK_MS * 4, countersignSchema);
}

async function ask<T>(
  nats: NatsConnection,
  subject: string,
  request: unknown,
  timeout: number,
  schema: z.ZodType<T>,
): Promise<Answer<T>> {
  const reply = await guardNats(subject, () =>
    nats.request(subject, JSON.stringify(request), { timeout }),
  );
  const body = parse(reply.data);
  const refused = refusal.safeParse(body);
  if (refused.success) return { ok: false, refusal: refused.data };
  const answer = schema.safeParse(body);
  if (answer.success) return { ok: true, value: answer.data };
  // NATS services tell their own faults in headers, with an empty body.
  const code = reply.headers?.get('Nats-Service-Error-Code') ?? '';
  const text = reply.headers?.get('Nats-Service-Error') ?? 'an answer of another form';
  throw new NatsFault('invalid', `${subject}: ${code} ${text}`.replace('  ', ' '));
}

function parse(data: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(data).toString('utf8'));
  } catch {
    return undefined;
  }
}
