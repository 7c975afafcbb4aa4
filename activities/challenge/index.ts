/**
 * Stage `challenge`: another module of the fleet serves, and a tenant's own must earn its place
 * against it. Both are timed on the tenant's training messages, side by side.
 */
import { FLEET } from '../../workflows/level.ts';
import { raceModules } from '../benchmark/index.ts';
import { INCUMBENT, type Report, wrongModule } from '../benchmark/report.ts';
import type { Deps } from '../deps.ts';
import { beating } from '../heartbeat.ts';
import { readTraining } from '../sample/capture.ts';
import { withCorpus } from '../sample/file.ts';
import type { Activities } from '../types.ts';
import type { ChallengeInput, ChallengeVerdict } from './types.ts';

type Needs = Pick<Deps, 'active' | 'nats' | 'store' | 'settings' | 'modules' | 'stages'>;

/** The tenant's module in the report; the fleet's is the incumbent, what would serve without it. */
const OWN = 'own';
/** The newest of those that are captured. */
const MESSAGES_MAX = 256;

export function challengeActivities(deps: Needs): Pick<Activities, 'challenge'> {
  return {
    challenge: (input) =>
      deps.stages.once(`${input.org}/challenge/${input.at_ms}`, () =>
        beating({ org: input.org }, (signal) => challenge(deps, input, signal)),
      ),
  };
}

async function challenge(
  deps: Needs,
  input: ChallengeInput,
  signal: AbortSignal,
): Promise<ChallengeVerdict> {
  const { org, configuration, seconds } = input;
  const none = { ratio: null, ci95: null, fleet: null };
  const published = (await deps.active.read(FLEET))?.manifest;
  if (published?.module == null) return { verdict: 'unchallenged', ...none };
  const fleet = published.version;
  const messages = await readTraining(deps.nats, org, configuration.digest);
  if (messages.length < input.messages_min) return { verdict: 'insufficient', ...none, fleet };
  const contest = {
    rules: configuration.blob.digest,
    modules: { [INCUMBENT]: published.module.sha256, [OWN]: input.module },
    ...{ reference: INCUMBENT, seconds },
  };
  const report = await withCorpus(messages.slice(-MESSAGES_MAX), (corpus) =>
    raceModules(deps, { ...contest, corpus }, signal),
  );
  return { ...judge(report, input.ratio_min), fleet };
}

/** Where its own is wrong, it is overtaken by whatever is right. */
export function judge(report: Report, min: number): Omit<ChallengeVerdict, 'fleet'> {
  const wrong = wrongModule(report);
  const none = { ratio: null, ci95: null };
  if (wrong !== null) return { verdict: wrong.name === OWN ? 'overtaken' : 'wrong', ...none };
  const found = report.ratios.find(({ name }) => name === OWN);
  if (found === undefined) return { verdict: 'insufficient', ...none };
  const { ratio, ci95 } = found;
  return { verdict: ci95[0] < min ? 'overtaken' : 'ahead', ratio, ci95 };
}
