/** What a deliverer counts, for metrics. The caller hands the object in and reads it when it likes. */
export interface DeliverCounters {
  connectionsOpened: number
  connectionsReused: number
  tlsHandshakes: number
  tlsResumed: number
  /** STARTTLS was offered and failed, and plain text was used instead. */
  tlsFallbacks: number
  /** Transactions begun anew on a new connection, because the reused one had died. */
  transactionsRetried: number
  /** Replies whose enhanced code has another class than their basic code. */
  statusMismatches: number
}

export function createDeliverCounters(): DeliverCounters {
  return {
    connectionsOpened: 0,
    connectionsReused: 0,
    tlsHandshakes: 0,
    tlsResumed: 0,
    tlsFallbacks: 0,
    transactionsRetried: 0,
    statusMismatches: 0,
  }
}
