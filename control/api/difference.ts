/** What a candidate changed: its source against its parent's, or against another generation's. */
import { createTwoFilesPatch } from 'diff';
import { z } from 'zod';
import type { CandidateRow } from '../../evolver/archive.ts';
import { ApiProblem } from './problem.ts';
import type { GenerationDetail } from './records.ts';
import type { ApiServices } from './route.ts';

type Services = Pick<ApiServices, 'records' | 'store'>;

/** The candidate in a slot; without one the promoted, else the fastest, else the first. */
export function chosen({ generation, candidates }: GenerationDetail, slot: number | undefined) {
  const found =
    slot === undefined
      ? (candidates.find(({ id }) => id === generation.promoted) ?? fastest(candidates))
      : candidates.find((row) => row.slot === slot);
  if (found !== undefined) return found;
  const which = slot === undefined ? 'no candidate' : `no candidate in slot ${slot}`;
  throw new ApiProblem('not-found', `${generation.id} has ${which}`);
}

function fastest(candidates: readonly CandidateRow[]): CandidateRow | undefined {
  return [...candidates].sort(
    (left, right) => (right.ratioToBaseline ?? 0) - (left.ratioToBaseline ?? 0),
  )[0];
}

/** A unified diff; empty when nothing differs. */
export async function difference(
  services: Services,
  detail: GenerationDetail,
  row: CandidateRow,
  against: CandidateRow | null,
): Promise<string> {
  const before = against ?? (row.parent === null ? null : services.records.candidate(row.parent));
  const old = before === null ? await seedOf(services, detail) : before.source;
  if (old === row.source) return '';
  const text = async (digest: string) => Buffer.from(await services.store.get(digest)).toString();
  return createTwoFilesPatch(
    ...([before?.id ?? 'first form', row.id] as const),
    ...([await text(old), await text(row.source)] as const),
  );
}

const inputsSchema = z.looseObject({
  specialization: z.object({ seed: z.looseObject({ digest: z.string() }) }),
});

/** Without a parent a candidate was made of the first form. */
async function seedOf({ store }: Services, { generation }: GenerationDetail): Promise<string> {
  if (generation.inputs === null) {
    throw new ApiProblem('not-found', `${generation.id} kept no inputs, and there is no parent`);
  }
  const inputs = JSON.parse(Buffer.from(await store.get(generation.inputs)).toString('utf8'));
  return inputsSchema.parse(inputs).specialization.seed.digest;
}
