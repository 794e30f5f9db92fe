/**
 * What must be true after every start:
 *
 *   acknowledged ⊆ pending or settled, recipient by recipient; bytes equal
 *   settled and on disk is never pending again; nobody is pending twice; a submission comes back whole or not at all
 *   and where nothing was reclaimed: checkpoint and tails = the logs read from their beginning
 */
import { createHash } from 'node:crypto'
import { inLog, logOf } from '../../src/model/submission.ts'
import { type Checksum, zlibChecksum } from '../../src/spool/layout.ts'
import { isFinal } from '../../src/model/outcome.ts'
import { QueueTable, scanSpool } from '../../src/spool/scan.ts'
import { dumpSpool, fsckSpool, readSubmission } from '../../src/spool/spool.ts'
import { domainOf } from '../../src/standards/address.ts'
import type { SimulatedDisk } from '../support/simulated-disk.ts'
import type { SpoolRig } from '../support/spool-rig.ts'

export interface Recipient {
  readonly address: string
  /** The outcome was appended; it may be forgotten by the crash. */
  settled: boolean
  /** The outcome was on disk before the crash. */
  settledForGood: boolean
}

export interface Sent {
  readonly sha256: string
  readonly recipients: readonly Recipient[]
  acknowledged: boolean
}

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

export class Ledger {
  /** By public id. */
  readonly sent = new Map<string, Sent>()
  /** Public ids by number. */
  readonly ids = new Map<number, string>()
  #unsure: Recipient[] = []
  /** The first file of the outcome log, at the last start. */
  #outcomesFrom: string | undefined = ''

  get acknowledged(): number {
    return [...this.sent.values()].filter(({ acknowledged }) => acknowledged).length
  }

  settle(number: number, recipient: number): void {
    const settled = this.sent.get(this.ids.get(number) ?? '')?.recipients[recipient]
    if (settled === undefined) throw new Error(`nobody sent message ${number} to its recipient ${recipient}`)
    settled.settled = true
    this.#unsure.push(settled)
  }

  outcomesAreOnDisk(): void {
    for (const recipient of this.#unsure) recipient.settledForGood = true
    this.#unsure = []
  }

  check(rig: SpoolRig): void {
    this.#unsure = []
    const contents = new Map<string, string>()
    const ended = new Set<string>()
    dumpSpool(rig.disk, ({ number, submission, content, outcomes }) => {
      this.ids.set(number, submission.id)
      for (const { recipients } of outcomes)
        for (const { recipient, outcome } of recipients)
          if (isFinal(outcome.kind)) ended.add(`${submission.id} ${recipient}`)
      contents.set(submission.id, content === null ? 'gone' : sha256(content))
    })
    const pending = this.#pending(rig)
    const outcomesFrom = rig.disk.list('spool/outcome-0')[0]
    const outcomesKept = outcomesFrom === this.#outcomesFrom
    this.#outcomesFrom = outcomesFrom
    for (const [id, message] of this.sent) {
      const stored = contents.get(id)
      const here = message.recipients.some((_, recipient) => pending.has(`${id} ${recipient}`))
      // Chunks may go before their record once nobody waits for it.
      if (stored !== undefined && stored !== message.sha256 && (stored !== 'gone' || here))
        throw new Error(`message ${id} came back altered`)
      // Whoever was never told may see it come back; from now on it is there.
      message.acknowledged ||= here
      for (const [i, recipient] of message.recipients.entries()) {
        const waits = pending.has(`${id} ${i}`)
        if (message.acknowledged && !recipient.settled && !waits)
          throw new Error(`acknowledged message ${id} is forgotten for ${recipient.address}`)
        if (recipient.settledForGood && waits)
          throw new Error(`settled message ${id} is pending again for ${recipient.address}`)
        const ends = waits || recipient.settledForGood || ended.has(`${id} ${i}`)
        if (outcomesKept && stored !== undefined && recipient.settled && !ends)
          throw new Error(`message ${id} is forgotten for ${recipient.address}: no log tells its end`)
        if (waits && stored === undefined) throw new Error(`acknowledged message ${id} is lost`)
        // The crash has forgotten the outcome, or it has not: from now on that stands.
        recipient.settledForGood = recipient.settled &&= !waits
      }
    }
    for (const id of contents.keys()) if (!this.sent.has(id)) throw new Error(`message ${id} was never sent`)
    checkFiles(rig)
  }

  #pending(rig: SpoolRig): Set<string> {
    const pending = new Set<string>()
    for (const row of rig.queue.rows) {
      const id = this.ids.get(row.number)
      if (id === undefined) throw new Error(`the record of pending message ${row.number} is gone`)
      const key = `${id} ${row.recipient}`
      if (pending.has(key)) throw new Error('a recipient is pending twice')
      pending.add(key)
      const address = this.sent.get(id)?.recipients[row.recipient]?.address
      if (address === undefined) throw new Error(`message ${id} has a recipient ${row.recipient} that nobody named`)
      if (domainOf(address) !== rig.queue.domainOf(row)) throw new Error(`${address} waits for another domain`)
    }
    return pending
  }

  /** Whoever delivers reads the record where the slot says that it is. */
  async readBack(rig: SpoolRig, number: number, place: number): Promise<void> {
    const { records } = rig.spool
    const read = async (at: number): Promise<Buffer> => {
      const view = records.fromWindow(at, number) ?? (await records.fromFile(at, number))
      return Buffer.from(view.bytes.subarray(view.at, view.at + view.payloadBytes))
    }
    const payload = await read(place)
    const { id, chunks, inlineOffset, inlineBytes } = readSubmission(payload, 0)
    if (id !== this.ids.get(number)) throw new Error(`the slot of message ${number} points to another one`)
    const parts: Buffer[] = []
    for (const { position } of chunks) parts.push(await read(inLog(logOf(place), position)))
    const content = Buffer.concat([...parts, payload.subarray(inlineOffset, inlineOffset + inlineBytes)])
    if (sha256(content) !== this.sent.get(id)?.sha256) throw new Error(`message ${id} would be sent altered`)
  }
}

function checkFiles(rig: SpoolRig): void {
  const report = fsckSpool(rig.disk)
  if (report.clean) return
  const { damagedSubmissions, logs } = report
  const damage = logs.map(({ log, damage: found, brokenFiles }) => ({ log, found, brokenFiles }))
  throw new Error(`fsck: ${JSON.stringify({ damagedSubmissions, damage })}`)
}

/** The same recipients, with the same attempts behind and the same time before them. */
export function compareWithRebuild(disk: SimulatedDisk, checksum: Checksum = zlibChecksum): void {
  if (disk.list('spool').length === 0) return
  const tables = [false, true].map((everything) => {
    const table = new QueueTable()
    scanSpool({ disk, checksum, sink: table, everything })
    return [...table.rows.values()]
      .flat()
      .map(
        (row) =>
          `${row.number} ${row.recipient} ${row.attempts} ${row.nextAttemptAtMs} ${row.mayBeDuplicate} ${row.acceptedAtMs} ${row.bytes}`,
      )
      .sort()
      .join('\n')
  })
  if (tables[0] !== tables[1]) throw new Error(`the checkpoint says\n${tables[0]}\nand all logs say\n${tables[1]}`)
}
