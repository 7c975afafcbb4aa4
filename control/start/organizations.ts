/** The three organizations of the main job. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import { type Workload, workloadA, workloadB } from '../../bench/workloads/workloads.ts';
import type { RuleInput } from '../configuration/index.ts';
import { repositoryRoot } from '../stack/index.ts';
import type { ScrapeTargets } from './scrape.ts';
import { type Source, selfSource, syntheticSource } from './traffic.ts';

export interface Demonstration {
  org: string;
  rules: RuleInput[];
  source: (targets: ScrapeTargets) => Source;
}

/** Messages a second: enough to capture traffic within a minute, light enough for two cores. */
const RATE = { acme: 40, globex: 12 } as const;
const SCRAPE_EVERY_MS = 1_000;

export async function demonstrations(seed: number): Promise<Demonstration[]> {
  const self = await readFile(join(repositoryRoot, 'orgs', 'ratchet.yaml'), 'utf8');
  return [
    synthetic('acme', workloadA(seed), RATE.acme, seed),
    synthetic('globex', workloadB(seed + 1), RATE.globex, seed + 1),
    {
      org: 'ratchet',
      rules: (parse(self) as { rules: RuleInput[] }).rules,
      source: (targets) => selfSource('ratchet', targets, SCRAPE_EVERY_MS),
    },
  ];
}

function synthetic(org: string, workload: Workload, rate: number, seed: number): Demonstration {
  return {
    org,
    rules: workload.rules,
    source: () => syntheticSource(org, workload, rate, seed),
  };
}
