/** Where the live view goes: a table redrawn in place on a terminal, plain lines elsewhere. */
import type { OrganizationModel } from './model.ts';
import { renderLine, renderTable } from './view.ts';

export interface Screen {
  /** A line that stays. */
  say(line: string): void;
  /** The present state; called about once a second. */
  show(models: readonly OrganizationModel[]): void;
}

const PLAIN_EVERY_MS = 10_000;

export function openScreen(out: NodeJS.WriteStream): Screen {
  return out.isTTY ? terminal(out) : plain(out);
}

function terminal(out: NodeJS.WriteStream): Screen {
  let drawn = 0;
  const erase = () => {
    if (drawn > 0) out.write(`\x1b[${drawn}A\x1b[J`);
    drawn = 0;
  };
  return {
    say(line) {
      erase();
      out.write(`${line}\n`);
    },
    show(models) {
      erase();
      const lines = renderTable(models).map((line) => line.slice(0, (out.columns ?? 120) - 1));
      out.write(`${lines.join('\n')}\n`);
      drawn = lines.length;
    },
  };
}

function plain(out: NodeJS.WriteStream): Screen {
  let last = Number.NEGATIVE_INFINITY;
  return {
    say: (line) => out.write(`${line}\n`),
    show(models) {
      if (performance.now() - last < PLAIN_EVERY_MS) return;
      last = performance.now();
      out.write(`${models.map(renderLine).join('\n')}\n`);
    },
  };
}
