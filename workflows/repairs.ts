/**
 * A model's proposal and its repairs: each proposal is checked and timed like a candidate, and what
 * fails goes back as text, at most twice. Pure but for the stages it is given.
 */
import type {
  AttemptRecord,
  BenchmarkInput,
  BenchmarkVerdict,
  CandidateBuildInput,
  CandidateSource,
  MutateInput,
  MutateVerdict,
  ProposalFailure,
  Spent,
} from '../activities/types.ts';
import {
  benchmarkAnswer,
  buildAnswer,
  type GateAnswer,
  moduleAnswer,
  sourceAnswer,
} from './candidates.ts';
import { isFleet } from './level.ts';
import type { Ref } from './messages.ts';
import { clip } from './summary.ts';

export const REPAIRS_MAX = 2;
/** A proposal that is right and slow is timed for no longer before it goes back. */
const TRIAL_SECONDS = 2;
const DETAIL_MAX = 200;

/** The stages, as the workflow's proxies or a test calls them. */
export interface TrialStages {
  mutate(input: MutateInput): Promise<MutateVerdict>;
  /** Each asks one gate about a candidate. */
  checkSource(input: CandidateBuildInput): Promise<Parameters<typeof sourceAnswer>[0]>;
  build(input: CandidateBuildInput): Promise<Parameters<typeof buildAnswer>[0]>;
  checkModule(candidate: string, component: Ref): Promise<Parameters<typeof moduleAnswer>[0]>;
  benchmark(input: Trial & { candidate: string; component: Ref }): Promise<BenchmarkVerdict>;
}

/** What a proposal is tried on. */
export interface Trial
  extends Pick<BenchmarkInput, 'configuration' | 'corpus' | 'incumbent' | 'promotion_ratio'> {
  spec: Ref;
  seconds: number;
}

export interface Repaired {
  proposal: MutateVerdict;
  /** Proposals that did not become the candidate. */
  attempts: AttemptRecord[];
}

type Proposed = Extract<MutateVerdict, { verdict: 'proposed' }>;

export async function proposeWithRepairs(
  stages: TrialStages,
  input: MutateInput,
  trial: Omit<Trial, 'seconds'>,
): Promise<Repaired> {
  const failures: ProposalFailure[] = [];
  const given: Given[] = [];
  for (let turn = 0; ; turn++) {
    const proposal = await stages.mutate({ ...input, ...(turn > 0 && { failures }) });
    if (proposal.verdict === 'none') return conclude(given, proposal);
    const failure = await tryOut(stages, input, proposal, { ...trial, seconds: TRIAL_SECONDS });
    given.push({ proposal, failure });
    if (failure === null || turn === REPAIRS_MAX) return conclude(given, null);
    failures.push(failure);
  }
}

interface Given {
  proposal: Proposed;
  failure: ProposalFailure | null;
}

/**
 * The candidate is the last proposal, unless that is wrong and an earlier one was right and only
 * slow. Where the model gave up, an earlier one is better than none as well.
 */
function conclude(given: readonly Given[], end: MutateVerdict | null): Repaired {
  const right = given.filter(({ failure }) => failure === null || failure.ratio !== null);
  const best = right.reduce<Given | null>((a, b) => (a === null || isBetter(b, a) ? b : a), null);
  const chosen = best ?? (end === null ? (given.at(-1) ?? null) : null);
  const others = given.filter((each) => each !== chosen).map(attemptOf);
  const own = chosen?.proposal ?? end;
  if (own === null) throw new Error('neither a proposal nor an end');
  const ended = chosen !== null && end?.verdict === 'none' ? [endOf(end)] : [];
  const told = [...given.map(({ proposal }) => proposal), ...(end === null ? [] : [end])];
  const onTheWay = told.flatMap(({ attempts = [] }) => attempts);
  return { proposal: own, attempts: [...onTheWay, ...others, ...ended] };
}

function isBetter({ failure: a }: Given, { failure: b }: Given): boolean {
  if (a === null || b === null) return a === null;
  return (a.ratio ?? 0) > (b.ratio ?? 0);
}

function attemptOf({ proposal, failure }: Given): AttemptRecord {
  const { cost, source, origin } = proposal.candidate;
  return {
    outcome: failure?.verdict ?? 'unused',
    detail: clip(`${failure?.gate}: ${failure?.reason ?? 'passed'}`, DETAIL_MAX),
    ...{ source: source.digest, transcript: origin?.transcript ?? null, ...chargeOf(cost) },
  };
}

function endOf(end: Extract<MutateVerdict, { verdict: 'none' }>): AttemptRecord {
  const { reason, cost, transcript = null } = end;
  const detail = clip(reason, DETAIL_MAX);
  return { outcome: 'none', detail, source: null, transcript, ...chargeOf(cost) };
}

function chargeOf(cost: Spent | undefined) {
  const { micro_usd = 0, tokens_in = 0, tokens_out = 0 } = cost ?? {};
  return { micro_usd, tokens_in, tokens_out };
}

/** Null = it passes the gates before the benchmark, is right, and no slower than its parent. */
async function tryOut(
  stages: TrialStages,
  input: MutateInput,
  { candidate, parent_ratio = null }: Proposed,
  trial: Trial,
): Promise<ProposalFailure | null> {
  const { org, generation, rerun } = input;
  const key = { org, generation, rerun };
  const words = isFleet(org) ? { corpus: trial.corpus } : {};
  const { source } = candidate;
  const request = { ...key, candidate: candidate.id, source, spec: trial.spec, ...words };
  const policy = sourceAnswer(await stages.checkSource(request));
  if (!policy.pass) return failureOf(candidate, policy, null);
  const built = await stages.build(request);
  const compiled = buildAnswer(built);
  if (built.verdict !== 'built') {
    return failureOf(candidate, compiled, built.verdict === 'compile-error' ? built.log : null);
  }
  const { component } = built;
  const module = moduleAnswer(await stages.checkModule(candidate.id, component));
  if (!module.pass) return failureOf(candidate, module, null);
  const timed = await stages.benchmark({ ...trial, candidate: candidate.id, component });
  if (timed.verdict !== 'faster' && timed.verdict !== 'slow') {
    return failureOf(candidate, benchmarkAnswer(timed, ''), null);
  }
  const ratio = timed.ratio_to_baseline;
  if (parent_ratio === null || ratio >= parent_ratio) return null;
  const figures = `${ratio.toFixed(3)} × the baseline, its parent ${parent_ratio.toFixed(3)} ×`;
  const slower = { gate: 'benchmark' as const, verdict: 'slower', reason: figures, log: null };
  return { ...slower, source: candidate.source, ratio };
}

function failureOf(
  { source }: CandidateSource,
  { gate, verdict, reason }: GateAnswer,
  log: Ref | null,
): ProposalFailure {
  return { gate, verdict, reason: reason ?? '', log, source, ratio: null };
}
