/** What all commands share: their surroundings, their arguments, and how they answer. */
import { InvalidArgumentError } from 'commander';
import { FLEET } from '../../workflows/level.ts';
import { isOrganizationName } from '../configuration/index.ts';
import type { ApiClient } from './client.ts';
import * as print from './print.ts';

/** What a command needs from the process around it. */
export interface Context {
  /** Made when a command runs, so that `--help` needs no address and no token. */
  client(): Promise<ApiClient>;
  json(): boolean;
  write(line: string): void;
  readInput(): Promise<string>;
}

export function emit(context: Context, value: unknown, lines: () => readonly string[]): void {
  if (context.json()) context.write(JSON.stringify(value));
  else for (const line of lines()) context.write(print.plain(line));
}

export function pathOf(org: string, rest?: string): string {
  return `/v1/organizations/${org}${rest === undefined ? '' : `/${rest}`}`;
}

/** An organization, or the fleet, which most commands are for alike. */
export function organization(value: string): string {
  return value === FLEET ? value : tenant(value);
}

export function tenant(value: string): string {
  if (isOrganizationName(value)) return value;
  throw new InvalidArgumentError('an organization is [a-z0-9-]{1,63}, and not "fleet"');
}

export function whole(low: number, high: number = Number.MAX_SAFE_INTEGER) {
  return (value: string): number => {
    const number = Number(value);
    if (/^\d+$/.test(value) && number >= low && number <= high) return number;
    throw new InvalidArgumentError(`it must be a whole number from ${low} to ${high}`);
  };
}

export function decimal(value: string): number {
  const number = Number(value);
  if (value.trim() !== '' && number >= 1 && number <= 1_000_000) return number;
  throw new InvalidArgumentError('it must be a number from 1 to 1000000');
}

export function examples(...lines: string[]): string {
  return ['\nExamples:', ...lines.map((line) => `  ${line}`)].join('\n');
}

export function money(value: string): number {
  const number = Number(value);
  if (value.trim() !== '' && number >= 0 && number <= 1_000_000) return number;
  throw new InvalidArgumentError('it must be an amount of dollars from 0 to 1000000');
}
