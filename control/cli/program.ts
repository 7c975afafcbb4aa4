/** The commands of `ratchet`; each is one request to the API and what is printed of the answer. */
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Budget, RerunReply, RollbackReply } from '../../workflows/messages.ts';
import { isOrganizationName } from '../configuration/index.ts';
import type { ApiClient } from './client.ts';
import { UsageError } from './endpoint.ts';
import * as print from './print.ts';

/** What a command needs from the process around it. */
export interface Context {
  /** Made when a command runs, so that `--help` needs no address and no token. */
  client(): Promise<ApiClient>;
  json(): boolean;
  write(line: string): void;
  readInput(): Promise<string>;
}

export const exitCodesHelp = `
Exit status:
  0  done
  1  the API refused the request, or failed
  2  the command line is wrong
  3  the token is not known, or does not allow this
  4  the organization, generation or version is not known
  5  the API cannot be reached, or a service that it needs is away
`;

export function addCommands(program: Command, context: Context): void {
  addStatus(program, context);
  addConfigure(program, context);
  addEvolve(program, context);
  addGenerations(program, context);
  addRerun(program, context);
  addRollback(program, context);
  addPause(program, context);
  addBudget(program, context);
  addEvents(program, context);
}

function addStatus(program: Command, context: Context): void {
  program
    .command('status')
    .description('where one organization, or each of them, stands')
    .argument('[org]', 'organization', organization)
    .addHelpText('after', examples('ratchet status', 'ratchet status acme --json'))
    .action(async (org?: string) => {
      const client = await context.client();
      const read = (name: string) => client.json<print.OrganizationView>('GET', pathOf(name));
      if (org !== undefined) {
        const view = await read(org);
        return emit(context, view, () => print.organizationLines(view));
      }
      const list = await client.json<{ organizations: string[] }>('GET', '/v1/organizations');
      const views: print.OrganizationView[] = [];
      for (const name of list.organizations) views.push(await read(name));
      emit(context, { organizations: views }, () =>
        print.table([print.organizationHead, ...views.map(print.organizationRow)]),
      );
    });
}

interface Configured {
  digest: string;
  effective_from_ms: number;
  rules: number;
  changed: boolean;
  changes: print.RuleChange[];
}

function addConfigure(program: Command, context: Context): void {
  program
    .command('configure')
    .description('put an organization’s rules in force at the next window boundary')
    .argument('<org>', 'organization', organization)
    .argument('[file]', 'YAML or JSON; "-" reads standard input (default: orgs/<org>.yaml)')
    .addHelpText(
      'after',
      examples(
        'ratchet configure acme',
        'ratchet configure acme rules.yaml',
        'cat r.yaml | ratchet configure acme -',
      ),
    )
    .action(async (org: string, file = `orgs/${org}.yaml`) => {
      const text = file === '-' ? await context.readInput() : await readText(file);
      const mediaType = file.endsWith('.json') ? 'application/json' : 'application/yaml';
      const client = await context.client();
      const reply = await client.json<Configured>('PUT', pathOf(org, 'configuration'), {
        body: { text, mediaType },
      });
      const digest = reply.digest.slice(0, 16);
      const from = print.time(reply.effective_from_ms);
      const what = reply.changed ? `in force from ${from}` : `in force already, since ${from}`;
      const line = `${org}: ${reply.rules} rules (${digest}) ${what}`;
      emit(context, reply, () => [line, ...print.changes(reply.changes)]);
    });
}

function addEvolve(program: Command, context: Context): void {
  const command = program
    .command('evolve')
    .description('start evolving, with a fresh count against the budget')
    .argument('<org>', 'organization', organization);
  withBudget(command)
    .addHelpText('after', examples('ratchet evolve acme', 'ratchet evolve acme --generations 10'))
    .action(async (org: string, options: BudgetOptions) => {
      const budget = budgetOf(options);
      const body = Object.keys(budget).length === 0 ? {} : { budget };
      const client = await context.client();
      const reply = await client.json<{ next_generation: number; budget: Budget }>(
        'POST',
        pathOf(org, 'evolutions'),
        { body },
      );
      const line = `${org}: generation ${reply.next_generation} is next`;
      emit(context, reply, () => [`${line}; budget: ${print.budgetLine(reply.budget)}`]);
    });
}

