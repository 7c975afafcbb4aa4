import type { Tools } from './find.mjs';

/** See `pins.mjs`. */
export const pins: Tools;
export function isPinned(version: string): boolean;
