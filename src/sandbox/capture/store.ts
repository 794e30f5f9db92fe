/**
 * Captured mail in one SQLite file, bounded by number and bytes; the oldest goes first. Messages come in groups, one transaction each.
 * Another process may read the file meanwhile.
 */
import { chmodSync, closeSync, existsSync, mkdirSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { PosthasteError } from '../../kernel/errors.ts'
import type { ReceivedMessage } from '../receiver/receiver.ts'
import { pageMessagesMax } from '../limits.ts'
import { decodeEncodedWords } from '../../standards/mime/encoded-words.ts'
import { type ReadMessage, readMessage } from './read-message.ts'
import { fieldOf } from '../receiver/content.ts'

export interface CaptureBounds {
  readonly messagesMax: number
  readonly bytesMax: number
}

/** A captured message in a list. */
export interface CapturedSummary {
  readonly id: number
  readonly from: string
  readonly to: readonly string[]
  readonly subject: string
  readonly messageId: string
  readonly sizeBytes: number
  /** Wall clock, milliseconds since 1970. */
  readonly receivedMs: number
  readonly tls: string | null
  /** An earlier capture of the same Message-ID for one of the same recipients; null when this is the first. */
  readonly duplicateOf: number | null
  /** The sender never got our reply: another copy is to be expected. */
  readonly replyLost: boolean
}

export interface CapturedMessage extends CapturedSummary, ReadMessage {
  readonly helo: string
  readonly login: string | null
  readonly peer: string
  readonly mailParameters: readonly string[]
  readonly times: ReceivedMessage['times']
  readonly connection: number
  readonly messageOnConnection: number
}

export interface ListQuery {
  /** Default 50, at most a page (limits.ts). */
  readonly limit?: number
  /** Only captures with a smaller id. */
  readonly before?: number
  /** Only captures for this address; letter case does not matter. */
  readonly to?: string
}

/** Reading, as the sink and the command line do it. */
export interface CaptureReader {
  /** Newest first. */
  list(query?: ListQuery): CapturedSummary[]
  /** Null when it was never there or has been dropped. */
  show(id: number): CapturedMessage | null
  /** The bytes as they were received, un-stuffed. */
  raw(id: number): Buffer | null
  close(): void
}

const schemaVersion = 1
const schema = `
  CREATE TABLE message (
    id INTEGER PRIMARY KEY AUTOINCREMENT, message_id TEXT NOT NULL, size INTEGER NOT NULL, duplicate_of INTEGER, summary TEXT NOT NULL,
    detail TEXT NOT NULL);
  CREATE INDEX message_by_message_id ON message (message_id);
  CREATE TABLE recipient (message INTEGER NOT NULL, address TEXT NOT NULL, PRIMARY KEY (address, message)) WITHOUT ROWID;
  CREATE INDEX recipient_by_message ON recipient (message);
  CREATE TABLE content (message INTEGER PRIMARY KEY, raw BLOB NOT NULL);
  PRAGMA user_version = ${schemaVersion};
`

type Detail = Omit<CapturedMessage, keyof CapturedSummary | keyof ReadMessage>
interface Row {
  id: number
  size: number
  duplicate_of: number | null
  summary: string
  detail: string
}

const captureFileName = 'captured.db'

/** Opens what a sink has captured, for reading only; also while the sink runs. */
export function openCaptured(directory: string): CaptureReader {
  const path = join(directory, captureFileName)
  if (!existsSync(path)) {
    throw new PosthasteError(
      'nothing_captured',
      `${path} does not exist`,
      'Start the sandbox and send a message first.',
      {
        exitCode: 69,
      },
    )
  }
  return new CaptureTables(openFile(path, true))
}

function openFile(path: string, readOnly: boolean): DatabaseSync {
  const database = new DatabaseSync(path, { readOnly, timeout: 5_000 })
  const { user_version: version } = database.prepare('PRAGMA user_version').get() as { user_version: number }
  if (version === 0 && !readOnly) database.exec(`BEGIN; ${schema} COMMIT`)
  else if (version !== schemaVersion) {
    database.close()
    throw new PosthasteError(
      'capture_version',
      `${path} has format ${version}, this program reads ${schemaVersion}`,
      'Delete the file: it only holds mail captured by the sandbox.',
      { exitCode: 78 },
    )
  }
  return database
}

class CaptureTables implements CaptureReader {
  protected readonly database: DatabaseSync
  readonly #list: StatementSync
  readonly #listTo: StatementSync
  readonly #show: StatementSync
  readonly #raw: StatementSync

  constructor(database: DatabaseSync) {
    this.database = database
    const columns = 'message.id, size, duplicate_of, summary, detail'
    this.#list = database.prepare(`SELECT ${columns} FROM message WHERE id < ? ORDER BY id DESC LIMIT ?`)
    this.#listTo = database.prepare(
      `SELECT ${columns} FROM recipient JOIN message ON message.id = recipient.message
       WHERE address = ? AND recipient.message < ? ORDER BY recipient.message DESC LIMIT ?`,
    )
    this.#show = database.prepare(`SELECT ${columns} FROM message WHERE id = ?`)
    this.#raw = database.prepare('SELECT raw FROM content WHERE message = ?')
  }

  list(query: ListQuery = {}): CapturedSummary[] {
    const limit = Math.max(1, Math.min(query.limit ?? 50, pageMessagesMax.value))
    const before = query.before ?? Number.MAX_SAFE_INTEGER
    const rows =
      query.to === undefined ? this.#list.all(before, limit) : this.#listTo.all(query.to.toLowerCase(), before, limit)
    return (rows as unknown as Row[]).map(summaryOf)
  }

  show(id: number): CapturedMessage | null {
    const row = this.#show.get(id) as Row | undefined
    const raw = this.raw(id)
    if (row === undefined || raw === null) return null
    return { ...summaryOf(row), ...(JSON.parse(row.detail) as Detail), ...readMessage(raw) }
  }

  raw(id: number): Buffer | null {
    const row = this.#raw.get(id) as { raw: Uint8Array } | undefined
    return row === undefined ? null : Buffer.from(row.raw.buffer, row.raw.byteOffset, row.raw.byteLength)
  }

  close(): void {
    this.database.close()
  }
}

