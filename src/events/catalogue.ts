/** The catalogue of the message store: from where the logs must be read again, and the secret of cursors. */
import type { DatabaseSync } from 'node:sqlite'
import type { Random } from '../kernel/random.ts'
import { MiB } from '../kernel/units.ts'
import { catalogueKind } from './schema.ts'
import { aheadBytesAt, bytesAt, checkpoint, closeQuietly, openFile, run, syncAhead } from './sqlite.ts'

/** A few pages for every sync: now and then they go into the file. */
const aheadBytes = 1 * MiB

export class Catalogue {
  readonly path: string
  #positions: ReadonlyMap<string, number>
  readonly cursorSecret: Uint8Array
  readonly #database: DatabaseSync

  /** Throws what `openFile` does, and for damage that lies deeper too. */
  constructor(path: string, random: Random) {
    this.path = path
    this.#database = openFile(path, catalogueKind)
    try {
      this.#positions = run(path, () => readPositions(this.#database))
      this.cursorSecret = run(path, () => readSecret(this.#database, random))
    } catch (error) {
      closeQuietly(this.#database)
      throw error
    }
  }

  get positions(): ReadonlyMap<string, number> {
    return this.#positions
  }

  /** All logs are to be read from their beginning. */
  forgetPositions(): void {
    this.writePositions(new Map())
    syncAhead(this.path)
  }

  /** On disk after a sync. */
  writePositions(positions: ReadonlyMap<string, number>): void {
    run(this.path, () => {
      this.#database.exec('BEGIN IMMEDIATE; DELETE FROM positions')
      const insert = this.#database.prepare('INSERT INTO positions VALUES (?, ?)')
      for (const [log, position] of positions) insert.run(log, position)
      this.#database.exec('COMMIT')
    })
    this.#positions = new Map(positions)
    if (aheadBytesAt(this.path) > aheadBytes) checkpoint(this.path, this.#database)
  }

  get bytes(): number {
    return bytesAt(this.path)
  }

  close(): void {
    closeQuietly(this.#database)
  }
}

function readPositions(database: DatabaseSync): Map<string, number> {
  const rows = database.prepare('SELECT log, position FROM positions').all()
  return new Map(rows.map((row) => [String(row['log']), Number(row['position'])]))
}

/** Made when the catalogue is. */
function readSecret(database: DatabaseSync, random: Random): Uint8Array {
  const row = database.prepare("SELECT secret FROM secrets WHERE name = 'cursor'").get()
  if (row?.['secret'] instanceof Uint8Array) return row['secret']
  const secret = Buffer.alloc(32)
  random.fill(secret)
  database.prepare("INSERT OR REPLACE INTO secrets VALUES ('cursor', ?)").run(secret)
  return secret
}
