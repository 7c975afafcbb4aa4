/** Ids and idempotency keys, from the domain alone. */
import { sha256 } from '../control/store/index.ts';
import { generationId } from '../workflows/messages.ts';
import type { GenerationKey } from './types.ts';

export function generationOf({ org, generation, rerun }: GenerationKey): string {
  return generationId(org, generation, rerun);
}

export function candidateId(key: GenerationKey, index: number): string {
  return `${generationOf(key)}/c${index}`;
}

/** `<generation or candidate>/<stage>/<digest of the inputs>`. */
export function stageKey(subject: string, stage: string, ...inputs: string[]): string {
  return `${subject}/${stage}/${sha256(inputs.join('\n')).slice(0, 32)}`;
}

/** The first 16 hexadecimal characters, as subjects have them. */
export function short(digest: string): string {
  return digest.slice(0, 16);
}
