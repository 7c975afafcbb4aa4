/**
 * Swaps an organization between two modules, by manifests that builder and validator sign: the same
 * code that the workflows call, so an aggregator verifies each as it does in production.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { NatsConnection } from '@nats-io/transport-node';
import { publishActivities } from '../../activities/publish/index.ts';
import { signActivities } from '../../activities/sign/index.ts';
import { ContentStore } from '../../control/store/index.ts';
import { ActiveTable, ObjectTable } from '../../control/tables.ts';

const LIFE_MS = 3_600_000;
const SWAPPED_WITHIN_MS = 30_000;

/** Whose modules, by the statements that promoted them. */
export interface About {
  org: string;
  configuration: string;
  statements: readonly [string, string];
}

/** Where the stack is, and what it signs with. */
export interface Place {
  stateDir: string;
  nats: string;
  builderKeyFile: string;
  trustFile: string;
}

interface Swapped {
  version: number;
  pause_us: number;
}

export class Swapper {
  /** How long each swap held the serving thread, microseconds. */
  readonly pausesUs: number[] = [];
  private readonly about: About;
  private readonly signing: ReturnType<typeof signActivities>;
  private readonly publishing: ReturnType<typeof publishActivities>;
  private readonly swapped = new Set<number>();
  private turn = 0;

  private constructor(
    about: About,
    signing: ReturnType<typeof signActivities>,
    publishing: ReturnType<typeof publishActivities>,
    connection: NatsConnection,
  ) {
    this.about = about;
    this.signing = signing;
    this.publishing = publishing;
    connection.subscribe(`evt.${about.org}.swapped`, {
      callback: (error, message) => {
        if (error !== null) return;
        const { version, pause_us } = message.json<Swapped>();
        this.swapped.add(version);
        this.pausesUs.push(pause_us);
      },
    });
  }

  static async open(place: Place, connection: NatsConnection, about: About): Promise<Swapper> {
    const store = new ContentStore(join(place.stateDir, 'store'));
    const { builderKeyFile, trustFile } = place;
    const settings = { builderKeyFile, trustFile } as Parameters<
      typeof signActivities
    >[0]['settings'];
    const active = await ActiveTable.open(connection);
    const modules = await ObjectTable.open(connection, 'modules');
    const deps = { settings, store, nats: connection, active, modules, now: Date.now };
    return new Swapper(about, signActivities(deps), publishActivities(deps), connection);
  }

  /** One swap to the other module; returns once the aggregator serves it. */
  async swap(signal: AbortSignal): Promise<void> {
    const { org, configuration, statements } = this.about;
    const reading = await this.publishing.readActive({ org, configuration });
    const issued_at_ms = Date.now();
    const statement = statements[this.turn % 2] as string;
    this.turn += 1;
    const signed = await this.signing.sign({
      org,
      configuration,
      version: reading.next_version,
      previous: reading.active?.statement ?? null,
      issued_at_ms,
      expires_at_ms: issued_at_ms + LIFE_MS,
      subject: { of: 'earlier', kind: 'rollback', statement },
      workflow: { id: `bench/swap/${this.turn}`, run_id: 'bench' },
    });
    if (signed.verdict === 'refused') throw new Error(`${signed.reason}: ${signed.detail}`);
    const { envelope, active } = signed;
    const { revision } = reading;
    const published = await this.publishing.publish({ org, envelope, active, revision });
    if (published.verdict !== 'published') throw new Error(published.reason);
    await this.serves(active.version, signal);
  }

  private async serves(version: number, signal: AbortSignal): Promise<void> {
    const deadline = performance.now() + SWAPPED_WITHIN_MS;
    while (!this.swapped.delete(version)) {
      if (performance.now() > deadline) throw new Error(`version ${version} is not taken up`);
      await sleep(2, undefined, { signal });
    }
  }
}
