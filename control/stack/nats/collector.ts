/**
 * When nats-server collects garbage. By default it does whenever its heap has doubled, which under
 * load is every few seconds: it marks the names of all messages of the last two minutes (by which
 * one that is sent again is known), and for some tenths of a second senders wait. Here it lets the
 * heap grow to five times, unless that would be a quarter of the machine's memory.
 * See https://go.dev/doc/gc-guide.
 */
import { totalmem } from 'node:os';

const GROWTH_PERCENT = 400;
const SHARE_OF_MEMORY = 1 / 4;
const MIB = 1024 ** 2;
/** Where this is more than the share, the server needs it all the same. */
const LEAST_MIB = 256;

/** Variables of the server's environment; what the caller's environment says counts. */
export function collectorEnvironment(
  { GOGC, GOMEMLIMIT }: NodeJS.ProcessEnv = process.env,
  memory = Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY),
): NodeJS.ProcessEnv {
  return {
    GOGC: GOGC ?? `${GROWTH_PERCENT}`,
    GOMEMLIMIT:
      GOMEMLIMIT ?? `${Math.max(LEAST_MIB, Math.floor((memory * SHARE_OF_MEMORY) / MIB))}MiB`,
  };
}
