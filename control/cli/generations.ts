/** `ratchet generations …`: what was tried, and trying it again. */
import { writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { Option } from 'commander';
import type { RerunReply } from '../../workflows/messages.ts';
import { type Context, emit, examples, organization, pathOf, whole } from './command.ts';
import { UsageError } from './endpoint.ts';
import * as print from './print.ts';

export function addGenerations(program: Command, context: Context): void {
  const group = program.command('generations').description('past and running generations');
  addList(group, context);
  addShow(group, context);
  addRerun(group, context);
  addDiff(group, context);
  addExport(group, context);
}

function addList(group: Command, context: Context): void {
  group
    .command('list')
    .description('generations, newest first')
    .argument('<org>', 'organization', organization)
    .option('--limit <n>', 'how many', whole(1, 200), 20)
    .option('--cursor <cursor>', 'the page after an earlier one')
    .addHelpText('after', examples('ratchet generations list acme --limit 5'))
    .action(async (org: string, options: { limit: number; cursor?: string }) => {
      const client = await context.client();
      const page = await client.json<{ generations: print.GenerationView[]; next: string | null }>(
        'GET',
        pathOf(org, 'generations'),
        { query: { limit: options.limit, cursor: options.cursor } },
      );
      const more = page.next === null ? [] : [`more: --cursor ${page.next}`];
      emit(context, page, () => [...print.generationLines(page.generations), ...more]);
    });
}

function addShow(group: Command, context: Context): void {
  group
    .command('show')
    .description('one generation: its candidates and the verdict of every gate')
    .argument('<org>', 'organization', organization)
    .argument('<generation>', 'its number', whole(1, 999_999_999))
    .option('--rerun <k>', 'which attempt; 0 is the first', whole(0, 1_000_000), 0)
    .option('--source <slot>', 'print the source of this candidate instead', whole(0, 1_000))
    .addHelpText(
      'after',
      examples('ratchet generations show acme 3', 'ratchet generations show acme 3 --source 0'),
    )
    .action(async (org: string, number: number, options: { rerun: number; source?: number }) => {
      const client = await context.client();
      const path = pathOf(org, `generations/${number}`);
      const query = { rerun: options.rerun };
      const view = await client.json<print.GenerationDetail>('GET', path, { query });
      if (options.source === undefined) return emit(context, view, () => print.detailLines(view));
      const candidate = view.candidates.find((each) => each.slot === options.source);
      if (candidate === undefined) {
        throw new UsageError(`generation ${number} has no candidate in slot ${options.source}`);
      }
      const source = await client.text('GET', `${path}/objects/${candidate.source}`, { query });
      emit(context, { source }, () => [source.trimEnd()]);
    });
}

interface RerunOptions {
  from?: string;
  answers?: string;
}

function addRerun(group: Command, context: Context): void {
  group
    .command('rerun')
    .description('run a generation again from its stored inputs, or from a stage on')
    .argument('<org>', 'organization', organization)
    .argument('<generation>', 'its number', whole(1, 999_999_999))
    .addOption(
      new Option('--from <stage>', 'the first stage carried out anew (default: build)').choices([
        ...['sample', 'mutate', 'build', 'benchmark'],
      ]),
    )
    .addOption(
      new Option('--answers <which>', 'of models (default: recorded)').choices([
        ...['recorded', 'fresh'],
      ]),
    )
    .addHelpText(
      'after',
      [
        '\nRecorded answers are told as long as the questions are the same, and cost nothing;',
        'from `sample` on the traffic is another, and so are the questions.',
        examples(
          'ratchet generations rerun acme 3',
          'ratchet generations rerun acme 3 --from mutate',
        ),
      ].join('\n'),
    )
    .action(async (org: string, number: number, { from, answers }: RerunOptions) => {
      const client = await context.client();
      const path = pathOf(org, `generations/${number}/rerun`);
      const reply = await client.json<RerunReply>('POST', path, { body: { from, answers } });
      emit(context, reply, () => [`${org}: re-run ${reply.rerun} is ${reply.workflow_id}`]);
    });
}

interface DiffOptions {
  rerun: number;
  slot?: number;
  against?: number;
  againstSlot?: number;
}

function addDiff(group: Command, context: Context): void {
  group
    .command('diff')
    .description('what a candidate changed: against its parent, or another generation’s best')
    .argument('<org>', 'organization', organization)
    .argument('<generation>', 'its number', whole(1, 999_999_999))
    .option('--rerun <k>', 'which attempt; 0 is the first', whole(0, 1_000_000), 0)
    .option('--slot <slot>', 'which candidate (default: the promoted or fastest)', whole(0, 10_000))
    .option('--against <generation>', 'compare with this one', whole(1, 999_999_999))
    .option('--against-slot <slot>', 'and this candidate of it', whole(0, 10_000))
    .addHelpText(
      'after',
      examples('ratchet generations diff acme 3', 'ratchet generations diff acme 3 --against 2'),
    )
    .action(async (org: string, number: number, options: DiffOptions) => {
      const { againstSlot: against_slot, ...rest } = options;
      const client = await context.client();
      const path = pathOf(org, `generations/${number}/diff`);
      const diff = await client.text('GET', path, { query: { ...rest, against_slot } });
      const lines = diff === '' ? ['no difference'] : diff.trimEnd().split('\n');
      emit(context, { diff }, () => lines);
    });
}

function addExport(group: Command, context: Context): void {
  group
    .command('export')
    .description('everything about a generation in one tar.gz, training messages among it')
    .argument('<org>', 'organization', organization)
    .argument('<generation>', 'its number', whole(1, 999_999_999))
    .option('--rerun <k>', 'which attempt; 0 is the first', whole(0, 1_000_000), 0)
    .option('--output <file>', 'where to (default: <org>-<generation>.tar.gz)')
    .addHelpText('after', examples('ratchet generations export acme 3 --output acme-3.tar.gz'))
    .action(async (org: string, number: number, options: { rerun: number; output?: string }) => {
      const { rerun, output: file = `${org}-${number}.tar.gz` } = options;
      const client = await context.client();
      const path = pathOf(org, `generations/${number}/export`);
      const bytes = await client.bytes('GET', path, { query: { rerun } });
      await writeFile(file, bytes, { mode: 0o600 });
      emit(context, { file, bytes: bytes.length }, () => [`${file}: ${bytes.length} bytes`]);
    });
}
