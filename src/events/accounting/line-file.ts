/**
 * A file that lines are put to the end of, by a disk that may be slow, full or gone, while nobody waits for it.
 *
 *   add ─▶ waiting lines ─▶ file          write, fdatasync, save where it ends, forget those lines; rotate
 *
 * Lines are kept (waiting-lines.ts) until they are known to be on disk and their place was saved (file-end.ts). After any failure everything from there on is
 * written again, the same bytes to the same place: Linux reports a failed write-back once and forgets it, so what was written before it may be lost although
 * the next fdatasync succeeds. Nothing is cut off, because others may read along.
 *
 * One call to the disk at a time. What it does beside is told in rotated.ts.
 */
import { join } from 'node:path'
import { invariant, rethrowBug } from '../../kernel/assert.ts'
import type { Clock, Timer } from '../../kernel/clock.ts'
import { minuteMs, secondMs } from '../../kernel/units.ts'
import { type FileEnd, wholeLines, WrittenEnd } from './file-end.ts'
import { type AccountingFile, type AccountingFiles, writeAll } from './files.ts'
import { nextName } from './names.ts'
import { Trouble } from './trouble.ts'
import { WaitingLines } from './waiting-lines.ts'

/** Lines wait so long for company. */
const writeEveryMs = 100
const syncEveryMs = 1 * secondMs
const takeBackTries = 5
/** Looks whether the time to rotate has come although nothing is written. */
const lookEveryMs = 1 * minuteMs

export interface LineFileOptions<Token> {
  readonly directory: string
  /** "acct": of acct.json. */
  readonly base: string
  readonly clock: Clock
  readonly files: AccountingFiles
  readonly rotateBytes: number
  readonly rotateMs: number
  readonly waitingBytesMax: number
  /** Asked when a batch is closed: what stands for everything up to its end. */
  readonly token: () => Token
  /** Everything up to the token is on disk, and ends there. Null: nobody cares, and nothing is synced. */
  readonly save: ((end: FileEnd, upTo: Token) => Promise<void>) | null
  /** What stands in place of the file at the first opening is gone on with, even if it is not what `FileEnd` says. */
  readonly adopt: boolean
  /** After a rotation, when it was saved. */
  readonly onRotated: () => void
  readonly onProblem: (text: string) => void
}

export interface LineFileStart<Token> {
  readonly end: FileEnd
  /** The bytes that its check covers. */
  readonly tail: Buffer
  readonly upTo: Token
}

interface OpenFile {
  readonly handle: AccountingFile
  readonly inode: string
}

export class LineFile<Token> {
  onRoom: (() => void) | null = null
  readonly #options: LineFileOptions<Token>
  readonly #path: string
  #file: OpenFile | null = null
  /** A call to it has failed. */
  #inDoubt = false
  readonly #end: WrittenEnd
  readonly #waiting: WaitingLines<Token>
  #savedInode: string
  /** More is on disk than the state says. */
  #unsaved = false
  #takenBack = 0
  #anew = false
  #working = false
  #timer: Timer | null = null
  #syncedMs: number
  #isIdle = true
  #adopt: boolean
  #closing: (() => void) | null = null
  #closed = false
  bytesWritten = 0
  readonly trouble: Trouble

