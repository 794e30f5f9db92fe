/**
 * Grants and reports as bytes, for the rings between the scheduler's thread and those that deliver. Both ends are this program, so nothing is checked.
 *
 *   site    1 | u32 id | JSON                                        once per thread, and again when it has changed
 *   grant   2 | source? | u16 recipients | u32 site | f64 id, behind, number, place | u32 each recipient | source
 *   stop    3 | f64 deadlineMs
 *
 *   report  4 | u8 flags (1: reused connection, 2: DSN passed on) | u16 recipients | u16 outcomes | f64 id, started, connected, envelope, finished | host, address, source, tls
 *             | each outcome: u8 kind, scope, stage | u16 code | enhanced, text | u8 outcome of each recipient
 *   over    5                                                        everything was reported, nothing more comes
 */
import { invariant } from '../kernel/assert.ts'
import { KiB } from '../kernel/units.ts'
import type { Grant } from '../model/grant.ts'
import {
  type Attempt,
  type DialogueStage,
  type Outcome,
  type OutcomeKind,
  type OutcomeScope,
  dialogueStages,
  outcomeKinds,
  outcomeScopes,
} from '../model/outcome.ts'
import type { Site } from '../model/site.ts'

const reusedFlag = 1
const dsnPassedOnFlag = 2

export const wireKinds = { site: 1, grant: 2, stop: 3, report: 4, over: 5 } as const

/** 100 recipients with an outcome of 512 characters each are 55 KB. */
const scratchBytes = 128 * KiB

/** Each call returns how many bytes of `bytes` are the message, which the next call overwrites. */
export class WireWriter {
  readonly bytes = Buffer.alloc(scratchBytes)
  readonly #distinct: Outcome[] = []

  site(site: Site): number {
    const { bytes } = this
    bytes[0] = wireKinds.site
    bytes.writeUInt32LE(site.id, 1)
    const json = JSON.stringify(site)
    invariant(json.length * 3 < scratchBytes - 5, 'a site has few hosts')
    return 5 + bytes.write(json, 5, 'utf8')
  }

  /** @param behind id of the grant on whose connection this one may follow; 0: none */
  grant(grant: Grant, behind: number): number {
    const { bytes } = this
    const { recipients, source } = grant
    bytes[0] = wireKinds.grant
    bytes[1] = source === null ? 0 : 1
    bytes.writeUInt16LE(recipients.length, 2)
    bytes.writeUInt32LE(grant.site.id, 4)
    bytes.writeDoubleLE(grant.id, 8)
    bytes.writeDoubleLE(behind, 16)
    bytes.writeDoubleLE(grant.number, 24)
    bytes.writeDoubleLE(grant.place, 32)
    let at = 40
    for (let i = 0; i < recipients.length; i++, at += 4) bytes.writeUInt32LE(recipients[i] as number, at)
    return source === null ? at : this.#text(source, at)
  }

  stop(deadlineMs: number): number {
    this.bytes[0] = wireKinds.stop
    this.bytes.writeDoubleLE(deadlineMs, 1)
    return 9
  }

  report(grantId: number, outcomes: readonly Outcome[], attempt: Attempt): number {
    const { bytes } = this
    bytes[0] = wireKinds.report
    bytes[1] = (attempt.reusedConnection ? reusedFlag : 0) | (attempt.dsnPassedOn === true ? dsnPassedOnFlag : 0)
    bytes.writeUInt16LE(outcomes.length, 2)
    bytes.writeDoubleLE(grantId, 6)
    bytes.writeDoubleLE(attempt.startedAtMs, 14)
    bytes.writeDoubleLE(attempt.connectedMs, 22)
    bytes.writeDoubleLE(attempt.envelopeMs, 30)
    bytes.writeDoubleLE(attempt.finishedMs, 38)
    let at = this.#text(attempt.host, 46)
    at = this.#text(attempt.address, at)
    at = this.#text(attempt.source, at)
    at = this.#text(attempt.tls, at)
    // Recipients that one reply answered share its outcome.
    const distinct = this.#distinct
    distinct.length = 0
    for (const outcome of outcomes) {
      if (distinct.includes(outcome)) continue
      distinct.push(outcome)
      at = this.#outcome(outcome, at)
    }
    bytes.writeUInt16LE(distinct.length, 4)
    for (const outcome of outcomes) bytes[at++] = distinct.indexOf(outcome)
    return at
  }

