/** The catalogue of the message store: from where the logs must be read again, and the secret of cursors. */
import type { DatabaseSync } from 'node:sqlite'
import type { Random } from '../kernel/random.ts'
import { MiB } from '../kernel/units.ts'
import { catalogueKind } from './schema.ts'
import { aheadBytesAt, bytesAt, checkpoint, closeQuietly, openFile, run } from './sqlite.ts'

/** A few pages for every sync: now and then they go into the file. */
const aheadBytes = 1 * MiB

export class Catalogue {
  readonly path: string
  readonly #database: DatabaseSync

  /** Throws what `openFile` does. */
  constructor(path: string) {
    this.path = path
    this.#database = openFile(path, catalogueKind)
  }

  readPositions(): Map<string, number> {
    const rows = run(this.path, () => this.#database.prepare('SELECT log, position FROM positions').all())
    return new Map(rows.map((row) => [String(row['log']), Number(row['position'])]))
  }

  /** On disk when it returns. */
  writePositions(positions: ReadonlyMap<string, number>): void {
    run(this.path, () => {
      this.#database.exec('BEGIN IMMEDIATE; DELETE FROM positions')
      const insert = this.#database.prepare('INSERT INTO positions VALUES (?, ?)')
      for (const [log, position] of positions) insert.run(log, position)
      this.#database.exec('COMMIT')
    })
    if (aheadBytesAt(this.path) > aheadBytes) checkpoint(this.path, this.#database)
  }

  get bytes(): number {
    return bytesAt(this.path)
  }

  /** Made when it is asked for first. */
  cursorSecret(random: Random): Uint8Array {
    return run(this.path, () => {
      const row = this.#database.prepare("SELECT secret FROM secrets WHERE name = 'cursor'").get()
      if (row?.['secret'] instanceof Uint8Array) return row['secret']
      const secret = Buffer.alloc(32)
      random.fill(secret)
      this.#database.prepare("INSERT OR REPLACE INTO secrets VALUES ('cursor', ?)").run(secret)
      return secret
    })
  }

  close(): void {
    closeQuietly(this.#database)
  }
}