  constructor(options: LineFileOptions<Token>, { end, tail, upTo }: LineFileStart<Token>) {
    this.#options = options
    this.#path = join(options.directory, `${options.base}.json`)
    const meanwhile =
      options.save === null
        ? 'lines beyond what memory may hold are left out'
        : 'nothing is lost as long as the logs are kept'
    this.trouble = new Trouble(this.#path, options.clock, options.onProblem, meanwhile)
    this.#end = new WrittenEnd(end, tail)
    this.#waiting = new WaitingLines(options.waitingBytesMax, upTo, options.token)
    this.#savedInode = end.inode
    this.#adopt = options.adopt
    this.#syncedMs = options.clock.monotonicMs()
    this.#rearm()
  }

  /** Whole lines; what belongs together comes together. */
  add(lines: string): void {
    const isFull = this.#waiting.add(lines)
    if (this.#working) return
    if (isFull && this.trouble.retryMs === 0) this.#wake()
    else if (this.#isIdle) this.#rearm()
  }

  /** Nothing is to be written, but there is more to be said of what was. */
  touch(): void {
    this.#waiting.touch()
    if (!this.#working && this.#isIdle) this.#rearm()
  }

  /** Characters of the newest lines count as bytes. */
  get waitingBytes(): number {
    return this.#waiting.bytes
  }

  get crowded(): boolean {
    return this.#waiting.crowded
  }

  /** What comes from now on goes to a new file; nothing waits. `upTo` is saved with it. */
  beginAnew(upTo: Token): void {
    invariant(this.waitingBytes === 0, 'a file is begun anew before there are lines')
    this.#waiting.settledTo = upTo
    this.#anew = true
    this.#wake()
  }

  /** Settles when everything is on disk, or it fails, or the time is over; never rejects. */
  async close(deadlineMs: number): Promise<void> {
    if (this.#closed) return
    await new Promise<void>((resolve) => {
      const late = this.#options.clock.after(deadlineMs, resolve)
      this.#closing = () => {
        late.cancel()
        resolve()
      }
      this.trouble.retryMs = 0
      this.#wake()
    })
    this.#closed = true
    this.#timer?.cancel()
    this.trouble.answered()
    if (!this.#working) this.#leave()
  }

  // ── When ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────

  #wake(): void {
    if (this.#working || this.#closed) return
    this.#working = true
    this.#timer?.cancel()
    this.trouble.asked()
    void this.#work()
  }

  async #work(): Promise<void> {
    let failed = false
    try {
      await this.#step()
    } catch (error) {
      rethrowBug(error)
      failed = true
      this.#inDoubt = true
      this.trouble.failed(error as Error)
    }
    this.trouble.answered()
    this.#working = false
    if (this.#closed) return this.#leave()
    if (!failed) this.trouble.worked()
    this.#rearm()
    if (this.#closing === null) return
    if (failed || !this.#hasWork) this.#closing()
    else this.#wake()
  }

  #rearm(): void {
    if (this.#closed) return
    this.#timer?.cancel()
    this.#isIdle = !this.#hasWork
    const soonMs = this.#waiting.next === undefined ? writeEveryMs : 0
    const { retryMs } = this.trouble
    const delayMs = retryMs > 0 ? retryMs : this.#isIdle ? lookEveryMs : soonMs
    this.#timer = this.#options.clock.after(delayMs, () => this.#wake())
  }

  get #hasWork(): boolean {
    return !this.#waiting.empty || this.#unsaved
  }

  // ── What ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────

  async #step(): Promise<void> {
    if (this.#inDoubt) await this.#doubted()
    if (this.#anew) await this.#rotate()
    if (this.#file !== null && this.#waiting.written === 0 && !(await this.#isInPlace(this.#file))) this.#leave()
    const file = this.#file ?? (await this.#begin())
    this.#waiting.endBatch()
    for (let batch = this.#waiting.next; batch !== undefined; batch = this.#waiting.next) {
      if (this.#closed) return
      await writeAll(file.handle, batch, this.#end.bytes)
      this.#end.wrote(batch)
      this.#waiting.wrote()
    }
    if (this.#waiting.written > 0 && this.#mustSync()) await this.#sync(file)
    if (this.#unsaved) await this.#save()
    if (this.#waiting.written === 0 && this.#mustRotate()) await this.#rotate()
  }

  #mustSync(): boolean {
    const { clock, waitingBytesMax } = this.#options
    return (
      this.#closing !== null ||
      this.#waiting.batchBytes > waitingBytesMax / 4 ||
      clock.monotonicMs() - this.#syncedMs >= syncEveryMs
    )
  }

  async #sync(file: OpenFile): Promise<void> {
    const { files, save } = this.#options
    if (save !== null) await file.handle.sync()
    const there = await files.place(this.#path)
    if (there?.inode === file.inode) {
      if (there.bytes < this.#end.bytes) this.#end.cutTo(there.bytes)
      return this.#settle(file)
    }
    // Somebody has renamed it: what was written is there. Or removed it: what was written since the last time is written again.
    const { links } = await file.handle.place()
    if (links > 0) this.#settle(file)
    this.#leave()
  }

  /** Everything that was written is on disk. It is not taken back any more, because the state that says so may get there although saving it fails. */
  #settle(file: OpenFile): void {
    this.#end.synced(file.inode)
    this.bytesWritten += this.#waiting.settle()
    this.#unsaved = true
    this.#syncedMs = this.#options.clock.monotonicMs()
    if (this.#waiting.roomAgain()) this.onRoom?.()
  }

  async #save(): Promise<void> {
    await this.#options.save?.(this.#end.known, this.#waiting.settledTo)
    this.#savedInode = this.#end.known.inode
    this.#unsaved = false
  }

  /** Somebody may have renamed or removed it since the last line: what comes now is not for that file. */
  async #isInPlace({ inode }: OpenFile): Promise<boolean> {
    return (await this.#options.files.place(this.#path))?.inode === inode
  }

  /** Nobody waits for it to close. */
  #leave(): void {
    this.#file?.handle.close().catch(() => undefined)
    this.#file = null
  }

  /** A call has failed: the file is opened again, if it is still there. Until then the old handle is kept, because it has what was not synced. */
  async #doubted(): Promise<void> {
    const { files } = this.#options
    const file = this.#file
    if (file !== null) {
      const there = await files.place(this.#path)
      if (there?.inode === file.inode) {
        const handle = await files.open(this.#path, 'write')
        if ((await handle.place()).inode !== file.inode) throw new Error('somebody renames it just now')
        this.#leave()
        this.#file = { handle, inode: file.inode }
        this.#rewind(there.bytes)
      } else {
        // What goes to the next file now must not stay in one that was renamed.
        await this.#takeBack(file)
        this.#leave()
      }
    }
    this.#inDoubt = false
  }

  /** Everything that waits is written again, from where it was known to be on disk. */
  #rewind(bytes: number): void {
    this.#waiting.rewind()
    this.#end.rewind(bytes)
  }

  /** A disk that is gone for good does not give it back. */
  async #takeBack({ handle }: OpenFile): Promise<void> {
    this.#takenBack += 1
    try {
      await handle.truncate(this.#end.known.bytes)
      await handle.sync()
    } catch (error) {
      if (this.#takenBack < takeBackTries) throw error
    }
    this.#takenBack = 0
  }

  /** Everything that waits is written to it, from its beginning or from where it was known to be on disk. */
  async #begin(): Promise<OpenFile> {
    const { files, directory, clock, save } = this.#options
    await files.makeDirectory(directory)
    let there = await files.place(this.#path)
    const isKnown = there !== null && there.inode === this.#end.known.inode
    if (there !== null && !isKnown && !this.#adopt && there.bytes > 0) {
      // Not ours.
      await this.#moveAside()
      there = null
    }
    const handle = await files.open(this.#path, there === null ? 'create' : 'write')
    try {
      const { inode, bytes } = await handle.place()
      if (!isKnown) {
        const kept = this.#adopt ? await wholeLines(handle, bytes) : 0
        const beganAtMs = there === null || kept === 0 ? clock.nowMs() : there.modifiedMs
        this.#end.moveTo({ inode, bytes: kept, check: 0, beganAtMs })
      }
      this.#rewind(bytes)
      // From the beginning a start must find it, even if somebody renames it at once.
      if (save !== null && this.#savedInode !== inode) {
        await files.syncDirectory(directory)
        await this.#save()
      }
      this.#file = { handle, inode }
    } catch (error) {
      handle.close().catch(() => undefined)
      throw error
    }
    this.#adopt = false
    return this.#file
  }

  // ── Rotation ────────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** By size, and by time in whole periods since 1970: once a day is at midnight, UTC. */
  #mustRotate(): boolean {
    const { clock, rotateBytes, rotateMs } = this.#options
    const period = (ms: number): number => Math.floor(ms / rotateMs)
    const { bytes, known } = this.#end
    return bytes >= rotateBytes || (bytes > 0 && period(clock.nowMs()) > period(known.beganAtMs))
  }

  /** Everything that was written is on disk, and its end was saved. */
  async #rotate(): Promise<void> {
    if (this.#end.bytes > 0) await this.#moveAside()
    this.#leave()
    await this.#begin()
    this.#anew = false
    this.#options.onRotated()
  }

  async #moveAside(): Promise<void> {
    const { files, directory, base, clock } = this.#options
    const name = nextName(base, clock.nowMs(), await files.list(directory))
    if ((await files.place(this.#path)) !== null) await files.rename(this.#path, join(directory, name))
  }
}
