/** See `verus.mjs`. */
export const command: readonly string[];
