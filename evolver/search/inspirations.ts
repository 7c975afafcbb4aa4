/** Inspirations of a proposal: the best of the archive, then those whose code differs most. */
import { codeDistance, type Featured } from './features.ts';

export type Role = 'top' | 'diverse';

export interface Inspired<Row> {
  role: Role;
  row: Row;
}

/**
 * `rows` are best first. A diverse one is the farthest from the parent and from all chosen before
 * it; of equally far ones the better.
 */
export function chooseInspirations<Row extends Featured & { id: string }>(
  rows: readonly Row[],
  parent: Row | null,
  top: number,
  diverse: number,
): Inspired<Row>[] {
  const others = rows.filter(({ id }) => id !== parent?.id);
  const chosen: Inspired<Row>[] = others.slice(0, top).map((row) => ({ role: 'top', row }));
  const rest = others.slice(top);
  const near = parent === null ? [] : [parent];
  for (let count = 0; count < diverse && rest.length > 0; count++) {
    const seen = [...near, ...chosen.map(({ row }) => row)];
    const apart = rest.map((row) => Math.min(...seen.map((other) => codeDistance(row, other))));
    const [row] = rest.splice(apart.indexOf(Math.max(...apart)), 1);
    if (row !== undefined) chosen.push({ role: 'diverse', row });
  }
  return chosen;
}
