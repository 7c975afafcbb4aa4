import { eventKinds } from './topology.ts';

export const natsUsers = [
  'admin',
  'control',
  'aggregator',
  'forwarder',
  'producer',
  'operator',
] as const;
export type NatsUser = (typeof natsUsers)[number];

/** Whatever is not listed is refused. */
export interface Permissions {
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
  /** Answers to requests that the user received. */
  readonly responses?: { readonly max: number; readonly expires: string };
}

/** Replies of a user arrive below its own prefix, so that nobody reads another one's. */
export function inboxPrefix(user: NatsUser): string {
  return `_INBOX_${user}`;
}

const buckets = ['KV_configurations', 'KV_active'];
/** Only aggregators share these. */
const duties = ['KV_leases', 'KV_checkpoints'];
const objectStores = ['OBJ_modules', 'OBJ_evidence'];

/**
 * Reading a stream by every kind of client. None of these subjects creates, changes or deletes a
 * stream: a mirror or a source of a forbidden stream cannot be made.
 */
function reads(stream: string): string[] {
  return [
    ...info(stream),
    `$JS.API.STREAM.MSG.GET.${stream}`,
    `$JS.API.DIRECT.GET.${stream}`,
    `$JS.API.DIRECT.GET.${stream}.>`,
    `$JS.API.CONSUMER.CREATE.${stream}`,
    `$JS.API.CONSUMER.CREATE.${stream}.>`,
    `$JS.API.CONSUMER.DURABLE.CREATE.${stream}.*`,
    `$JS.API.CONSUMER.INFO.${stream}.*`,
    `$JS.API.CONSUMER.DELETE.${stream}.*`,
    `$JS.API.CONSUMER.MSG.NEXT.${stream}.*`,
    `$JS.API.CONSUMER.NAMES.${stream}`,
    `$JS.API.CONSUMER.LIST.${stream}`,
    `$JS.ACK.${stream}.>`,
    `$JS.FC.${stream}.>`,
  ];
}

function info(stream: string): string[] {
  return [`$JS.API.STREAM.INFO.${stream}`];
}

const account = '$JS.API.INFO';
const events = eventKinds.map((kind) => `evt.*.${kind}`);

const control: Permissions = {
  publish: [
    account,
    ...[...buckets, ...objectStores, 'TRAINING', 'EVENTS'].flatMap(reads),
    ...['$KV.configurations.>', '$KV.active.>', '$O.modules.>', '$O.evidence.>'],
    // An interrupted upload purges the chunks that it had written.
    ...objectStores.map((stream) => `$JS.API.STREAM.PURGE.${stream}`),
    ...events,
    'shadow.>',
  ],
  subscribe: [`${inboxPrefix('control')}.>`, ...events],
};

/** A forwarder that stops lets the next one read at once. */
const unpin = '$JS.API.CONSUMER.UNPIN.AGGREGATES.*';

/** What every partition is done with makes room. */
const sweep = '$JS.API.STREAM.PURGE.INGEST';

const aggregator: Permissions = {
  publish: [
    account,
    ...[...buckets, ...duties, ...objectStores].flatMap(reads),
    ...['INGEST', 'TRAINING', 'VALIDATION', 'AGGREGATES', 'LATE'].flatMap(reads),
    ...['EVENTS', 'MEASURED'].flatMap(info),
    ...['tick.*', 'parts.*.*.*', 'training.*.*', 'validation.*.*', 'evt.*.*'],
    ...['aggregates.*', 'late.*', 'late.*.*', 'behind.*'],
    ...['$KV.leases.>', '$KV.checkpoints.>', unpin, sweep],
  ],
  subscribe: [`${inboxPrefix('aggregator')}.>`, 'shadow.>', '$SRV.>'],
  // A shadow evaluation answers after minutes.
  responses: { max: 2, expires: '20m' },
};

/** Remote write and queries as a process of their own (`aggregator forward`). */
const forwarder: Permissions = {
  publish: [account, ...reads('AGGREGATES'), unpin],
  subscribe: [`${inboxPrefix('forwarder')}.>`],
};

const producer: Permissions = {
  // A gateway keeps the totals of series, asks how full the stream is, and how organizations are
  // spread over it; it hears whom aggregators cannot keep up with.
  publish: [
    ...['ingest.*', 'ingest.*.*', 'totals.*.*.*', '$JS.API.DIRECT.GET.INGEST.totals.*.*.*'],
    ...[...info('INGEST'), ...reads('KV_configurations')],
  ],
  subscribe: [`${inboxPrefix('producer')}.>`, 'behind.*'],
};

const operator: Permissions = {
  publish: [
    account,
    ...[...buckets, ...duties, 'AGGREGATES', 'LATE', 'EVENTS', 'MEASURED'].flatMap(reads),
    ...['INGEST', 'TRAINING', 'VALIDATION'].flatMap(info),
  ],
  subscribe: [`${inboxPrefix('operator')}.>`, 'aggregates.*', 'late.>', 'evt.*.*'],
};

export const permissions: Readonly<Record<NatsUser, Permissions>> = {
  admin: { publish: ['>'], subscribe: ['>'] },
  control,
  aggregator,
  forwarder,
  producer,
  operator,
};
