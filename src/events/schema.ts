/**
 * What is in the files of the message store.
 *
 *   catalogue.sqlite     from where the logs must be read again, and the secret of cursors
 *   YYYY-MM-DD.sqlite    the messages of a day of UTC, with everything that became of them
 *
 * In a day file tenants and receivers are named once and stand in rows by number; places in the lists of src/model and src/ports are on disk. What few
 * messages have is in one column, as JSON. A recipient's status and the count of its attempts are in its own row, the reply is in its last attempt's.
 */
import { cacheBytesMax } from './limits.ts'
import type { FileKind } from './sqlite.ts'

export const dayKind: FileKind = {
  what: 'day of the message store',
  version: 1,
  locked: false,
  cacheBytes: cacheBytesMax.value,
  schema: `
    CREATE TABLE about (one INTEGER PRIMARY KEY CHECK (one = 1), messages INTEGER NOT NULL, acceptedFirstMs INTEGER NOT NULL, acceptedLastMs INTEGER NOT NULL, idFirst TEXT NOT NULL, idLast TEXT NOT NULL);
    CREATE TABLE spans (log INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, PRIMARY KEY (log, first)) WITHOUT ROWID;
    CREATE TABLE tenants (tenant INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
    CREATE TABLE peers (peer INTEGER PRIMARY KEY, host TEXT NOT NULL, address TEXT NOT NULL, source TEXT NOT NULL, tls TEXT NOT NULL, UNIQUE (host, address, source, tls));
    CREATE TABLE messages (
      number INTEGER PRIMARY KEY, id BLOB NOT NULL, tenant INTEGER NOT NULL, accepted INTEGER NOT NULL, expires INTEGER NOT NULL, bytes INTEGER NOT NULL,
      recipients INTEGER NOT NULL, kind INTEGER NOT NULL, returnPath TEXT NOT NULL, sender TEXT NOT NULL, subject TEXT NOT NULL, client TEXT NOT NULL,
      more TEXT, idempotencyKey TEXT, requestSha256 TEXT);
    CREATE INDEX messagesById ON messages (id);
    CREATE INDEX messagesByTime ON messages (tenant, accepted);
    CREATE INDEX messagesByKey ON messages (tenant, idempotencyKey, accepted) WHERE idempotencyKey IS NOT NULL;
    CREATE TABLE recipients (
      number INTEGER NOT NULL, recipient INTEGER NOT NULL, tenant INTEGER NOT NULL, accepted INTEGER NOT NULL, folded TEXT NOT NULL, address TEXT,
      status INTEGER NOT NULL, attempts INTEGER NOT NULL, next INTEGER NOT NULL, duplicate INTEGER NOT NULL, PRIMARY KEY (number, recipient)) WITHOUT ROWID;
    CREATE INDEX recipientsByAddress ON recipients (tenant, folded, accepted);
    CREATE TABLE attempts (
      number INTEGER NOT NULL, recipient INTEGER NOT NULL, attempt INTEGER NOT NULL, at INTEGER NOT NULL, started INTEGER NOT NULL, peer INTEGER NOT NULL,
      connected INTEGER NOT NULL, envelope INTEGER NOT NULL, finished INTEGER NOT NULL, what INTEGER NOT NULL, code INTEGER NOT NULL, enhanced TEXT NOT NULL,
      reply TEXT NOT NULL, PRIMARY KEY (number, recipient, attempt)) WITHOUT ROWID;
    CREATE TABLE tags (tenant INTEGER NOT NULL, tag TEXT NOT NULL, accepted INTEGER NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (tenant, tag, accepted, number)) WITHOUT ROWID`,
}

export const catalogueKind: FileKind = {
  what: 'catalogue of the message store',
  version: 1,
  locked: true,
  cacheBytes: 64 * 1024,
  schema: `
    CREATE TABLE positions (log TEXT PRIMARY KEY, position INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE secrets (name TEXT PRIMARY KEY, secret BLOB NOT NULL) WITHOUT ROWID`,
}
