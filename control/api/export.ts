/**
 * A generation as one archive file: everything that an engineer needs to study it elsewhere, under
 * names that say what it is. The same generation gives the same bytes.
 */
import { createGzip } from 'node:zlib';
import { pack } from 'tar-stream';
import { z } from 'zod';
import type { AttemptInput, CandidateRow } from '../../evolver/archive.ts';
import { FLEET } from '../../workflows/level.ts';
import { StoreError } from '../store/index.ts';
import { ApiProblem } from './problem.ts';
import type { GenerationDetail } from './records.ts';
import type { ApiServices } from './route.ts';
import { showCandidate, showGeneration } from './views.ts';

/** Of all files together: the answer is made in memory. */
export const EXPORT_BYTES_MAX = 192 * 1024 * 1024;

type Services = Pick<ApiServices, 'records' | 'store'>;

interface Entry {
  name: string;
  /** Bytes, or the digest of what the store has. */
  content: string | { digest: string };
}

const reference = z.looseObject({ digest: z.string() });
const inputsSchema = z.looseObject({
  configuration: z.string(),
  corpus: z.object({ fit: reference, check: reference }),
  profile: reference,
  specialization: z.object({ spec: reference, seed: reference }),
});

export async function exportGeneration(
  services: Services,
  detail: GenerationDetail,
): Promise<Uint8Array> {
  const entries = [
    ...(await inputEntries(services, detail)),
    ...detail.candidates.flatMap(candidateEntries),
    ...detail.attempts.flatMap(attemptEntries),
    ...relativeEntries(services, detail),
  ];
  const files: [name: string, bytes: Uint8Array][] = [];
  const missing: string[] = [];
  let total = 0;
  for (const { name, content } of entries) {
    const bytes = await bytesOf(services, content);
    if (bytes === null) missing.push(name);
    else files.push([name, bytes]);
    total += bytes?.length ?? 0;
    if (total > EXPORT_BYTES_MAX) throw tooLarge(detail.generation.id);
  }
  const rows = Buffer.from(`${JSON.stringify(rowsOf(detail, missing), null, 2)}\n`);
  files.push(['generation.json', rows], ['README.md', Buffer.from(readme(detail))]);
  return await archive(files, detail.generation.startedAtMs);
}

function tooLarge(id: string): ApiProblem {
  return new ApiProblem('bad-request', `${id} is over ${EXPORT_BYTES_MAX} bytes: read its objects`);
}

async function bytesOf({ store }: Services, content: Entry['content']): Promise<Uint8Array | null> {
  if (typeof content === 'string') return Buffer.from(content);
  try {
    return await store.get(content.digest);
  } catch (error) {
    // What was cleaned up is told, and the rest is worth having.
    if (error instanceof StoreError && error.code === 'missing') return null;
    throw error;
  }
}

async function inputEntries(services: Services, { generation }: GenerationDetail) {
  const entries: Entry[] = [];
  const add = (name: string, digest: string | null) => {
    if (digest !== null) entries.push({ name, content: { digest } });
  };
  add('rules.bin', generation.configuration);
  add('plan.json', generation.plan);
  add('inputs.json', generation.inputs);
  const bytes =
    generation.inputs === null ? null : await bytesOf(services, { digest: generation.inputs });
  if (bytes === null) return entries;
  const { corpus, profile, specialization } = inputsSchema.parse(
    JSON.parse(Buffer.from(bytes).toString('utf8')),
  );
  add('spec.rs', specialization.spec.digest);
  add('seed.rs', specialization.seed.digest);
  add('profile.json', profile.digest);
  if (generation.org === FLEET) return [...entries, ...(await fleetEntries(services, corpus))];
  add('corpus/fit.rtc', corpus.fit.digest);
  add('corpus/check.rtc', corpus.check.digest);
  return entries;
}

const fleetSchema = z.object({
  members: z.array(z.object({ rules: z.string(), corpus: z.string() })),
});

/** Of the fleet: the renamed rules and messages of each organization. */
async function fleetEntries(services: Services, corpus: z.output<typeof inputsSchema>['corpus']) {
  const entries: Entry[] = [];
  for (const part of ['fit', 'check'] as const) {
    const bytes = await bytesOf(services, corpus[part]);
    const text = bytes === null ? '{"members":[]}' : Buffer.from(bytes).toString('utf8');
    for (const [index, member] of fleetSchema.parse(JSON.parse(text)).members.entries()) {
      const name = `corpus/${part}/${index}`;
      entries.push({ name: `${name}.rtc`, content: { digest: member.corpus } });
      entries.push({ name: `${name}.rules.bin`, content: { digest: member.rules } });
    }
  }
  return entries;
}

