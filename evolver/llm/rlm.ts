/**
 * The exploring arm: the model writes programs that read the repository, the history and the
 * archive, ask smaller models, and submit. Cells that ran before a crash are told from the journal;
 * they run again, against the host's recorded answers, only when a new cell needs their variables.
 */
import type Anthropic from '@anthropic-ai/sdk';
import type { ProposalRequest } from '../mutator.ts';
import type { Conversation } from './conversation.ts';
import { fenced } from './fence.ts';
import { Host, type Sources, SubmissionRefused } from './host.ts';
import type { Journal } from './journal.ts';
import { explorationPrompt } from './material.ts';
import { assistantTurn, none, type Outcome, PROPOSALS_MAX } from './outcome.ts';
import { type CellResult, HostError, Interpreter } from './repl/interpreter.ts';
import type { LlmSettings, Model } from './settings.ts';
import { repairRequest } from './single.ts';
import { type Answer, type Message, type ToolCall, type ToolResult, toolCalls } from './wire.ts';

export interface ExplorationContext {
  model: Model;
  settings: LlmSettings;
  system: string;
  sources: Sources;
  journal: Journal;
}

const TOOL: Anthropic.Tool = {
  name: 'repl_exec',
  description:
    'Runs JavaScript in an interpreter that keeps its variables. Answers what the cell printed ' +
    'and the value of its last expression.',
  input_schema: {
    type: 'object',
    properties: { code: { type: 'string', description: 'the cell' } },
    required: ['code'],
    additionalProperties: false,
  },
};
const CODE_CHARS = 64 * 1024;
const CELLS_PER_TURN = 4;
const NUDGES_MAX = 2;
const NUDGE = 'Go on with `repl_exec`; the work ends with a call of `submit` in a cell.';

/** What a cell did, as the journal keeps it. */
interface CellRecord extends CellResult {
  code: string;
  submitted: { source: string; summary: string; kind: 'diff' | 'full' } | null;
  /** Why the last submission in it was refused. */
  refused: string | null;
  subCalls: number;
}

export async function explore(
  talk: Conversation,
  request: ProposalRequest,
  context: ExplorationContext,
): Promise<Outcome> {
  const exploration = new Exploration(talk, request, context);
  try {
    return await exploration.run();
  } finally {
    exploration.close();
  }
}

class Exploration {
  readonly #talk: Conversation;
  readonly #request: ProposalRequest;
  readonly #context: ExplorationContext;
  readonly #host: Host;
  readonly #interpreter: Interpreter;
  /** Cells that were told from the journal and whose variables are not there yet. */
  #behind: { place: string; record: CellRecord }[] = [];
  #place = '0.0';
  #calls = 0;
  #turn = 0;
  /** Whether the cell under way is not in the journal: a crash may have cut it off before. */
  #isNew = false;
  #refused: string | null = null;
  #last = 'nothing was submitted';

