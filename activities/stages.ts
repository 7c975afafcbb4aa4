/**
 * The record of stages: what a stage answered, under a key of the domain such as
 * `acme/gen/3/c1/build/<input digest>`. A stage that finished but could not report, because its
 * worker was killed, answers from the record instead of running again.
 */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { sha256 } from '../control/store/index.ts';

export interface StageRecord {
  schema: 1;
  key: string;
  /** How often the stage was begun; more than once only if it never finished before. */
  begun: number;
  /** How often it finished: 0 or 1. */
  finished: number;
  result: unknown;
}

export class StageRecords {
  private readonly directory: string;

  constructor(directory: string) {
    this.directory = directory;
  }

  /**
   * Runs a stage unless it has finished before; `valid` may refuse a recorded answer that lost its
   * bytes.
   */
  async once<Result>(
    key: string,
    run: () => Promise<Result>,
    valid: (result: Result) => Promise<boolean> = async () => true,
  ): Promise<Result> {
    const before = await this.read(key);
    if (before !== null && before.finished > 0 && (await valid(before.result as Result))) {
      return before.result as Result;
    }
    const begun = (before?.begun ?? 0) + 1;
    await this.write({ schema: 1, key, begun, finished: 0, result: null });
    const result = await run();
    await this.write({ schema: 1, key, begun, finished: 1, result });
    return result;
  }

  async read(key: string): Promise<StageRecord | null> {
    try {
      const record = JSON.parse(await readFile(this.file(key), 'utf8')) as StageRecord;
      return record.schema === 1 && record.key === key ? record : null;
    } catch (error) {
      // A record that is not there or not whole is as good as none: the stage runs.
      if (error instanceof SyntaxError) return null;
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    }
  }

  private async write(record: StageRecord): Promise<void> {
    const file = this.file(record.key);
    await mkdir(dirname(file), { recursive: true });
    const temporary = `${file}.${process.pid}.tmp`;
    await writeFile(temporary, JSON.stringify(record));
    await rename(temporary, file);
  }

  private file(key: string): string {
    const digest = sha256(key);
    return join(this.directory, digest.slice(0, 2), `${digest.slice(2)}.json`);
  }
}
