/** Ids of the domain: `<org>/gen/<n>`, `<org>/gen/<n>/r<k>` and `<generation>/c<slot>`. */
import { ArchiveError } from './errors.ts';

const GENERATION = /^([a-z0-9-]{1,63})\/gen\/([1-9]\d{0,8})(?:\/r([1-9]\d{0,5}))?$/;
const CANDIDATE = /^(.+)\/c(0|[1-9]\d{0,3})$/;

export interface GenerationId {
  org: string;
  number: number;
  rerun: number;
}

export function parseGenerationId(id: string): GenerationId {
  const match = GENERATION.exec(id);
  if (match === null)
    throw new ArchiveError('missing', `not a generation's id: ${JSON.stringify(id)}`);
  return { org: match[1] as string, number: Number(match[2]), rerun: Number(match[3] ?? 0) };
}

export function parseCandidateId(id: string): { generation: string; slot: number } {
  const match = CANDIDATE.exec(id);
  if (match === null)
    throw new ArchiveError('missing', `not a candidate's id: ${JSON.stringify(id)}`);
  const generation = match[1] as string;
  parseGenerationId(generation);
  return { generation, slot: Number(match[2]) };
}
