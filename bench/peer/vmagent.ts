/** vmagent, told to aggregate as Ratchet's rules do, and what that costs it. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { compileConfiguration } from '../../control/configuration/index.ts';
import { claimPort, host } from '../../control/stack/index.ts';
import { httpProbe, type Service, startService } from '../../control/stack/service.ts';
import type { Workload } from '../workloads/workloads.ts';
import type { Sheet } from './books.ts';
import { cpuSeconds, peakBytes, untilQuiet } from './cpu.ts';
import type { Cost } from './report.ts';
import { sendAll } from './sender.ts';
import { openSink } from './sink.ts';

/** A list of aggregations in vmagent's YAML, which JSON is a part of. */
export interface Aggregation {
  match: string;
  interval: '30s';
  by: string[];
  outputs: ['sum_samples' | 'max' | 'avg'];
}

/** Which rule of the workload a series that vmagent emits is of. */
export type RuleOf = (name: string, labels: ReadonlyMap<string, string>) => string;

export interface Peer {
  aggregations: Aggregation[];
  ruleOf: RuleOf;
  /** Labels of an emitted series that its rule does not group by. */
  constants: readonly string[];
}

const outputs = { sum: 'sum_samples', max: 'max', avg: 'avg' } as const;

/** Workload A rule by rule: a filter on one service each. */
export function filterRules({ rules, series }: Workload): Peer {
  const metric = series[0]?.metric ?? '';
  return {
    aggregations: rules.map((_, i) => ({
      match: `{__name__="${metric}",service="svc-${i}"}`,
      interval: '30s',
      by: ['service'],
      outputs: ['sum_samples'],
    })),
    ...byService(rules.map(({ id }) => id)),
  };
}

/** Workload A as an expert would merge it. */
export function mergedRule({ rules, series }: Workload): Peer {
  const metric = series[0]?.metric ?? '';
  return {
    aggregations: [
      {
        match: `{__name__="${metric}"}`,
        interval: '30s',
        by: ['service'],
        outputs: ['sum_samples'],
      },
    ],
    ...byService(rules.map(({ id }) => id)),
  };
}

function byService(ids: readonly string[]): Pick<Peer, 'ruleOf' | 'constants'> {
  return {
    ruleOf: (_, labels) => ids[Number(labels.get('service')?.slice('svc-'.length))] ?? '',
    constants: ['service'],
  };
}

/** Workload B: a group-by each. */
export function groupRules(workload: Workload): Peer {
  const { rules } = compileConfiguration('peer', workload.rules);
  const ids = new Map<string, string>();
  const aggregations = rules.map(({ id, metric, groupBy, aggregate }): Aggregation => {
    const output = outputs[aggregate as keyof typeof outputs];
    ids.set(`${metric}:30s_by_${groupBy.join('_')}_${output}`, id);
    return {
      match: `{__name__="${metric}"}`,
      interval: '30s',
      by: [...groupBy],
      outputs: [output],
    };
  });
  return { aggregations, ruleOf: (name) => ids.get(name) ?? name, constants: [] };
}

/** A flush comes at each end of an interval. */
const FLUSH_LIMIT_MS = 90_000;
const QUIET_LIMIT_MS = 30_000;

export interface VmagentOptions {
  executable: string;
  directory: string;
  peer: Peer;
  bodies: readonly Uint8Array[];
  samples: number;
  sheet: Sheet;
  signal: AbortSignal;
}

/** Sends the bodies to a vmagent of their own and waits for all that it emits. */
export async function measureVmagent(options: VmagentOptions): Promise<Cost> {
  const { peer, sheet } = options;
  const sink = await openSink((name, labels, values) => {
    const rule = peer.ruleOf(name, new Map(labels));
    const tags = labels.filter(([key]) => !peer.constants.includes(key));
    for (const value of values) sheet.add(rule, tags, value);
  });
  try {
    return await spend(options, sink.url);
  } finally {
    await sink.close();
  }
}

async function spend(options: VmagentOptions, sinkUrl: string): Promise<Cost> {
  const { sheet, bodies, samples, signal } = options;
  const { service, url } = await start(options, sinkUrl);
  try {
    const before = cpuSeconds(service.pid);
    await sendAll({ url }, bodies, signal);
    const end = performance.now() + FLUSH_LIMIT_MS;
    while (!sheet.complete && performance.now() < end) await sleep(500, undefined, { signal });
    await untilQuiet(service.pid, QUIET_LIMIT_MS, signal);
    const seconds = cpuSeconds(service.pid) - before;
    const bytes = peakBytes(service.pid);
    return { samples, processes: { vmagent: { seconds, peakBytes: bytes } } };
  } finally {
    await service.stop();
  }
}

async function start(
  { executable, directory, peer, signal }: VmagentOptions,
  sinkUrl: string,
): Promise<{ service: Service; url: string }> {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  const config = join(directory, 'aggregations.yaml');
  writeFileSync(config, JSON.stringify(peer.aggregations, null, 1));
  const port = await claimPort('api', 0);
  const base = `http://${host}:${port}`;
  const service = await startService({
    name: 'vmagent',
    command: executable,
    args: [
      `-httpListenAddr=${host}:${port}`,
      `-remoteWrite.url=${sinkUrl}`,
      '-remoteWrite.forcePromProto',
      `-streamAggr.config=${config}`,
      '-streamAggr.dropInput',
      `-remoteWrite.tmpDataPath=${join(directory, 'queue')}`,
      '-loggerLevel=WARN',
    ],
    env: process.env,
    cwd: directory,
    logFile: join(directory, 'vmagent.log'),
    probe: httpProbe(`${base}/health`),
    readyWithinMs: 30_000,
    graceMs: 20_000,
    signal,
  });
  return { service, url: `${base}/api/v1/write` };
}
