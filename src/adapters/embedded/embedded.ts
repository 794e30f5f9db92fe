/** The adapters that need nothing beside the program: the default on one machine. */
export { openDisk } from './disk.ts'
export { openSqlite } from './sqlite.ts'
export * as diskLimits from './limits.ts'
