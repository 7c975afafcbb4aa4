/**
 * One conversation with a model: every call booked before it is made, every question and answer
 * kept by digest. Taken up again, it gets the answers that it got before, and pays only for new
 * ones.
 */
import { type ModelClient, PaidFault } from './client.ts';
import { BudgetSpent } from './faults.ts';
import type { CallKey, CallRow, Charge, Journal, Limits } from './journal.ts';
import { costOf, promptTokens, type Usage, worstCost } from './prices.ts';
import type { Model } from './settings.ts';
import type { Answer, Message, Question } from './wire.ts';

/** The claim-check store, as far as it is needed here. */
export interface Documents {
  put(text: string, mediaType: string): Promise<{ digest: string }>;
  getText(digest: string): Promise<string>;
}

export interface ConversationDeps {
  client: Pick<ModelClient, 'ask'>;
  journal: Journal;
  documents: Documents;
  /** Money, and tokens of the conversation. */
  limits: Limits & { tokens: number };
}

interface Turn {
  turn: string;
  question: string;
  usage: Usage;
}

export interface Asked extends Omit<Question, 'model' | 'effort'> {
  turn: string;
  model: Model;
}

/** A token is at least a byte; the API adds some of its own around tools and messages. */
const OVERHEAD_TOKENS = 1_000;

const JSON_TYPE = 'application/json';

/** Which conversation it is. */
export interface Who {
  id: string;
  org: string;
  /** The conversation that it repeats: that one's answers count as long as the questions agree. */
  repeats?: string;
}

export class Conversation {
  readonly id: string;
  /** Where its questions take what is drawn from: that of the conversation that it repeats. */
  readonly seed: string;
  readonly #org: string;
  readonly #repeats: string | null;
  readonly #deps: ConversationDeps;
  readonly #signal: AbortSignal | undefined;
  readonly #turns: Turn[] = [];
  /** Which proposal of the conversation is being made: to it calls are charged. */
  attempt = 0;

  constructor(deps: ConversationDeps, { id, org, repeats }: Who, signal?: AbortSignal) {
    this.#deps = deps;
    this.id = id;
    this.seed = repeats ?? id;
    this.#org = org;
    this.#repeats = repeats ?? null;
    this.#signal = signal;
  }

  /** The first question, as it was asked before. */
  async prompt(make: () => string): Promise<string> {
    const { journal } = this.#deps;
    return await journal.once(this.id, 'prompt', async () => this.#before('prompt') ?? make());
  }

  /** Why this proposal failed, as it was told before: times differ whenever they are taken. */
  async failure(text: string): Promise<string> {
    const place = `failure ${this.attempt}`;
    return await this.#deps.journal.once(this.id, place, async () => {
      const before = this.#before(place);
      return before !== null && checkOf(before) === checkOf(text) ? before : text;
    });
  }

  /** Answers; throws `BudgetSpent` where the call could cost more than is left. */
  async ask(asked: Asked): Promise<Answer> {
    const { journal, documents } = this.#deps;
    const { model, turn, ...rest } = asked;
    const question = { model: model.id, effort: model.effort, ...rest };
    const key: CallKey = {
      conversation: this.id,
      turn,
      attempt: this.attempt,
      org: this.#org,
      model: model.id,
      question: await this.#keep(question),
    };
    if (this.#repeats !== null) journal.recall(key, this.#repeats);
    const before = journal.answered(key);
    if (before !== null) {
      const answer = JSON.parse(await documents.getText(before.answer)) as Answer;
      this.#turns.push({ ...key, usage: answer.usage });
      return answer;
    }
    const answer = await this.#pay(key, model, question);
    const kept = await documents.put(JSON.stringify(answer), JSON_TYPE);
    journal.settle(key, kept.digest, answer.usage, costOf(model, answer.usage));
    this.#turns.push({ ...key, usage: answer.usage });
    return answer;
  }

  /** Every call up to this proposal, also those that were made before a crash. */
  get calls(): CallRow[] {
    const calls = this.#deps.journal.calls(this.id);
    return calls.filter(({ attempt }) => attempt <= this.attempt);
  }

  charge(attempt = this.attempt): Charge {
    return this.#deps.journal.charge(this.id, attempt);
  }

  /** What is left for this conversation, in micro-dollars. */
  left(): number {
    const { journal, limits } = this.#deps;
    const attempts = Array.from({ length: this.attempt + 1 }, (_, each) => each);
    const mine = attempts.reduce((sum, each) => sum + this.charge(each).microUsd, 0);
    const all = limits.organization - journal.spent(this.#org);
    return Math.max(0, Math.min(limits.proposal - mine, all));
  }

  #before(place: string): string | null {
    return this.#repeats === null ? null : this.#deps.journal.told(this.#repeats, place);
  }

  async #pay(key: CallKey, model: Model, question: Question): Promise<Answer> {
    const { client, journal, limits } = this.#deps;
    const prompt = this.#boundOf(question);
    const worst = worstCost(model, prompt, question.maxTokens);
    this.#checkTokens(prompt + question.maxTokens);
    let booked = false;
    const beforeTry = (paid: boolean) => {
      if (booked) journal.release(key, paid);
      booked = false;
      journal.reserve(key, worst, limits);
      booked = true;
    };
    try {
      return await client.ask(question, beforeTry, this.#signal);
    } catch (error) {
      // A call that was cut off stays booked: whether it is billed, nobody knows.
      const unknown = this.#signal?.aborted === true;
      if (booked && !unknown) journal.release(key, error instanceof PaidFault && error.paid);
      throw error;
    }
  }

  #checkTokens(next: number): void {
    const { tokens } = this.#deps.limits;
    const attempts = Array.from({ length: this.attempt + 1 }, (_, each) => this.charge(each));
    const used = attempts.reduce((sum, each) => sum + each.tokensIn + each.tokensOut, 0);
    if (used + next <= tokens) return;
    throw new BudgetSpent(`of ${tokens} tokens ${used} are used, the next call may take ${next}`);
  }

  /**
   * Tokens of the prompt at most. Where the conversation goes on from an answer, the API has told
   * how many tokens came before; only what is new is bounded by its bytes.
   */
  #boundOf({ system, tools, messages }: Question): number {
    const all = bytesOf([system, tools, messages]) + OVERHEAD_TOKENS;
    const last = this.#turns.findLast(({ turn }) => !turn.includes('/s'));
    const answered = messages.findLastIndex(({ role }) => role === 'assistant');
    if (last === undefined || answered === -1) return all;
    const since = bytesOf(messages.slice(answered + 1));
    return Math.min(all, promptTokens(last.usage) + last.usage.output + since + OVERHEAD_TOKENS);
  }

  /** Long parts repeat from question to question: each is kept once. */
  async #keep({ system, tools, messages, ...head }: Question): Promise<string> {
    const { documents } = this.#deps;
    const put = async (part: unknown) =>
      (await documents.put(JSON.stringify(part), JSON_TYPE)).digest;
    const document = {
      schema: 1,
      ...head,
      system: await put(system),
      tools: await put(tools),
      messages: await Promise.all(messages.map((message: Message) => put(message))),
    };
    return await put(document);
  }
}

/** Gate and verdict of a failure. */
function checkOf(failure: string): string {
  return failure.split(': ', 2).join();
}

function bytesOf(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value));
}