function addGenerations(program: Command, context: Context): void {
  const group = program.command('generations').description('past and running generations');
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

function addRerun(program: Command, context: Context): void {
  program
    .command('rerun')
    .description('run a generation again from its stored inputs')
    .argument('<org>', 'organization', organization)
    .argument('<generation>', 'its number', whole(1, 999_999_999))
    .addHelpText('after', examples('ratchet rerun acme 3'))
    .action(async (org: string, number: number) => {
      const client = await context.client();
      const path = pathOf(org, `generations/${number}/rerun`);
      const reply = await client.json<RerunReply>('POST', path, { body: {} });
      emit(context, reply, () => [`${org}: re-run ${reply.rerun} is ${reply.workflow_id}`]);
    });
}

interface RollbackOptions {
  to?: number;
  toBaseline?: boolean;
  reason?: string;
}

function addRollback(program: Command, context: Context): void {
  program
    .command('rollback')
    .description('serve an earlier module again, and pause')
    .argument('<org>', 'organization', organization)
    .option('--to <version>', 'a version promoted earlier (default: the one before)', whole(1))
    .addOption(new Option('--to-baseline', 'what serves without a tenant module').conflicts('to'))
    .option('--reason <text>', 'why; kept in the workflow')
    .addHelpText('after', examples('ratchet rollback acme', 'ratchet rollback acme --to 4'))
    .action(async (org: string, options: RollbackOptions) => {
      const body = { version: options.to, to_baseline: options.toBaseline, reason: options.reason };
      const client = await context.client();
      const reply = await client.json<RollbackReply>('POST', pathOf(org, 'rollback'), { body });
      const module = reply.module === null ? 'the baseline' : `module ${reply.module.slice(0, 16)}`;
      const line = `${org}: version ${reply.version} serves ${module}; evolving is paused`;
      emit(context, reply, () => [line]);
    });
}

function addPause(program: Command, context: Context): void {
  program
    .command('pause')
    .description('start no new generation')
    .argument('<org>', 'organization', organization)
    .option('--reason <text>', 'why; shown in the status')
    .option('--cancel-running', 'cancel the generation under way')
    .addHelpText('after', examples('ratchet pause acme --reason "release freeze"'))
    .action(async (org: string, options: { reason?: string; cancelRunning?: boolean }) => {
      const body = { reason: options.reason, cancel_running: options.cancelRunning };
      const client = await context.client();
      const reply = await client.json<object>('POST', pathOf(org, 'pause'), { body });
      emit(context, reply, () => [`${org}: paused`]);
    });
  program
    .command('resume')
    .description('go on after a pause or a rollback')
    .argument('<org>', 'organization', organization)
    .addHelpText('after', examples('ratchet resume acme'))
    .action(async (org: string) => {
      const client = await context.client();
      const reply = await client.json<object>('POST', pathOf(org, 'resume'), { body: {} });
      emit(context, reply, () => [`${org}: resumed`]);
    });
}

function addBudget(program: Command, context: Context): void {
  const command = program
    .command('budget')
    .description('change parts of an organization’s budget')
    .argument('<org>', 'organization', organization);
  withBudget(command)
    .addHelpText('after', examples('ratchet budget acme --generations 20 --target-ratio 3'))
    .action(async (org: string, options: BudgetOptions) => {
      const body = budgetOf(options);
      if (Object.keys(body).length === 0) throw new UsageError('name at least one part to change');
      const client = await context.client();
      const reply = await client.json<{ budget: Budget }>('PUT', pathOf(org, 'budget'), { body });
      emit(context, reply, () => [`${org}: ${print.budgetLine(reply.budget)}`]);
    });
}

interface EventsPage {
  events: print.EventView[];
  next: number | null;
}

function addEvents(program: Command, context: Context): void {
  program
    .command('events')
    .description('what happened in the aggregators: configured, swapped, refused, demoted …')
    .argument('<org>', 'organization', organization)
    .option('--since <seconds>', 'how far to look back', whole(1, 604_800), 3_600)
    .option('--limit <n>', 'events at most', whole(1, 500), 100)
    .option('--follow', 'go on until interrupted; with --json one object a line')
    .addHelpText('after', examples('ratchet events acme', 'ratchet events acme --follow'))
    .action(async (org: string, options: { since: number; limit: number; follow?: boolean }) => {
      const client = await context.client();
      const read = (after: number | null) =>
        client.json<EventsPage>('GET', pathOf(org, 'events'), {
          query: { since_s: options.since, limit: options.limit, after: after ?? undefined },
        });
      const page = await read(null);
      if (options.follow !== true)
        return emit(context, page, () => page.events.map(print.eventLine));
      await follow(context, page, read);
    });
}

async function follow(
  context: Context,
  first: EventsPage,
  read: (after: number | null) => Promise<EventsPage>,
): Promise<never> {
  for (let page = first; ; page = await read(page.next)) {
    for (const event of page.events) emit(context, event, () => [print.eventLine(event)]);
    if (page.events.length === 0) await sleep(1_000);
  }
}

interface BudgetOptions {
  generations?: number;
  seconds?: number;
  stagnation?: number;
  targetRatio?: number;
}

function withBudget(command: Command): Command {
  return command
    .option('--generations <n>', 'generations at most', whole(1, 10_000))
    .option('--seconds <s>', 'seconds at most', whole(1, 31_536_000))
    .option('--stagnation <n>', 'generations in a row without a promotion', whole(1, 10_000))
    .option('--target-ratio <x>', 'enough when this fast, against the baseline', decimal);
}

function budgetOf(options: BudgetOptions): Partial<Budget> {
  const { targetRatio, ...rest } = options;
  return { ...rest, ...(targetRatio === undefined ? {} : { target_ratio: targetRatio }) };
}

function emit(context: Context, value: unknown, lines: () => readonly string[]): void {
  if (context.json()) context.write(JSON.stringify(value));
  else for (const line of lines()) context.write(print.plain(line));
}

function pathOf(org: string, rest?: string): string {
  return `/v1/organizations/${org}${rest === undefined ? '' : `/${rest}`}`;
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function organization(value: string): string {
  if (isOrganizationName(value)) return value;
  throw new InvalidArgumentError('an organization is [a-z0-9-]{1,63}, and not "fleet"');
}

function whole(low: number, high: number = Number.MAX_SAFE_INTEGER) {
  return (value: string): number => {
    const number = Number(value);
    if (/^\d+$/.test(value) && number >= low && number <= high) return number;
    throw new InvalidArgumentError(`it must be a whole number from ${low} to ${high}`);
  };
}

function decimal(value: string): number {
  const number = Number(value);
  if (value.trim() !== '' && number >= 1 && number <= 1_000_000) return number;
  throw new InvalidArgumentError('it must be a number from 1 to 1000000');
}

function examples(...lines: string[]): string {
  return ['\nExamples:', ...lines.map((line) => `  ${line}`)].join('\n');
}
