/**
 * How the tables came to be, one step after another. Steps only ever follow; one that has been published never changes. Each runs in a
 * transaction with the row that says so, so that a crash leaves the version before or the version after.
 */
import { sql } from 'kysely'
import type { Clock } from '../../kernel/clock.ts'
import { PosthasteError } from '../../kernel/errors.ts'
import type { DirectoryDatabase, DirectoryTransaction } from './schema.ts'

export interface Migration {
  readonly name: string
  up(trx: DirectoryTransaction): Promise<void>
}

/** Brings the database to the newest of `steps`. Throws `directory_newer`, and has changed nothing, when it is beyond that. */
export async function migrate(
  db: DirectoryDatabase,
  clock: Clock,
  steps: readonly Migration[] = migrations,
): Promise<void> {
  await db.schema
    .createTable('schema_versions')
    .ifNotExists()
    .addColumn('version', 'integer', (column) => column.primaryKey())
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('applied_ms', 'bigint', (column) => column.notNull())
    .execute()
  const newest = await db.selectFrom('schema_versions').select('version').orderBy('version', 'desc').limit(1).execute()
  const version = newest[0]?.version ?? 0
  if (version > steps.length) {
    throw new PosthasteError(
      'directory_newer',
      `the directory of tenants has version ${version}, and this program knows versions up to ${steps.length}`,
      'Start the posthaste that wrote it, or a newer one.',
      { exitCode: 78 },
    )
  }
  for (const [index, step] of steps.entries()) {
    if (index < version) continue
    await db.transaction().execute(async (trx) => {
      await step.up(trx)
      const row = { version: index + 1, name: step.name, applied_ms: clock.nowMs() }
      await trx.insertInto('schema_versions').values(row).execute()
    })
  }
}

export const migrations: readonly Migration[] = [
  { name: 'tenants and what they have', up: tenantsAndWhatTheyHave },
  { name: 'DKIM keys of sending domains', up: domainKeys },
  { name: 'networks that tenants are recognised by', up: sourceNetworks },
  { name: 'addresses that nothing is sent to', up: suppressions },
  { name: 'quotas of tenants, keys and logins', up: quotas },
]

