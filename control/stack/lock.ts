import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { hasCode, isMissing, StackError } from './errors.ts';
import { isSameProcess, processIdentity } from './identity.ts';

const holder = z.object({ pid: z.number().int().positive(), identity: z.string() });
const content = z.object({
  owner: holder,
  services: z.array(holder.extend({ name: z.string() })),
});
type Content = z.infer<typeof content>;

/** Held while a stack uses a state directory; it also names the processes of that stack. */
export interface StateLock {
  /** Records a process, so that a later stack finds it should this one die without a stop. */
  add(name: string, pid: number): void;
  remove(name: string): void;
  release(): void;
}

/**
 * Takes the lock of a state directory. A lock whose owner is gone is taken over, and the
 * processes that it left behind are stopped first (and reported).
 */
export async function lockState(
  stateDir: string,
  report: (line: string) => void,
): Promise<StateLock> {
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  const file = join(stateDir, 'stack.lock');
  for (let attempt = 0; attempt < 3; attempt += 1) {
    if (create(file)) return held(file);
    await clearStale(file, stateDir, report);
  }
  throw new StackError(`the lock ${file} changes under us; is another stack starting?`);
}

function create(file: string): boolean {
  try {
    const descriptor = openSync(file, 'wx', 0o600);
    writeFileSync(descriptor, JSON.stringify(own([])));
    closeSync(descriptor);
    return true;
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    throw error;
  }
}

function own(services: Content['services']): Content {
  return { owner: { pid: process.pid, identity: processIdentity(process.pid) ?? '' }, services };
}

async function clearStale(
  file: string,
  stateDir: string,
  report: (line: string) => void,
): Promise<void> {
  const found = await read(file);
  if (found === null) return;
  if (isSameProcess(found.owner.pid, found.owner.identity)) {
    throw new StackError(
      `${stateDir} is in use by the stack of process ${found.owner.pid}; stop that one first, ` +
        'or choose another directory with RATCHET_STATE',
    );
  }
  for (const service of found.services) await stopLeftover(service, report);
  const aside = `${file}.${process.pid}.stale`;
  try {
    renameSync(file, aside);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  rmSync(aside, { force: true });
}

/** Null: the lock is gone. A lock that is being written is read again; a broken one is stale. */
async function read(file: string): Promise<Content | null> {
  for (let attempt = 0; attempt < 5; attempt += 1) {
    try {
      const parsed = content.safeParse(JSON.parse(readFileSync(file, 'utf8')));
      if (parsed.success) return parsed.data;
    } catch (error) {
      if (isMissing(error)) return null;
    }
    await sleep(50);
  }
  return { owner: { pid: process.pid, identity: 'unreadable' }, services: [] };
}

async function stopLeftover(
  service: Content['services'][number],
  report: (line: string) => void,
): Promise<void> {
  const alive = () => isSameProcess(service.pid, service.identity);
  if (!alive()) return;
  report(`stopping ${service.name} (process ${service.pid}), left by a stack that died`);
  signalGroup(service.pid, 'SIGTERM');
  for (let waited = 0; waited < 10_000 && alive(); waited += 100) await sleep(100);
  if (alive()) signalGroup(service.pid, 'SIGKILL');
  for (let waited = 0; waited < 2_000 && alive(); waited += 50) await sleep(50);
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if (!hasCode(error, 'ESRCH')) throw error;
  }
}

function held(file: string): StateLock {
  let services: Content['services'] = [];
  const save = () => {
    const next = `${file}.${process.pid}.next`;
    writeFileSync(next, JSON.stringify(own(services)), { mode: 0o600 });
    renameSync(next, file);
  };
  return {
    add(name, pid) {
      services = [...services, { name, pid, identity: processIdentity(pid) ?? '' }];
      save();
    },
    remove(name) {
      services = services.filter((service) => service.name !== name);
      save();
    },
    release: () => rmSync(file, { force: true }),
  };
}