function summaryOf(row: Row): CapturedSummary {
  const kept = JSON.parse(row.summary) as Omit<CapturedSummary, 'id' | 'sizeBytes' | 'duplicateOf'>
  return { id: row.id, sizeBytes: row.size, duplicateOf: row.duplicate_of, ...kept }
}

/** The writing side. What was added can be read after the next `flush`. */
export class CaptureStore extends CaptureTables {
  readonly #bounds: CaptureBounds
  readonly #insert: StatementSync
  readonly #insertRecipient: StatementSync
  readonly #insertContent: StatementSync
  readonly #earlier: StatementSync
  readonly #oldest: StatementSync
  readonly #remove: readonly StatementSync[]
  #pending: ReceivedMessage[] = []
  #messages: number
  #bytes: number

  constructor(directory: string, bounds: CaptureBounds) {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    const path = join(directory, captureFileName)
    // Mail is private here too. SQLite gives its other files the mode of this one.
    closeSync(openSync(path, 'a', 0o600))
    chmodSync(path, 0o600)
    const database = openFile(path, false)
    // The sandbox's mail may go with a power cut, the file may not: in WAL mode NORMAL keeps it whole and syncs only at checkpoints.
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 8000')
    super(database)
    this.#bounds = bounds
    this.#insert = database.prepare(
      'INSERT INTO message (message_id, size, duplicate_of, summary, detail) VALUES (?, ?, ?, ?, ?)',
    )
    this.#insertRecipient = database.prepare('INSERT OR IGNORE INTO recipient (message, address) VALUES (?, ?)')
    this.#insertContent = database.prepare('INSERT INTO content (message, raw) VALUES (?, ?)')
    this.#earlier = database.prepare(
      `SELECT min(message.id) AS id FROM message JOIN recipient ON recipient.message = message.id
       WHERE message_id = ? AND address = ?`,
    )
    this.#oldest = database.prepare('SELECT id, size FROM message ORDER BY id LIMIT 1')
    this.#remove = [
      database.prepare('DELETE FROM recipient WHERE message = ?'),
      database.prepare('DELETE FROM content WHERE message = ?'),
      database.prepare('DELETE FROM message WHERE id = ?'),
    ]
    const held = database.prepare('SELECT count(*) AS messages, coalesce(sum(size), 0) AS bytes FROM message').get()
    ;({ messages: this.#messages, bytes: this.#bytes } = held as { messages: number; bytes: number })
    this.#trim()
  }

  /** Keeps a message, which must carry its content, until the next `flush`. */
  add(message: ReceivedMessage): void {
    this.#pending.push(message)
  }

  /** Writes all that was added, in one transaction. When that fails none of it is kept. */
  flush(): void {
    const group = this.#pending
    if (group.length === 0) return
    this.#pending = []
    const held = { messages: this.#messages, bytes: this.#bytes }
    this.database.exec('BEGIN IMMEDIATE')
    try {
      for (const message of group) this.#write(message)
      this.#trim()
      this.database.exec('COMMIT')
    } catch (cause) {
      if (this.database.isTransaction) this.database.exec('ROLLBACK')
      ;({ messages: this.#messages, bytes: this.#bytes } = held)
      throw cause
    }
  }

  #write(message: ReceivedMessage): void {
    const content = message.content as Buffer
    const end = content.subarray(0, 64 * 1024).indexOf('\r\n\r\n')
    const header = content.toString('utf8', 0, end === -1 ? Math.min(content.length, 64 * 1024) : end)
    const messageId = fieldOf(header, 'Message-ID')
    const { from, to, mailParameters } = message.envelope
    const addresses = to.map((address) => address.toLowerCase())
    const summary: Omit<CapturedSummary, 'id' | 'sizeBytes' | 'duplicateOf'> = {
      from,
      to,
      subject: decodeEncodedWords(fieldOf(header, 'Subject')),
      messageId,
      receivedMs: message.times.receivedMs,
      tls: message.tls,
      replyLost: message.replyLost,
    }
    const detail: Detail = {
      helo: message.helo,
      login: message.login,
      peer: `${message.peer.address} port ${message.peer.port}`,
      mailParameters,
      times: message.times,
      connection: message.connection,
      messageOnConnection: message.messageOnConnection,
    }
    const duplicateOf = messageId === '' ? null : this.#firstOf(messageId, addresses)
    const written = this.#insert.run(
      messageId,
      content.length,
      duplicateOf,
      JSON.stringify(summary),
      JSON.stringify(detail),
    )
    for (const address of addresses) this.#insertRecipient.run(written.lastInsertRowid, address)
    this.#insertContent.run(written.lastInsertRowid, content)
    this.#messages++
    this.#bytes += content.length
  }

  #firstOf(messageId: string, addresses: readonly string[]): number | null {
    let first: number | null = null
    for (const address of addresses) {
      const { id } = this.#earlier.get(messageId, address) as { id: number | null }
      if (id !== null && (first === null || id < first)) first = id
    }
    return first
  }

  #trim(): void {
    while (this.#messages > this.#bounds.messagesMax || this.#bytes > this.#bounds.bytesMax) {
      const oldest = this.#oldest.get() as { id: number; size: number } | undefined
      if (oldest === undefined) return
      for (const statement of this.#remove) statement.run(oldest.id)
      this.#messages--
      this.#bytes -= oldest.size
    }
  }

  override close(): void {
    if (!this.database.isOpen) return
    this.flush()
    super.close()
  }
}
