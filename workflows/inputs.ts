/**
 * The inputs of a generation: made anew, or those of an earlier attempt, whole or up to a stage.
 * What is stored before the mutators are asked lets a generation that failed there run again from
 * the same parents, inspirations and random states.
 */
import type { GenerationInputs, GenerationKey, Plan } from '../activities/types.ts';
import type {
  GenerationInput,
  GenerationOutcome,
  GenerationStage,
  Ref,
  Spending,
} from './messages.ts';
import { type Proposals, propose } from './proposals.ts';
import type { evolverActivities } from './proxies.ts';

/** An end that is an answer: told as the outcome. */
export interface End {
  outcome: GenerationOutcome;
  detail: string | null;
}

/** What the generation shows and keeps of the preparation, as it goes on. */
export interface Progress {
  enter(stage: GenerationStage): void;
  line(text: string): void;
  /** From these it can be run again. */
  stored(inputs: Ref): void;
  planned(plan: Plan): void;
  spent(spending: Spending): void;
  summary(text: string): { summary: string };
}

type Evolver = ReturnType<typeof evolverActivities>;

export class Preparation {
  private readonly input: GenerationInput;
  private readonly key: GenerationKey;
  private readonly quick: Evolver['quick'];
  private readonly progress: Progress;

  constructor(input: GenerationInput, key: GenerationKey, evolver: Evolver, progress: Progress) {
    this.input = input;
    this.key = key;
    this.quick = evolver.quick;
    this.progress = progress;
  }

  async run(): Promise<GenerationInputs | End> {
    this.progress.enter('sample');
    const { configuration, inputs: given, from } = this.input;
    if (given === null || from === 'sample') return await this.make();
    const again = from === 'mutate' ? { again: from } : {};
    const inputs = await this.quick.readmit({
      ...this.key,
      ...{ configuration, inputs: given, ...again },
    });
    const { plan } = inputs;
    if (plan !== undefined) this.progress.planned(plan);
    if (plan === undefined || (inputs.candidates.length > 0 && from !== 'mutate')) return inputs;
    this.progress.enter('mutate');
    return await this.mutate(plan, inputs);
  }

  private async make(): Promise<GenerationInputs | End> {
    const { configuration, settings } = this.input;
    const { quick, progress, key } = this;
    const sample = await quick.sample.executeWithOptions(progress.summary('sample'), [
      { ...key, configuration, messages_min: settings.training_min },
    ]);
    if (sample.verdict === 'insufficient') {
      return { outcome: 'insufficient', detail: `${sample.messages} training messages` };
    }
    progress.enter('specialize');
    const specialization = await quick.specialize.executeWithOptions(
      progress.summary('specialize'),
      [{ ...key, configuration }],
    );
    progress.enter('mutate');
    const { mutator, candidates, search } = settings;
    const { profile, corpus, messages } = sample;
    const plan = await quick.plan.executeWithOptions(progress.summary('choose parents'), [
      {
        ...{ ...key, configuration, specialization, profile, candidates, mutator },
        ...{ corpus, messages, ...(search && { search }) },
      },
    ]);
    progress.planned(plan);
    const schema = this.input.schema;
    const { digest } = configuration;
    const made = { schema, configuration: digest, corpus, profile, messages, specialization };
    return await this.mutate(plan, { ...made, candidates: [] });
  }

  private async mutate(plan: Plan, inputs: GenerationInputs): Promise<GenerationInputs> {
    const { progress } = this;
    if (plan.inputs !== undefined) progress.stored(plan.inputs);
    const { evolver_queue: queue, allowance, answers } = this.input;
    const recorded = answers === 'fresh' ? [] : inputs.candidates;
    const trial = this.trialOf(inputs);
    const asking = { queue, allowance, recorded, answers, trial };
    const proposals = await propose(this.key, plan, asking);
    const { candidates, missing, attempts } = proposals;
    for (const { index, reason } of missing) progress.line(`no #${index}: ${reason}`);
    const spending = spendingOf(proposals);
    progress.spent(plan.unevolved === true ? { ...spending, evaluations: 0 } : spending);
    const admitted = await this.quick.admit.executeWithOptions(progress.summary('admit'), [
      {
        ...{ ...this.key, configuration: this.input.configuration, missing, attempts },
        inputs: { ...inputs, candidates, plan },
      },
    ]);
    progress.stored(admitted.inputs);
    return { ...inputs, candidates, plan };
  }

  private trialOf({ corpus, specialization: { spec } }: GenerationInputs) {
    const { configuration, incumbent, settings } = this.input;
    const { promotion_ratio } = settings;
    return { configuration, corpus, incumbent, spec, promotion_ratio };
  }
}

/** As far as it is told; the ledger, asked at the end, knows also of what failed. */
function spendingOf({ candidates, missing, attempts }: Proposals): Spending {
  const own = [...candidates, ...missing].flatMap(({ cost }) => (cost ? [cost] : []));
  const costs = [...own, ...Object.values(attempts).flat()];
  const sum = (numbers: number[]) => numbers.reduce((total, each) => total + each, 0);
  return {
    micro_usd: sum(costs.map((cost) => cost.micro_usd)),
    tokens: sum(costs.map((cost) => cost.tokens_in + cost.tokens_out)),
    evaluations: candidates.length,
  };
}