function candidateEntries(row: CandidateRow): Entry[] {
  const folder = `candidates/c${row.slot}`;
  const evidence = row.verdicts.map(({ gate, evidence: digest }) => [`evidence/${gate}`, digest]);
  const parts: (readonly [string, string | null | undefined])[] = [
    ['aggregate.rs', row.source],
    ['component.wasm', row.module],
    ['benchmark.json', row.benchmark],
    ['prompt', row.prompt],
    ['transcript', row.transcript],
    ...(evidence as [string, string | null | undefined][]),
  ];
  return parts.flatMap(([name, digest]) =>
    digest == null ? [] : [{ name: `${folder}/${name}`, content: { digest } }],
  );
}

/** `…/c1/a2` is the second attempt in slot 1. */
function attemptEntries({ id, source, transcript }: AttemptInput): Entry[] {
  const folder = `attempts/${id.split('/').slice(-2).join('.')}`;
  const parts = [
    ['aggregate.rs', source],
    ['transcript', transcript],
  ] as const;
  return parts.flatMap(([name, digest]) =>
    digest == null ? [] : [{ name: `${folder}/${name}`, content: { digest } }],
  );
}

/** Sources of the parents and inspirations, each once. */
function relativeEntries({ records }: Services, { candidates }: GenerationDetail): Entry[] {
  const ids = candidates.flatMap(({ parent, inspirations }) => [
    ...(parent === null ? [] : [parent]),
    ...inspirations.map(({ id }) => id),
  ]);
  return [...new Set(ids)].sort().flatMap((id) => {
    const row = records.candidate(id);
    if (row === null) return [];
    const name = `relatives/${id.replaceAll('/', '.')}.rs`;
    return [{ name, content: { digest: row.source } }];
  });
}

function rowsOf(detail: GenerationDetail, missing: string[]) {
  return {
    generation: showGeneration(detail.generation),
    candidates: detail.candidates.map(showCandidate),
    attempts: detail.attempts,
    random: { before: detail.generation.random, after: detail.generation.randomAfter },
    /** What rows refer to and the store no longer has. */
    missing,
  };
}

function readme({ generation, candidates }: GenerationDetail): string {
  const [rules, corpus] =
    generation.org === FLEET
      ? ['corpus/fit/0.rules.bin', 'corpus/fit/0.rtc']
      : ['rules.bin', 'corpus/fit.rtc'];
  const modules = candidates
    .filter(({ module }) => module !== null)
    .map(({ slot }) => ` --module c${slot}=candidates/c${slot}/component.wasm`);
  return `# ${generation.id}: ${generation.outcome}

- \`generation.json\`: the generation, its candidates with the verdict of every gate, attempts
- \`inputs.json\`, \`plan.json\`: what it is run again from: parents, inspirations, random states
- \`rules.bin\`: the configuration ${generation.configuration}
- \`spec.rs\`, \`seed.rs\`: the configuration as constants, and the first form of its module
- \`corpus/\`: training messages; they hold the tenant's data, handle them so
- \`profile.json\`: what mutators are told of the traffic
- \`candidates/\`: source, component, benchmark, prompt, and the evidence of its gates
- \`attempts/\`: what was proposed and did not become a candidate, and the conversations
- \`relatives/\`: sources of parents and inspirations

Measure it again:

    aggregator bench --rules ${rules} --corpus ${corpus} --builtin baseline \\
      --reference baseline --seconds 10${modules.join('')}
`;
}

async function archive(files: [name: string, bytes: Uint8Array][], atMs: number) {
  const tar = pack();
  const chunks: Buffer[] = [];
  const gzip = tar.pipe(createGzip());
  const done = (async () => {
    for await (const chunk of gzip) chunks.push(chunk as Buffer);
  })();
  const sorted = [...files].sort(([left], [right]) => (left < right ? -1 : 1));
  for (const [name, bytes] of sorted) {
    tar.entry({ name, mtime: new Date(atMs), mode: 0o644 }, Buffer.from(bytes));
  }
  tar.finalize();
  await done;
  return Buffer.concat(chunks);
}
