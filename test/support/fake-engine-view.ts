/** An engine that only exists in tests: it says what it is told to say. */
import type { EngineStatus, EngineView, MessageView, SandboxMessage, SandboxQuery } from '../../src/admin/admin.ts'

export interface FakeEngine extends EngineView {
  /** Without reasons: ready again. */
  unready(...reasons: string[]): void
  readonly queries: SandboxQuery[]
  readonly raw: Buffer
}

export const statusExample: EngineStatus = {
  version: '0.1.0',
  hostname: 'mail.example.com',
  sandbox: false,
  uptimeMs: 273_600_000,
  state: 'degraded',
  reasons: ['the disk is nearly full'],
  rates: {
    acceptedPerSecond1m: 123.4,
    deliveredPerSecond1m: 1_118.6,
    deferredPerSecond1m: 0.25,
    bouncedPerSecond1m: 0,
  },
  totals: {
    accepted: 1_234_567,
    recipients: 1_300_000,
    delivered: 1_290_000,
    deferred: 9_000,
    bounced: 900,
    expired: 12,
    suppressed: 5,
    uncertain: 3,
    refused: 44,
  },
  queue: { messages: 9_088, ready: 40, deferred: 9_000, inFlight: 48, oldestMs: 7_200_000 },
  sites: [
    {
      name: 'mx.example.net:25',
      queued: 8_000,
      inFlight: 20,
      connections: 20,
      paused: false,
      lastReply: '421 4.7.0 slow\u001b[31m down',
    },
    { name: 'mx.example.org:25', queued: 1_000, inFlight: 0, connections: 0, paused: true, lastReply: null },
  ],
  connections: { smtpIn: 12, deliverActive: 20, deliverIdle: 3 },
  spool: {
    logs: [{ name: 'intake-0', segments: 4, bytes: 268_435_456, committedPosition: 4_096 }],
    freeBytes: 3_221_225_472,
    reserveBytes: 1_073_741_824,
    state: 'open',
  },
  store: { messages: 1_234, days: 3, bytes: 5_000_000, behindBytes: 0 },
  record: {
    notices: { due: 0, made: 12, withheld: 0, doubleBounces: 1 },
    accounting: { behindBytes: 5_000_000, problem: 'ENOSPC' },
  },
  threads: [{ name: 'scheduler', state: 'running', cpuPercent: 41.6, restarts: 0 }],
  setAside: 2,
}

const messageExample: MessageView = {
  id: 'known',
  tenant: 'app',
  from: 'app@example.com',
  acceptedAt: '2026-11-22T03:00:00Z',
  subject: 'Your invoice',
  sizeBytes: 12_345,
  client: '10.0.0.1 app.example.com',
  recipients: [
    {
      address: 'ann@example.net',
      state: 'deferred',
      nextAttemptAt: '2026-11-22T03:05:00Z',
      mayBeDuplicate: true,
      attempts: [
        {
          startedAt: '2026-11-22T03:00:01Z',
          outcome: 'deferred',
          stage: 'rcpt',
          code: 450,
          enhanced: '4.2.1',
          text: 'greylisted\u0007',
          host: 'mx.example.net',
          address: '192.0.2.1',
          source: '198.51.100.1',
          tls: 'TLSv1.3',
          reusedConnection: false,
          connectedMs: 12,
          envelopeMs: 40,
          finishedMs: 52.4,
        },
      ],
    },
    { address: 'bob@example.org', state: 'queued', nextAttemptAt: null, mayBeDuplicate: false, attempts: [] },
  ],
}

const captured: SandboxMessage = {
  id: 'c1',
  receivedAt: '2026-11-22T03:00:00Z',
  from: 'app@example.com',
  to: ['ann@example.net', 'bob@example.org'],
  subject: 'Hello',
  sizeBytes: 300,
  headers: [{ name: 'Subject', value: 'Hello' }],
  text: 'Hello Ann,\r\n\u001b]0;owned\u0007bye\r\n',
}

/** `more`: parts of an engine that are not played here. */
export function engineView(more: Pick<EngineView, 'directory' | 'sandboxCredentials'> = {}): FakeEngine {
  let reasons: string[] = []
  const queries: SandboxQuery[] = []
  const raw = Buffer.from('Subject: Hello\r\n\r\n\u0000\u00ff', 'latin1')
  return {
    ...more,
    queries,
    raw,
    unready: (...why) => void (reasons = why),
    health: () => ({ ready: reasons.length === 0, reasons }),
    status: async () => statusExample,
    async message(id) {
      if (id === 'broken') throw new Error('a secret of the store')
      if (id === 'expired') return { expired: true }
      return id === 'known' ? messageExample : null
    },
    metrics: async () => [
      {
        name: 'posthaste_accepted_total',
        help: 'Messages accepted.',
        type: 'counter',
        labels: { tenant: 'a' },
        value: 5,
      },
      {
        name: 'posthaste_accepted_total',
        help: 'Messages accepted.',
        type: 'counter',
        labels: { tenant: 'b"\n' },
        value: 7,
      },
      { name: 'posthaste_queue_recipients', help: 'Recipients waiting.', type: 'gauge', labels: {}, value: 3 },
    ],
    sandbox: {
      async list(query) {
        queries.push(query)
        return { messages: [captured], next: 'c1' }
      },
      message: async (id) => (id === 'c1' ? captured : null),
      raw: async (id) => (id === 'c1' ? raw : null),
    },
  }
}
