/**
 * What is in tally.sqlite.
 *
 *   marks       last mark of each log that was counted: everything else here is of the records up to there, each counted once
 *   positions   from where the logs must be read again
 *   usage       recipients accepted, by tenant, credential and day of UTC
 *   asked       submissions whose sender wants to hear more than failures, until all their recipients have come to an end
 *   notices     a row for each notice: gathering, due, sent or given up; rows that went out are kept a while, because the logs may come again
 *   told        the recipients that a notice is about
 *   bounces     addresses that do not exist, until the directory has them. A number is never given again: "taken, up to this one" may come twice
 *   counts      of what is only counted
 */
import { KiB } from '../../kernel/units.ts'
import type { FileKind } from '../sqlite.ts'

export const tallyKind: FileKind = {
  what: 'tally',
  version: 1,
  locked: true,
  cacheBytes: 1024 * KiB,
  schema: `
    CREATE TABLE marks (log TEXT PRIMARY KEY, position INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE positions (log TEXT PRIMARY KEY, position INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE usage (tenant TEXT NOT NULL, credential TEXT NOT NULL, day INTEGER NOT NULL, messages INTEGER NOT NULL,
      PRIMARY KEY (tenant, credential, day)) WITHOUT ROWID;
    CREATE TABLE asked (number INTEGER PRIMARY KEY, open INTEGER NOT NULL, atMs INTEGER NOT NULL);
    CREATE TABLE notices (
      id TEXT PRIMARY KEY, number INTEGER NOT NULL, kind TEXT NOT NULL, state TEXT NOT NULL, openedMs INTEGER NOT NULL, tries INTEGER NOT NULL,
      returnPath TEXT NOT NULL, about TEXT NOT NULL) WITHOUT ROWID;
    CREATE INDEX noticesByState ON notices (state, openedMs);
    CREATE INDEX noticesDue ON notices (tries, openedMs) WHERE state = 'due';
    CREATE TABLE told (number INTEGER NOT NULL, kind TEXT NOT NULL, recipient INTEGER NOT NULL, notice TEXT NOT NULL, what TEXT NOT NULL,
      PRIMARY KEY (number, kind, recipient)) WITHOUT ROWID;
    CREATE INDEX toldByNotice ON told (notice, recipient);
    CREATE TABLE bounces (bounce INTEGER PRIMARY KEY AUTOINCREMENT, tenant TEXT NOT NULL, address TEXT NOT NULL, detail TEXT NOT NULL, message TEXT NOT NULL, atMs INTEGER NOT NULL);
    CREATE TABLE counts (name TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID`,
}
