/** `ratchet`: parses, runs one command, prints, and says with its exit status how it went. */
import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { Command, CommanderError } from 'commander';
import type { Environment } from '../config.ts';
import { ApiClient, ProblemError, UnreachableError } from './client.ts';
import { type EndpointOptions, findEndpoint, UsageError } from './endpoint.ts';
import { plain, problemLines } from './print.ts';
import { addCommands, exitCodesHelp } from './program.ts';

export interface Surroundings {
  environment: Environment;
  directory: string;
  writeOut(text: string): void;
  writeError(text: string): void;
  readInput(): Promise<string>;
}

export const exitCodes = {
  done: 0,
  failed: 1,
  usage: 2,
  denied: 3,
  unknown: 4,
  unreachable: 5,
} as const;

/** Runs one command line (without node and the script) and answers the exit status. */
export async function run(args: readonly string[], around: Surroundings): Promise<number> {
  const program = new Command('ratchet');
  const options = () => program.opts<EndpointOptions & { json?: boolean }>();
  configure(program, around);
  addCommands(program, {
    client: async () =>
      new ApiClient(await findEndpoint(options(), around.environment, around.directory)),
    json: () => options().json ?? false,
    write: (line) => around.writeOut(`${line}\n`),
    readInput: around.readInput,
  });
  for (const command of allCommands(program)) command.copyInheritedSettings(program);
  try {
    await program.parseAsync([...args], { from: 'user' });
    return exitCodes.done;
  } catch (error) {
    return report(error, around, options().json ?? false);
  }
}

export async function main(): Promise<void> {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(exitCodes.done);
  });
  process.exitCode = await run(process.argv.slice(2), {
    environment: process.env,
    directory: process.cwd(),
    writeOut: (line) => process.stdout.write(line),
    writeError: (line) => process.stderr.write(line),
    readInput: () => text(process.stdin),
  });
}

function configure(program: Command, around: Surroundings): void {
  program
    .description('Configure organizations, and watch and steer the evolution of their modules.')
    .option('--api <url>', 'address of the API (else RATCHET_API, else .ratchet/cli.json)')
    .option('--token <token>', 'bearer token (else RATCHET_TOKEN, else .ratchet/cli.json)')
    .option('--json', 'print the answer as one line of JSON')
    .option('--version', 'print the version')
    .exitOverride()
    .showHelpAfterError('(--help tells more)')
    .configureOutput({ writeOut: around.writeOut, writeErr: around.writeError })
    .addHelpText('after', exitCodesHelp);
  program.on('option:version', () => {
    throw new VersionAsked();
  });
}

class VersionAsked extends Error {}

function allCommands(command: Command): Command[] {
  return command.commands.flatMap((each) => [each, ...allCommands(each)]);
}

async function report(error: unknown, around: Surroundings, json: boolean): Promise<number> {
  if (error instanceof VersionAsked) {
    around.writeOut(`${await version()}\n`);
    return exitCodes.done;
  }
  if (error instanceof CommanderError) {
    return error.exitCode === 0 ? exitCodes.done : exitCodes.usage;
  }
  if (error instanceof ProblemError) {
    const { document } = error;
    const lines = json ? [JSON.stringify(document)] : problemLines(document).map(plain);
    for (const line of lines) around.writeError(`${line}\n`);
    return statusCode(document.status);
  }
  const message = error instanceof Error ? error.message : String(error);
  around.writeError(`${plain(message)}\n`);
  if (error instanceof UsageError) return exitCodes.usage;
  return error instanceof UnreachableError ? exitCodes.unreachable : exitCodes.failed;
}

function statusCode(status: number): number {
  if (status === 401 || status === 403) return exitCodes.denied;
  if (status === 404) return exitCodes.unknown;
  return status === 503 || status === 504 ? exitCodes.unreachable : exitCodes.failed;
}

async function version(): Promise<string> {
  const file = new URL('../../package.json', import.meta.url);
  return (JSON.parse(await readFile(file, 'utf8')) as { version: string }).version;
}
