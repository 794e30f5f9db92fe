/** One SMTP session without a socket: what it sends and asks of its connection is kept to be looked at. */
import type { SmtpConfig } from '../../src/config/compiled.ts'
import { newIntakeCounters } from '../../src/intake/intake.ts'
import { Deadlines } from '../../src/intake/smtp/deadlines.ts'
import { LoginGuard } from '../../src/intake/smtp/login-guard.ts'
import { SessionMemory } from '../../src/intake/smtp/memory.ts'
import type { SmtpServer } from '../../src/intake/smtp/server.ts'
import { type Link, Session } from '../../src/intake/smtp/session.ts'
import { VirtualClock } from '../../src/kernel/clock.ts'
import { noQuotas } from '../../src/ports/quotas.ts'
import { MemorySubmissions } from './memory-submissions.ts'
import { smallSmtpConfig } from './smtp-rig.ts'

class MemoryLink implements Link {
  sent = ''
  /** How many bytes each write brought. */
  readonly writes: number[] = []
  ended = false
  paused = false
  /** The peer fetches its replies. */
  fetches = true
  send(replies: string): boolean {
    this.sent += replies
    this.writes.push(replies.length)
    return this.fetches
  }
  pause(): void {
    this.paused = true
  }
  resume(): void {
    this.paused = false
  }
  whenRead(then: () => void): void {
    then()
  }
  startTls(): void {}
  end(): void {
    this.ended = true
  }
  destroy(): void {
    this.ended = true
  }
  /** Codes of the replies since last asked: "250 2.0.0", "354". */
  take(): string[] {
    const lines = this.sent.split('\r\n').filter((line) => /^\d{3} /.test(line))
    this.sent = ''
    return lines.map((line) => /^\d{3}(?: \d\.\d\.\d)?(?= |$)/.exec(line)?.[0] ?? line)
  }
}

interface SessionAndLink {
  readonly session: Session
  readonly link: MemoryLink
}

export interface SessionRig {
  readonly server: SmtpServer
  readonly clock: VirtualClock
  readonly spool: MemorySubmissions
  /** A session before its greeting. */
  connect(): SessionAndLink
  /** A session that has been greeted. */
  open(): SessionAndLink
}

/** Commits wait for `spool.settle()`. Everybody is a known client. */
export function sessionRig(options: Partial<SmtpConfig> = {}): SessionRig {
  const clock = new VirtualClock()
  const spool = new MemorySubmissions()
  spool.holdCommits = true
  const client = { tenant: 'acme', how: 'test' }
  const config = { ...smallSmtpConfig, ...options }
  const server: SmtpServer = {
    config,
    hostname: 'mail.example.test',
    submissions: spool,
    clients: {
      knowsNetwork: () => true,
      bySource: () => client,
      byLogin: () => null,
      byKey: () => null,
      isCurrent: () => true,
      stream: () => null,
      maySendAs: () => true,
    },
    quotas: noQuotas,
    store: null,
    clock,
    guard: new LoginGuard(clock),
    deadlines: new Deadlines(clock),
    memory: new SessionMemory(config.connectionsMax),
    counters: newIntakeCounters(),
    log: () => {},
    draining: false,
  }
  const peer = { address: '127.0.0.1', network: '127.0.0.1', loopback: true }
  const connect = (): SessionAndLink => {
    const link = new MemoryLink()
    return { session: new Session(server, peer, link, 'none'), link }
  }
  const open = (): SessionAndLink => {
    const connected = connect()
    clock.advance(10)
    return connected
  }
  return { server, clock, spool, connect, open }
}
