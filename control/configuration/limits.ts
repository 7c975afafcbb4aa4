/** Limits of a configuration; aggregator and guests enforce the same numbers on the blob. */
export const limits = {
  rules: 10_000,
  blobBytes: 4 * 1024 * 1024,
  textBytes: 200,
  groupKeys: 8,
  filterDepth: 16,
  filterLeaves: 64,
  filterValues: 1_024,
  filterCharacters: 16_384,
  windowMsMin: 1_000,
  windowMsMax: 3_600_000,
  /** As many partitions as an aggregator serves at most. */
  spread: 64,
} as const;

export const idPattern = /^[a-z0-9][a-z0-9._-]{0,99}$/;

/** Organization names; `fleet` is reserved for the module that serves everybody. */
export const organizationPattern = /^[a-z0-9-]{1,63}$/;

export function isOrganizationName(name: string): boolean {
  return organizationPattern.test(name) && name !== 'fleet';
}

/** Says what is wrong with a metric, key, value or prefix; `null` when nothing is. */
export function textProblem(text: string): string | null {
  if (/\p{Surrogate}/u.test(text)) return 'is not well-formed Unicode';
  const bytes = Buffer.byteLength(text, 'utf8');
  if (bytes >= 1 && bytes <= limits.textBytes) return null;
  if (bytes === 0) return 'must not be empty';
  return `has ${bytes} bytes, the limit is ${limits.textBytes}`;
}
