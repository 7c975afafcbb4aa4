/** What the API reads of finished and running generations; rows come from the evolver's archive. */
import { existsSync } from 'node:fs';
import {
  Archive,
  type AttemptInput,
  type CandidateRow,
  type GenerationRow,
  type ObservationInput,
  type Totals,
} from '../../evolver/archive.ts';
import type { GainSplit } from '../../evolver/gain.ts';
import { generationId } from '../../workflows/messages.ts';

export interface GenerationPage {
  rows: GenerationRow[];
  next: string | null;
}

export interface GenerationRecords {
  /** Newest first; `cursor` is the `next` of the page before. */
  list(org: string, limit: number, cursor: string | null): GenerationPage;
  read(org: string, generation: number, rerun: number): GenerationDetail | null;
  /** Of whatever generation. */
  candidate(id: string): CandidateRow | null;
  /** Looks at the traffic, newest first. */
  observations(org: string, limit: number): ObservationInput[];
  totals(org: string): Totals | null;
  gain(org: string): GainSplit | null;
}

export interface GenerationDetail {
  generation: GenerationRow;
  candidates: CandidateRow[];
  /** What was proposed and did not become a candidate. */
  attempts: AttemptInput[];
}

/** The archive on this host; without one there are no generations yet. It is never written. */
export class ArchiveRecords implements GenerationRecords {
  readonly #file: string;
  #archive: Archive | null = null;

  constructor(file: string) {
    this.#file = file;
  }

  list(org: string, limit: number, cursor: string | null): GenerationPage {
    return this.#open()?.generations(org, limit, cursor) ?? { rows: [], next: null };
  }

  read(org: string, generation: number, rerun: number): GenerationDetail | null {
    const archive = this.#open();
    const id = generationId(org, generation, rerun);
    const row = archive?.generation(id) ?? null;
    if (archive === null || row === null) return null;
    const [candidates, attempts] = [archive.candidates(id), archive.attempts(id)];
    return { generation: row, candidates, attempts };
  }

  candidate(id: string): CandidateRow | null {
    return this.#open()?.candidate(id) ?? null;
  }

  observations(org: string, limit: number): ObservationInput[] {
    return this.#open()?.observations(org, null, limit) ?? [];
  }

  totals(org: string): Totals | null {
    return this.#open()?.totals(org) ?? null;
  }

  gain(org: string): GainSplit | null {
    return this.#open()?.gain(org) ?? null;
  }

  close(): void {
    this.#archive?.close();
    this.#archive = null;
  }

  #open(): Archive | null {
    if (this.#archive === null && existsSync(this.#file)) this.#archive = Archive.open(this.#file);
    return this.#archive;
  }
}
