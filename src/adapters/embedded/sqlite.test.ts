import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { type Generated, sql } from 'kysely'
import { seededRandom } from '../../kernel/random.ts'
import { lockWaitMsMax } from './limits.ts'
import { openSqlite } from './sqlite.ts'

const root = mkdtempSync(join(tmpdir(), 'posthaste-sqlite-'))
after(() => rmSync(root, { recursive: true }))

interface Schema {
  parents: { id: Generated<number>; name: string }
  children: { id: number; parent: number }
}

const tables = [
  sql`create table parents (id integer primary key, name text not null unique)`,
  sql`create table children (id integer primary key, parent integer not null references parents (id))`,
]

test('what is committed is there after closing, in files that only we may read', async () => {
  const directory = join(root, 'new', 'deep')
  const db = await openSqlite<Schema>(directory, 'a.db')
  for (const table of tables) await table.execute(db)
  await db.insertInto('parents').values({ name: "'; DROP TABLE parents; --" }).execute()
  for (const file of ['a.db', 'a.db-wal']) assert.equal(statSync(join(directory, file)).mode & 0o777, 0o600, file)
  assert.equal(statSync(directory).mode & 0o777, 0o700)
  await db.destroy()
  const again = await openSqlite<Schema>(directory, 'a.db')
  assert.deepEqual(
    (await again.selectFrom('parents').selectAll().execute()).map((row) => ({ ...row })),
    [{ id: 1, name: "'; DROP TABLE parents; --" }],
  )
  await again.destroy()
})

test('a file that others could read is closed to them', async () => {
  const path = join(root, 'open.db')
  writeFileSync(path, '', { mode: 0o644 })
  chmodSync(path, 0o644)
  await (await openSqlite(root, 'open.db')).destroy()
  assert.equal(statSync(path).mode & 0o777, 0o600)
})

test('every commit is synced, and rows that point nowhere are refused', async (t) => {
  const db = await openSqlite<Schema>(root, 'b.db')
  t.after(() => db.destroy())
  for (const [pragma, value] of [
    ['journal_mode', 'wal'],
    ['synchronous', 2],
    ['foreign_keys', 1],
    ['secure_delete', 1],
    ['wal_autocheckpoint', 1],
    ['journal_size_limit', 0],
    ['locking_mode', 'exclusive'],
  ] as const) {
    const { rows } = await sql<Record<string, unknown>>`pragma ${sql.raw(pragma)}`.execute(db)
    assert.equal(rows[0]?.[pragma], value)
  }
  for (const table of tables) await table.execute(db)
  await assert.rejects(db.insertInto('children').values({ id: 1, parent: 7 }).execute(), {
    code: 'database_constraint',
    exitCode: 70,
  })
})

test('what is deleted, changed or outgrown leaves no bytes, in the file or in the log', async (t) => {
  const db = await openSqlite<Schema>(root, 'secret.db')
  t.after(() => db.destroy())
  for (const table of tables) await table.execute(db)
  const random = seededRandom(3)
  const secret = (n: number): string => `secret-${n}-${'s'.repeat(random.uint32() % 6_000)}-end`
  const files = (): string =>
    ['secret.db', 'secret.db-wal'].map((name) => readFileSync(join(root, name), 'latin1')).join('\n')
  const live = new Map<number, string>()
  for (let n = 0; n < 120; n++) {
    const [id, ...others] = [...live.keys()]
    if (id === undefined || random.uint32() % 3 > 0) {
      const name = secret(n)
      const { insertId } = await db.insertInto('parents').values({ name }).executeTakeFirstOrThrow()
      live.set(Number(insertId), name)
    } else if (others.length % 2 === 0) {
      await db
        .updateTable('parents')
        .set({ name: `gone ${n}` })
        .where('id', '=', id)
        .execute()
      live.delete(id)
    } else {
      await db.deleteFrom('parents').where('id', '=', id).execute()
      live.delete(id)
    }
    const left = new Set([...files().matchAll(/secret-(\d+)-/g)].map(([, number]) => Number(number)))
    const expected = [...live.values()].map((name) => Number(/\d+/.exec(name)?.[0]))
    assert.deepEqual(left, new Set(expected))
  }
})

test('a transaction that fails leaves nothing', async (t) => {
  const db = await openSqlite<Schema>(root, 'c.db')
  t.after(() => db.destroy())
  for (const table of tables) await table.execute(db)
  const work = db.transaction().execute(async (trx) => {
    await trx.insertInto('parents').values({ name: 'one' }).execute()
    await trx.insertInto('parents').values({ name: 'one' }).execute()
  })
  await assert.rejects(work, { code: 'database_constraint' })
  assert.deepEqual(await db.selectFrom('parents').selectAll().execute(), [])
})

test('limit database.lock-wait: a second opener waits that long, never longer, and is refused', async (t) => {
  const first = await openSqlite(root, 'd.db')
  t.after(() => first.destroy())
  await assert.rejects(openSqlite(root, 'd.db', { lockWaitMs: 10 }), { code: 'database_in_use', exitCode: 69 })
  const startedMs = performance.now()
  await assert.rejects(openSqlite(root, 'd.db', { lockWaitMs: 60_000 }), { code: 'database_in_use' })
  const waitedMs = performance.now() - startedMs
  assert.ok(waitedMs > lockWaitMsMax.value * 0.9 && waitedMs < 10 * lockWaitMsMax.value, `${waitedMs} ms`)
})

test('what is no database, or is out of reach, is named with its cure and left as it is', async () => {
  const path = join(root, 'text.db')
  writeFileSync(path, 'hello, this is a text and no database at all\n'.repeat(100))
  await assert.rejects(openSqlite(root, 'text.db'), { code: 'database_damaged', exitCode: 74 })
  assert.match(readFileSync(path, 'utf8'), /^hello/)
  await assert.rejects(openSqlite(join(path, 'below'), 'x.db'), { code: 'database_unreadable', exitCode: 73 })
})

test('a mistake in a query stays a mistake of ours', async (t) => {
  const db = await openSqlite(root, 'e.db')
  t.after(() => db.destroy())
  await assert.rejects(sql`selec`.execute(db), { code: 'ERR_SQLITE_ERROR' })
})

test('a disk that is full in the middle of a transaction is what its failure says', async (t) => {
  const db = await openSqlite<Schema>(root, 'full.db')
  t.after(() => db.destroy())
  for (const table of tables) await table.execute(db)
  const { rows } = await sql<{ page_count: number }>`pragma page_count`.execute(db)
  await sql.raw(`pragma max_page_count = ${rows[0]?.page_count}`).execute(db)

  const filling = db.transaction().execute(async (change) => {
    for (let i = 0; i < 100; i++)
      await change
        .insertInto('parents')
        .values({ name: `${i}${'x'.repeat(1_000)}` })
        .execute()
  })

  await assert.rejects(filling, { code: 'database_full' })
  await db.insertInto('parents').values({ name: 'there is room for one' }).execute()
})
