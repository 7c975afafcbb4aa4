/** The commands of `ratchet`; each is one request to the API and what is printed of the answer. */
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, Option } from 'commander';
import { FLEET } from '../../workflows/level.ts';
import type { Budget, RollbackReply } from '../../workflows/messages.ts';
import { ProblemError } from './client.ts';
import {
  type Context,
  decimal,
  emit,
  examples,
  money,
  organization,
  pathOf,
  tenant,
  whole,
} from './command.ts';
import { UsageError } from './endpoint.ts';
import { addGenerations } from './generations.ts';
import { addModules } from './modules.ts';
import * as print from './print.ts';

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
  addModules(program, context);
  addRollback(program, context);
  addPause(program, context);
  addBudget(program, context);
  addEvents(program, context);
}

function addStatus(program: Command, context: Context): void {
  program
    .command('status')
    .description('where one organization, each of them, or the fleet stands')
    .argument('[org]', 'organization, or fleet', organization)
    .addHelpText(
      'after',
      examples('ratchet status', 'ratchet status acme --json', 'ratchet status fleet'),
    )
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
      const fleet = await read(FLEET).catch(unlessForbidden);
      const rows = [...views, ...(fleet === null ? [] : [fleet])];
      emit(context, { organizations: views, fleet }, () =>
        print.table([print.organizationHead, ...rows.map(print.organizationRow)]),
      );
    });
}

/** Whoever has no token for all sees the own organization alone. */
function unlessForbidden(error: unknown): null {
  if (error instanceof ProblemError && error.document.status === 403) return null;
  throw error;
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
    .argument('<org>', 'organization', tenant)
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
  usd?: number;
  tokens?: number;
  evaluations?: number;
}

function withBudget(command: Command): Command {
  return command
    .option('--generations <n>', 'generations at most', whole(1, 10_000))
    .option('--seconds <s>', 'seconds at most', whole(1, 31_536_000))
    .option('--stagnation <n>', 'generations in a row without a promotion', whole(1, 10_000))
    .option('--target-ratio <x>', 'enough when this fast, against the baseline', decimal)
    .option('--usd <dollars>', 'dollars at most', money)
    .option('--tokens <n>', 'tokens at most', whole(0, 1_000_000_000_000))
    .option('--evaluations <n>', 'candidates at most', whole(1, 1_000_000));
}

function budgetOf(options: BudgetOptions): Partial<Budget> {
  const { targetRatio, ...rest } = options;
  return { ...rest, ...(targetRatio === undefined ? {} : { target_ratio: targetRatio }) };
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}
