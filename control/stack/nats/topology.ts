import type { StreamConfig } from '@nats-io/jetstream';

/** Number of ingest partitions: it fixes where state lives, so changing it is a migration. */
export const partitions = 4;

/**
 * Kinds of events on `evt.<org>.<kind>`. `measured` holds figures about held-back traffic and lies
 * in a stream of its own, so that the control plane's rights on EVENTS need no exception.
 */
export const eventKinds = [
  'configured',
  'swapped',
  'refused',
  'trapped',
  'demoted',
  'captured',
] as const;

const kib = 1024;
const mib = 1024 * kib;
const gib = 1024 * mib;
const second = 1_000_000_000;
const minute = 60 * second;
const day = 24 * 60 * minute;

/** A message may have 1 MiB; headers come on top. */
const messageBytes = mib + 64 * kib;
/** A rules blob may have 4 MiB, and travels as base64 in JSON. */
const configurationBytes = 6 * mib;

/** The largest message of any stream; the server's limit. */
export const maxPayloadBytes = 8 * mib;
export const maxMemoryBytes = 256 * mib;
/** Above the sum of all stream limits, which the server reserves. */
export const maxFileBytes = 16 * gib;

export type StreamSpec = Partial<StreamConfig> & { readonly name: string };

const common = {
  retention: 'limits',
  storage: 'file',
  discard: 'old',
  num_replicas: 1,
  allow_direct: true,
} as const;

const capture = {
  ...common,
  max_msgs_per_subject: 512,
  max_bytes: gib,
  max_msg_size: messageBytes,
} as const;

export const streams: readonly StreamSpec[] = [
  {
    ...common,
    name: 'INGEST',
    description:
      'Messages of points, partitioned by organization; ticks of time; parts of windows; totals',
    subjects: [
      ...['ingest.*', ...everyPartition('ingest'), 'tick.*', ...everyPartition('parts', '*')],
      'totals.*.*.*',
    ],
    // The rise of a total is stored together with the total.
    allow_atomic: true,
    subject_transform: {
      src: 'ingest.*',
      dest: `ingest.{{partition(${partitions},1)}}.{{wildcard(1)}}`,
    },
    // What was acknowledged stays until it is done with; then its aggregators remove it.
    discard: 'new',
    max_bytes: 4 * gib,
    max_msg_size: messageBytes,
    duplicate_window: 2 * minute,
  },
  {
    ...capture,
    name: 'TRAINING',
    description: 'Captured messages that the evolver may read',
    subjects: ['training.*.*'],
  },
  {
    ...capture,
    name: 'VALIDATION',
    description: 'Held-back messages: only aggregators read them',
    subjects: ['validation.*.*'],
  },
  {
    ...common,
    name: 'AGGREGATES',
    description: 'Aggregated points',
    subjects: ['aggregates.*'],
    max_bytes: 2 * gib,
    max_msg_size: messageBytes,
    duplicate_window: 10 * minute,
  },
  {
    ...common,
    name: 'LATE',
    description: 'Messages whose points came too late for a window, with what they missed',
    subjects: ['late.*', 'late.*.*'],
    max_bytes: 256 * mib,
    max_msg_size: messageBytes,
    duplicate_window: 2 * minute,
  },
  {
    ...common,
    name: 'EVENTS',
    description: 'What happened to an organization: configured, swapped, refused, demoted',
    subjects: eventKinds.map((kind) => `evt.*.${kind}`),
    max_bytes: 256 * mib,
    max_msg_size: 256 * kib,
    max_age: 30 * day,
    duplicate_window: 10 * minute,
  },
  {
    ...common,
    name: 'MEASURED',
    description: 'Figures of promoted modules on held-back messages: for operators only',
    subjects: ['evt.*.measured'],
    max_bytes: 64 * mib,
    max_msg_size: 256 * kib,
    max_age: 30 * day,
    duplicate_window: 10 * minute,
  },
  // A stretch of the stream that is read again is served by the rules of its time.
  {
    ...bucket('configurations', 'Rules of every organization', 512 * mib, configurationBytes),
    max_msgs_per_subject: 64,
  },
  bucket('active', 'Signed manifests of what should run', 64 * mib, 64 * kib + kib),
  latest('leases', 'Which aggregator serves which partition', 16 * mib, kib),
  latest('checkpoints', 'Where each partition is read from', 128 * mib, 2 * mib),
  objects('modules', 'Components by their SHA-256', gib),
  objects('evidence', 'What histories and rows refer to, by SHA-256', 2 * gib),
];

/** A message to a partition that nobody reads is refused. */
function everyPartition(prefix: string, ...more: string[]): string[] {
  const numbers = Array.from({ length: partitions }, (_, partition) => partition);
  return numbers.map((partition) => [prefix, partition, '*', ...more].join('.'));
}

/** A key-value bucket is a stream of a certain shape; spelling it out makes it comparable. */
function bucket(name: string, description: string, bytes: number, valueBytes: number): StreamSpec {
  return {
    ...common,
    name: `KV_${name}`,
    description,
    subjects: [`$KV.${name}.>`],
    discard: 'new',
    max_msgs_per_subject: 10,
    max_bytes: bytes,
    max_msg_size: valueBytes,
    allow_rollup_hdrs: true,
    deny_delete: true,
  };
}

/** A bucket that keeps nothing but the latest value of each key. */
function latest(name: string, description: string, bytes: number, valueBytes: number): StreamSpec {
  return { ...bucket(name, description, bytes, valueBytes), max_msgs_per_subject: 1 };
}

function objects(name: string, description: string, bytes: number): StreamSpec {
  return {
    ...common,
    name: `OBJ_${name}`,
    description,
    subjects: [`$O.${name}.C.>`, `$O.${name}.M.>`],
    discard: 'new',
    max_bytes: bytes,
    allow_rollup_hdrs: true,
  };
}
