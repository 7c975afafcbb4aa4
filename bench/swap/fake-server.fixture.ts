/** Answers what is published on a connection, without a server. */
import type {
  Msg,
  PublishOptions,
  Subscription,
  SubscriptionOptions,
} from '@nats-io/transport-node';
import type { LoadConnection } from './load.ts';

export class FakeServer {
  /** The `Nats-Msg-Id` of everything that was published. */
  readonly ids: string[] = [];
  readonly connection: LoadConnection;
  private callback: SubscriptionOptions['callback'];

  /** `answer` is given how many were published before; `null` is silence. */
  constructor(answer: (before: number) => string | null) {
    this.connection = {
      publish: (_subject: string, _payload?: unknown, options?: PublishOptions) => {
        const body = answer(this.ids.length);
        this.ids.push(options?.headers?.get('Nats-Msg-Id') ?? '');
        if (body !== null) setTimeout(() => this.tell(options?.reply ?? '', body), 1);
      },
      subscribe: (_subject: string, options?: SubscriptionOptions) => {
        this.callback = options?.callback;
        return { unsubscribe: () => undefined } as Subscription;
      },
    } as LoadConnection;
  }

  private tell(subject: string, body: string): void {
    const message = { subject, data: new TextEncoder().encode(body), json: () => JSON.parse(body) };
    this.callback?.(null, message as Msg);
  }
}
