export type ArchiveErrorCode =
  /** the file is newer than the program, or a schema step is missing */
  | 'schema'
  /** the same id was written before with another meaning */
  | 'conflict'
  /** a row refers to one that does not exist */
  | 'missing';

/** A fault of the archive or its caller; never an expected answer. */
export class ArchiveError extends Error {
  readonly code: ArchiveErrorCode;

  constructor(code: ArchiveErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ArchiveError';
    this.code = code;
  }
}
