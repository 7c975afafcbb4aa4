import type { Operator } from '../operator.ts';
import { isFitted } from './group.ts';

const SMALL_MESSAGE = 16_384;

/** Which bytes of the message are read: a read costs about as much as copying a few kilobytes. */
export const pull: Operator = {
  name: 'pull',
  about: 'reading columns',
  plain: 'all',
  options: ({ profile }) => {
    const small = profile.bytes.median <= SMALL_MESSAGE;
    return [
      { value: 'all', prior: small ? 6 : 2 },
      { value: 'rest', prior: 1 },
      { value: 'needed', prior: small ? 2 : 5 },
    ];
  },
  matters: (genes) => !isFitted(genes),
};