  constructor(talk: Conversation, request: ProposalRequest, context: ExplorationContext) {
    this.#talk = talk;
    this.#request = request;
    this.#context = context;
    const { settings, sources } = context;
    const state = {
      turnsLeft: () => settings.exploration.turns - this.#turn - 1,
      place: () => this.#place,
    };
    this.#host = new Host(request, talk, { sources, settings, state });
    this.#interpreter = new Interpreter(settings.exploration, (name, args) =>
      this.#recorded(name, args),
    );
  }

  close(): void {
    this.#interpreter.close();
  }

  async run(): Promise<Outcome> {
    const { model, settings, system } = this.#context;
    const failures = this.#request.dialogue?.failures ?? [];
    const seed = this.#talk.seed;
    const prompt = await this.#talk.prompt(() => explorationPrompt(this.#request).render(seed));
    const messages: Message[] = [{ role: 'user', content: prompt }];
    let nudges = 0;
    for (this.#turn = 0; this.#turn < settings.exploration.turns; this.#turn++) {
      const answer = await this.#talk.ask({
        turn: `${this.#turn}`,
        model,
        maxTokens: settings.outputTokens,
        system,
        tools: [TOOL],
        messages,
      });
      if (answer.refusal !== null) return none(`declined: ${answer.refusal}`);
      const said = assistantTurn(answer);
      if (said === null) return none(`no answer: ${answer.stopReason}`);
      const { results, submitted } = await this.#runCells(answer);
      if (results.length === 0 && ++nudges > NUDGES_MAX) return none(this.#last);
      const content: Anthropic.ContentBlockParam[] = [...results];
      if (submitted !== null) {
        const failure = failures[this.#talk.attempt];
        if (failure === undefined) return { ...submitted, kind: 'proposed', patch: submitted.kind };
        this.#last = await this.#talk.failure(failure);
        this.#talk.attempt += 1;
        if (this.#talk.attempt >= PROPOSALS_MAX) return none(this.#last);
        content.push({ type: 'text', text: repairRequest(this.#last, `${seed}/${this.#turn}`) });
      } else if (results.length === 0) content.push({ type: 'text', text: NUDGE });
      messages.push(said, { role: 'user', content });
    }
    return none(`${this.#last}; ${settings.exploration.turns} turns are used up`);
  }

  async #runCells(answer: Answer) {
    const results: ToolResult[] = [];
    let submitted: CellRecord['submitted'] = null;
    for (const [index, call] of toolCalls(answer).entries()) {
      const refusal = refusalOf(call, index, answer);
      const over = submitted === null ? refusal : 'not run: a proposal was submitted before it';
      if (over !== null) {
        results.push(result(call, over, true));
        continue;
      }
      const { code } = call.input as { code: string };
      const record = await this.#cell(`${this.#turn}.${index}`, code);
      submitted = record.submitted;
      if (record.refused !== null) this.#last = record.refused;
      const seed = `${this.#talk.seed}/${this.#turn}.${index}`;
      const limit = this.#context.settings.exploration.outputChars + 200;
      const text = fenced('output of the cell', record.output, limit, seed);
      results.push(result(call, text, !record.ok));
    }
    return { results, submitted };
  }

  /** A cell by its record, or run now and recorded. */
  async #cell(place: string, code: string): Promise<CellRecord> {
    const { journal } = this.#context;
    const told = journal.told(this.#talk.id, `cell/${place}`);
    if (told !== null) {
      const record = JSON.parse(told) as CellRecord;
      if (record.code === code) {
        this.#host.countSubCalls(record.subCalls);
        // A process that ended took all variables with it.
        if (record.lost) this.#behind = [];
        else this.#behind.push({ place, record });
        return record;
      }
    }
    await this.#catchUp();
    const text = await journal.once(this.#talk.id, `cell/${place}`, async () =>
      JSON.stringify(await this.#live(place, code)),
    );
    return JSON.parse(text) as CellRecord;
  }

  async #catchUp(): Promise<void> {
    const behind = this.#behind;
    this.#behind = [];
    for (const { place, record } of behind) await this.#exec(place, record.code);
    this.#host.submitted = null;
  }

  async #live(place: string, code: string): Promise<CellRecord> {
    this.#host.submitted = null;
    this.#refused = null;
    const before = this.#host.subCalls;
    this.#isNew = true;
    const cell = await this.#exec(place, code);
    this.#isNew = false;
    const accepted = this.#host.submitted as Host['submitted'];
    const submitted =
      accepted === null
        ? null
        : { source: accepted.source, summary: accepted.summary, kind: accepted.kind };
    const subCalls = this.#host.subCalls - before;
    return { ...cell, code, submitted, refused: this.#refused, subCalls };
  }

  #exec(place: string, code: string): Promise<CellResult> {
    this.#place = place;
    this.#calls = 0;
    return this.#interpreter.run(code);
  }

  /**
   * What the host answers to the n-th call of a cell is the same whenever the cell runs again. A
   * submission is judged again instead: it depends on nothing else, and has to be noted.
   */
  async #recorded(name: string, args: unknown[]): Promise<unknown> {
    const place = `host/${this.#place}/${this.#calls++}`;
    if (this.#calls > CALLS_PER_CELL) throw new HostError(`more than ${CALLS_PER_CELL} calls`);
    const { journal } = this.#context;
    const before = name === 'submit' ? null : journal.told(this.#talk.id, place);
    const told = before === null ? await this.#answer(name, args) : (JSON.parse(before) as Told);
    if (before === null && name !== 'submit') {
      await journal.once(this.#talk.id, place, async () => JSON.stringify(told));
    } else if ('ok' in told && this.#isNew) this.#host.countSubCalls(subCallsOf(name, args));
    if ('error' in told) throw new HostError(told.error);
    return told.ok;
  }

  async #answer(name: string, args: unknown[]): Promise<Told> {
    try {
      return { ok: (await this.#host.call(name, args)) ?? null };
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      if (error instanceof SubmissionRefused) this.#refused = error.message;
      return { error: error.message };
    }
  }
}

/** What the host answered, as the journal keeps it. */
type Told = { ok: unknown } | { error: string };

const CALLS_PER_CELL = 200;

function subCallsOf(name: string, args: unknown[]): number {
  if (name === 'llm') return 1;
  return name === 'llmBatch' && Array.isArray(args[0]) ? args[0].length : 0;
}

function refusalOf(call: ToolCall, index: number, { malformed }: Answer): string | null {
  if (call.name !== TOOL.name) return `there is no tool ${call.name.slice(0, 50)}`;
  if (malformed.includes(call.id)) return 'the input is not valid JSON';
  if (index >= CELLS_PER_TURN) return `not run: at most ${CELLS_PER_TURN} cells a turn`;
  const { code } = call.input as { code?: unknown };
  if (typeof code !== 'string') return 'the input has no text `code`';
  if (code.length > CODE_CHARS) return `the cell has more than ${CODE_CHARS} characters`;
  return null;
}

function result(call: ToolCall, content: string, is_error: boolean): ToolResult {
  return { type: 'tool_result', tool_use_id: call.id, content, ...(is_error && { is_error }) };
}
