/**
 * Signing and publishing a manifest, for a generation's promotion and for an organization's own
 * decisions.
 */
import { ApplicationFailure, workflowInfo } from '@temporalio/workflow';
import type { ActiveReading, ManifestSubject } from '../activities/types.ts';
import { now } from './clock.ts';
import type { ActiveModule } from './messages.ts';
import { confirming, publishing, reads, signing } from './proxies.ts';

/** How often a lost compare-and-set is tried again with the newer entry. */
const CONFLICTS_MAX = 5;

export type Issued =
  | { verdict: 'published'; active: ActiveModule }
  | { verdict: 'conflict'; detail: string; newest: ActiveModule | null }
  | { verdict: 'refused'; detail: string };

export interface IssueRequest {
  org: string;
  configuration: string;
  life_ms: number;
  subject: ManifestSubject;
  /** Whether to go on over the entry that the table holds now; asked again after each conflict. */
  proceed: (reading: ActiveReading) => boolean;
  /** Told when both signatures are there. */
  signed?: () => void;
}

/** Reads the table, signs the next version and writes it, as often as `proceed` allows. */
export async function issueManifest(request: IssueRequest): Promise<Issued> {
  const { org, configuration } = request;
  for (let turn = 0; turn < CONFLICTS_MAX; turn++) {
    const reading = await reads.readActive.executeWithOptions({ summary: 'newest manifest' }, [
      { org, configuration },
    ]);
    if (!request.proceed(reading)) {
      const newest = reading.active;
      const detail = `version ${newest?.version ?? 0} (${newest?.kind ?? 'none'}) is in the table`;
      return { verdict: 'conflict', detail, newest };
    }
    const signed = await sign(request, reading);
    if (signed.verdict === 'refused') {
      return { verdict: 'refused', detail: `${signed.reason}: ${signed.detail}` };
    }
    request.signed?.();
    const { active, envelope } = signed;
    const summary = `publish version ${active.version} (${active.kind})`;
    const published = await publishing.publish.executeWithOptions({ summary }, [
      { org, envelope, active, revision: reading.revision },
    ]);
    if (published.verdict === 'published') return { verdict: 'published', active };
  }
  return { verdict: 'conflict', detail: `${CONFLICTS_MAX} writes lost the race`, newest: null };
}

function sign(request: IssueRequest, reading: ActiveReading) {
  const { org, configuration, subject } = request;
  const { workflowId, runId } = workflowInfo();
  const issued_at_ms = now();
  const version = reading.next_version;
  const summary = `sign version ${version} (${subject.kind})`;
  return signing.sign.executeWithOptions({ summary }, [
    {
      org,
      configuration,
      version,
      previous: reading.active?.statement ?? null,
      issued_at_ms,
      expires_at_ms: issued_at_ms + request.life_ms,
      subject,
      workflow: { id: workflowId, run_id: runId },
    },
  ]);
}

/** Waits until an aggregator serves it: null; or why none does. */
export async function confirmSwap(
  org: string,
  active: ActiveModule,
  seconds: number,
  options: { summary: string },
): Promise<string | null> {
  const { version, kind, configuration, issued_at_ms: since_ms } = active;
  const confirmed = await confirming.confirm.executeWithOptions(options, [
    { org, configuration, version, kind, since_ms, seconds },
  ]);
  if (confirmed.verdict === 'swapped') return null;
  return confirmed.verdict === 'refused' ? confirmed.reason : `no swap in ${seconds} s`;
}

/** For decisions of an organization, where anything but success is a fault to report. */
export function published(issued: Issued): ActiveModule {
  if (issued.verdict === 'published') return issued.active;
  const type = issued.verdict === 'refused' ? 'ManifestRefused' : 'ManifestConflict';
  throw ApplicationFailure.nonRetryable(issued.detail, type);
}
