/** Where a record was written for the first time: what readers of the logs remember. */
export interface LogMark {
  /** Name of the log: "intake", "intake-3", "outcome". */
  readonly log: string
  /** In bytes from the log's beginning; rises from record to record, and is never given to another one. */
  readonly position: number
}

/** By name of the log, the last position that was taken. */
export type LogMarks = ReadonlyMap<string, number>