async function quotas({ schema }: DirectoryTransaction): Promise<void> {
  await schema
    .createTable('quotas')
    .addColumn('tenant_id', 'text', (column) => column.notNull().references('tenants.id'))
    .addColumn('credential_id', 'text', (column) => column.notNull())
    .addColumn('messages_per_second', 'bigint', (column) => column.notNull())
    .addColumn('messages_per_day', 'bigint', (column) => column.notNull())
    .addColumn('messages_per_month', 'bigint', (column) => column.notNull())
    .addColumn('spool_bytes', 'bigint', (column) => column.notNull())
    .addColumn('spool_recipients', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('quotas_of_owner', ['tenant_id', 'credential_id'])
    .execute()
}

async function suppressions({ schema }: DirectoryTransaction): Promise<void> {
  await schema
    .createTable('suppressions')
    .addColumn('tenant', 'text', (column) => column.notNull())
    .addColumn('address', 'text', (column) => column.notNull())
    .addColumn('address_seen', 'text', (column) => column.notNull())
    .addColumn('reason', 'text', (column) => column.notNull())
    .addColumn('detail', 'text', (column) => column.notNull())
    .addColumn('message_id', 'text', (column) => column.notNull())
    .addColumn('created_ms', 'bigint', (column) => column.notNull())
    .addColumn('created_by', 'text', (column) => column.notNull())
    .addPrimaryKeyConstraint('suppressions_of_tenant', ['tenant', 'address'])
    .execute()
  // A few of one reason are found among millions of another.
  await schema
    .createIndex('suppressions_by_reason')
    .on('suppressions')
    .columns(['tenant', 'reason', 'address'])
    .execute()
  await schema
    .createTable('suppression_counts')
    .addColumn('tenant', 'text', (column) => column.primaryKey())
    .addColumn('entries', 'bigint', (column) => column.notNull())
    .execute()
}

async function sourceNetworks({ schema }: DirectoryTransaction): Promise<void> {
  await schema
    .createTable('source_networks')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('tenant_id', 'text', (column) => column.notNull().references('tenants.id'))
    .addColumn('cidr', 'text', (column) => column.notNull())
    .addColumn('created_ms', 'bigint', (column) => column.notNull())
    .addUniqueConstraint('source_networks_named_once', ['tenant_id', 'cidr'])
    .execute()
}

async function domainKeys({ schema }: DirectoryTransaction): Promise<void> {
  await schema
    .createTable('domain_keys')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('tenant_id', 'text', (column) => column.notNull().references('tenants.id'))
    .addColumn('domain_id', 'text', (column) => column.notNull().references('sending_domains.id'))
    .addColumn('selector', 'text', (column) => column.notNull())
    .addColumn('public_key', 'text', (column) => column.notNull())
    .addColumn('private_key_pem', 'text', (column) => column.notNull())
    .addColumn('created_ms', 'bigint', (column) => column.notNull())
    .addColumn('proven_ms', 'bigint')
    .addColumn('retired_ms', 'bigint')
    .execute()
  await schema.createIndex('domain_keys_of_tenant').on('domain_keys').columns(['tenant_id', 'domain_id']).execute()
}

async function tenantsAndWhatTheyHave({ schema }: DirectoryTransaction): Promise<void> {
  await schema
    .createTable('settings')
    .addColumn('name', 'text', (column) => column.primaryKey())
    .addColumn('value', 'text', (column) => column.notNull())
    .execute()
  await schema
    .createTable('tenants')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('name', 'text', (column) => column.notNull().unique())
    .addColumn('created_ms', 'bigint', (column) => column.notNull())
    .addColumn('suspended_ms', 'bigint')
    .execute()
  await credentials(schema)
  await identities(schema)
  for (const table of ['api_keys', 'smtp_logins', 'sending_domains', 'verified_senders', 'streams'])
    await schema.createIndex(`${table}_of_tenant`).on(table).column('tenant_id').execute()
}

async function credentials(schema: DirectoryTransaction['schema']): Promise<void> {
  await schema
    .createTable('api_keys')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('tenant_id', 'text', (column) => column.notNull().references('tenants.id'))
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('sha256', 'text', (column) => column.notNull().unique())
    .addColumn('last_four', 'text', (column) => column.notNull())
    .addColumn('scopes', 'text', (column) => column.notNull())
    .addColumn('networks', 'text', (column) => column.notNull())
    .addColumn('created_ms', 'bigint', (column) => column.notNull())
    .addColumn('expires_ms', 'bigint')
    .addColumn('revoked_ms', 'bigint')
    .execute()
  await schema
    .createTable('smtp_logins')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('tenant_id', 'text', (column) => column.notNull().references('tenants.id'))
    .addColumn('user_name', 'text', (column) => column.notNull())
    .addColumn('password_sha256', 'text', (column) => column.notNull())
    .addColumn('last_four', 'text', (column) => column.notNull())
    .addColumn('networks', 'text', (column) => column.notNull())
    .addColumn('created_ms', 'bigint', (column) => column.notNull())
    .addColumn('revoked_ms', 'bigint')
    .execute()
  await schema
    .createIndex('smtp_logins_in_use')
    .unique()
    .on('smtp_logins')
    .column('user_name')
    .where(sql.ref('revoked_ms'), 'is', null)
    .execute()
}

async function identities(schema: DirectoryTransaction['schema']): Promise<void> {
  await schema
    .createTable('sending_domains')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('tenant_id', 'text', (column) => column.notNull().references('tenants.id'))
    .addColumn('domain', 'text', (column) => column.notNull())
    .addColumn('subdomains', 'integer', (column) => column.notNull())
    .addColumn('created_ms', 'bigint', (column) => column.notNull())
    .addColumn('verified_ms', 'bigint')
    .addUniqueConstraint('sending_domains_claimed_once', ['tenant_id', 'domain'])
    .execute()
  await schema
    .createIndex('sending_domains_verified_once')
    .unique()
    .on('sending_domains')
    .column('domain')
    .where(sql.ref('verified_ms'), 'is not', null)
    .execute()
  await schema
    .createTable('verified_senders')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('tenant_id', 'text', (column) => column.notNull().references('tenants.id'))
    .addColumn('address', 'text', (column) => column.notNull())
    .addColumn('link_sha256', 'text', (column) => column.unique())
    .addColumn('link_expires_ms', 'bigint', (column) => column.notNull())
    .addColumn('created_ms', 'bigint', (column) => column.notNull())
    .addColumn('verified_ms', 'bigint')
    .addUniqueConstraint('verified_senders_claimed_once', ['tenant_id', 'address'])
    .execute()
  await schema
    .createTable('streams')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('tenant_id', 'text', (column) => column.notNull().references('tenants.id'))
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('mail_class', 'text', (column) => column.notNull())
    .addColumn('defaults', 'text', (column) => column.notNull())
    .addColumn('created_ms', 'bigint', (column) => column.notNull())
    .addUniqueConstraint('streams_named_once', ['tenant_id', 'name'])
    .execute()
}
