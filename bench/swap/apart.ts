/**
 * The swapper in a process of its own. Elsewhere a control plane signs and publishes; here that
 * must not keep the generator from sending.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { connectNats } from '../../control/stack/index.ts';
import { type About, type Place, Swapper } from './swapper.ts';

/** Says in the environment of a process that it is this one. */
const MARK = 'RATCHET_BENCH_SWAPPER';
/** Longer than a swap is waited for there. */
const ANSWERED_WITHIN_MS = 60_000;

export interface Given {
  readonly place: Place;
  readonly about: About;
  readonly password: string;
}

/** What the process is told: where it is first, then when to swap. */
type Question = { readonly given: Given } | 'swap' | 'end';
/** What it says when that is done; at the end how long each swap held the serving thread. */
type Answer = { readonly pausesUs: readonly number[] } | { readonly error: string };

export class SwapperApart {
  private readonly process: ChildProcess;

  private constructor() {
    this.process = fork(fileURLToPath(import.meta.url), {
      env: { ...process.env, [MARK]: '1' },
      // Its own session: Ctrl-C is for the bench, which ends it.
      detached: true,
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
  }

  static async open(given: Given, signal: AbortSignal): Promise<SwapperApart> {
    const apart = new SwapperApart();
    try {
      await apart.ask({ given }, signal);
      return apart;
    } catch (error) {
      apart.kill();
      throw error;
    }
  }

  /** One swap to the other module; returns once the aggregator serves it. */
  async swap(signal: AbortSignal): Promise<void> {
    await this.ask('swap', signal);
  }

  /** Ends the process, and says how long each swap held the serving thread, microseconds. */
  async end(signal: AbortSignal): Promise<readonly number[]> {
    try {
      return await this.ask('end', signal);
    } finally {
      this.kill();
    }
  }

  kill(): void {
    this.process.kill('SIGKILL');
  }

  private async ask(question: Question, signal: AbortSignal): Promise<readonly number[]> {
    signal.throwIfAborted();
    const over = new AbortController();
    const until = AbortSignal.any([over.signal, signal, AbortSignal.timeout(ANSWERED_WITHIN_MS)]);
    const gone = once(this.process, 'exit', { signal: until }).then(() => {
      throw new Error('the swapper is gone');
    });
    const answered = once(this.process, 'message', { signal: until });
    this.process.send(question);
    try {
      const [answer] = (await Promise.race([answered, gone])) as [Answer];
      if ('error' in answer) throw new Error(`swapper: ${answer.error}`);
      return answer.pausesUs;
    } finally {
      over.abort();
      await Promise.allSettled([answered, gone]);
    }
  }
}

if (process.env[MARK] === '1') serve();

function serve(): void {
  let swapper: Swapper | null = null;
  const act = async (question: Question): Promise<Answer> => {
    if (question === 'end') return { pausesUs: swapper?.pausesUs ?? [] };
    if (question === 'swap') {
      if (swapper === null) throw new Error('it was not told where to swap');
      await swapper.swap(new AbortController().signal);
      return { pausesUs: [] };
    }
    const { place, about, password } = question.given;
    const connection = await connectNats(place.nats, 'control', password);
    swapper = await Swapper.open(place, connection, about);
    return { pausesUs: [] };
  };
  process.on('message', async (question: Question) => {
    const answer = await act(question).catch((error: unknown) => ({
      error: error instanceof Error ? error.message : String(error),
    }));
    process.send?.(answer);
  });
  // The bench is gone.
  process.on('disconnect', () => process.exit(1));
}
