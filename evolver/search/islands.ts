/**
 * Islands: populations that draw their parents apart from each other, so that one early winner does
 * not become everybody's ancestor. A migrant is a copy: it becomes a member of another island too,
 * and its own row, parent and island stay what they were.
 */

export interface Islander {
  id: string;
  /** Where it was born. */
  island: number;
  /** The first form of a module belongs to every island. */
  mutator: string;
}

export interface Migrant {
  candidate: string;
  island: number;
}

/** Slots take the islands in turn. */
export function islandOf(slot: number, islands: number): number {
  return slot % Math.max(1, islands);
}

/** Those of `rows` that live on an island, in their order; all, when nobody does. */
export function membersOf<Row extends Islander>(
  rows: readonly Row[],
  island: number,
  islands: number,
  migrants: readonly Migrant[],
): Row[] {
  const here = new Set(migrants.filter((each) => each.island === island).map((m) => m.candidate));
  const members = rows.filter((row) => isNative(row, island, islands) || here.has(row.id));
  return members.length > 0 ? members : [...rows];
}

/** Of fewer islands than before, those that are gone are merged into the others. */
function isNative(row: Islander, island: number, islands: number): boolean {
  return row.mutator === 'specialise' || islandOf(row.island, islands) === island;
}

export function migrationDue(generation: number, every: number, islands: number): boolean {
  return islands > 1 && every > 0 && generation % every === 0;
}

/** Copies of each island's `count` best natives to the next island; `rows` are best first. */
export function migration(
  rows: readonly Islander[],
  islands: number,
  count: number,
  settled: readonly Migrant[],
): Migrant[] {
  const known = new Set(settled.map(({ candidate, island }) => `${island}/${candidate}`));
  return Array.from({ length: islands }, (_, island) => island).flatMap((island) => {
    const next = islandOf(island + 1, islands);
    const natives = rows.filter(
      (row) => row.mutator !== 'specialise' && islandOf(row.island, islands) === island,
    );
    return natives
      .slice(0, count)
      .map(({ id }) => ({ candidate: id, island: next }))
      .filter(({ candidate }) => !known.has(`${next}/${candidate}`));
  });
}

/**
 * The archive: of each island its share of the best, then the best of all until it is full. No
 * island is emptied by another's success.
 */
export function elitesOf<Row extends Islander>(
  rows: readonly Row[],
  size: number,
  islands: number,
  migrants: readonly Migrant[],
): Row[] {
  const share = Math.floor(size / Math.max(1, islands));
  const kept = new Set<string>();
  for (let island = 0; island < islands; island++) {
    const members = membersOf(rows, island, islands, migrants);
    for (const { id } of members.slice(0, share)) kept.add(id);
  }
  for (const { id } of rows) if (kept.size < size) kept.add(id);
  return rows.filter(({ id }) => kept.has(id));
}
