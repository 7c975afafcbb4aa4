/**
 * Scores the candidates of `resume.fixture.ts` as the gates do: built, and run in the sandbox. Of
 * the benchmark's report the fuel counts, never a time.
 */
import { MockActivityEnvironment } from '@temporalio/testing';
import { loadSettings } from '../control/config.ts';
import type { ConfigurationRef, Ref } from '../workflows/messages.ts';
import { benchmarkActivities } from './benchmark/index.ts';
import { BASELINE, type Report } from './benchmark/report.ts';
import { buildActivities } from './build/index.ts';
import type { Deps } from './deps.ts';
import type { CandidateSource, Corpus, GenerationKey } from './types.ts';

export interface Score {
  /** To the baseline; null = refused. */
  ratio: number | null;
  module: string | null;
}

export interface Scored {
  key: GenerationKey;
  configuration: ConfigurationRef;
  sources: CandidateSource[];
  spec: Ref;
  corpus: Corpus;
}

export async function byFuel(
  deps: Pick<Deps, 'archive' | 'store' | 'stages'>,
  { key, configuration, sources, spec, corpus }: Scored,
  step: (name: string) => void,
): Promise<Score[]> {
  const settings = loadSettings(process.env);
  const { build } = buildActivities({ ...deps, settings });
  const { benchmark } = benchmarkActivities({
    ...{ ...deps, settings },
    modules: { get: async () => null },
  });
  const built: { id: string; component: Ref }[] = [];
  for (const { id, source } of sources) {
    const request = { ...key, candidate: id, source, spec, new_in: configuration.digest };
    const made = await within(() => build(request));
    if (made.verdict === 'built' && made.twin === undefined) {
      built.push({ id, component: made.component });
    }
    step(`built ${id}`);
  }
  const fuel = built.length === 0 ? () => null : await fuelOf();
  return sources.map(({ id }) => {
    const component = built.find((each) => each.id === id)?.component.digest ?? null;
    return { ratio: fuel(id), module: component };
  });

  async function fuelOf() {
    const request = { ...key, configuration, corpus, candidates: built, incumbent: null };
    const measured = await within(() => benchmark({ ...request, seconds: 1, promotion_ratio: 99 }));
    const { reports } = JSON.parse(await deps.store.getText(measured.evidence));
    const modules = (reports as Report[]).flatMap((report) => report.modules);
    const of = (name: string) => modules.find((each) => each.name === name)?.fuel_per_point;
    return (id: string) => {
      const [own, base] = [of(id), of(BASELINE)];
      return own === undefined || base === undefined ? null : base / own;
    };
  }
}

function within<T>(run: () => Promise<T>): Promise<T> {
  return new MockActivityEnvironment().run(run);
}