  over(): number {
    this.bytes[0] = wireKinds.over
    return 1
  }

  #outcome(outcome: Outcome, at: number): number {
    const { bytes } = this
    bytes[at] = outcomeKinds.indexOf(outcome.kind)
    bytes[at + 1] = outcomeScopes.indexOf(outcome.scope)
    bytes[at + 2] = dialogueStages.indexOf(outcome.stage)
    bytes.writeUInt16LE(outcome.code, at + 3)
    return this.#text(outcome.text, this.#text(outcome.enhanced, at + 5))
  }

  #text(text: string, at: number): number {
    const length = this.bytes.write(text, at + 2, 'utf8')
    this.bytes.writeUInt16LE(length, at)
    return at + 2 + length
  }
}

export function readSite(bytes: Buffer, at: number, length: number): Site {
  return JSON.parse(bytes.toString('utf8', at + 5, at + length)) as Site
}

/** Without the slots: they mean nothing outside the scheduler. */
export function readGrant(
  bytes: Buffer,
  at: number,
  siteOf: (id: number) => Site,
): { readonly grant: Grant; readonly behind: number } {
  const recipients: number[] = []
  const recipientsEnd = at + 40 + 4 * bytes.readUInt16LE(at + 2)
  for (let i = at + 40; i < recipientsEnd; i += 4) recipients.push(bytes.readUInt32LE(i))
  const grant = {
    id: bytes.readDoubleLE(at + 8),
    site: siteOf(bytes.readUInt32LE(at + 4)),
    source: bytes[at + 1] === 0 ? null : textAt(bytes, recipientsEnd),
    number: bytes.readDoubleLE(at + 24),
    place: bytes.readDoubleLE(at + 32),
    recipients,
    slots: [],
  }
  return { grant, behind: bytes.readDoubleLE(at + 16) }
}

export const readStop = (bytes: Buffer, at: number): number => bytes.readDoubleLE(at + 1)

export interface WireReport {
  readonly grantId: number
  readonly outcomes: readonly Outcome[]
  readonly attempt: Attempt
}

export function readReport(bytes: Buffer, start: number): WireReport {
  const recipients = bytes.readUInt16LE(start + 2)
  const distinct: Outcome[] = []
  const texts: string[] = []
  let at = start + 46
  for (let i = 0; i < 4; i++, at += 2 + bytes.readUInt16LE(at)) texts.push(textAt(bytes, at))
  for (let i = bytes.readUInt16LE(start + 4); i > 0; i--) {
    const textStart = at + 7 + bytes.readUInt16LE(at + 5)
    distinct.push({
      kind: outcomeKinds[bytes[at] as number] as OutcomeKind,
      scope: outcomeScopes[bytes[at + 1] as number] as OutcomeScope,
      stage: dialogueStages[bytes[at + 2] as number] as DialogueStage,
      code: bytes.readUInt16LE(at + 3),
      enhanced: textAt(bytes, at + 5),
      text: textAt(bytes, textStart),
    })
    at = textStart + 2 + bytes.readUInt16LE(textStart)
  }
  const outcomes: Outcome[] = []
  for (let i = 0; i < recipients; i++) outcomes.push(distinct[bytes[at + i] as number] as Outcome)
  const flags = bytes[start + 1] as number
  return {
    grantId: bytes.readDoubleLE(start + 6),
    outcomes,
    attempt: {
      startedAtMs: bytes.readDoubleLE(start + 14),
      host: texts[0] as string,
      address: texts[1] as string,
      source: texts[2] as string,
      tls: texts[3] as string,
      reusedConnection: (flags & reusedFlag) !== 0,
      connectedMs: bytes.readDoubleLE(start + 22),
      envelopeMs: bytes.readDoubleLE(start + 30),
      finishedMs: bytes.readDoubleLE(start + 38),
      ...((flags & dsnPassedOnFlag) !== 0 && { dsnPassedOn: true }),
    },
  }
}

function textAt(bytes: Buffer, at: number): string {
  const length = bytes.readUInt16LE(at)
  // Nearly everything in a report is ASCII, and mostly one of few words.
  return length === 0 ? '' : bytes.toString('utf8', at + 2, at + 2 + length)
}
