/** The main job's view of the HTTP API: it is a client like any other. */
import type { GainSplit } from '../../evolver/gain.ts';
import type { OrganizationStatus } from '../../workflows/messages.ts';
import type { RuleInput } from '../configuration/index.ts';
import { within } from '../within.ts';
import type { Progress } from './model.ts';

export interface Configured {
  digest: string;
  effectiveFromMs: number;
}

const TIMEOUT_MS = 30_000;

export class ApiClient {
  private readonly base: string;
  private readonly token: string;
  private readonly interrupt: AbortSignal | undefined;

  /** Once `interrupt` is aborted, no request is waited for. */
  constructor(base: string, token: string, interrupt?: AbortSignal) {
    this.base = base;
    this.token = token;
    this.interrupt = interrupt;
  }

  async configure(org: string, rules: readonly RuleInput[]): Promise<Configured> {
    const path = `/v1/organizations/${org}/configuration`;
    const body = (await this.request('PUT', path, { org, rules })) as {
      digest: string;
      effective_from_ms: number;
    };
    return { digest: body.digest, effectiveFromMs: body.effective_from_ms };
  }

  async progress(org: string): Promise<Progress> {
    const { status, gain } = (await this.request('GET', `/v1/organizations/${org}`)) as {
      status: OrganizationStatus | null;
      gain: GainSplit | null;
    };
    if (status === null) throw new Error(`${org}: its workflow does not answer`);
    const serves = status.active?.configuration === status.configuration?.digest;
    const active = serves && status.active?.module != null ? status.active : null;
    return {
      stage: status.stage,
      settledReason: status.settled_reason,
      lastError: status.last_error,
      captured: status.captured,
      generation: status.generation,
      generationStage: status.running?.stage ?? null,
      activeVersion: active?.version ?? null,
      activeModule: active?.module ?? null,
      evolutionStartedMs: status.evolution_started_ms,
      firstPromotionMs: status.first_promotion_ms,
      outcomes: status.outcomes,
      gain: active === null ? null : gain,
      candidates: status.candidates_total,
      rejected: status.rejected_total as Record<string, number>,
    };
  }

  private async request(method: string, path: string, body?: unknown): Promise<unknown> {
    const answer = async (signal: AbortSignal) => {
      const response = await fetch(this.base + path, {
        method,
        headers: { authorization: `Bearer ${this.token}`, 'content-type': 'application/json' },
        signal,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
      return JSON.parse(text);
    };
    return await within(TIMEOUT_MS, answer, this.interrupt);
  }
}
