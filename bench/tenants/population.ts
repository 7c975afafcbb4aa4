/**
 * Organizations that share an aggregator: each with rules, some with a module of their own. Sources
 * are built; a module is one of those components, made distinct by a custom section.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { encodeEnvelope, signer } from '../../activities/sign/dsse.ts';
import { encodeStatement } from '../../activities/sign/statement.ts';
import type { SignInput } from '../../activities/types.ts';
import { type Configuration, compileConfiguration } from '../../control/configuration/index.ts';
import type { KeyFiles } from '../../control/stack/index.ts';

export interface Tenant {
  configuration: Configuration;
  /** Null when the baseline serves it. */
  component: Uint8Array | null;
}

const RULES = 20;
const SERVICES = 100;
const LIFE_MS = 24 * 3_600_000;

/** Rules of the shape of workload A: each configuration has other services. */
export function configurationOf(org: string, variant: number): Configuration {
  const rules = Array.from({ length: RULES }, (_, i) => ({
    id: `service-${String(i).padStart(2, '0')}`,
    metric: 'cpu.usage',
    filter: `service:svc-${(7 * variant + 5 * i) % SERVICES}`,
    group_by: ['env'],
    aggregate: 'sum' as const,
    // Longer than the bench: what it measures is aggregation, without emission.
    window: '30m',
  }));
  return compileConfiguration(org, rules);
}

/** The component with a custom section behind it: the same code under another digest. */
export function marked(component: Uint8Array, mark: number): Uint8Array {
  const name = Buffer.from('\x04mark', 'latin1');
  const text = Buffer.from(String(mark).padStart(8, '0'));
  const head = Buffer.from([0, name.length + text.length]);
  return Buffer.concat([component, head, name, text]);
}

/** Signs manifests with both keys of a development stack. */
export async function signing(
  keys: KeyFiles,
): Promise<(org: string, configuration: string, component: Uint8Array) => Uint8Array> {
  const files = [keys.builder, keys.validator];
  const signers = await Promise.all(
    files.map(async (file) => signer(await readFile(file, 'utf8'))),
  );
  return (org, configuration, component) => {
    const statement = statementOf(org, configuration, component);
    const signatures = signers.map((each) => each.sign(statement));
    return Buffer.from(encodeEnvelope(statement, signatures));
  };
}

function statementOf(org: string, configuration: string, component: Uint8Array): Uint8Array {
  const zero = '0'.repeat(64);
  const now = Date.now();
  const input = {
    org,
    configuration,
    version: 1,
    previous: null,
    issued_at_ms: now,
    expires_at_ms: now + LIFE_MS,
    subject: { kind: 'promote' },
    workflow: { id: `bench/${org}`, run_id: 'bench' },
  } as unknown as SignInput;
  return encodeStatement(input, {
    module: { sha256: digestOf(component), size: component.length },
    source: { commit: '0'.repeat(40) },
    toolchain: { rustc: 'bench', kit: 'bench', codec: zero },
    mutation: { mutator: 'builtin', operator: 'none', prompt: null },
    proof: {
      verdict: 'attested',
      codec: zero,
      attestation: zero,
      date: '2026-07-18T12:00:00.000Z',
    },
    benchmark: { evidence: zero, ratio: 2, ci95: [1.9, 2.1] },
    shadow: { verdict: 'pass' },
  });
}

export function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
